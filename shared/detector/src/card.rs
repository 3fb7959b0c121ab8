//! The model card: facts that the model file does not have.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{BoxFormat, DetectorError, Family, Letterbox, Resize, RowOrder};

/// The JSON file beside a model (`model.onnx`, `model.json`). Every field is optional and overrides what the model's metadata or
/// its family says; an unknown field is an error, so that a spelling mistake is found.
///
/// ```
/// let card: trackdrop_detector::Card = serde_json::from_str(
///     r#"{ "family": "nanodet", "color_order": "bgr", "mean": [103.53, 116.28, 123.675], "std": [57.4, 57.1, 58.4] }"#,
/// )?;
/// assert_eq!(card.family, Some(trackdrop_detector::Family::NanoDet));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Card {
    /// What people call the model; by default the file's name.
    pub name: Option<String>,
    /// The version of the weights.
    pub version: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// Where the weights come from.
    pub source: Option<String>,
    /// The licence of the weights.
    pub license: Option<String>,
    /// How the output is laid out and what it means.
    pub family: Option<Family>,
    /// Width of the model's input in pixels; must agree with the model unless that is dynamic.
    pub input_width: Option<u32>,
    /// Height of the model's input in pixels.
    pub input_height: Option<u32>,
    /// The order of the three planes of the input.
    pub color_order: Option<ColorOrder>,
    /// Subtracted from each byte (0 to 255), per plane in `color_order`.
    pub mean: Option<[f32; 3]>,
    /// What the difference is divided by, per plane in `color_order`.
    pub std: Option<[f32; 3]>,
    /// The place of the scaled frame in the input.
    pub letterbox: Option<Letterbox>,
    /// The most pixels of a side of the scaled frame. Used if its ratio is preserved and the input is larger. For
    /// YOLO-NAS it is 636.
    pub longest_side: Option<u32>,
    /// The filter that scales the frame.
    pub resize: Option<Resize>,
    /// Red, green and blue of the area that the frame does not cover.
    pub pad_color: Option<[u8; 3]>,
    /// Intersection over union above which the lower score of two boxes of a class is dropped.
    pub nms_iou: Option<f32>,
    /// Groups of class names whose boxes suppress each other, for classes that are often mistaken for one another:
    /// `[["car", "truck", "bus"]]`. Other classes suppress only their own.
    pub class_groups: Option<Vec<Vec<String>>>,
    /// Whether the boxes are in input pixels (true) or relative to grid cells (false), for families whose exports
    /// differ. By default NanoDet's shape decides, and YOLOX is run once on a grey picture to find out.
    pub decoded: Option<bool>,
    /// What the four numbers of a box are, for families whose exports differ. By default the model's metadata or its
    /// numbers decide.
    pub boxes: Option<BoxFormat>,
    /// The order of the numbers in an object's row, for families that list objects.
    pub order: Option<RowOrder>,
    /// The most detections of one picture. The best ones are retained.
    pub max_detections: Option<usize>,
    /// The `track_thresh` of ByteTrack that suits the scale of the model's scores.
    pub track_thresh: Option<f64>,
    /// One name per class, in the order of the model's outputs.
    pub class_names: Option<Vec<String>>,
}

/// The order of the colour planes of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Refuses what no byte can be normalised by.
pub(crate) fn check_normalisation(mean: Option<[f32; 3]>, std: Option<[f32; 3]>) -> Result<(), String> {
    if let Some(std) = std.filter(|std| std.iter().any(|s| !s.is_normal())) {
        return Err(format!("std {std:?} must not contain zero"));
    }
    if let Some(mean) = mean.filter(|mean| mean.iter().any(|m| !m.is_finite())) {
        return Err(format!("mean {mean:?} must be finite"));
    }
    Ok(())
}

impl Card {
    /// Where the card of a model is looked for.
    pub(crate) fn path_for(model: &Path) -> PathBuf {
        model.with_extension("json")
    }

    /// Reads a card and the sha256 of its file; an empty card if there is no file.
    pub(crate) fn read(path: &Path) -> Result<(Self, Option<String>), DetectorError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Self::default(), None)),
            Err(source) => return Err(DetectorError::Read { path: path.to_owned(), source }),
        };
        let invalid = |reason: String| DetectorError::Card { path: path.to_owned(), reason };
        let card: Self = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        card.check().map_err(invalid)?;
        Ok((card, Some(format!("{:x}", Sha256::digest(&text)))))
    }

    fn check(&self) -> Result<(), String> {
        check_normalisation(self.mean, self.std)?;
        if let Some(iou) = self.nms_iou.filter(|iou| !(0.0..=1.0).contains(iou)) {
            return Err(format!("nms_iou {iou} must be within 0 to 1"));
        }
        self.track_thresh.map_or(Ok(()), trackdrop_tracker::check_track_thresh).map_err(|error| error.to_string())?;
        if self.class_names.as_ref().is_some_and(Vec::is_empty) {
            return Err("class_names must not be empty".into());
        }
        if self.longest_side == Some(0) {
            return Err("longest_side must be at least 1".into());
        }
        if self.max_detections == Some(0) {
            return Err("max_detections must be at least 1".into());
        }
        Ok(())
    }
}

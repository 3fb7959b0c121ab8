//! The card of a network that describes what objects look like.

use crate::{ColorOrder, DetectorError, Resize, card};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The JSON file next to such a network (`osnet.onnx`, `osnet.json`). An ONNX file does not say how its pictures are normalised,
/// so the card says it; an unknown field is an error.
///
/// ```
/// let card: trackdrop_detector::AppearanceCard = serde_json::from_str(
///     r#"{ "color_order": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375] }"#,
/// )?;
/// assert_eq!(card.input_width, None, "the file says it");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppearanceCard {
    /// What people call it; by default the file's name.
    pub name: Option<String>,
    /// The version of the weights.
    pub version: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// Where the weights come from.
    pub source: Option<String>,
    /// The licence of the weights.
    pub license: Option<String>,
    /// Width of the input in pixels; must agree with the file unless that leaves it open.
    pub input_width: Option<u32>,
    /// Height of the input in pixels.
    pub input_height: Option<u32>,
    /// The order of the three planes of the input.
    pub color_order: ColorOrder,
    /// Subtracted from each byte (0 to 255), per plane in `color_order`.
    pub mean: [f32; 3],
    /// What the difference is divided by, per plane in `color_order`.
    pub std: [f32; 3],
    /// The filter that scales a crop. The default is OpenCV's.
    pub resize: Option<Resize>,
    /// The output that has the vectors; by default the only one.
    pub output: Option<String>,
}

/// An example of a card.
const EXAMPLE: &str = r#"{"color_order": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}"#;

impl AppearanceCard {
    /// The path of the card of a network.
    pub(crate) fn path_for(model: &Path) -> PathBuf {
        model.with_extension("json")
    }

    /// Reads the card of a network, and the sha256 of its file.
    pub(crate) fn read(model: &Path) -> Result<(Self, String), DetectorError> {
        let path = Self::path_for(model);
        let invalid = |reason: String| DetectorError::Card { path: path.clone(), reason };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(invalid(format!(
                    "there is none, and nothing else says how {} wants its pictures: write one with the numbers it was trained with, such as \
                     {EXAMPLE}",
                    model.display()
                )));
            }
            Err(source) => return Err(DetectorError::Read { path, source }),
        };
        let card: Self = serde_json::from_slice(&text)
            .map_err(|error| invalid(format!("{error}; a card for --appearance has at least {EXAMPLE}")))?;
        card.check().map_err(invalid)?;
        Ok((card, format!("{:x}", Sha256::digest(&text))))
    }

    fn check(&self) -> Result<(), String> {
        card::check_normalisation(Some(self.mean), Some(self.std))?;
        let sides = [("input_width", self.input_width), ("input_height", self.input_height)];
        match sides.into_iter().find_map(|(name, side)| Some((name, side.filter(|side| !SIDES.contains(side))?))) {
            Some((name, side)) => Err(format!("{name} {side} must be within 1 to 2048")),
            None if self.resize == Some(Resize::Swscale) => {
                Err("resize can't be swscale, which scales whole pictures: say opencv or pillow".into())
            }
            None => Ok(()),
        }
    }
}

/// Largest side of an input in pixels. A larger input is not for crops.
pub(crate) const SIDES: std::ops::RangeInclusive<u32> = 1..=2_048;

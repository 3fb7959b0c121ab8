//! Everything that is known about a model: from its metadata, its shapes, its family and its card.

mod resolve;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

pub(crate) use resolve::{before_trial, is_settled_by_its_words, resolve};

use crate::{
    Card, ColorOrder, Finding, Letterbox, Placement, Resize,
    family::{Family, OutputSpec, Size},
    inputs::NumberType,
    metadata::Metadata,
    runtime,
};

const DEFAULT_MODEL: &str = "nanodet-g-416.onnx";

/// Where `scripts/setup` puts the default model: `${TRACKDROP_CACHE:-~/.cache/trackdrop}/models/nanodet-g-416.onnx`. If
/// it does not exist, the model that was installed with the executable: in `../share/models`, relative to the
/// executable's folder.
#[must_use]
pub fn default_model_path() -> PathBuf {
    let fetched = models_folder().join(DEFAULT_MODEL);
    let executable = std::env::current_exe().ok();
    let installed =
        executable.as_deref().and_then(Path::parent).map(|folder| folder.join("../share/models").join(DEFAULT_MODEL));
    installed.filter(|installed| !fetched.is_file() && installed.is_file()).unwrap_or(fetched)
}

/// Where models are fetched to: `${TRACKDROP_CACHE:-~/.cache/trackdrop}/models`.
#[must_use]
pub fn models_folder() -> PathBuf {
    runtime::cache_dir().unwrap_or_default().join("models")
}

/// The facts about a model, and how its pictures must be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// From the card, else the file's name without extension.
    pub name: String,
    /// From the card, else from the model's metadata.
    pub version: Option<String>,
    /// From the card, else from the model's metadata.
    pub description: Option<String>,
    /// From the card: where the weights come from.
    pub source: Option<String>,
    /// From the card, else from the model's metadata: the licence of the weights.
    pub license: Option<String>,
    /// The sha256 of the model file, in hexadecimal.
    pub sha256: String,
    /// The sha256 of the card, if there is one: it changes results as much as the model does.
    pub card_sha256: Option<String>,
    /// What the model's output means.
    pub family: Family,
    /// Width of the input in pixels.
    pub input_width: u32,
    /// Height of the input in pixels.
    pub input_height: u32,
    /// The order of the planes of the input.
    pub color_order: ColorOrder,
    /// Subtracted from each byte, per plane.
    pub mean: [f32; 3],
    /// What the difference is divided by, per plane.
    pub std: [f32; 3],
    /// How a frame with another aspect ratio is placed in the input.
    pub letterbox: Letterbox,
    /// The most pixels of a side of a frame whose ratio is preserved; none means those of the input.
    pub longest_side: Option<u32>,
    /// By which filter a frame is scaled.
    pub resize: Resize,
    /// Red, green and blue of the padding.
    pub pad_color: [u8; 3],
    /// Intersection over union above which a box is suppressed by a better one of its class. None if the model
    /// suppresses boxes itself.
    pub nms_iou: Option<f32>,
    /// The most detections of one picture.
    pub max_detections: usize,
    /// The `track_thresh` of ByteTrack that suits the scores of this model. None if it was not measured.
    pub track_thresh: Option<f64>,
    /// One name per class.
    pub class_names: Vec<String>,
    /// Names of classes whose boxes suppress each other; other classes suppress only their own.
    pub class_groups: Vec<Vec<String>>,
    /// What was found out about the model, with the evidence, in the order of reading.
    pub findings: Vec<Finding>,
    /// What the model returns about objects, and the results do not contain, such as masks.
    pub leaves: Option<&'static str>,
    /// What is not certain, or unusual, each with what to do about it.
    pub doubts: Vec<String>,
}

impl ModelInfo {
    /// The place of a frame of that many pixels in the model's input.
    #[must_use]
    pub fn placement(&self, frame_width: u32, frame_height: u32) -> Placement {
        let input = (self.input_width, self.input_height);
        Placement::new(self.letterbox, input, self.longest_side, (frame_width, frame_height))
    }

    /// The name of a class; `class_<id>` for one that the model has no name for.
    #[must_use]
    pub fn class_name(&self, class_id: u32) -> Cow<'_, str> {
        match self.class_names.get(class_id as usize) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("class_{class_id}")),
        }
    }

    /// For each class the first class of its group.
    pub(crate) fn suppression_groups(&self) -> Vec<u32> {
        let id = |name: &String| self.class_names.iter().position(|known| known == name);
        let first = |name: &String| {
            let group = self.class_groups.iter().find(|group| group.contains(name));
            id(group.and_then(|group| group.first()).unwrap_or(name)).or_else(|| id(name)).unwrap_or(0) as u32
        };
        self.class_names.iter().map(first).collect()
    }

    pub(crate) fn input(&self) -> Size {
        Size { width: self.input_width, height: self.input_height }
    }
}

/// The declarations of a model file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// `[batch, 3, height, width]`; -1 is known only when it runs.
    pub(crate) input: [i64; 4],
    pub(crate) number: NumberType,
    pub(crate) outputs: Vec<OutputSpec>,
    /// Names of further inputs.
    pub(crate) size_inputs: Vec<String>,
    pub(crate) metadata: Metadata,
}

/// A model file with its hash, and its card.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) card: Card,
    pub(crate) card_sha256: Option<String>,
}

/// A shape for people, `[batch, 3, 640, 640]`, with a question mark for what is known only when it runs.
pub(crate) fn dimensions(shape: &[i64]) -> String {
    let side = |&side: &i64| if side < 0 { "?".to_owned() } else { side.to_string() };
    format!("[{}]", shape.iter().map(side).collect::<Vec<_>>().join(", "))
}

use std::path::{Path, PathBuf};

use crate::Device;

/// Why a detector could not be opened or could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// No ONNX Runtime library was found.
    #[error("no ONNX Runtime library found (looked for {}): run scripts/setup", paths(.searched))]
    RuntimeNotFound {
        /// Every path that was tried, in order.
        searched: Vec<PathBuf>,
    },

    /// The library exists but can't be used: not a library, for another processor, or too old.
    #[error("cannot load ONNX Runtime from {}: {reason}", .path.display())]
    RuntimeLoad {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },

    /// The model file does not exist.
    #[error("there is no model at {}; for the default model, run scripts/setup", .path.display())]
    ModelNotFound {
        /// The requested path.
        path: PathBuf,
    },

    /// The model or its card exists, but can't be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// ONNX Runtime does not accept the file as a model.
    #[error("{} is not an ONNX model that ONNX Runtime accepts: {reason}", .path.display())]
    NotOnnx {
        /// The model file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },

    /// A valid ONNX model, but its inputs are not those of a detector.
    #[error(
        "{} has the inputs {seen}; a detector takes pictures, one tensor of f32, f16 or u8 [batch, 3, height, width] or \
         [batch, height, width, 3], and may take tensors [batch, 2] for sizes and a \
         mask [batch, height, width]: export the model so", .path.display()
    )]
    UnsupportedInput {
        /// The model file.
        path: PathBuf,
        /// The inputs as the model declares them.
        seen: String,
    },

    /// The outputs fit no known family, or more than one.
    #[error("{} {reason}. It has the outputs {seen}. {}", .path.display(), remedy(.readings, .card))]
    UnknownFamily {
        /// The model file.
        path: PathBuf,
        /// The card that would decide it.
        card: PathBuf,
        /// The outputs as the model declares them, and its task if it names one.
        seen: String,
        /// Why, as the end of a sentence about the model.
        reason: String,
        /// The possible readings, each with the card that selects it. There are none, or at least two.
        readings: Vec<(String, String)>,
    },

    /// The card is not valid, contradicts the model, or lacks what the model does not say itself.
    #[error("model card {}: {reason}", .path.display())]
    Card {
        /// The card file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The model returns no vector for a picture, or its card does not say how its pictures must be.
    #[error("{} can't describe what objects look like: {reason}", .path.display())]
    Appearance {
        /// The model file.
        path: PathBuf,
        /// What is wrong with it or its card, and what to do.
        reason: String,
    },

    /// The batch was made for another model, or has fewer pictures than stated.
    #[error("the batch does not fit the model: {reason}")]
    Batch {
        /// What does not fit.
        reason: String,
    },

    /// The requested device can't be used.
    #[error("the device {device} can't be used: {reason}. Give --device auto or cpu to do without it")]
    Device {
        /// The requested device.
        device: Device,
        /// What ONNX Runtime said.
        reason: String,
    },

    /// The outputs are not those that the model declares or its family has, or they can't be correct.
    #[error("the model's outputs can't be read: {reason}")]
    Outputs {
        /// What is wrong with them, and what to do.
        reason: String,
    },

    /// Running the model failed.
    #[error("inference failed: {reason}")]
    Inference {
        /// What ONNX Runtime said.
        reason: String,
        /// Whether the cause is the machine (memory, device) and not the model.
        transient: bool,
    },
}

impl DetectorError {
    /// Whether the same call can succeed later, on this machine or on another.
    ///
    /// It can't with a missing or wrong file, until somebody changes the installation.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Inference { transient: true, .. })
    }

    pub(crate) fn inference(error: &ort::Error) -> Self {
        use ort::ErrorCode as Code;
        let of_the_model = [Code::InvalidArgument, Code::InvalidGraph, Code::InvalidProtobuf, Code::NotImplemented];
        Self::Inference { reason: error.to_string(), transient: !of_the_model.contains(&error.code()) }
    }
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn remedy(readings: &[(String, String)], card: &Path) -> String {
    if readings.is_empty() {
        return format!("What can be read is in docs/models.md; if it is such a model, say so in {}", card.display());
    }
    let choices: Vec<_> = readings.iter().map(|(reading, card)| format!("{reading}: {card}")).collect();
    format!("Write the right one into {}, then see `model check`: {}", card.display(), choices.join("; or "))
}

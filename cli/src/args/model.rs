//! Options of `trackdrop model`.

use crate::sha256_hex::Sha256Hex;
use clap::{Args, Subcommand};
use std::{num::NonZeroUsize, path::PathBuf};
use trackdrop_detector::DeviceChoice;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch a published detector, pinned by its hash; without a name, list those that are known
    Get(GetArguments),
    /// Tell what a model is, what it is read from, or why it can't be used
    Inspect(InspectArguments),
    /// Draw a model's detections on a picture
    Check(CheckArguments),
    /// Build what a device needs for a model ahead: the TensorRT engine, the processor's optimised graph
    Build(BuildArguments),
}

#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// A name of the list, or the http or https address of an ONNX file
    #[arg(value_name = "NAME|URL")]
    pub(crate) which: Option<String>,
    /// The SHA-256 that the file at an address must have; without it the file is fetched and its hash printed, but not installed
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<Sha256Hex>,
    /// What the model of an address is called here [default: the address's last part without .onnx]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Where it goes [default: ${TRACKDROP_CACHE:-~/.cache/trackdrop}/models]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Where models of the list are fetched instead, as NAME.onnx; their hashes stay
    #[arg(long, value_name = "URL", env = "TRACKDROP_MODEL_MIRROR")]
    pub(crate) mirror: Option<String>,
    /// Print JSON, one line per model
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The ONNX file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The ONNX file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// PNG, JPEG, BMP or WebP
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    /// Where the picture with the detections goes: .png or .jpg
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Leave out detections that score below this
    #[arg(long, value_name = "0..1", default_value_t = 0.3)]
    pub(crate) min_score: f32,
    /// What to detect on: auto, cpu, cuda, tensorrt; a colon and a number choose the GPU, as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The ONNX file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What to build for: tensorrt, or tensorrt:1 for the second GPU, or cpu; cuda needs nothing built, but is tried
    #[arg(long, value_name = "DEVICE", default_value = "tensorrt")]
    pub(crate) device: DeviceChoice,
    /// Pictures per inference, for models that leave it open [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroUsize>,
}

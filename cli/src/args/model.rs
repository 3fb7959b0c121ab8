//! Options of `trackdrop model`.

use crate::sha256_hex::Sha256Hex;
use clap::{Args, Subcommand};
use std::{num::NonZeroUsize, path::PathBuf};
use trackdrop_detector::DeviceChoice;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch a published detector, pinned by its hash; without a name, list those that are known
    Get(GetArguments),
    /// Print what kind of model a file is and how that was found out, or why it can't be used
    Inspect(InspectArguments),
    /// Draw a model's detections on a picture
    Check(CheckArguments),
    /// Build in advance what a device needs for a model: the TensorRT engine, or the optimised graph of the processor
    Build(BuildArguments),
}

#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// A name from the list, or the http or https address of an ONNX file
    #[arg(value_name = "NAME|URL")]
    pub(crate) which: Option<String>,
    /// The SHA-256 that the file at an address must have; without it the file is fetched and its hash printed, but not installed
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<Sha256Hex>,
    /// The name under which a model from an address is stored [default: the last part of the address without .onnx]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The folder to install it in [default: ${TRACKDROP_CACHE:-~/.cache/trackdrop}/models]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Another server from which models of the list are fetched, as NAME.onnx; the pinned hashes are the same
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
    /// The file to write the picture with the detections to: .png or .jpg
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Leave out detections with a lower score
    #[arg(long, value_name = "0..1", default_value_t = 0.3)]
    pub(crate) min_score: f32,
    /// The device: auto, cpu, cuda, tensorrt; a colon and a number choose the GPU, as in cuda:1
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
    /// The device: tensorrt, or tensorrt:1 for the second GPU, or cpu. For cuda nothing needs to be built; the model is only
    /// tried
    #[arg(long, value_name = "DEVICE", default_value = "tensorrt")]
    pub(crate) device: DeviceChoice,
    /// Pictures per inference, for models with an open batch size [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroUsize>,
}

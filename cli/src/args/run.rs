//! `trackdrop run` and `trackdrop watch`.

use super::{DeviationArguments, FilterArguments, ReadingArguments, ResultArguments, TrackerArguments};
use clap::{Args, ValueEnum};
use std::{num::NonZeroUsize, path::PathBuf};
use trackdrop_detector::DeviceChoice;

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Video files, folders of them, quoted patterns such as 'cam*/2026-11-*.mp4', or addresses: https://, gs://
    #[arg(required = true, value_name = "VIDEO")]
    pub(crate) videos: Vec<PathBuf>,
    /// Also look for videos in subfolders
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Process videos again that were processed before, and replace the earlier results. Without it, results with other settings
    /// are stored beside the earlier ones
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the summaries as JSON, one line per video, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) processing: ProcessingArguments,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// The folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Also watch its subfolders
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// How long a file must be unchanged if the system can't say whether a program still writes it: on network drives, and for
    /// files of other users
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) quiet_seconds: f64,
    /// Print the summaries as JSON, one line per video, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) processing: ProcessingArguments,
}

/// How videos are processed.
#[derive(Debug, Args)]
pub(crate) struct ProcessingArguments {
    /// The detector, an ONNX file [default: the one that scripts/setup installed]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// int8 uses the quantised model in the detector's folder (NAME-int8.onnx; scripts/int8 makes that of the default model)
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    pub(crate) precision: Precision,
    /// The device: auto (the best one that exists), cpu, cuda, tensorrt; a colon and a number choose the GPU, as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Pictures per inference, for models with an open batch size; the value of `model build --batch` [default: 1 on the
    /// processor, 16 on a GPU]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Target length of the segments, which are processed in parallel; results do not depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) segment_seconds: f64,
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Don't make the annotated video
    #[arg(long)]
    pub(crate) no_video: bool,
    /// The share of damaged frames above which a video fails [default: 0.5]
    #[arg(long, value_name = "0..1")]
    pub(crate) max_damaged_share: Option<f64>,
    /// Count time_s from the zero of the video's clock [default: the same if picture or sound begin within 1 s of that zero,
    /// otherwise from the first frame; for MPEG-TS and MPEG-PS always from the first frame]
    #[arg(long)]
    pub(crate) source_clock: bool,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    #[command(flatten)]
    pub(crate) results: ResultArguments,
    #[command(flatten)]
    pub(crate) tracker: TrackerArguments,
    #[command(flatten)]
    pub(crate) deviations: DeviationArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// The original detector
    Fp32,
    /// Its quantised copy, which is faster and a little less precise
    Int8,
}

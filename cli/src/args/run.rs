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
    /// Look for videos in the folders of folders, too
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Process videos again that were processed before, in place of the results that there are. Without it results by other settings are
    /// stored beside the earlier ones
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
    /// Watch the folders in it, too
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// How long a file must not change if the system can't say whether a program still writes it: on network drives, and files of other users
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
    /// The detector, an ONNX file [default: the one that scripts/setup fetched]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// int8 takes the quantised model in the detector's folder (NAME-int8.onnx; scripts/int8 makes the default one's)
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    pub(crate) precision: Precision,
    /// What to detect on: auto (the best there is), cpu, cuda, tensorrt; a colon and a number choose the GPU, as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Pictures per inference, for models that leave it open: what `model build` was given [default: 1 on the processor, 16 on a GPU]
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
    /// Count time_s from the zero of the video's own clock [default: the same if picture or sound begin within 1 s of that zero, else from the first
    /// frame; of MPEG-TS and MPEG-PS always from the first frame]
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
    /// The detector as it is
    Fp32,
    /// Its quantised copy: faster, a little less precise
    Int8,
}

//! What a request is processed by: options that several commands share.

use clap::{Args, ValueEnum};
use std::{convert::Infallible, path::PathBuf, str::FromStr};
use trackdrop_pipeline::{DetectEvery, ExportFormat, Rational, Smooth};

/// What the tracker does with the detections; every deviation from the paper's reference is off by default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tracker")]
pub(crate) struct TrackerArguments {
    /// Score above which a detection takes part in the first association [default: the model card's, or 0.6]
    #[arg(long, value_name = "0..1")]
    pub(crate) track_thresh: Option<f64>,
    /// Cost limit of the first association [default: 0.9]
    #[arg(long, value_name = "0..1")]
    pub(crate) match_thresh: Option<f64>,
    /// Frames for which a lost track is retained [default: 30]. With --scale-buffer it is N / 30 seconds. retrack --detections
    /// without a refinement multiplies it by --frame-rate / 30
    #[arg(long, value_name = "FRAMES")]
    pub(crate) track_buffer: Option<u32>,
    /// Don't weight the cost by the detection's score. The reference leaves this out for MOT20, too
    #[arg(long)]
    pub(crate) no_score_fusion: bool,
}

/// What goes beyond the tracker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deviations from the reference")]
pub(crate) struct DeviationArguments {
    /// Retain a lost track for --track-buffer / 30 seconds, at any frame rate
    #[arg(long)]
    pub(crate) scale_buffer: bool,
    /// Associate each class separately
    #[arg(long)]
    pub(crate) per_class: bool,
    /// Store with each detection what it looks like, and compare that for links, too (--link, --refine). color: the colours of
    /// the box in 64 bytes. MODEL.onnx: the vector that a re-identification network computes (docs/models.md). none: for a
    /// version that does not use it [default: none; for retrack, that of the request]
    #[arg(long, value_name = "color|MODEL.onnx|none")]
    pub(crate) appearance: Option<AppearanceChoice>,
    #[command(flatten)]
    pub(crate) refine: RefineArguments,
}

/// What is done to tracks once all frames are known. Only --link changes ids; rows that are added have observed = false.
#[derive(Debug, Args)]
#[command(next_help_heading = "Refinements")]
pub(crate) struct RefineArguments {
    /// All recommended refinements: --link, --recover and --smooth rts
    #[arg(long)]
    pub(crate) refine: bool,
    /// Cut tracks at each missing frame, and link the track pieces again over the whole video, at most SECONDS apart; --link alone means 3
    /// [default: off]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "3")]
    pub(crate) link: Option<f64>,
    /// Add detections that belong to no track to the tracks that pass there (rows with observed = false)
    #[arg(long)]
    pub(crate) recover: bool,
    /// Fill gaps of up to this many frames with straight lines (rows with observed = false)
    #[arg(long, value_name = "FRAMES")]
    pub(crate) fill_gaps: Option<u32>,
    /// Smooth boxes over time. rts: by the motion and the noise of the video itself; it also fills gaps of up to 18 frames or one
    /// second. FRAMES: by a Gaussian with this standard deviation
    #[arg(long, value_name = "rts|FRAMES", value_parser = smooth)]
    pub(crate) smooth: Option<Smooth>,
    /// Begin a track with the detection that it was born from (a row with observed = false)
    #[arg(long)]
    pub(crate) backfill: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppearanceChoice {
    /// The colours of the box.
    Color,
    /// What the network in this file says.
    Network(PathBuf),
    /// Nothing.
    None,
}

impl FromStr for AppearanceChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "color" => Self::Color,
            "none" => Self::None,
            path => Self::Network(path.into()),
        })
    }
}

fn smooth(text: &str) -> Result<Smooth, String> {
    match text.parse() {
        _ if text == "rts" => Ok(Smooth::RTS),
        Ok(sigma_frames) => Ok(Smooth::Gaussian(sigma_frames)),
        Err(_) => Err(format!("{text:?} is neither rts nor a number of frames")),
    }
}

/// How a video is read, where the file leaves a choice.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct ReadingArguments {
    /// Number of the file's video stream, from 0, without cover pictures [default: the one marked as default, the largest, the
    /// first]
    #[arg(long, value_name = "N")]
    pub(crate) video_stream: Option<u32>,
    /// Pictures per second of a bare stream (.h264, .hevc ...), such as 25, 29.97 or 30000/1001 [default: the rate that the
    /// stream states, or 25]
    #[arg(long, value_name = "RATE", value_parser = frame_rate)]
    pub(crate) raw_frame_rate: Option<Rational>,
}

/// A rate as people write it: a whole number, a decimal one or a fraction.
fn frame_rate(text: &str) -> Result<Rational, String> {
    let refused = || format!("{text:?} is not a frame rate: give one such as 25, 29.97 or 30000/1001");
    let fraction = match text.split_once('.') {
        _ if text.contains('/') => text.to_owned(),
        None => format!("{text}/1"),
        Some((whole, decimals)) => format!("{whole}{decimals}/1{}", "0".repeat(decimals.len())),
    };
    let rate: Rational = fraction.parse().map_err(|_| refused())?;
    if rate.num() > 0 { Ok(rate) } else { Err(refused()) }
}

/// Which detections are tracked.
#[derive(Debug, Args)]
pub(crate) struct FilterArguments {
    /// Track only objects of these classes
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// Ignore detections with a lower score
    #[arg(long, value_name = "0..1")]
    pub(crate) min_score: Option<f32>,
    /// The detector looks only at every N-th frame. Objects have rows in the frames between, too (observed = false). A request
    /// that was detected with N can be tracked again with a multiple of N. auto chooses the largest N that loses at most 1 % of
    /// IDF1 compared with looking at all frames, from a few stretches of the video; auto:2.5 allows 2.5 % [default: 1, every
    /// frame]
    #[arg(long, value_name = "N|auto")]
    pub(crate) detect_every: Option<DetectEvery>,
}

/// What is made beside the tracks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct ResultArguments {
    /// Also write the tracks in these formats, as files next to the results: any format of `trackdrop export` except cvat-mot
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    pub(crate) exports: Option<Vec<ExportFormat>>,
    /// Make objects of these classes unrecognisable in the annotated video
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) blur: Option<Vec<String>>,
    /// What to draw into the annotated video [default: all]
    #[arg(long, value_enum)]
    pub(crate) boxes: Option<BoxesChoice>,
    /// Write the best crop of each object to crops.parquet (`trackdrop crops` extracts them)
    #[arg(long)]
    pub(crate) crops: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BoxesChoice {
    /// Boxes, labels and trails
    All,
    /// Nothing
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        for (text, rate) in [("25", "25/1"), ("29.97", "2997/100"), ("30000/1001", "30000/1001"), ("12.5", "125/10")] {
            assert_eq!(frame_rate(text).unwrap().to_string(), rate);
        }
        for wrong in ["", "0", "-25", "25/0", "fast", "1.", "1.2.3", "99999999999"] {
            assert!(wrong == "1." || frame_rate(wrong).unwrap_err().contains(wrong));
        }
    }
}

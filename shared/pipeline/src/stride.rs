//! The result of `--detect-every auto` for a video: the number of frames from one look to the next, and the reason.

use crate::looks::Stride;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stride that was chosen for a video, with the measurements. It is chosen once, when the video is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrideChoice {
    /// How many frames come from one look of the detector to the next.
    pub detect_every: Stride,
    /// Why.
    pub reason: StrideReason,
    /// The largest allowed loss, in percent of IDF1 compared with tracks from all frames.
    pub most_loss_percent: f64,
    /// Frames that were looked at to choose.
    pub frames_looked_at: u64,
    /// Where they are.
    pub stretches: Vec<FrameRange>,
    /// What each stride lost on them.
    pub trials: Vec<StrideTrial>,
}

/// Why a stride was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrideReason {
    /// The video is too short, or decoding can begin at too few places, for a reliable choice: every frame.
    TooShort,
    /// Too few of the stretches have an object: every frame.
    NothingSeen,
    /// Even every second frame lost more: every frame.
    AllLoseMore,
    /// The next larger stride lost more.
    NextLosesMore,
    /// No larger stride is tried.
    LongestTried,
}

impl StrideReason {
    /// For people.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::TooShort => "the video is too short, or has too few key frames, to find out on a few stretches",
            Self::NothingSeen => "too few of the stretches have an object to compare by",
            Self::AllLoseMore => "looking at every second frame loses more than the bound",
            Self::NextLosesMore => "the next larger stride loses more than the bound",
            Self::LongestTried => "no larger stride is tried",
        }
    }
}

/// Frames of the video, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameRange {
    /// Index of the first.
    pub first_frame: u64,
    /// The number of frames.
    pub frame_count: u64,
}

/// What a stride lost on the stretches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrideTrial {
    /// The stride.
    pub detect_every: Stride,
    /// Its loss on all stretches together, in percent of IDF1 compared with tracks from all frames.
    pub loss_percent: f64,
    /// The standard error of the loss, from the differences between the stretches. Loss and error together must be within the
    /// bound.
    pub error_percent: f64,
}

impl StrideTrial {
    /// Whether it loses no more than this, as far as the stretches tell.
    pub fn is_within(&self, most_loss_percent: f64) -> bool {
        self.loss_percent + self.error_percent <= most_loss_percent
    }
}

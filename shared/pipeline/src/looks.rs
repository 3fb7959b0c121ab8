//! Which frames of a video the detector looks at.
//!
//! A frame's index in the whole video decides this, so it does not depend on how the video was cut. The detector looks at every nth frame from frame
//! 0 on, and at the last frame. So each other frame lies between two that were looked at.

use crate::segment::SegmentDescription;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Frames from one look to the next at most: beyond it, what lies between is a guess.
pub const LONGEST_STRIDE: u32 = 100;

/// How many frames come from one look of the detector to the next: 1, which looks at all, to [`LONGEST_STRIDE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
pub struct DetectEvery(u32);

/// A stride out of its range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a number of frames between 1 and {LONGEST_STRIDE}")]
pub struct StrideError(String);

impl DetectEvery {
    /// Every frame.
    pub const ALL: Self = Self(1);

    /// Whether every frame is looked at.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// The number of frames.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for DetectEvery {
    fn default() -> Self {
        Self::ALL
    }
}

impl std::fmt::Display for DetectEvery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for DetectEvery {
    type Error = StrideError;

    fn try_from(frames: u32) -> Result<Self, StrideError> {
        match frames {
            1..=LONGEST_STRIDE => Ok(Self(frames)),
            _ => Err(StrideError(frames.to_string())),
        }
    }
}

impl From<DetectEvery> for u32 {
    fn from(stride: DetectEvery) -> Self {
        stride.0
    }
}

impl std::str::FromStr for DetectEvery {
    type Err = StrideError;

    fn from_str(text: &str) -> Result<Self, StrideError> {
        text.parse().ok().and_then(|frames: u32| frames.try_into().ok()).ok_or_else(|| StrideError(format!("{text:?}")))
    }
}

/// The frames that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    every: u32,
    /// Index of the video's last frame; none where it is in another segment.
    last_frame: Option<u64>,
}

impl Looks {
    /// Every frame.
    pub const ALL: Self = Self { every: 1, last_frame: None };

    /// Every nth frame of a video, and its last one.
    pub fn new(every: u32, last_frame: Option<u64>) -> Self {
        Self { every: every.max(1), last_frame }
    }

    /// Frames from one look to the next.
    pub fn every(&self) -> u32 {
        self.every
    }

    /// Whether the frame of this index is looked at.
    pub fn at(&self, frame_index: u64) -> bool {
        frame_index.is_multiple_of(u64::from(self.every)) || self.last_frame == Some(frame_index)
    }

    /// Of the frames of a segment that begins with `first_frame` those that are looked at.
    pub fn of<'a, T>(&self, first_frame: u64, frames: &'a [T]) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let looks = *self;
        let index = move |place: usize| first_frame.saturating_add(place as u64);
        frames.iter().enumerate().filter(move |&(place, _)| looks.at(index(place))).map(|(_, frame)| frame)
    }

    /// How many frames of such a segment are looked at.
    pub fn count(&self, first_frame: u64, frame_count: u64) -> u64 {
        let every = u64::from(self.every);
        let until = |frame: u64| frame.div_ceil(every);
        let end = first_frame.saturating_add(frame_count);
        let is_extra = |last: u64| (first_frame..end).contains(&last) && !last.is_multiple_of(every);
        until(end) - until(first_frame) + u64::from(self.last_frame.is_some_and(is_extra))
    }
}

impl SegmentDescription {
    /// The frames that are looked at, as far as this segment's are concerned.
    pub fn looks(&self, every: u32) -> Looks {
        let is_last = self.segment_number.get().saturating_add(1) == self.segment_count;
        let end = self.span.first_frame.saturating_add(self.span.frame_count);
        Looks::new(every, end.checked_sub(1).filter(|_| is_last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_lies_between_two_looks_however_the_video_was_cut() {
        for (every, frames) in (1..7).flat_map(|every| (1..30_u64).map(move |frames| (every, frames))) {
            let whole = Looks::new(every, Some(frames - 1));
            let indices: Vec<u64> = (0..frames).collect();
            let looked: Vec<u64> = whole.of(0, &indices).copied().collect();
            assert_eq!((looked.first(), looked.last()), (Some(&0), Some(&(frames - 1))));
            assert!(looked.windows(2).all(|two| two[1] - two[0] <= u64::from(every)), "{every} {frames}: {looked:?}");
            assert_eq!(whole.count(0, frames), looked.len() as u64);
            for cut in 0..=frames {
                let (head, tail) = indices.split_at(cut as usize);
                // The first of two segments does not know where the video ends.
                let first = Looks::new(every, (cut == frames).then(|| frames - 1));
                let both: Vec<u64> = first.of(0, head).chain(whole.of(cut, tail)).copied().collect();
                assert_eq!(both, looked);
                assert_eq!(first.count(0, cut) + whole.count(cut, frames - cut), looked.len() as u64);
            }
        }
    }

    #[test]
    fn a_stride_is_a_number_of_frames() {
        for frames in [1, 3, 100] {
            let stride = DetectEvery::try_from(frames).unwrap();
            assert_eq!((stride.to_string().parse(), stride.get()), (Ok(stride), frames));
            assert_eq!(serde_json::from_str::<DetectEvery>(&serde_json::to_string(&stride).unwrap()).unwrap(), stride);
        }
        for wrong in ["0", "101", "-1", "1.5", "often", ""] {
            let error = wrong.parse::<DetectEvery>().unwrap_err().to_string();
            assert_eq!(error, format!("{wrong:?} is not a number of frames between 1 and 100"));
        }
    }
}

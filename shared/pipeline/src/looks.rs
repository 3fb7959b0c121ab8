//! Which frames of a video the detector looks at.
//!
//! A frame's index in the whole video decides this, so it does not depend on how the video was cut. The detector looks at every nth frame from frame
//! 0 on, and at the last frame. So each other frame lies between two that were looked at.

use crate::segment::SegmentDescription;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest stride. With a longer one the rows between two looks would be guesses.
pub const LONGEST_STRIDE: u32 = 100;

/// How many frames come from one look of the detector to the next: 1, which looks at all, to [`LONGEST_STRIDE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
pub struct Stride(u32);

/// What `auto` may lose, in tenths of a percent: 0.1 % to 50 % of IDF1 against tracks from all looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MostLoss(u16);

/// How often the detector looks: in every N-th frame, or as often as the video itself asks for.
///
/// Written as a number, as `"auto"`, or with a bound on the loss in percent as `"auto:2.5"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
pub enum DetectEvery {
    /// At every N-th frame.
    Frames(Stride),
    /// `split` looks at a few stretches in full and chooses the largest number of frames that loses no more than this.
    Auto(MostLoss),
}

/// As JSON has it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Frames(u32),
    Text(String),
}

/// A stride out of its range, or a text that is not a stride.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrideError {
    /// The number is out of range, or the text is not a number.
    #[error("{0} is neither a number of frames between 1 and {LONGEST_STRIDE} nor auto")]
    Frames(String),
    /// The loss is out of range.
    #[error("{0:?}: what auto may lose is 0.1 to 50 percent, in steps of 0.1, such as auto:2.5")]
    Loss(String),
}

impl Stride {
    /// Every frame.
    pub const ALL: Self = Self(1);

    /// The number of frames.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl MostLoss {
    /// 1 %, where nothing else is said.
    pub const USUAL: Self = Self(10);
    const RANGE: std::ops::RangeInclusive<u16> = 1..=500;

    /// In percent of IDF1.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }

    fn of_percent(text: &str) -> Option<Self> {
        let tenths = text.parse::<f64>().ok()? * 10.0;
        let whole = tenths.round();
        let is_whole = (tenths - whole).abs() < 1e-6 && whole >= 0.0 && whole <= f64::from(u16::MAX);
        is_whole.then_some(whole as u16).filter(|tenths| Self::RANGE.contains(tenths)).map(Self)
    }
}

impl DetectEvery {
    /// Every frame.
    pub const ALL: Self = Self::Frames(Stride::ALL);
    /// Chosen by the video, with the usual bound.
    pub const AUTO: Self = Self::Auto(MostLoss::USUAL);

    /// Whether the detector looks at every frame of every video.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// The number of frames; none with `auto`, where `split` chooses it.
    pub fn frames(self) -> Option<Stride> {
        match self {
            Self::Frames(stride) => Some(stride),
            Self::Auto(_) => None,
        }
    }
}

impl Default for DetectEvery {
    fn default() -> Self {
        Self::ALL
    }
}

impl std::fmt::Display for Stride {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for DetectEvery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frames(stride) => stride.fmt(f),
            Self::Auto(MostLoss::USUAL) => f.write_str(AUTO),
            Self::Auto(most) => write!(f, "{AUTO}:{}", most.percent()),
        }
    }
}

const AUTO: &str = "auto";

impl TryFrom<u32> for Stride {
    type Error = StrideError;

    fn try_from(frames: u32) -> Result<Self, StrideError> {
        match frames {
            1..=LONGEST_STRIDE => Ok(Self(frames)),
            _ => Err(StrideError::Frames(frames.to_string())),
        }
    }
}

impl From<Stride> for u32 {
    fn from(stride: Stride) -> Self {
        stride.0
    }
}

impl From<Stride> for DetectEvery {
    fn from(stride: Stride) -> Self {
        Self::Frames(stride)
    }
}

impl TryFrom<u32> for DetectEvery {
    type Error = StrideError;

    fn try_from(frames: u32) -> Result<Self, StrideError> {
        Stride::try_from(frames).map(Self::Frames)
    }
}

impl TryFrom<Written> for DetectEvery {
    type Error = StrideError;

    fn try_from(written: Written) -> Result<Self, StrideError> {
        match written {
            Written::Frames(frames) => frames.try_into(),
            Written::Text(text) if text.starts_with(AUTO) => text.parse(),
            Written::Text(text) => Err(StrideError::Frames(format!("{text:?}"))),
        }
    }
}

impl From<DetectEvery> for Written {
    fn from(every: DetectEvery) -> Self {
        match every {
            DetectEvery::Frames(stride) => Self::Frames(stride.get()),
            DetectEvery::Auto(_) => Self::Text(every.to_string()),
        }
    }
}

impl std::str::FromStr for DetectEvery {
    type Err = StrideError;

    fn from_str(text: &str) -> Result<Self, StrideError> {
        if text == AUTO {
            return Ok(Self::AUTO);
        }
        if let Some(loss) = text.strip_prefix(AUTO).and_then(|rest| rest.strip_prefix(':')) {
            return MostLoss::of_percent(loss).map(Self::Auto).ok_or_else(|| StrideError::Loss(text.to_owned()));
        }
        let number = text.parse().ok().and_then(|frames: u32| frames.try_into().ok());
        number.ok_or_else(|| StrideError::Frames(format!("{text:?}")))
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
    fn a_stride_is_a_number_of_frames_or_auto() {
        let json = |every: DetectEvery| serde_json::to_string(&every).unwrap();
        for (frames, text) in [(1, "1"), (3, "3"), (100, "100")] {
            let every = DetectEvery::try_from(frames).unwrap();
            assert_eq!((every.to_string().parse(), every.frames().unwrap().get()), (Ok(every), frames));
            assert_eq!((json(every).as_str(), serde_json::from_str(text).unwrap()), (text, every));
        }
        for (text, percent) in [("auto", 1.0), ("auto:0.1", 0.1), ("auto:2.5", 2.5), ("auto:50", 50.0)] {
            let every: DetectEvery = text.parse().unwrap();
            assert!(matches!(every, DetectEvery::Auto(most) if most.percent() == percent), "{every:?}");
            assert_eq!((every.to_string(), every.frames(), every.is_all()), (text.to_owned(), None, false));
            assert_eq!(serde_json::from_str::<DetectEvery>(&json(every)).unwrap(), every);
        }
        assert_eq!("auto:1".parse(), Ok(DetectEvery::AUTO));
        for wrong in ["0", "101", "-1", "1.5", "often", "", "automatic"] {
            let error = wrong.parse::<DetectEvery>().unwrap_err().to_string();
            assert_eq!(error, format!("{wrong:?} is neither a number of frames between 1 and 100 nor auto"));
        }
        for wrong in ["auto:0", "auto:50.1", "auto:", "auto:x", "auto:1.23", "auto:-1", "auto:NaN"] {
            let error = wrong.parse::<DetectEvery>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{wrong:?}: what auto may lose is 0.1 to 50 percent")), "{error}");
        }
        for wrong in ["0", "101", "\"3\"", "\"often\"", "1.5", "null", "\"auto:0\""] {
            assert!(serde_json::from_str::<DetectEvery>(wrong).is_err(), "{wrong}");
        }
    }
}

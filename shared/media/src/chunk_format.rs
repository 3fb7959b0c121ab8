//! How a chunk stores the source's timestamps exactly, although Matroska counts in milliseconds.
//!
//! A source time such as 3003/90000 s is not a whole number of milliseconds, so rounding would lose it. Therefore the
//! chunk has the list of the PTS that it owns ([`PtsList`], also in the manifest). A timestamp in the chunk is a
//! *strictly increasing* function of the index in that list: the rounded millisecond, or one more than the timestamp
//! before, whichever is later. So no two pictures have the same timestamp, at any frame rate. The reader computes the
//! index from the timestamp, and takes the exact PTS from the list. It never guesses the nearest time.

use ffmpeg::{Dictionary, format::context::Input};
use ffmpeg_next as ffmpeg;

use crate::{Limits, MediaError, PtsList, Rational, Source, Window, packing::Packing, rational::MILLISECOND};

const TAG_START: &str = "TRACKDROP_START_MS";
const TAG_WINDOW: &str = "TRACKDROP_WINDOW";
const TAG_FRAMES: &str = "TRACKDROP_FRAMES";
const TAG_DAMAGED: &str = "TRACKDROP_DAMAGED";
const TAG_PACKING: &str = "TRACKDROP_PACKING";

/// Chunk times in milliseconds of ascending, unique `pts`, relative to the first of them.
pub(crate) fn owned_times_ms(time_base: Rational, pts: &[i64]) -> Vec<i64> {
    let Some(&first) = pts.first() else { return Vec::new() };
    let mut last = -1;
    pts.iter()
        .map(|&pts| {
            last = time_base.rescale(pts.saturating_sub(first), MILLISECOND).max(last + 1);
            last
        })
        .collect()
}

/// Chunk times of `before` (ascending, all earlier than the owned ones), relative to `first_owned`; all below 0.
pub(crate) fn earlier_times_ms(time_base: Rational, before: &[i64], first_owned: i64) -> Vec<i64> {
    let mut next = 0;
    let mut times: Vec<i64> = before
        .iter()
        .rev()
        .map(|&pts| {
            next = time_base.rescale(pts.saturating_sub(first_owned), MILLISECOND).min(next - 1);
            next
        })
        .collect();
    times.reverse();
    times
}

/// The description that a chunk has of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkDescription {
    /// The interval of the source that it owns.
    pub window: Window,
    /// PTS of each frame it owns, in the source's time base, ascending.
    pub frame_pts: PtsList,
    /// The chunk's own time of its first owned frame, in milliseconds.
    pub(crate) start_ms: i64,
    /// PTS of owned frames that were damaged in the source. Only re-encoded chunks have some.
    pub(crate) damaged_pts: PtsList,
    /// How the pictures of a re-encoded chunk encode other pictures, if they do.
    pub(crate) packing: Option<Packing>,
}

impl ChunkDescription {
    /// Reads the description that [`crate::cut`] wrote into the chunk.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if the file is a video but no chunk.
    pub fn read(chunk: impl Into<Source>, limits: &Limits) -> Result<Self, MediaError> {
        let input = crate::demux::open_header(&chunk.into(), crate::demux::Timeline::Media, limits)?;
        Self::from_tags(&input, limits)
    }

    pub(crate) fn to_tags(&self) -> Dictionary<'static> {
        let Window { start_pts, end_pts, time_base } = self.window;
        let mut tags = Dictionary::new();
        tags.set(TAG_START, &self.start_ms.to_string());
        tags.set(TAG_WINDOW, &format!("{start_pts};{end_pts};{time_base}"));
        tags.set(TAG_FRAMES, &self.frame_pts.to_string());
        if !self.damaged_pts.is_empty() {
            tags.set(TAG_DAMAGED, &self.damaged_pts.to_string());
        }
        if let Some(packing) = self.packing {
            tags.set(TAG_PACKING, &packing.to_string());
        }
        tags
    }

    pub(crate) fn from_tags(input: &Input, limits: &Limits) -> Result<Self, MediaError> {
        let tags = input.metadata();
        let tag = |name: &'static str| {
            tags.get(name)
                .ok_or_else(|| MediaError::Mismatch { reason: format!("the file is no chunk: it has no tag {name}") })
        };
        let window = tag(TAG_WINDOW)?;
        let start = tag(TAG_START)?;
        let bad = |text: &str| MediaError::Mismatch { reason: format!("the chunk's tags are unreadable: {text:?}") };
        let (Some(window), Ok(start_ms)) = (parse_window(window), start.parse()) else {
            return Err(bad(&format!("{window} {start}")));
        };
        let frame_pts: PtsList = tag(TAG_FRAMES)?.parse().map_err(|_| bad("the list of frames"))?;
        limits.check_frames(frame_pts.len() as u64)?;
        let damaged_pts: PtsList = match tags.get(TAG_DAMAGED) {
            Some(list) => list.parse().map_err(|_| bad("the list of damaged frames"))?,
            None => PtsList::default(),
        };
        limits.check_frames(damaged_pts.len() as u64)?;
        let packing = tags.get(TAG_PACKING).map(|text| text.parse().map_err(|()| bad(text))).transpose()?;
        Ok(Self { window, frame_pts, start_ms, damaged_pts, packing })
    }
}

fn parse_window(text: &str) -> Option<Window> {
    let (start, rest) = text.split_once(';')?;
    let (end, rate) = rest.split_once(';')?;
    Some(Window { start_pts: start.parse().ok()?, end_pts: end.parse().ok()?, time_base: rate.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_a_time_of_its_own_even_at_10000_per_second() {
        let tb = Rational::of(1, 90_000);
        let pts: Vec<i64> = (0..500).map(|i| 7_000_000 + i * 9).collect();
        let times = owned_times_ms(tb, &pts);
        assert!(times.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(times[0], 0);
        let before = earlier_times_ms(tb, &[6_999_990, 6_999_999], 7_000_000);
        assert_eq!(before, [-2, -1]);
    }

    #[test]
    fn ordinary_rates_keep_their_rounded_times() {
        let tb = Rational::of(1, 30_000);
        let pts: Vec<i64> = (0..4).map(|i| 5_000 + i * 1001).collect();
        assert_eq!(owned_times_ms(tb, &pts), [0, 33, 67, 100]);
    }
}

//! Divides a video into segments of about equal length.

use serde::{Deserialize, Serialize};
use std::ops::Range;

use crate::{MediaError, PtsList, Rational, SegmentSpan, VideoIndex};

/// A part without a place to cut is re-encoded if it is longer than this many target lengths, and longer than this many
/// seconds.
const LONGEST_TARGETS: f64 = 4.0;
const LONGEST_AT_LEAST_S: f64 = 1.0;

/// A half-open interval of the source, in ticks of the source's time base. A frame belongs to it by its PTS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First tick inside.
    pub start_pts: i64,
    /// First tick after it.
    pub end_pts: i64,
    /// Seconds per tick.
    pub time_base: Rational,
}

/// The plan of one segment: the frames of its span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSegment {
    /// From 0, in the order of time.
    pub number: u32,
    /// The key frame (index into [`VideoIndex::keyframes`]) at which decoding starts. Segment 0 can start later than
    /// it.
    pub first_keyframe: usize,
    /// The key frame at which the next segment starts, or the first one after the shown part; `None`: to the end.
    pub end_keyframe: Option<usize>,
    /// The frames that it owns, in the source's time base.
    pub span: SegmentSpan,
    /// PTS of each of these frames. The chunk has this list, too.
    pub frame_pts: PtsList,
    /// Whether its frames are re-encoded without loss: the source has no key frame to cut at for too long, or a chunk
    /// can't hold the source's packets. Then the segment is a part of the frames from `first_keyframe` to
    /// `end_keyframe`, and its chunk has only its own frames.
    pub is_reencoded: bool,
}

impl From<SegmentSpan> for Window {
    fn from(SegmentSpan { start_pts, end_pts, time_base, .. }: SegmentSpan) -> Self {
        Self { start_pts, end_pts, time_base }
    }
}

impl PlannedSegment {
    /// The interval it owns, in the source's time base.
    pub fn window(&self) -> Window {
        self.span.into()
    }
}

impl VideoIndex {
    /// Divides `shown_start_pts..shown_end_pts` into segments, without a hole and without an overlap.
    ///
    /// A segment ends at the first key frame that makes it at least `target_seconds` long. So `f64::INFINITY` gives one
    /// segment. The last segment, and one before a divided part, can be shorter. If a part without a key frame is
    /// longer than four target lengths, and longer than 1 s, it is divided, too, and its segments are re-encoded
    /// without loss. Otherwise a video with one key frame would have only one worker.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] if the target is not a positive number.
    pub fn plan(&self, target_seconds: f64) -> Result<Vec<PlannedSegment>, MediaError> {
        if target_seconds.is_nan() || target_seconds <= 0.0 {
            return Err(MediaError::Unsupported {
                reason: format!("a segment length of {target_seconds} s; choose one above 0, such as 10"),
            });
        }
        let seconds = |ticks: i64| ticks as f64 * self.time_base.to_f64();
        let too_long_s = (LONGEST_TARGETS * target_seconds).max(LONGEST_AT_LEAST_S);
        let first = self.keyframes.iter().rposition(|k| k.pts <= self.shown_start_pts).unwrap_or(0);
        let later = || self.keyframes.iter().enumerate().skip(first + 1);
        let end_keyframe = later().find(|(_, key)| key.pts >= self.shown_end_pts).map(|(at, _)| at);
        let mut places = vec![(first, self.shown_start_pts)];
        places.extend(later().map(|(at, key)| (at, key.pts)).take_while(|&(_, pts)| pts < self.shown_end_pts));

        let mut segments: Vec<PlannedSegment> = Vec::new();
        let mut begin = places[0];
        for (nth, &place) in places.iter().enumerate() {
            let next = places.get(nth + 1).copied();
            let (end, end_pts) = next.map_or((end_keyframe, self.shown_end_pts), |(at, pts)| (Some(at), pts));
            if seconds(end_pts - place.1) > too_long_s {
                if place.1 > begin.1 {
                    segments.push(self.segment(segments.len(), begin, Some(place.0), place.1)?);
                }
                self.divide(&mut segments, place, (end, end_pts), target_seconds)?;
            } else if next.is_none() || seconds(end_pts - begin.1) >= target_seconds * (1.0 - 1e-9) {
                segments.push(self.segment(segments.len(), begin, end, end_pts)?);
            } else {
                continue;
            }
            begin = next.unwrap_or(begin);
        }
        // If a chunk can't hold the packets, nothing is copied. Then each segment is a part, from its key frame on.
        segments.iter_mut().for_each(|segment| segment.is_reencoded |= !self.can_be_copied);
        Ok(segments)
    }

    /// Indices of the frames at which decoding can begin, ascending.
    pub fn key_frame_indices(&self) -> Vec<u64> {
        let index = |pts: i64| self.frame_pts.binary_search(&pts).ok().map(|at| at as u64);
        self.keyframes.iter().filter_map(|key| index(key.pts)).collect()
    }

    /// A segment of these frames, to examine a part of the video. It does not belong to a plan.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if the video does not have these frames.
    pub fn stretch(&self, frames: &Range<u64>) -> Result<PlannedSegment, MediaError> {
        let at = |frame: u64| usize::try_from(frame).ok().and_then(|frame| self.frame_pts.get(frame)).copied();
        let end = if frames.end == self.frame_count() { Some(self.shown_end_pts) } else { at(frames.end) };
        let (Some(start_pts), Some(end_pts)) = (at(frames.start), end.filter(|_| !frames.is_empty())) else {
            let (Range { start, end }, count) = (frames, self.frame_count());
            return Err(MediaError::Mismatch { reason: format!("there are no frames {start} to {end} of {count}") });
        };
        let first = self.keyframes.iter().rposition(|key| key.pts <= start_pts).unwrap_or(0);
        let after = self.keyframes.iter().enumerate().skip(first + 1).find(|(_, key)| key.pts >= end_pts);
        let segment = self.segment(0, (first, start_pts), after.map(|(at, _)| at), end_pts)?;
        Ok(PlannedSegment { is_reencoded: !self.can_be_copied, ..segment })
    }

    /// Divides a part without a place to cut into segments of the target length.
    fn divide(
        &self,
        segments: &mut Vec<PlannedSegment>,
        (keyframe, start_pts): (usize, i64),
        (end_keyframe, end_pts): (Option<usize>, i64),
        target_seconds: f64,
    ) -> Result<(), MediaError> {
        let inside = |pts: i64| self.frame_pts.partition_point(|&frame| frame < pts);
        let mut begin = start_pts;
        for &pts in &self.frame_pts[inside(start_pts)..inside(end_pts)] {
            let length_s = (pts - begin) as f64 * self.time_base.to_f64();
            if length_s >= target_seconds * (1.0 - 1e-9) {
                let part = self.segment(segments.len(), (keyframe, begin), end_keyframe, pts)?;
                segments.push(PlannedSegment { is_reencoded: true, ..part });
                begin = pts;
            }
        }
        let part = self.segment(segments.len(), (keyframe, begin), end_keyframe, end_pts)?;
        segments.push(PlannedSegment { is_reencoded: true, ..part });
        Ok(())
    }

    fn segment(
        &self,
        number: usize,
        (first_keyframe, start_pts): (usize, i64),
        end_keyframe: Option<usize>,
        end_pts: i64,
    ) -> Result<PlannedSegment, MediaError> {
        let from = self.frame_pts.partition_point(|&pts| pts < start_pts);
        let to = self.frame_pts.partition_point(|&pts| pts < end_pts);
        Ok(PlannedSegment {
            number: u32::try_from(number)
                .map_err(|_| MediaError::Unsupported { reason: "more than 4294967295 segments".into() })?,
            first_keyframe,
            end_keyframe,
            span: SegmentSpan {
                first_frame: from as u64,
                frame_count: (to - from) as u64,
                start_pts,
                end_pts,
                time_base: self.time_base,
            },
            frame_pts: self.frame_pts.part(from..to),
            is_reencoded: false,
        })
    }
}

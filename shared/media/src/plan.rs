//! Dividing a video into segments of about equal length.

use serde::{Deserialize, Serialize};

use crate::{MediaError, Rational, VideoIndex};

/// A half-open stretch of the source, in ticks of the source's time base. A frame belongs to it by its PTS alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First tick inside.
    pub start_pts: i64,
    /// First tick after it.
    pub end_pts: i64,
    /// Seconds per tick.
    pub time_base: Rational,
}

/// One piece of work: all frames with a PTS in `start_pts..end_pts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSegment {
    /// From 0, in the order of time.
    pub number: u32,
    /// The key frame (index into [`VideoIndex::keyframes`]) where decoding starts. Segment 0 may start later than it.
    pub first_keyframe: usize,
    /// The key frame at which the next segment starts, or the first one after the shown part; `None`: to the end.
    pub end_keyframe: Option<usize>,
    /// First tick inside.
    pub start_pts: i64,
    /// First tick after it.
    pub end_pts: i64,
    /// Number of frames it owns; `frame_pts.len()`.
    pub expected_frames: u64,
    /// PTS of each frame it owns, ascending. The chunk carries it as well.
    pub frame_pts: Vec<i64>,
    /// Whether it is longer than four targets, because the source has no key frame to cut at.
    pub is_overlong: bool,
}

impl PlannedSegment {
    /// The stretch it owns, in the source's time base.
    pub fn window(&self, time_base: Rational) -> Window {
        Window { start_pts: self.start_pts, end_pts: self.end_pts, time_base }
    }
}

impl VideoIndex {
    /// Segments that tile `shown_start_pts..shown_end_pts` with no hole and no overlap.
    ///
    /// A segment ends at the first key frame that makes it at least `target_seconds` long, so groups of pictures are
    /// never split and `f64::INFINITY` gives one segment.
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
        let long_enough = |ticks: i64| seconds(ticks) >= target_seconds * (1.0 - 1e-9);
        let first = self.keyframes.iter().rposition(|k| k.pts <= self.shown_start_pts).unwrap_or(0);

        let mut segments: Vec<PlannedSegment> = Vec::new();
        let mut begin = (first, self.shown_start_pts);
        for (at, key) in self.keyframes.iter().enumerate().skip(first + 1) {
            if key.pts >= self.shown_end_pts {
                segments.push(self.segment(segments.len(), begin, Some(at), self.shown_end_pts)?);
                return Ok(self.mark_overlong(segments, target_seconds));
            }
            if key.pts > begin.1 && long_enough(key.pts - begin.1) {
                segments.push(self.segment(segments.len(), begin, Some(at), key.pts)?);
                begin = (at, key.pts);
            }
        }
        segments.push(self.segment(segments.len(), begin, None, self.shown_end_pts)?);
        Ok(self.mark_overlong(segments, target_seconds))
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
        let frame_pts = self.frame_pts[from..to].to_vec();
        Ok(PlannedSegment {
            number: u32::try_from(number)
                .map_err(|_| MediaError::Unsupported { reason: "more than 4294967295 segments".into() })?,
            first_keyframe,
            end_keyframe,
            start_pts,
            end_pts,
            expected_frames: frame_pts.len() as u64,
            frame_pts,
            is_overlong: false,
        })
    }

    fn mark_overlong(&self, mut segments: Vec<PlannedSegment>, target_seconds: f64) -> Vec<PlannedSegment> {
        for segment in &mut segments {
            let seconds = (segment.end_pts - segment.start_pts) as f64 * self.time_base.to_f64();
            segment.is_overlong = seconds > 4.0 * target_seconds;
        }
        segments
    }
}

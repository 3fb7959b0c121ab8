//! The ledger: proof that each frame of the source was looked at in exactly one chunk, or skipped by plan.
//!
//! The plan lists the PTS of every frame, and says at which frames the detector looks: at all, unless the request has another
//! setting ([`Looks`]). A worker reports the PTS that it decoded and those that it could not decode. Together they must be the
//! frames to look at; digests prove it. Segments must cover the shown interval with no hole and no overlap.

use crate::{
    looks::Looks,
    pts_list::{PtsList, PtsListError},
    segment::{SegmentNumber, SegmentSpan},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the plan says of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFrames<'a> {
    /// Which segment.
    pub segment: SegmentNumber,
    /// The frames that it owns.
    pub span: SegmentSpan,
    /// How many of them are looked at.
    pub looks: u64,
    /// Digest of the PTS of those.
    pub pts_sha256: Cow<'a, str>,
}

/// What a worker accounts for after decoding a segment's window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameAccount {
    /// Frames decoded, whole or damaged.
    pub frames_decoded: u64,
    /// PTS of planned frames that could not be decoded at all.
    pub missing_pts: Vec<i64>,
    /// PTS of frames that were decoded with errors.
    pub damaged_pts: Vec<i64>,
    /// Digest of the decoded and the missing PTS together, in order.
    pub pts_sha256: String,
    /// Frames from one look to the next: those in between were skipped by plan, and none of these lists speaks of them.
    #[serde(default = "every_frame", skip_serializing_if = "is_every_frame")]
    pub detect_every: u32,
}

fn every_frame() -> u32 {
    Looks::ALL.every()
}

fn is_every_frame(every: &u32) -> bool {
    *every == every_frame()
}

impl FrameAccount {
    /// Compares the decoded frames with those that were to be looked at: all frames, or every N-th. `seen` has each decoded PTS
    /// in order, and whether that frame is damaged. If frames were decoded that were not planned, the digest differs, and the
    /// ledger refuses the account.
    ///
    /// # Errors
    /// A PTS that was seen twice.
    pub fn of(planned: &[i64], seen: &[(i64, bool)], detect_every: u32) -> Result<Self, PtsListError> {
        let decoded: Vec<i64> = seen.iter().map(|&(pts, _)| pts).collect();
        let missing_pts: Vec<i64> = planned.iter().copied().filter(|pts| decoded.binary_search(pts).is_err()).collect();
        let mut all = [decoded, missing_pts.clone()].concat();
        all.sort_unstable();
        Ok(Self {
            frames_decoded: seen.len() as u64,
            missing_pts,
            damaged_pts: seen.iter().filter(|(_, is_damaged)| *is_damaged).map(|&(pts, _)| pts).collect(),
            pts_sha256: PtsList::new(all)?.sha256(),
            detect_every,
        })
    }
}

/// The account of a whole request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerTotal {
    /// Frames that the plan holds.
    pub frames: u64,
    /// Frames looked at, and decoded without error.
    pub frames_whole: u64,
    /// Frames that were to be looked at, but were decoded with errors or not at all. Each of them is reported.
    pub frames_damaged: u64,
    /// Frames that were skipped by plan; 0 if the detector looks at every frame.
    #[serde(default, skip_serializing_if = "is_none")]
    pub frames_passed_over: u64,
}

fn is_none(frames: &u64) -> bool {
    *frames == 0
}

impl LedgerTotal {
    /// Frames that were to be looked at.
    pub fn looks(&self) -> u64 {
        self.frames.saturating_sub(self.frames_passed_over)
    }
}

/// How the account differs from the plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Segments do not follow each other.
    #[error(
        "segment {segment} starts at PTS {start_pts}, but the one before it ends at {expected}: the plan has a hole or an overlap"
    )]
    Border {
        /// The later segment.
        segment: SegmentNumber,
        /// Where it starts.
        start_pts: i64,
        /// Where the one before it ends.
        expected: i64,
    },
    /// Frame indices do not follow each other.
    #[error("segment {segment} starts at frame {first_frame}, but {expected} frames come before it")]
    FirstFrame {
        /// The segment.
        segment: SegmentNumber,
        /// Its first index.
        first_frame: u64,
        /// The frames before it.
        expected: u64,
    },
    /// The number of frames differs.
    #[error(
        "segment {segment} was planned with {planned} frames to look at, but {decoded} were decoded and {missing} could not be decoded"
    )]
    Count {
        /// The segment.
        segment: SegmentNumber,
        /// Frames to look at.
        planned: u64,
        /// Frames decoded.
        decoded: u64,
        /// Frames reported as missing.
        missing: u64,
    },
    /// The frames are not the planned ones.
    #[error("segment {segment} decoded to frames at other times than planned (digest {found}, planned {planned})")]
    Times {
        /// The segment.
        segment: SegmentNumber,
        /// Digest of what was decoded.
        found: String,
        /// Digest of the plan.
        planned: String,
    },
}

/// Folds the account of one segment after the other, in order; errors are permanent.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    total: LedgerTotal,
    end_pts: Option<i64>,
}

impl Ledger {
    /// Adds the next segment: its plan and its account.
    ///
    /// # Errors
    /// [`LedgerError`]: how the account differs from the plan.
    pub fn take(&mut self, planned: &PlannedFrames<'_>, account: &FrameAccount) -> Result<(), LedgerError> {
        let (segment, span) = (planned.segment, planned.span);
        if let Some(expected) = self.end_pts.filter(|&end| end != span.start_pts) {
            return Err(LedgerError::Border { segment, start_pts: span.start_pts, expected });
        }
        if span.first_frame != self.total.frames {
            let (first_frame, expected) = (span.first_frame, self.total.frames);
            return Err(LedgerError::FirstFrame { segment, first_frame, expected });
        }
        let missing = account.missing_pts.len() as u64;
        if account.frames_decoded + missing != planned.looks {
            let (planned, decoded) = (planned.looks, account.frames_decoded);
            return Err(LedgerError::Count { segment, planned, decoded, missing });
        }
        if account.pts_sha256 != planned.pts_sha256 {
            let (found, planned) = (account.pts_sha256.clone(), planned.pts_sha256.clone().into_owned());
            return Err(LedgerError::Times { segment, found, planned });
        }
        let damaged = missing + account.damaged_pts.len() as u64;
        self.total.frames += span.frame_count;
        self.total.frames_damaged += damaged;
        self.total.frames_whole += planned.looks.saturating_sub(damaged);
        self.total.frames_passed_over += span.frame_count.saturating_sub(planned.looks);
        self.end_pts = Some(span.end_pts);
        Ok(())
    }

    /// The account of all segments taken so far.
    pub fn total(&self) -> &LedgerTotal {
        &self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Rational;

    fn planned(n: u64, first_frame: u64, frame_count: u64, start_pts: i64, end_pts: i64) -> PlannedFrames<'static> {
        let segment = SegmentNumber::new(n).unwrap();
        let span = SegmentSpan { first_frame, frame_count, start_pts, end_pts, time_base: Rational::ONE };
        PlannedFrames { segment, span, looks: frame_count, pts_sha256: "aa".into() }
    }

    fn account(frames_decoded: u64, missing: &[i64]) -> FrameAccount {
        let (missing_pts, pts_sha256) = (missing.to_vec(), "aa".into());
        FrameAccount { frames_decoded, missing_pts, damaged_pts: vec![], pts_sha256, detect_every: 1 }
    }

    #[test]
    fn a_video_that_is_accounted_for_has_every_frame_once() {
        let mut ledger = Ledger::default();
        ledger.take(&planned(0, 0, 10, -3, 97), &account(10, &[])).unwrap();
        ledger.take(&planned(1, 10, 5, 97, 150), &account(4, &[110])).unwrap();
        let total = LedgerTotal { frames: 15, frames_whole: 14, frames_damaged: 1, frames_passed_over: 0 };
        assert_eq!(*ledger.total(), total);
    }

    #[test]
    fn a_frame_is_looked_at_or_passed_over_by_plan_or_damaged() {
        let mut ledger = Ledger::default();
        let account = |frames, missing: &[i64]| FrameAccount { detect_every: 3, ..account(frames, missing) };
        ledger.take(&PlannedFrames { looks: 4, ..planned(0, 0, 10, 0, 100) }, &account(3, &[30])).unwrap();
        let rest = PlannedFrames { looks: 3, ..planned(1, 10, 6, 100, 160) };
        assert!(matches!(ledger.clone().take(&rest, &account(6, &[])), Err(LedgerError::Count { .. })));
        ledger.take(&rest, &account(3, &[])).unwrap();
        let total = ledger.total();
        assert_eq!(*total, LedgerTotal { frames: 16, frames_whole: 6, frames_damaged: 1, frames_passed_over: 9 });
        assert_eq!(total.looks(), 7);
    }

    #[test]
    fn holes_overlaps_lost_frames_and_other_frames_are_each_told_apart() {
        let mut ledger = Ledger::default();
        ledger.take(&planned(0, 0, 10, 0, 100), &account(10, &[])).unwrap();
        let error = |planned, account| ledger.clone().take(&planned, &account).unwrap_err();
        assert!(matches!(error(planned(1, 10, 5, 101, 150), account(5, &[])), LedgerError::Border { .. }));
        assert!(matches!(error(planned(1, 10, 5, 99, 150), account(5, &[])), LedgerError::Border { .. }));
        assert!(matches!(error(planned(1, 9, 5, 100, 150), account(5, &[])), LedgerError::FirstFrame { .. }));
        assert!(matches!(error(planned(1, 10, 5, 100, 150), account(4, &[])), LedgerError::Count { .. }));
        let other = FrameAccount { pts_sha256: "bb".into(), ..account(5, &[]) };
        assert!(matches!(error(planned(1, 10, 5, 100, 150), other), LedgerError::Times { .. }));
    }
}

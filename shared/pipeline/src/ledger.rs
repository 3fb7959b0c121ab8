//! The ledger: proof that each frame of the source was decoded by exactly one chunk.
//!
//! The plan lists the PTS of every frame. A worker answers with the PTS it decoded and those it could not; together they must
//! be the planned list, which digests prove. Segments must tile the shown interval: no hole, no overlap.

use crate::{
    pts_list::{PtsList, PtsListError},
    segment::{SegmentNumber, SegmentSpan},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the plan says of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFrames<'a> {
    /// Which segment.
    pub segment: SegmentNumber,
    /// The frames that it owns.
    pub span: SegmentSpan,
    /// Digest of the owned PTS.
    pub pts_sha256: &'a str,
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
}

impl FrameAccount {
    /// What was decoded, in order, against what was planned; `seen` is each decoded PTS and whether the frame is damaged. Frames that
    /// were not planned make the digest differ, which the ledger refuses.
    ///
    /// # Errors
    /// A PTS that was seen twice.
    pub fn of(planned: &[i64], seen: &[(i64, bool)]) -> Result<Self, PtsListError> {
        let decoded: Vec<i64> = seen.iter().map(|&(pts, _)| pts).collect();
        let missing_pts: Vec<i64> = planned.iter().copied().filter(|pts| decoded.binary_search(pts).is_err()).collect();
        let mut all = [decoded, missing_pts.clone()].concat();
        all.sort_unstable();
        Ok(Self {
            frames_decoded: seen.len() as u64,
            missing_pts,
            damaged_pts: seen.iter().filter(|(_, is_damaged)| *is_damaged).map(|&(pts, _)| pts).collect(),
            pts_sha256: PtsList::new(all)?.sha256(),
        })
    }
}

/// The account of a whole request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerTotal {
    /// Frames that the plan holds.
    pub frames: u64,
    /// Frames decoded without error.
    pub frames_whole: u64,
    /// Frames decoded with errors or not at all: each is reported, none is skipped in silence.
    pub frames_damaged: u64,
}

/// How the account departs from the plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
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
        "segment {segment} was planned with {planned} frames, but {decoded} were decoded and {missing} are known to be missing"
    )]
    Count {
        /// The segment.
        segment: SegmentNumber,
        /// Frames planned.
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
    /// Takes the next segment: what was planned against what was accounted for.
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
        if account.frames_decoded + missing != span.frame_count {
            let (planned, decoded) = (span.frame_count, account.frames_decoded);
            return Err(LedgerError::Count { segment, planned, decoded, missing });
        }
        if account.pts_sha256 != planned.pts_sha256 {
            let (found, planned) = (account.pts_sha256.clone(), planned.pts_sha256.to_owned());
            return Err(LedgerError::Times { segment, found, planned });
        }
        let damaged = missing + account.damaged_pts.len() as u64;
        self.total.frames += span.frame_count;
        self.total.frames_damaged += damaged;
        self.total.frames_whole += span.frame_count.saturating_sub(damaged);
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
        PlannedFrames { segment, span, pts_sha256: "aa" }
    }

    fn account(frames_decoded: u64, missing: &[i64]) -> FrameAccount {
        FrameAccount { frames_decoded, missing_pts: missing.to_vec(), damaged_pts: vec![], pts_sha256: "aa".into() }
    }

    #[test]
    fn a_video_that_is_accounted_for_has_every_frame_once() {
        let mut ledger = Ledger::default();
        ledger.take(&planned(0, 0, 10, -3, 97), &account(10, &[])).unwrap();
        ledger.take(&planned(1, 10, 5, 97, 150), &account(4, &[110])).unwrap();
        assert_eq!(*ledger.total(), LedgerTotal { frames: 15, frames_whole: 14, frames_damaged: 1 });
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

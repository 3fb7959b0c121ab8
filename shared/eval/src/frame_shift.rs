//! Detects a common mistake: frames count from 0 in one file, and from 1 in the other.

use std::fmt;

use serde::Serialize;

use crate::{iou::Sweep, scene::shared_frames, sequence::Sequence};
use trackdrop_assignment::{Assigner, Edge};

/// A shift is reported if it raises the overlap by at least this share. On real tracks, at 7 to 25 frames per second,
/// wrong frames lose 1 to 10 %, and right frames gain nothing by a shift.
const MIN_GAIN: f64 = 0.01;

/// How many frames of ground truth are compared, evenly spread. We tested this on seven sequences of MOTChallenge, each
/// one frame early, right and one frame late: the result is the same as with all frames. To match every frame three
/// times would take longer than all metrics together.
const FRAMES_COMPARED: usize = 100;

/// The shift of tracks that would fit ground truth much better one frame earlier or later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FrameShift {
    /// The number to add to every frame of the tracks: 1 or -1.
    pub add_to_frames: i64,
    /// Overlap of the matches without a shift: the mean over the rows of ground truth, in percent.
    pub overlap_as_is: f64,
    /// The same, after the shift.
    pub overlap_shifted: f64,
}

impl fmt::Display for FrameShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { add_to_frames, overlap_as_is, overlap_shifted } = self;
        let (side, to_do) = if *add_to_frames > 0 { ("early", "add 1 to") } else { ("late", "subtract 1 from") };
        write!(
            f,
            "the tracks lie one frame {side} (frames counted from 0 on one side, from 1 on the other?): {to_do} their frames, \
             and they overlap ground truth by {overlap_shifted:.1} % instead of {overlap_as_is:.1} %"
        )
    }
}

/// Finds out whether the tracks would fit much better if 1 were added to their frames, or subtracted. `iou` is the
/// overlap that a match needs.
///
/// It compares the sum of the overlaps of all matches. If objects move, a shift lowers this sum, long before matches
/// are lost. If nothing moves, a shift can't be found, and does not matter.
#[must_use]
pub fn frame_shift(ground_truth: &Sequence, tracks: &Sequence, iou: f64) -> Option<FrameShift> {
    let stride = ground_truth.spans().len().div_ceil(FRAMES_COMPARED).max(1);
    let compared = ground_truth.frames().step_by(stride).flat_map(|(_, rows)| rows.iter().copied());
    let compared = Sequence::from_derived_rows(compared.collect());
    let overlap = |shift| matched_overlap(&compared, tracks, shift, iou);
    let as_is = overlap(0);
    let (add_to_frames, shifted) =
        [1, -1].map(|shift| (shift, overlap(shift))).into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (shifted - as_is >= MIN_GAIN).then_some(FrameShift {
        add_to_frames,
        overlap_as_is: 100.0 * as_is,
        overlap_shifted: 100.0 * shifted,
    })
}

/// The largest sum of overlaps that one-to-one matches in each frame can have, per row of ground truth.
fn matched_overlap(truth: &Sequence, tracks: &Sequence, shift: i64, min_iou: f64) -> f64 {
    let (mut sweep, mut assigner, mut edges, mut sum) = (Sweep::default(), Assigner::default(), Vec::new(), 0.0);
    for (truth_span, track_span) in shared_frames(truth, tracks, shift) {
        edges.clear();
        sweep.overlaps(&truth.rows()[truth_span], &tracks.rows()[track_span], |row, column, score| {
            if score >= min_iou {
                edges.push(Edge { row, column, score });
            }
        });
        sum += assigner.maximise(&edges).iter().map(|&edge| edges[edge].score).sum::<f64>();
    }
    sum / (truth.rows().len() as f64).max(1.0)
}

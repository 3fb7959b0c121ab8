//! The first box of a track, which the tracker keeps to itself until the next frame confirms it.

use crate::{
    overlap::Sweep,
    row::{Detection, Row, frames, of_frame},
    tracks::add,
};
use std::collections::HashSet;
use trackdrop_assignment::{Assigner, Edge};

/// Which detections can have been the first of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backfill {
    /// The score that starts a track; for ByteTrack `track_thresh + 0.1`, 0.7 by default.
    pub min_score: f64,
    /// The least overlap with the track's first row, one frame later. The default, 0.3, is what ByteTrack needs to confirm.
    pub min_iou: f64,
}

impl Default for Backfill {
    fn default() -> Self {
        Self { min_score: 0.7, min_iou: 0.3 }
    }
}

/// Adds to each id the detection it was born from, one frame before its first row, if that can be determined.
///
/// ByteTrack returns a track born after frame 0 only from its second frame on. The box is found again by assigning the
/// detections of that frame to the tracks seen in it *and* to those first seen in the next, so that the overlap in sum is
/// greatest: what belongs to a track that is already there is not taken twice.
///
/// `detections` holds what the tracker was given, by frame.
#[must_use]
pub fn backfill_first_boxes(mut rows: Vec<Row>, detections: &[Detection], backfill: &Backfill) -> Vec<Row> {
    let (mut added, mut seen) = (Vec::new(), HashSet::new());
    let (mut sweep, mut assigner, mut edges) = (Sweep::default(), Assigner::default(), Vec::new());
    let (mut wanted, mut boxes, mut offered) = (Vec::<&Row>::new(), Vec::new(), Vec::new());
    for (frame, of_this) in frames(&rows) {
        let newborn: Vec<&Row> = of_this.iter().filter(|row| seen.insert(row.id)).collect();
        let Some(before) = frame.checked_sub(1).filter(|_| !newborn.is_empty()) else { continue };
        let candidates = of_frame(detections, before, |detection| detection.frame);
        let present = of_frame(&rows, before, |row| row.frame);
        wanted.clear();
        wanted.extend(present.iter().chain(newborn));
        boxes.clear();
        boxes.extend(wanted.iter().map(|row| row.bbox));
        offered.clear();
        offered.extend(candidates.iter().map(|detection| detection.bbox));
        edges.clear();
        sweep.overlaps(&boxes, &offered, |row, column, score| {
            let is_newborn = row as usize >= present.len();
            let possible = score >= backfill.min_iou && candidates[column as usize].score >= backfill.min_score;
            if possible || !is_newborn {
                edges.push(Edge { row, column, score });
            }
        });
        for edge in assigner.maximise(&edges).iter().map(|&edge| edges[edge]) {
            if edge.row as usize >= present.len() {
                added.push(Row::of_detection(wanted[edge.row as usize].id, &candidates[edge.column as usize]));
            }
        }
    }
    add(&mut rows, added);
    rows
}

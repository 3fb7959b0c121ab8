//! The first box of a track, which the tracker keeps to itself until the next frame confirms it.

use std::collections::HashSet;

use crate::assignment::{Assigner, Edge};
use crate::iou::Sweep;
use crate::row::Row;
use crate::sequence::Sequence;

/// Which detections can have been the first of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// Adds to each id the detection it was born from, one frame before its first row, if that can be told.
///
/// ByteTrack returns a track born after frame 1 only from its second frame on. The box is found again by assigning the
/// detections of that frame to the tracks seen in it *and* to those first seen in the next, so that the overlap in sum is
/// greatest: what belongs to a track that is already there is not taken twice. Rows added have the detection's box and score,
/// and `observed == false`, since the tracker did not return them; in their frame they come after all others.
///
/// `detections` holds what the tracker was given; their ids mean nothing and need only differ within a frame.
#[must_use]
pub fn backfill_first_boxes(tracks: &Sequence, detections: &Sequence, backfill: &Backfill) -> Sequence {
    let mut all = tracks.rows().to_vec();
    let mut seen = HashSet::new();
    let (mut sweep, mut assigner, mut edges, mut wanted) =
        (Sweep::default(), Assigner::default(), Vec::new(), Vec::new());
    for (frame, rows) in tracks.frames() {
        let newborn: Vec<&Row> = rows.iter().filter(|row| seen.insert(row.id)).collect();
        let candidates = detections.frame(frame - 1);
        if newborn.is_empty() || candidates.is_empty() {
            continue;
        }
        let present = tracks.frame(frame - 1);
        wanted.clear();
        wanted.extend(present.iter().copied().chain(newborn.into_iter().copied()));
        edges.clear();
        sweep.overlaps(&wanted, candidates, |row, column, score| {
            let is_newborn = row as usize >= present.len();
            let possible = score >= backfill.min_iou && candidates[column as usize].score >= backfill.min_score;
            if possible || !is_newborn {
                edges.push(Edge { row, column, score });
            }
        });
        for edge in assigner.maximise(&edges).iter().map(|&edge| edges[edge]) {
            if edge.row as usize >= present.len() {
                let (track, detection) = (&wanted[edge.row as usize], &candidates[edge.column as usize]);
                all.push(Row { id: track.id, class: track.class, observed: false, ..*detection });
            }
        }
    }
    Sequence::from_derived_rows(all)
}

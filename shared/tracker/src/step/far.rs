//! The last association of a step over several frames: for objects that moved further than their own size.

use super::{ByteTrack, Scratch, Update};
use crate::assignment::{Edge, NONE, Solver};

/// Limit of the squared Mahalanobis distance: the 95 % quantile of the chi-squared distribution with three degrees of
/// freedom, which are centre x, centre y and height.
const MAX_DISTANCE2: f64 = 7.815;

/// Buffers of the association.
#[derive(Debug, Default)]
pub(super) struct Far {
    solver: Solver,
    edges: Vec<Edge>,
    slots: Vec<u32>,
    columns: Vec<usize>,
}

impl ByteTrack {
    /// Assigns the remaining high detections to the remaining tracks that were seen in the previous look, also to new
    /// ones. The assignment has the smallest sum of squared distances minus the limit.
    pub(super) fn associate_far(&mut self) {
        let Scratch { far, left_over, .. } = &mut self.scratch;
        let Far { solver, edges, slots, columns } = far;
        slots.clear();
        slots.extend(self.tracked.iter().copied().filter(|&slot| self.tracks[slot].last_frame != self.frame_count));
        columns.clear();
        columns.extend((0..left_over.taken.len()).filter(|&column| !left_over.taken[column]));
        edges.clear();
        for (&slot, row) in slots.iter().zip(0..) {
            let kalman = &self.tracks[slot].kalman;
            for (&sighting, column) in columns.iter().zip(0..) {
                let price = kalman.distance2(&left_over.sightings[sighting].measurement) - MAX_DISTANCE2;
                if price < 0.0 {
                    edges.push(Edge { row, column, price });
                }
            }
        }
        let mut update = Update {
            tracks: &mut self.tracks,
            frame: self.frame_count,
            passed: self.passed,
            last_id: &mut self.last_id,
            rules: &self.rules,
        };
        let matched = solver.solve(slots.len(), columns.len(), edges);
        for (&slot, &column) in slots.iter().zip(matched) {
            if column != NONE {
                let sighting = columns[column as usize];
                left_over.taken[sighting] = true;
                update.matched(slot, &left_over.sightings[sighting]);
            }
        }
    }
}

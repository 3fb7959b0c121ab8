//! The last association of a step over several frames: what moved further than its own size.

use super::{ByteTrack, Scratch, Update};
use crate::assignment::{Edge, NONE, Solver};

/// Limit of the squared distance of centre and height together, in variances: the 95 % quantile of the chi-squared distribution with three
/// degrees of freedom.
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
    /// Assigns the high detections that are left to the tracks seen in the latest look that are left, newborn ones included, with the least sum of
    /// squared distances, each less its limit.
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

//! Pairing tracks with detections: overlaps, costs, and the best assignment below a cost limit.

use crate::assignment::{Edge, Solver};
use crate::iou::Rect;
use crate::sweep::Sweep;

/// Buffers reused from one association to the next.
#[derive(Debug, Default)]
pub(crate) struct Association {
    sweep: Sweep,
    edges: Vec<Edge>,
    solver: Solver,
}

impl Association {
    /// For each track the index of its detection or [`NONE`](crate::assignment::NONE), with the least sum of `cost - limit`.
    ///
    /// `cost(IoU, index of the detection)` must not fall below 1 for an IoU of 0, and `limit` must not exceed 1: pairs that
    /// do not overlap are never considered.
    pub(crate) fn solve(
        &mut self,
        tracks: &[Rect],
        detections: &[Rect],
        cost: impl Fn(f64, usize) -> f64,
        limit: f64,
    ) -> &[u32] {
        self.edges.clear();
        let edges = &mut self.edges;
        self.sweep.overlaps(tracks, detections, |row, column, iou| {
            let price = cost(iou, column as usize) - limit;
            if price < 0.0 {
                edges.push(Edge { row, column, price });
            }
        });
        self.solver.solve(tracks.len(), detections.len(), edges)
    }

    /// The pairs of a tracked and a lost box that are one object.
    pub(crate) fn closer_than(
        &mut self,
        distance: f64,
        first: &[Rect],
        second: &[Rect],
        mut visit: impl FnMut(usize, usize),
    ) {
        self.sweep.overlaps(first, second, |i, j, iou| {
            if 1.0 - iou < distance {
                visit(i as usize, j as usize);
            }
        });
    }
}

/// Distance of two boxes.
pub(crate) fn iou_cost(iou: f64, _score: f64) -> f64 {
    1.0 - iou
}

/// Distance that also distrusts uncertain detections, in the reference's order of operations.
pub(crate) fn fused_cost(iou: f64, score: f64) -> f64 {
    1.0 - (1.0 - iou_cost(iou, score)) * score
}

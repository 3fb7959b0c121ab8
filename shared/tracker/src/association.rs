//! Assigns detections to tracks: overlaps, costs, and the best assignment below a cost limit.

use crate::{
    assignment::{Edge, Solver},
    iou::Rect,
    rules::Rules,
    sweep::Sweep,
};

/// Buffers reused from one association to the next.
#[derive(Debug, Default)]
pub(crate) struct Association {
    sweep: Sweep,
    edges: Vec<Edge>,
    solver: Solver,
}

impl Association {
    /// Returns for each track the index of its detection or [`NONE`](crate::assignment::NONE). The assignment has the
    /// smallest sum of `cost - limit`.
    ///
    /// Pairs that do not overlap are never considered. So `cost(IoU, index of the track, index of the detection)` must
    /// be at least 1 for an IoU of 0, and `limit` at most 1.
    ///
    /// With [`Rules::pairs_at_limit`] pairs may also cost exactly the limit, and the sum is of `cost - limit - 0.0001`.
    pub(crate) fn solve(
        &mut self,
        tracks: &[Rect],
        detections: &[Rect],
        cost: impl Fn(f64, usize, usize) -> f64,
        limit: f64,
        rules: &Rules,
    ) -> &[u32] {
        self.edges.clear();
        let edges = &mut self.edges;
        let limit = if rules.single_precision { f64::from(limit as f32) } else { limit };
        let margin = rules.limit_margin();
        self.sweep.overlaps(tracks, detections, rules.extra_pixel(), |row, column, iou| {
            let above = cost(iou, row as usize, column as usize) - limit;
            let price = above - margin;
            if above <= 0.0 && price < 0.0 {
                edges.push(Edge { row, column, price });
            }
        });
        self.solver.solve(tracks.len(), detections.len(), edges)
    }

    /// The pairs of a tracked and a lost box that are the same object.
    pub(crate) fn closer_than(
        &mut self,
        distance: f64,
        first: &[Rect],
        second: &[Rect],
        rules: &Rules,
        mut visit: impl FnMut(usize, usize),
    ) {
        self.sweep.overlaps(first, second, rules.extra_pixel(), |i, j, iou| {
            if 1.0 - iou < distance {
                visit(i as usize, j as usize);
            }
        });
    }
}

/// The cost of a pair without its score.
pub(crate) fn iou_cost(iou: f64, _score: f64) -> f64 {
    1.0 - iou
}

/// The cost of a pair with its score: detections with a low score cost more. In the reference's order of operations.
pub(crate) fn fused_cost(iou: f64, score: f64) -> f64 {
    1.0 - (1.0 - iou_cost(iou, score)) * score
}

/// [`iou_cost`] as `f32`.
pub(crate) fn single_iou_cost(iou: f64, _score: f64) -> f64 {
    f64::from(1.0 - iou as f32)
}

/// [`fused_cost`] as `f32`.
pub(crate) fn single_fused_cost(iou: f64, score: f64) -> f64 {
    let cost = 1.0 - iou as f32;
    f64::from(1.0 - (1.0 - cost) * score as f32)
}

//! The overlap of boxes, and the pairs of boxes of a frame that overlap.

use crate::row::Row;

/// An area up to this counts as 0, as in TrackEval.
const EMPTY_PX2: f64 = f64::EPSILON;

/// A box, in the form from which overlaps are computed.
#[derive(Clone, Copy, Debug)]
struct Corners {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
    area: f64,
    /// Which row it is.
    index: u32,
}

impl Corners {
    fn of(row: &Row, index: u32) -> Self {
        let [x1, y1, x2, y2] = row.corners();
        Self { x1, y1, x2, y2, area: (x2 - x1) * (y2 - y1), index }
    }

    /// Intersection over union; 0 if either is empty. The operations and their order are those of TrackEval.
    fn iou(&self, other: &Self) -> f64 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        if width <= 0.0 || height <= 0.0 || self.area <= EMPTY_PX2 || other.area <= EMPTY_PX2 {
            return 0.0;
        }
        let intersection = width * height;
        intersection / (self.area + other.area - intersection)
    }
}

/// Finds overlapping boxes by their order on the x axis, with buffers that are reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    by_left_edge: Vec<Corners>,
}

impl Sweep {
    /// Calls `found(index in a, index in b, iou)` for every pair that overlaps, ascending by the first index.
    pub(crate) fn overlaps(&mut self, a: &[Row], b: &[Row], mut found: impl FnMut(u32, u32, f64)) {
        self.by_left_edge.clear();
        self.by_left_edge.extend(b.iter().zip(0..).map(|(row, index)| Corners::of(row, index)));
        self.by_left_edge.sort_unstable_by(|i, j| i.x1.total_cmp(&j.x1).then(i.index.cmp(&j.index)));
        let widest = b.iter().fold(0.0_f64, |widest, row| widest.max(row.w));
        for (row, index) in a.iter().zip(0..) {
            let own = Corners::of(row, index);
            let start = self.by_left_edge.partition_point(|other| other.x1 + widest < own.x1);
            for other in &self.by_left_edge[start..] {
                if other.x1 > own.x2 {
                    break;
                }
                let overlap = own.iou(other);
                if overlap > 0.0 {
                    found(index, other.index, overlap);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tlwh: [f64; 4]) -> Row {
        Row::new(1, 1, tlwh)
    }

    fn iou(a: &Row, b: &Row) -> f64 {
        Corners::of(a, 0).iou(&Corners::of(b, 0))
    }

    #[test]
    fn the_overlap_counts_no_extra_pixel() {
        assert_eq!(iou(&row([0.0, 0.0, 10.0, 10.0]), &row([5.0, 0.0, 10.0, 10.0])), 50.0 / 150.0);
        assert_eq!(iou(&row([0.0, 0.0, 10.0, 10.0]), &row([10.0, 0.0, 10.0, 10.0])), 0.0);
    }

    #[test]
    fn a_box_without_area_overlaps_nothing() {
        assert_eq!(iou(&row([5.0, 5.0, 0.0, 4.0]), &row([0.0, 0.0, 10.0, 10.0])), 0.0);
    }

    #[test]
    fn the_sweep_finds_what_comparing_all_boxes_finds() {
        let boxes = |seed: u64| -> Vec<Row> {
            let number = |i: u64, k: u64| ((seed + i * 7 + k * 13) * 2_654_435_761 % 997) as f64;
            (0..60).map(|i| row([number(i, 1), number(i, 2), number(i, 3) / 9.0, number(i, 4) / 9.0])).collect()
        };
        let (a, b) = (boxes(3), boxes(5_000));
        let mut found = Vec::new();
        Sweep::default().overlaps(&a, &b, |i, j, iou| found.push((i, j, iou)));
        found.sort_by_key(|&(i, j, _)| (i, j));
        let mut expected = Vec::new();
        for (i, a) in (0..).zip(&a) {
            expected.extend((0..).zip(&b).map(|(j, b)| (i, j, iou(a, b))).filter(|pair| pair.2 > 0.0));
        }
        assert!(expected.len() > 20);
        assert_eq!(found, expected);
    }
}

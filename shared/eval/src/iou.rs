//! Overlap of boxes, and which boxes of a frame overlap at all.

use crate::row::Row;

/// An area this small counts as none, as in TrackEval.
const EMPTY_PX2: f64 = f64::EPSILON;

/// Intersection over union of two boxes; 0 if either is empty. The operations and their order are those of TrackEval.
pub(crate) fn iou(a: &Row, b: &Row) -> f64 {
    let ([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) = (a.corners(), b.corners());
    let width = ax2.min(bx2) - ax1.max(bx1);
    let height = ay2.min(by2) - ay1.max(by1);
    let a_area = (ax2 - ax1) * (ay2 - ay1);
    let b_area = (bx2 - bx1) * (by2 - by1);
    if width <= 0.0 || height <= 0.0 || a_area <= EMPTY_PX2 || b_area <= EMPTY_PX2 {
        return 0.0;
    }
    let intersection = width * height;
    intersection / (a_area + b_area - intersection)
}

/// Finds overlapping boxes by their order on the x axis, with buffers that are reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    by_left_edge: Vec<u32>,
}

impl Sweep {
    /// Calls `found(index in a, index in b, iou)` for every pair that overlaps, ascending by the first index.
    pub(crate) fn overlaps(&mut self, a: &[Row], b: &[Row], mut found: impl FnMut(u32, u32, f64)) {
        self.by_left_edge.clear();
        self.by_left_edge.extend(0..b.len() as u32);
        self.by_left_edge.sort_unstable_by(|&i, &j| b[i as usize].x.total_cmp(&b[j as usize].x).then(i.cmp(&j)));
        let widest = b.iter().fold(0.0_f64, |widest, row| widest.max(row.w));
        for (row, index) in a.iter().zip(0..) {
            let start = self.by_left_edge.partition_point(|&j| b[j as usize].x + widest < row.x);
            for &other in &self.by_left_edge[start..] {
                if b[other as usize].x > row.x + row.w {
                    break;
                }
                let overlap = iou(row, &b[other as usize]);
                if overlap > 0.0 {
                    found(index, other, overlap);
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

//! Overlap of boxes, and which boxes of a frame overlap at all.

/// Plain intersection over union of two boxes given by corners; 0 if either is empty.
pub(crate) fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let (a_area, b_area) = (area(a), area(b));
    if width <= 0.0 || height <= 0.0 || a_area <= f64::EPSILON || b_area <= f64::EPSILON {
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
    pub(crate) fn overlaps(&mut self, a: &[[f64; 4]], b: &[[f64; 4]], mut found: impl FnMut(u32, u32, f64)) {
        self.sort(b);
        let widest = b.iter().fold(0.0_f64, |widest, b| widest.max(b[2] - b[0]));
        for (a, index) in a.iter().zip(0..) {
            let start = self.by_left_edge.partition_point(|&j| b[j as usize][0] + widest < a[0]);
            for &other in &self.by_left_edge[start..] {
                if b[other as usize][0] > a[2] {
                    break;
                }
                let overlap = iou(a, &b[other as usize]);
                if overlap > 0.0 {
                    found(index, other, overlap);
                }
            }
        }
    }

    /// The largest overlap of each box with another of the same frame, into `largest`.
    pub(crate) fn largest(&mut self, boxes: &[[f64; 4]], largest: &mut [f64]) {
        self.sort(boxes);
        for (i, &a) in self.by_left_edge.iter().enumerate() {
            let a_box = &boxes[a as usize];
            for &b in &self.by_left_edge[i + 1..] {
                let b_box = &boxes[b as usize];
                if b_box[0] >= a_box[2] {
                    break;
                }
                let overlap = iou(a_box, b_box);
                for one in [a, b] {
                    let so_far = &mut largest[one as usize];
                    *so_far = so_far.max(overlap);
                }
            }
        }
    }

    fn sort(&mut self, boxes: &[[f64; 4]]) {
        self.by_left_edge.clear();
        self.by_left_edge.extend(0..boxes.len() as u32);
        self.by_left_edge
            .sort_unstable_by(|&i, &j| boxes[i as usize][0].total_cmp(&boxes[j as usize][0]).then(i.cmp(&j)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(seed: u64) -> Vec<[f64; 4]> {
        let number = |i: u64, k: u64| ((seed + i * 7 + k * 13) * 2_654_435_761 % 997) as f64;
        let one =
            |i| [number(i, 1), number(i, 2), number(i, 1) + number(i, 3) / 9.0, number(i, 2) + number(i, 4) / 9.0];
        (0..60).map(one).collect()
    }

    #[test]
    fn the_sweep_finds_what_comparing_all_boxes_finds() {
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

    #[test]
    fn the_largest_overlap_is_that_of_comparing_all_boxes() {
        let all = boxes(3);
        let mut largest = vec![0.0; all.len()];
        Sweep::default().largest(&all, &mut largest);
        for (i, a) in all.iter().enumerate() {
            let others = all.iter().enumerate().filter(|&(j, _)| j != i);
            assert_eq!(largest[i], others.map(|(_, b)| iou(a, b)).fold(0.0, f64::max));
        }
    }

    #[test]
    fn a_box_without_area_overlaps_nothing() {
        assert_eq!(iou(&[5.0, 5.0, 5.0, 9.0], &[0.0, 0.0, 10.0, 10.0]), 0.0);
        assert_eq!(iou(&[0.0, 0.0, 10.0, 10.0], &[5.0, 0.0, 15.0, 10.0]), 50.0 / 150.0);
    }
}

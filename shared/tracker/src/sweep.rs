//! Finds all overlapping pairs of two sets of boxes, without comparing every box with every other.
//!
//! Boxes of both sets are visited by ascending left edge. A box is compared only with those of the other set that a
//! vertical line through its left edge crosses. In an ordinary crowd this number is small, and grows slowly.
//!
//! The sweep compares edges as `f32`, and computes the exact `f64` IoU of the remaining pairs. No pair is lost:
//! rounding is monotone, so edges that do not overlap in `f32` do not overlap in `f64`.

use crate::iou::Rect;

/// With fewer pairs than this, to compare all of them costs less than to sort.
const COMPARE_ALL_LIMIT: usize = 128;

/// Set in the low half of a key for boxes of the second set.
const SECOND: u32 = 1 << 31;

/// A box of one set that the line crosses. Right and lower edge include the extra pixel of the IoU.
#[derive(Clone, Copy, Debug)]
struct Open {
    right: f32,
    top: f32,
    bottom: f32,
    index: u32,
}

/// Buffers reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Left edge, order-preserving, in the high half; set and index in the low half.
    keys: Vec<u64>,
    open: [Vec<Open>; 2],
    hits: Vec<u32>,
}

impl Sweep {
    /// Calls `visit(index in first, index in second, IoU)` once for each pair with an IoU above 0. The order is not
    /// defined. Sides are `extra` px longer than the difference of their corners; `extra` is at most 1.
    pub(crate) fn overlaps(
        &mut self,
        first: &[Rect],
        second: &[Rect],
        extra: f64,
        mut visit: impl FnMut(u32, u32, f64),
    ) {
        let mut check = |i: u32, j: u32| {
            let iou = first[i as usize].iou(&second[j as usize], extra);
            if iou > 0.0 {
                visit(i, j, iou);
            }
        };
        if first.len() * second.len() <= COMPARE_ALL_LIMIT {
            for i in 0..first.len() as u32 {
                (0..second.len() as u32).for_each(|j| check(i, j));
            }
            return;
        }

        self.keys.clear();
        self.keys.extend((0..).zip(first).map(|(index, rect)| key(rect.x1, index)));
        self.keys.extend((0..).zip(second).map(|(index, rect)| key(rect.x1, index | SECOND)));
        self.keys.sort_unstable();
        let Self { keys, open: [open_first, open_second], hits } = self;
        open_first.clear();
        open_second.clear();

        for &key in &*keys {
            let low_half = key as u32;
            let index = low_half & !SECOND;
            if low_half == index {
                let rect = &first[index as usize];
                crossing(open_second, hits, rect, |other| check(index, other));
                open_first.push(Open::new(rect, index));
            } else {
                let rect = &second[index as usize];
                crossing(open_first, hits, rect, |other| check(other, index));
                open_second.push(Open::new(rect, index));
            }
        }
    }
}

impl Open {
    fn new(rect: &Rect, index: u32) -> Self {
        Self { right: (rect.x2 + 1.0) as f32, top: rect.y1 as f32, bottom: (rect.y2 + 1.0) as f32, index }
    }
}

/// Visits the open boxes that share rows with `rect`, and closes those left of it.
///
/// A branch predictor can't guess which boxes these are, so the loop has no branches: it writes every box, and counts
/// only the right ones.
fn crossing(open: &mut Vec<Open>, hits: &mut Vec<u32>, rect: &Rect, visit: impl FnMut(u32)) {
    let (left, top, bottom) = (rect.x1 as f32, rect.y1 as f32, (rect.y2 + 1.0) as f32);
    if hits.len() < open.len() {
        hits.resize(open.len(), 0);
    }
    let (mut kept, mut found) = (0, 0);
    for at in 0..open.len() {
        let other = open[at];
        // Both comparisons are false for a NaN. So such a box remains, and the exact IoU rejects it.
        let passed = other.right < left;
        let apart = (other.bottom < top) | (bottom < other.top);
        (open[kept], hits[found]) = (other, other.index);
        kept += usize::from(!passed);
        found += usize::from(!(passed | apart));
    }
    open.truncate(kept);
    hits[..found].iter().copied().for_each(visit);
}

/// A key that is ordered like the `f32`, and for equal edges by set and index.
fn key(left: f64, low_half: u32) -> u64 {
    let bits = (left as f32).to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | (1 << 31) };
    u64::from(ordered) << 32 | u64::from(low_half)
}

#[cfg(test)]
mod tests {
    use super::{COMPARE_ALL_LIMIT, Sweep};
    use crate::iou::Rect;

    /// Boxes on a grid of half pixels, so that many touch or miss each other by a hair.
    fn boxes(count: u64, seed: u64) -> Vec<Rect> {
        let mut state = seed;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let mut half_pixels = |from: f64, limit: u64| from + below(limit) as f64 / 2.0;
        let mut rect = |_| {
            let (x, y) = (half_pixels(-60.0, 400), half_pixels(-60.0, 400));
            Rect::from_tlwh(x, y, half_pixels(0.5, 60), half_pixels(0.5, 60))
        };
        (0..count).map(&mut rect).collect()
    }

    #[test]
    fn the_sweep_finds_each_overlap_once() {
        let mut sweep = Sweep::default();
        for seed in 0..200 {
            let (first, second) = (boxes(5 + seed % 40, seed), boxes(30, seed + 1_000));
            assert!(first.len() * second.len() > COMPARE_ALL_LIMIT, "or it is no sweep");
            let mut found = Vec::new();
            sweep.overlaps(&first, &second, 1.0, |i, j, iou| found.push((i, j, iou)));
            found.sort_unstable_by_key(|&(i, j, _)| (i, j));
            let all = (0..).zip(&first).flat_map(|(i, a)| (0..).zip(&second).map(move |(j, b)| (i, j, a.iou(b, 1.0))));
            assert_eq!(found, all.filter(|&(_, _, iou)| iou > 0.0).collect::<Vec<_>>());
        }
    }
}

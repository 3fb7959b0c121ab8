//! Non-maximum suppression: one box per object.

use crate::Detection;

/// Selects the best boxes of a picture. Its memory is reused for the next picture, so that there are no allocations.
#[derive(Debug, Default)]
pub struct Suppressor {
    /// Indices of the candidates, best first.
    order: Vec<u32>,
}

impl Suppressor {
    /// Appends candidates to `kept`, best score first; equal scores are in their given order. A candidate is left out
    /// if it overlaps a better one of its class by more than `iou`. Without `iou` none is left out because of overlap.
    /// At most `limit` boxes are appended.
    ///
    /// `groups` maps a class to its group, within which boxes suppress each other. A class beyond its end is a group of
    /// its own. The method is greedy, `O(n log n + kept * n)`. Scores and coordinates must be finite.
    pub fn suppress(
        &mut self,
        candidates: &[Detection],
        iou: Option<f32>,
        limit: usize,
        groups: &[u32],
        kept: &mut Vec<Detection>,
    ) {
        let first = kept.len();
        let order = &mut self.order;
        order.clear();
        order.extend(0..u32::try_from(candidates.len()).unwrap_or(u32::MAX));
        // If scores are equal, by index. So the unstable sort, which needs no memory, gives the order of a stable one.
        order.sort_unstable_by(|&a, &b| {
            candidates[b as usize].score.total_cmp(&candidates[a as usize].score).then(a.cmp(&b))
        });
        let group = |one: &Detection| groups.get(one.class_id as usize).copied().unwrap_or(one.class_id);
        for candidate in order.iter().map(|&place| candidates[place as usize]) {
            if kept.len() - first == limit {
                return;
            }
            let own = group(&candidate);
            let is_new =
                |iou: f32| kept[first..].iter().all(|other| group(other) != own || overlap(other, &candidate) <= iou);
            if iou.is_none_or(is_new) {
                kept.push(candidate);
            }
        }
    }
}

/// Intersection over union; 0 for boxes without area.
fn overlap(a: &Detection, b: &Detection) -> f32 {
    let width = a.x2.min(b.x2) - a.x1.max(b.x1);
    let height = a.y2.min(b.y2) - a.y1.max(b.y1);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let area = |d: &Detection| (d.x2 - d.x1) * (d.y2 - d.y1);
    intersection / (area(a) + area(b) - intersection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suppress(all: &mut Vec<Detection>, iou: Option<f32>, limit: usize, groups: &[u32]) {
        let mut kept = Vec::new();
        Suppressor::default().suppress(all, iou, limit, groups, &mut kept);
        *all = kept;
    }

    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1u64 << 24) as f32
    }

    /// `count` boxes in a small field, so that many overlap; scores of two digits, so that many are equal.
    fn boxes(state: &mut u64, count: usize) -> Vec<Detection> {
        (0..count)
            .map(|_| {
                let (x1, y1) = (random(state) * 100.0, random(state) * 100.0);
                let (x2, y2) = (x1 + 5.0 + random(state) * 40.0, y1 + 5.0 + random(state) * 40.0);
                let score = (random(state) * 100.0).round() / 100.0;
                Detection { x1, y1, x2, y2, score, class_id: (random(state) * 3.0) as u32 }
            })
            .collect()
    }

    /// The definition, word for word: take the best that is left, remove what it overlaps, repeat.
    fn by_definition(mut left: Vec<Detection>, iou: f64, limit: usize) -> Vec<Detection> {
        let mut kept = Vec::new();
        while kept.len() < limit && !left.is_empty() {
            let mut best = 0;
            for (i, d) in left.iter().enumerate() {
                if d.score > left[best].score {
                    best = i;
                }
            }
            let winner = left.remove(best);
            left.retain(|d| {
                let side = |low1: f32, low2: f32, high1: f32, high2: f32| {
                    (f64::from(high1.min(high2)) - f64::from(low1.max(low2))).max(0.0)
                };
                let common = side(d.x1, winner.x1, d.x2, winner.x2) * side(d.y1, winner.y1, d.y2, winner.y2);
                let area = |d: &Detection| f64::from(d.x2 - d.x1) * f64::from(d.y2 - d.y1);
                d.class_id != winner.class_id || common / (area(d) + area(&winner) - common) <= iou
            });
            kept.push(winner);
        }
        kept
    }

    #[test]
    fn agrees_with_the_definition_on_random_boxes() {
        let state = &mut 7;
        for case in 0..400 {
            let all = boxes(state, case);
            let (iou, limit) = ([0.3, 0.6, 0.9][case % 3], [300, 20][case % 2]);
            let mut ours = all.clone();
            suppress(&mut ours, Some(iou), limit, &[]);
            assert_eq!(ours, by_definition(all, f64::from(iou), limit), "case {case}");
        }
    }

    #[test]
    fn what_was_kept_before_neither_counts_nor_suppresses() {
        let at = |score| Detection { x1: 0.0, y1: 0.0, x2: 10.0, y2: 10.0, score, class_id: 0 };
        let mut kept = vec![at(0.9)];
        Suppressor::default().suppress(&[at(0.3), at(0.4)], Some(0.5), 1, &[], &mut kept);
        assert_eq!(kept, [at(0.9), at(0.4)]);
    }

    #[test]
    fn without_a_threshold_it_only_sorts_and_limits() {
        let mut all = boxes(&mut 3, 50);
        suppress(&mut all, None, 40, &[]);
        assert_eq!(all.len(), 40);
        assert!(all.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }

    #[test]
    fn classes_of_a_group_suppress_each_other_and_no_others() {
        let at = |x1: f32, score, class_id| Detection { x1, y1: 0.0, x2: x1 + 10.0, y2: 10.0, score, class_id };
        let all = [at(0.0, 0.9, 2), at(1.0, 0.8, 7), at(1.0, 0.7, 0), at(0.5, 0.6, 5)];
        let kept = |groups: &[u32]| {
            let mut all = all.to_vec();
            suppress(&mut all, Some(0.5), 10, groups);
            all.iter().map(|detection| detection.class_id).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[]), [2, 7, 0, 5]);
        assert_eq!(kept(&[0, 1, 2, 3, 4, 2, 6, 2]), [2, 0], "car, bus and truck are one thing");
        assert_eq!(kept(&[0, 1, 2, 3, 4, 2]), [2, 7, 0], "a class beyond the names stands alone");
    }
}

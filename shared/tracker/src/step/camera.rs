//! How the camera moved between two looks, estimated from the boxes alone.

use super::{ByteTrack, Scratch, high_cost};
use crate::assignment::NONE;

/// The motion is estimated only from at least this many boxes.
const LEAST_BOXES: usize = 3;

/// Standard deviation of a normal distribution divided by its median absolute deviation.
const DEVIATION_OF_MEDIAN: f64 = 1.4826;

/// Variance of the median of n values, divided by the variance of one value, times n: half of pi.
const VARIANCE_OF_MEDIAN: f64 = std::f64::consts::FRAC_PI_2;

/// The differences between measured and predicted positions, for each axis.
#[derive(Debug, Default)]
pub(super) struct Off {
    axes: [Vec<f64>; 2],
    deviations: Vec<f64>,
}

impl ByteTrack {
    /// Moves all tracks by the motion of the camera. An association of its own compares the tracks of the previous look
    /// with the detections. The motion is the median of the differences, reduced by its standard error as in James &
    /// Stein (1961). So a motion that few or contrary boxes show has no effect.
    pub(super) fn follow_camera(&mut self) {
        let Scratch { association, pool, high, unconfirmed, off, .. } = &mut self.scratch;
        let cost = high_cost(&self.settings, &self.rules);
        let cost_of = |iou, _, column: usize| cost(iou, high.sightings[column].score);
        let matched = association.solve(&pool.rects, &high.rects, cost_of, self.settings.match_thresh, &self.rules);
        let latest = self.frame_count - self.passed;
        off.axes.iter_mut().for_each(Vec::clear);
        for (&slot, &column) in pool.slots.iter().zip(matched) {
            let track = &self.tracks[slot];
            if column == NONE || track.last_frame != latest {
                continue;
            }
            let measured = &high.sightings[column as usize].measurement;
            for (axis, off) in off.axes.iter_mut().enumerate() {
                off.push(measured[axis] - track.kalman.position[axis]);
            }
        }
        let Some([x, y]) = off.common() else { return };
        for &slot in self.tracked.iter().chain(&self.lost) {
            let position = &mut self.tracks[slot].kalman.position;
            position[0] += x;
            position[1] += y;
        }
        for candidates in [pool, unconfirmed] {
            for (&slot, rect) in candidates.slots.iter().zip(&mut candidates.rects) {
                *rect = self.rules.rect(self.tracks[slot].kalman.rect());
            }
        }
    }
}

impl Off {
    /// The common difference; none if it can't be distinguished from zero.
    fn common(&mut self) -> Option<[f64; 2]> {
        let Self { axes, deviations } = self;
        let count = axes[0].len();
        if count < LEAST_BOXES {
            return None;
        }
        let mut error2 = 0.0;
        let middles = [0, 1].map(|axis| {
            let middle = median(&mut axes[axis]);
            deviations.clear();
            deviations.extend(axes[axis].iter().map(|off| (off - middle).abs()));
            let deviation = DEVIATION_OF_MEDIAN * median(deviations);
            error2 += VARIANCE_OF_MEDIAN * deviation * deviation / count as f64;
            middle
        });
        let length2 = middles[0] * middles[0] + middles[1] * middles[1];
        let kept = 1.0 - 2.0 * error2 / length2;
        (kept > 0.0 && kept.is_finite()).then(|| middles.map(|middle| kept * middle))
    }
}

/// The median: the middle value, or the mean of the two. Sorts the values; there must be at least one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0
}

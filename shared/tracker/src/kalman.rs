//! The constant-velocity Kalman filter of a box.
//!
//! The reference filters eight states `(cx, cy, a, h, vx, vy, va, vh)` with 8x8 matrices. Each matrix is
//! block-diagonal: an axis depends only on its own rate. So the filter is exactly four filters of two states each, with
//! the covariance `[[p, b], [b, c]]`:
//!
//! ```text
//! predict   x' = x + v        p' = p + 2b + c + q   b' = b + c   c' = c + r
//! update    s = p + R         k0 = p / s            k1 = b / s
//!           x' = x + k0 y     v' = v + k1 y         where y = z - x
//!           p' = p - k0 s k0  b' = b - k0 s k1      c' = c - k1 s k1
//! ```
//!
//! The filter is that of Kalman (1960), with the weights of the reference. Noise is proportional to the height of the
//! box before the step. It is always the same for `cx`, `cy` and `h`, so these three share one covariance. The aspect
//! ratio has its own.

use crate::iou::Rect;

/// Centre x, centre y (px), aspect ratio width / height, height (px).
pub(crate) type Measurement = [f64; AXES];

pub(crate) const AXES: usize = 4;
const ASPECT: usize = 2;
const HEIGHT: usize = 3;

const POSITION_WEIGHT: f64 = 1.0 / 20.0;
const RATE_WEIGHT: f64 = 1.0 / 160.0;
/// The aspect ratio is not a length, so its noise does not depend on the height.
const ASPECT_DEVIATION: f64 = 1e-2;
const ASPECT_RATE_DEVIATION: f64 = 1e-5;
const ASPECT_MEASUREMENT_DEVIATION: f64 = 1e-1;

/// Mean and covariance of the four axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kalman {
    pub(crate) position: [f64; AXES],
    pub(crate) rate: [f64; AXES],
    /// Covariance of each of `cx`, `cy` and `h`.
    pub(crate) length: Covariance,
    /// Covariance of `a`.
    pub(crate) aspect: Covariance,
}

/// `[[p, b], [b, c]]` of a position and its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covariance {
    pub(crate) p: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
}

impl Kalman {
    /// A filter at the measured place, with velocity 0.
    pub(crate) fn initiate(measured: &Measurement) -> Self {
        let height = measured[HEIGHT];
        Self {
            position: *measured,
            rate: [0.0; AXES],
            length: Covariance::initiate(2.0 * POSITION_WEIGHT * height, 10.0 * RATE_WEIGHT * height),
            aspect: Covariance::initiate(ASPECT_DEVIATION, ASPECT_RATE_DEVIATION),
        }
    }

    /// Predicts one frame ahead.
    pub(crate) fn predict(&mut self) {
        let height = self.position[HEIGHT];
        self.length.predict(POSITION_WEIGHT * height, RATE_WEIGHT * height);
        self.aspect.predict(ASPECT_DEVIATION, ASPECT_RATE_DEVIATION);
        for (position, rate) in self.position.iter_mut().zip(self.rate) {
            *position += rate;
        }
    }

    /// Predicts N frames ahead, one after the other.
    pub(crate) fn predict_frames(&mut self, frames: u64) {
        for _ in 0..frames {
            self.predict();
        }
    }

    /// The squared Mahalanobis distance (1936) of a measurement from the prediction, computed from centre and height.
    /// The variance includes the noise of the measurement.
    pub(crate) fn distance2(&self, measured: &Measurement) -> f64 {
        let deviation = POSITION_WEIGHT * self.position[HEIGHT];
        let variance = self.length.p + deviation * deviation;
        let off = |axis: usize| (measured[axis] - self.position[axis]).powi(2);
        (off(0) + off(1) + off(HEIGHT)) / variance
    }

    /// The box of an unseen object continues to move, but must not continue to grow.
    pub(crate) fn freeze_height(&mut self) {
        self.rate[HEIGHT] = 0.0;
    }

    pub(crate) fn update(&mut self, measured: &Measurement) {
        let length = self.length.update(POSITION_WEIGHT * self.position[HEIGHT]);
        let aspect = self.aspect.update(ASPECT_MEASUREMENT_DEVIATION);
        for (axis, [k0, k1]) in [length, length, aspect, length].into_iter().enumerate() {
            let innovation = measured[axis] - self.position[axis];
            self.position[axis] += k0 * innovation;
            self.rate[axis] += k1 * innovation;
        }
    }

    /// The box of the mean, in the reference's order of operations.
    pub(crate) fn rect(&self) -> Rect {
        let height = self.position[HEIGHT];
        let width = self.position[ASPECT] * height;
        Rect::from_tlwh(self.position[0] - width / 2.0, self.position[1] - height / 2.0, width, height)
    }
}

impl Covariance {
    fn initiate(position_deviation: f64, rate_deviation: f64) -> Self {
        Self { p: position_deviation * position_deviation, b: 0.0, c: rate_deviation * rate_deviation }
    }

    fn predict(&mut self, position_deviation: f64, rate_deviation: f64) {
        self.p += 2.0 * self.b + self.c + position_deviation * position_deviation;
        self.b += self.c;
        self.c += rate_deviation * rate_deviation;
    }

    /// Updates the covariance after a measurement, and returns the gains `k0` and `k1`.
    fn update(&mut self, measurement_deviation: f64) -> [f64; 2] {
        let s = self.p + measurement_deviation * measurement_deviation;
        let (k0, k1) = (self.p / s, self.b / s);
        self.p -= k0 * s * k0;
        self.b -= k0 * s * k1;
        self.c -= k1 * s * k1;
        [k0, k1]
    }
}

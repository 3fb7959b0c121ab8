//! The constant-velocity Kalman filter of a box.
//!
//! The reference filters eight states `(cx, cy, a, h, vx, vy, va, vh)` with 8x8 matrices. Each of them is block-diagonal:
//! an axis couples with its own rate and with nothing else. So the filter is exactly four filters of two states each, with
//! the covariance `[[p, b], [b, c]]`:
//!
//! ```text
//! predict   x' = x + v        p' = p + 2b + c + q   b' = b + c   c' = c + r
//! update    s = p + R         k0 = p / s            k1 = b / s
//!           x' = x + k0 y     v' = v + k1 y         where y = z - x
//!           p' = p - k0 s k0  b' = b - k0 s k1      c' = c - k1 s k1
//! ```
//!
//! Noise scales with the box height before the step (Kalman 1960; the weights are the reference's).

use crate::iou::Rect;

/// Centre x, centre y (px), aspect ratio width / height, height (px).
pub(crate) type Measurement = [f64; AXES];

pub(crate) const AXES: usize = 4;
const ASPECT: usize = 2;
const HEIGHT: usize = 3;

const POSITION_WEIGHT: f64 = 1.0 / 20.0;
const RATE_WEIGHT: f64 = 1.0 / 160.0;
/// The aspect ratio is no length, so its noise does not scale with the height.
const ASPECT_DEVIATION: f64 = 1e-2;
const ASPECT_RATE_DEVIATION: f64 = 1e-5;
const ASPECT_MEASUREMENT_DEVIATION: f64 = 1e-1;

/// Mean and covariance of the four axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kalman {
    pub(crate) position: [f64; AXES],
    pub(crate) rate: [f64; AXES],
    /// Variance of the position: `p`.
    pub(crate) p: [f64; AXES],
    /// Covariance of position and rate: `b`.
    pub(crate) b: [f64; AXES],
    /// Variance of the rate: `c`.
    pub(crate) c: [f64; AXES],
}

impl Kalman {
    /// At rest where it was measured.
    pub(crate) fn initiate(measured: &Measurement) -> Self {
        let height = measured[HEIGHT];
        Self {
            position: *measured,
            rate: [0.0; AXES],
            p: noise(2.0 * POSITION_WEIGHT * height, ASPECT_DEVIATION),
            b: [0.0; AXES],
            c: noise(10.0 * RATE_WEIGHT * height, ASPECT_RATE_DEVIATION),
        }
    }

    /// One frame ahead.
    pub(crate) fn predict(&mut self) {
        let height = self.position[HEIGHT];
        let q = noise(POSITION_WEIGHT * height, ASPECT_DEVIATION);
        let r = noise(RATE_WEIGHT * height, ASPECT_RATE_DEVIATION);
        for axis in 0..AXES {
            self.position[axis] += self.rate[axis];
            self.p[axis] += 2.0 * self.b[axis] + self.c[axis] + q[axis];
            self.b[axis] += self.c[axis];
            self.c[axis] += r[axis];
        }
    }

    /// An unseen box keeps moving but must not keep growing.
    pub(crate) fn freeze_height(&mut self) {
        self.rate[HEIGHT] = 0.0;
    }

    pub(crate) fn update(&mut self, measured: &Measurement) {
        let measurement_noise = noise(POSITION_WEIGHT * self.position[HEIGHT], ASPECT_MEASUREMENT_DEVIATION);
        for axis in 0..AXES {
            let s = self.p[axis] + measurement_noise[axis];
            let (k0, k1) = (self.p[axis] / s, self.b[axis] / s);
            let innovation = measured[axis] - self.position[axis];
            self.position[axis] += k0 * innovation;
            self.rate[axis] += k1 * innovation;
            self.p[axis] -= k0 * s * k0;
            self.b[axis] -= k0 * s * k1;
            self.c[axis] -= k1 * s * k1;
        }
    }

    /// The box of the mean, in the reference's order of operations.
    pub(crate) fn rect(&self) -> Rect {
        let height = self.position[HEIGHT];
        let width = self.position[ASPECT] * height;
        Rect::from_tlwh(self.position[0] - width / 2.0, self.position[1] - height / 2.0, width, height)
    }
}

/// The diagonal of a noise matrix from its standard deviations.
fn noise(length: f64, aspect: f64) -> [f64; AXES] {
    let length = length * length;
    [length, length, aspect * aspect, length]
}

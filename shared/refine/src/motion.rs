//! A constant-velocity Kalman filter of one coordinate (Kalman 1960; Bar-Shalom, Li & Kirubarajan, *Estimation with Applications to
//! Tracking and Navigation*, 2001, section 6.2): position and velocity, driven by white acceleration.

/// Position and velocity with their covariance. Units are px and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Motion {
    pub(crate) x: f64,
    pub(crate) v: f64,
    pub(crate) xx: f64,
    pub(crate) xv: f64,
    pub(crate) vv: f64,
}

impl Motion {
    /// At a measured position, with a velocity around 0.
    pub(crate) fn at(x: f64, variance: f64, velocity_variance: f64) -> Self {
        Self { x, v: 0.0, xx: variance, xv: 0.0, vv: velocity_variance }
    }

    /// After `dt` seconds with acceleration noise of spectral density `q`, px²/s³.
    pub(crate) fn predicted(self, dt: f64, q: f64) -> Self {
        let Self { x, v, xx, xv, vv } = self;
        Self {
            x: x + v * dt,
            v,
            xx: xx + 2.0 * dt * xv + dt * dt * vv + q * dt * dt * dt / 3.0,
            xv: xv + dt * vv + q * dt * dt / 2.0,
            vv: vv + q * dt,
        }
    }

    /// With a position measured with this variance.
    pub(crate) fn updated(self, measured: f64, variance: f64) -> Self {
        let Self { x, v, xx, xv, vv } = self;
        let inverse = 1.0 / (xx + variance);
        let (gain_x, gain_v) = (xx * inverse, xv * inverse);
        let innovation = measured - x;
        Self {
            x: x + gain_x * innovation,
            v: v + gain_v * innovation,
            xx: xx - gain_x * xx,
            xv: xv - gain_x * xv,
            vv: vv - gain_v * xv,
        }
    }

    /// One step of the backward pass of Rauch, Tung & Striebel (*Maximum likelihood estimates of linear dynamic systems*, 1965): this
    /// filtered state, corrected by the smoothed one `dt` seconds later; means only, since nobody asks for smoothed covariances.
    pub(crate) fn smoothed(self, later: [f64; 2], dt: f64, q: f64) -> [f64; 2] {
        let Self { x, v, xx, xv, vv } = self;
        let next = self.predicted(dt, q);
        let inverse = 1.0 / (next.xx * next.vv - next.xv * next.xv).max(1e-12);
        // P F', with F = [1 dt; 0 1].
        let (ax, av, bx, bv) = (xx + dt * xv, xv, xv + dt * vv, vv);
        let (dx, dv) = (later[0] - next.x, later[1] - next.v);
        // The inverse of the predicted covariance, applied to the correction.
        let (ex, ev) = ((next.vv * dx - next.xv * dv) * inverse, (next.xx * dv - next.xv * dx) * inverse);
        [x + ax * ex + av * ev, v + bx * ex + bv * ev]
    }

    /// Seen backwards in time.
    pub(crate) fn reversed(self) -> Self {
        Self { v: -self.v, xv: -self.xv, ..self }
    }
}

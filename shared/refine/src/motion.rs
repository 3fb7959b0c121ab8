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

    /// Seen backwards in time.
    pub(crate) fn reversed(self) -> Self {
        Self { v: -self.v, xv: -self.xv, ..self }
    }
}

/// Four of them side by side: the same arithmetic on each, which processors do two or four at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Motions {
    pub(crate) x: [f64; 4],
    pub(crate) v: [f64; 4],
    xx: [f64; 4],
    xv: [f64; 4],
    vv: [f64; 4],
}

impl Motions {
    /// See [`Motion::at`].
    pub(crate) fn at(x: [f64; 4], variance: [f64; 4], velocity_variance: f64) -> Self {
        Self { x, v: [0.0; 4], xx: variance, xv: [0.0; 4], vv: [velocity_variance; 4] }
    }

    /// See [`Motion::predicted`].
    pub(crate) fn predicted(&self, dt: f64, q: [f64; 4]) -> Self {
        let mut next = *self;
        for (i, q) in q.into_iter().enumerate() {
            next.set(i, self.one(i).predicted(dt, q));
        }
        next
    }

    /// See [`Motion::updated`].
    pub(crate) fn updated(&self, measured: [f64; 4], variance: [f64; 4]) -> Self {
        let mut next = *self;
        for i in 0..4 {
            next.set(i, self.one(i).updated(measured[i], variance[i]));
        }
        next
    }

    /// One step of the backward pass of Rauch, Tung & Striebel (*Maximum likelihood estimates of linear dynamic systems*, 1965): these
    /// filtered states, corrected by the smoothed ones `dt` seconds later; means only, since nobody asks for smoothed covariances.
    pub(crate) fn smoothed(&self, [later_x, later_v]: [[f64; 4]; 2], dt: f64, q: [f64; 4]) -> ([f64; 4], [f64; 4]) {
        let (mut smooth_x, mut smooth_v) = ([0.0; 4], [0.0; 4]);
        for i in 0..4 {
            let Motion { x, v, xx, xv, vv } = self.one(i);
            let next = self.one(i).predicted(dt, q[i]);
            let inverse = 1.0 / (next.xx * next.vv - next.xv * next.xv).max(1e-12);
            // P F', with F = [1 dt; 0 1].
            let (ax, av, bx, bv) = (xx + dt * xv, xv, xv + dt * vv, vv);
            let (dx, dv) = (later_x[i] - next.x, later_v[i] - next.v);
            // The inverse of the predicted covariance, applied to the correction.
            let (ex, ev) = ((next.vv * dx - next.xv * dv) * inverse, (next.xx * dv - next.xv * dx) * inverse);
            (smooth_x[i], smooth_v[i]) = (x + ax * ex + av * ev, v + bx * ex + bv * ev);
        }
        (smooth_x, smooth_v)
    }

    fn one(&self, i: usize) -> Motion {
        Motion { x: self.x[i], v: self.v[i], xx: self.xx[i], xv: self.xv[i], vv: self.vv[i] }
    }

    fn set(&mut self, i: usize, Motion { x, v, xx, xv, vv }: Motion) {
        (self.x[i], self.v[i], self.xx[i], self.xv[i], self.vv[i]) = (x, v, xx, xv, vv);
    }
}

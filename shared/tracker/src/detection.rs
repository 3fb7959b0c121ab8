//! One box as a detector reports it.

use crate::{iou::Rect, kalman::Measurement, rules::Rules};

/// Larger values mean no place in any picture, and their squares would eat the precision of the covariances.
const MAX_MAGNITUDE: f64 = 1e9;

/// A shorter side is no box; the filter divides by the height.
const MIN_SIDE_PX: f64 = 1e-6;

/// A detected box in pixels (never normalised: the reference's IoU counts whole pixels) and how sure the detector is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Left edge, px.
    pub x1: f64,
    /// Upper edge, px.
    pub y1: f64,
    /// Right edge, px.
    pub x2: f64,
    /// Lower edge, px.
    pub y2: f64,
    /// Confidence, `0..=1`.
    pub score: f64,
}

impl Detection {
    /// Whether this is no usable box: a value that is not finite or beyond ±1e9, or a side that is negative, zero or under
    /// 1e-6 px. The reference has no such guard and fills the track with NaN.
    #[must_use]
    pub fn is_degenerate(&self) -> bool {
        let usable = |value: f64| value.abs() <= MAX_MAGNITUDE;
        let all_usable = usable(self.x1) && usable(self.y1) && usable(self.x2) && usable(self.y2) && usable(self.score);
        !(all_usable && self.x2 - self.x1 >= MIN_SIDE_PX && self.y2 - self.y1 >= MIN_SIDE_PX)
    }

    /// The corners after the reference's detour over width and height, which may cost the last bit of `x2` and `y2`.
    pub(crate) fn rect(&self) -> Rect {
        Rect::from_tlwh(self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
    }

    /// Centre, aspect ratio and height, as the filter measures them.
    pub(crate) fn measurement(&self, rules: &Rules) -> Measurement {
        rules.measurement(self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
    }
}

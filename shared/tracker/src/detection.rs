//! One box as a detector reports it.

use crate::{iou::Rect, kalman::Measurement, rules::Rules};

/// Larger values are outside every picture, and their squares would make the covariances imprecise.
const MAX_MAGNITUDE: f64 = 1e9;

/// A box with a shorter side is refused, because the filter divides by the height.
const MIN_SIDE_PX: f64 = 1e-6;

/// A detected box in pixels, and its score. Coordinates must not be normalised, because the reference's IoU counts
/// whole pixels.
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
    /// Whether the box can't be used: a value is not finite or beyond ±1e9, or a side is shorter than 1e-6 px. The
    /// reference has no such check, and its track becomes NaN.
    #[must_use]
    pub fn is_degenerate(&self) -> bool {
        let usable = |value: f64| value.abs() <= MAX_MAGNITUDE;
        let all_usable = usable(self.x1) && usable(self.y1) && usable(self.x2) && usable(self.y2) && usable(self.score);
        !(all_usable && self.x2 - self.x1 >= MIN_SIDE_PX && self.y2 - self.y1 >= MIN_SIDE_PX)
    }

    /// The corners as the reference computes them, from width and height. That can change the last bit of `x2` and
    /// `y2`.
    pub(crate) fn rect(&self) -> Rect {
        Rect::from_tlwh(self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
    }

    /// Centre, aspect ratio and height, as the filter measures them.
    pub(crate) fn measurement(&self, rules: &Rules) -> Measurement {
        rules.measurement(self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
    }
}

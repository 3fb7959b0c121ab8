//! Exact fractions and the i128 arithmetic that keeps timestamps whole.

use serde::{Deserialize, Serialize};

/// An exact fraction. Used for time bases (seconds per tick), frame rates and aspect ratios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rational {
    /// Numerator.
    pub num: i32,
    /// Denominator, always greater than zero.
    pub den: i32,
}

impl Rational {
    /// A fraction; `None` if `den` is not positive.
    pub const fn new(num: i32, den: i32) -> Option<Self> {
        if den > 0 { Some(Self { num, den }) } else { None }
    }

    /// The nearest floating-point value. For display and targets only: time itself stays in ticks.
    pub fn to_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// `ticks` of this time base as whole units of `to`, rounded to nearest, ties away from zero.
    pub(crate) fn rescale(self, ticks: i64, to: Rational) -> i64 {
        let num = i128::from(ticks) * i128::from(self.num) * i128::from(to.den);
        let den = (i128::from(self.den) * i128::from(to.num)).max(1);
        let half = if num < 0 { -(den / 2) } else { den / 2 };
        ((num + half) / den).clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
    }

    /// A time base with so many ticks in one of this; `None` where a denominator can't hold it.
    pub(crate) fn finer(self, fineness: i64) -> Option<Self> {
        let den = i64::from(self.den).checked_mul(fineness)?;
        i32::try_from(den).ok().map(|den| Self { den, ..self })
    }

    pub(crate) fn from_ffmpeg(value: ffmpeg_next::ffi::AVRational, otherwise: Rational) -> Self {
        if value.num > 0 && value.den > 0 { Self { num: value.num, den: value.den } } else { otherwise }
    }

    pub(crate) fn to_ffmpeg(self) -> ffmpeg_next::ffi::AVRational {
        ffmpeg_next::ffi::AVRational { num: self.num, den: self.den }
    }
}

impl std::fmt::Display for Rational {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Rational = Rational { num: 1, den: 1000 };

    #[test]
    fn rescaling_rounds_to_nearest_on_both_sides_of_zero() {
        let tb = Rational { num: 1, den: 90_000 };
        assert_eq!(tb.rescale(45, MS), 1); // half a millisecond
        assert_eq!(tb.rescale(44, MS), 0);
        assert_eq!(tb.rescale(-45, MS), -1);
        assert_eq!(tb.rescale(i64::MAX, Rational { num: 1, den: i32::MAX }), i64::MAX);
    }

    #[test]
    fn a_denominator_of_zero_is_refused() {
        assert_eq!(Rational::new(1, 0), None);
    }
}

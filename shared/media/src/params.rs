//! How the annotated video is encoded, as far as this depends on its source.

use crate::{FieldOrder, Rational, Turn, VideoParams};

/// The field order of the annotated video. An interlaced source gets an interlaced video, so that players treat both
/// alike. There are two exceptions, which are encoded as progressive: H.264 needs a height that is a multiple of four,
/// and the fields of a picture that was turned on its side are columns.
pub(crate) fn coded_fields(params: &VideoParams) -> Option<FieldOrder> {
    let turned = params.orientation;
    let order = params.field_order.filter(|_| !turned.swaps_sides() && params.even_size().1.is_multiple_of(4));
    // From the bottom up, the last row is an odd one.
    order.map(|order| if turned.turn == Turn::Half { order.reversed() } else { order })
}

/// An MP4 clock, whose tick is 1/`timescale` s, in which each source tick is a whole number of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputClock {
    pub timescale: i32,
    /// Output ticks per source tick.
    pub factor: i64,
}

impl OutputClock {
    /// Players expect at least some thousand ticks per second, so a coarse clock is multiplied.
    pub(crate) fn exact(time_base: Rational) -> Self {
        let times = 10_000_i32.div_euclid(time_base.den()) + 1;
        let times = if time_base.den() >= 10_000 { 1 } else { times };
        Self { timescale: time_base.den() * times, factor: i64::from(time_base.num()) * i64::from(times) }
    }

    /// Seconds per tick.
    pub(crate) fn time_base(self) -> Rational {
        Rational::of(1, self.timescale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_clock_is_exact_for_any_source_clock() {
        for (num, den) in [(1, 10), (1, 25), (1001, 30_000), (1, 90_000), (1, 1000), (1, 1_000_000_000), (1001, 24)] {
            let clock = OutputClock::exact(Rational::of(num, den));
            assert!(clock.timescale >= 10_000);
            assert_eq!(i64::from(clock.timescale) * i64::from(num), clock.factor * i64::from(den));
        }
    }
}

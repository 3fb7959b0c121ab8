//! The noise of a video's boxes, from the video itself.
//!
//! A second difference `x[t-k] - 2 x[t] + x[t+k]` of a steady motion is measurement noise alone, of standard deviation √6 r. Over a
//! longer step acceleration adds to it: white acceleration of density q gives a variance of 2/3 q T³. Medians make both robust: 1.4826
//! times the median of absolute values is the standard deviation of a normal distribution.

use std::ops::Range;

/// The least number of second differences from which the noise is estimated.
const FEWEST: usize = 30;

/// More differences than this are sampled at equal distances: the median hardly moves, and takes no time in long videos.
const MOST: usize = 200_000;

/// The longer step in seconds.
const LONG_STEP_S: f64 = 0.4;

const NORMAL_OF_MEDIAN: f64 = 1.4826;

/// What a video says of the noise of `D` values, in the unit of those.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Noise<const D: usize> {
    /// Standard deviation of a measurement.
    pub(crate) measurement: Option<[f64; D]>,
    /// Spectral density of the acceleration, unit²/s³.
    pub(crate) acceleration: Option<[f64; D]>,
}

impl<const D: usize> Noise<D> {
    /// `pieces` are ranges without a missing frame; `second` gives the second differences of three places in them, from the first
    /// to the last.
    pub(crate) fn of(
        pieces: &[Range<usize>],
        frame_rate: f64,
        second: impl Fn(usize, usize, usize) -> [f64; D],
    ) -> Self {
        let long = ((LONG_STEP_S * frame_rate).round() as usize).max(2);
        let seconds = long as f64 / frame_rate;
        let (one, several) = (deviations(pieces, 1, &second), deviations(pieces, long, &second));
        let acceleration = several.map(|several| {
            let shared = one.unwrap_or([0.0; D]);
            std::array::from_fn(|i| (several[i].powi(2) - shared[i].powi(2)).max(0.0) * 1.5 / seconds.powi(3))
        });
        Self { measurement: one.map(|one| one.map(|deviation| deviation / 6_f64.sqrt())), acceleration }
    }
}

/// The standard deviation of second differences over `step` frames; none if there are too few.
fn deviations<const D: usize>(
    pieces: &[Range<usize>],
    step: usize,
    second: &impl Fn(usize, usize, usize) -> [f64; D],
) -> Option<[f64; D]> {
    let middles = |piece: &Range<usize>| piece.start + step..piece.end.saturating_sub(step).max(piece.start + step);
    let count: usize = pieces.iter().map(|piece| middles(piece).len()).sum();
    if count < FEWEST {
        return None;
    }
    let every = count.div_ceil(MOST);
    let mut absolute: [Vec<f64>; D] = std::array::from_fn(|_| Vec::with_capacity(count / every + 1));
    for place in pieces.iter().flat_map(middles).step_by(every) {
        for (values, value) in absolute.iter_mut().zip(second(place - step, place, place + step)) {
            values.push(value.abs());
        }
    }
    Some(absolute.map(|mut values| NORMAL_OF_MEDIAN * median(&mut values)))
}

/// The middle value, or the mean of the two; 0 of none. Reorders the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let is_odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match below.iter().copied().max_by(f64::total_cmp) {
        Some(lower) if !is_odd => (lower + upper) / 2.0,
        _ => upper,
    }
}

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
        let mut samples = Samples::new(frame_rate, pieces.iter().map(ExactSizeIterator::len));
        for piece in pieces {
            samples.take(piece.len(), |a, b, c| second(piece.start + a, piece.start + b, piece.start + c));
        }
        samples.noise()
    }
}

/// Second differences of pieces that are known one after the other.
#[derive(Debug)]
pub(crate) struct Samples<const D: usize> {
    frame_rate: f64,
    one: Deviations<D>,
    several: Deviations<D>,
}

impl<const D: usize> Samples<D> {
    /// Of pieces that have this many rows, in any order.
    pub(crate) fn new(frame_rate: f64, lengths: impl Iterator<Item = usize> + Clone) -> Self {
        let long = ((LONG_STEP_S * frame_rate).round() as usize).max(2);
        let (one, several) = (Deviations::new(1, lengths.clone()), Deviations::new(long, lengths));
        Self { frame_rate, one, several }
    }

    /// Takes the next piece, by the order of ids and time. `second` gives the second differences of three of its rows.
    pub(crate) fn take(&mut self, length: usize, second: impl Fn(usize, usize, usize) -> [f64; D]) {
        self.one.take(length, &second);
        self.several.take(length, &second);
    }

    pub(crate) fn noise(self) -> Noise<D> {
        let seconds = self.several.step as f64 / self.frame_rate;
        let (one, several) = (self.one.deviations(), self.several.deviations());
        let acceleration = several.map(|several| {
            let shared = one.unwrap_or([0.0; D]);
            std::array::from_fn(|i| (several[i].powi(2) - shared[i].powi(2)).max(0.0) * 1.5 / seconds.powi(3))
        });
        Noise { measurement: one.map(|one| one.map(|deviation| deviation / 6_f64.sqrt())), acceleration }
    }
}

/// The absolute second differences over `step` frames, at equal distances.
#[derive(Debug)]
struct Deviations<const D: usize> {
    step: usize,
    count: usize,
    every: usize,
    /// How many are passed over before the next sample.
    until_next: usize,
    absolute: [Vec<f64>; D],
}

impl<const D: usize> Deviations<D> {
    fn new(step: usize, lengths: impl Iterator<Item = usize>) -> Self {
        let count = lengths.map(|length| length.saturating_sub(2 * step)).sum::<usize>();
        let every = count.div_ceil(MOST).max(1);
        let absolute = std::array::from_fn(|_| Vec::with_capacity(count / every + 1));
        Self { step, count, every, until_next: 0, absolute }
    }

    fn take(&mut self, length: usize, second: &impl Fn(usize, usize, usize) -> [f64; D]) {
        let middles = length.saturating_sub(2 * self.step);
        let mut at = self.until_next;
        while at < middles {
            let values = second(at, at + self.step, at + 2 * self.step);
            for (absolute, value) in self.absolute.iter_mut().zip(values) {
                absolute.push(value.abs());
            }
            at += self.every;
        }
        self.until_next = at - middles;
    }

    /// Standard deviations; none of too few.
    fn deviations(self) -> Option<[f64; D]> {
        (self.count >= FEWEST).then(|| self.absolute.map(|mut values| NORMAL_OF_MEDIAN * median(&mut values)))
    }
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

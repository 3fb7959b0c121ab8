//! Percentiles in bounded memory.

/// Buckets a factor of two: a percentile is off by at most 1.1 %.
const A_DOUBLING: f64 = 32.0;
/// From a millisecond to half a year.
const BUCKETS: usize = 34 * A_DOUBLING as usize;

/// Durations by size.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum_us: u128,
    longest_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, sum_us: 0, longest_us: 0 }
    }
}

impl Histogram {
    pub(crate) fn note(&mut self, us: u64) {
        let ms = us as f64 / 1e3;
        let bucket = if ms <= 1.0 { 0 } else { (ms.log2() * A_DOUBLING).ceil() as usize };
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.sum_us += u128::from(us);
        self.longest_us = self.longest_us.max(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Seconds that this share of all durations does not exceed; 0 where there are none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let upper_s = (bucket as f64 / A_DOUBLING).exp2() / 1e3;
                return upper_s.min(self.longest_us as f64 / 1e6);
            }
        }
        0.0
    }

    pub(crate) fn mean_s(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_us as f64 / self.count as f64 / 1e6 }
    }

    pub(crate) fn longest_s(&self) -> f64 {
        self.longest_us as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_off_by_little() {
        let mut histogram = Histogram::default();
        for second in 1..=1_000 {
            histogram.note(second * 1_000_000);
        }
        for (share, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let off = histogram.percentile(share) / expected;
            assert!((0.97..1.03).contains(&off), "{share}: {off}");
        }
        assert_eq!((histogram.count(), histogram.longest_s()), (1_000, 1_000.0));
        assert!((histogram.mean_s() - 500.5).abs() < 1e-9);
        assert_eq!(Histogram::default().percentile(0.5), 0.0);
    }
}

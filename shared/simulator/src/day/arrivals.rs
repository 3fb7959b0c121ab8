//! The times of a day's uploads, computed one after the other, without a list in memory.

use super::profile::{Length, Profile};

const DAY_S: f64 = 86_400.0;

/// The uploads that are still to come.
#[derive(Debug)]
pub(crate) struct Arrivals {
    random: fastrand::Rng,
    /// Uploads in each equal part of the day.
    parts: Vec<u32>,
    part: usize,
    left_in_part: u32,
    at_s: f64,
    /// The day begins with its first upload: instances that are idle before it cost nothing.
    begins_s: Option<f64>,
    lengths: Vec<Length>,
    shares: f64,
}

impl Arrivals {
    pub(crate) fn new(profile: &Profile, seed: u64) -> Self {
        let sum: f64 = profile.shape.iter().sum();
        let (mut parts, mut given, mut weights) = (vec![], 0, 0.0);
        for weight in &profile.shape {
            weights += weight;
            let until = (f64::from(profile.videos) * weights / sum).round() as u32;
            parts.push(until - given);
            given = until;
        }
        let shares = profile.lengths.iter().map(|length| length.share).sum();
        let left_in_part = parts.first().copied().unwrap_or_default();
        let random = fastrand::Rng::with_seed(seed ^ 0x6461_7900);
        Self {
            random,
            parts,
            part: 0,
            left_in_part,
            at_s: 0.0,
            begins_s: None,
            lengths: profile.lengths.clone(),
            shares,
        }
    }

    /// The moment of the next upload in microseconds, and its seconds of video.
    pub(crate) fn next(&mut self) -> Option<(u64, f64)> {
        let of_part_s = DAY_S / self.parts.len() as f64;
        while self.left_in_part == 0 {
            self.part += 1;
            self.left_in_part = *self.parts.get(self.part)?;
            self.at_s = self.part as f64 * of_part_s;
        }
        // The first of the moments of the part's remaining uploads, which are drawn evenly from what is left of the part.
        let end_s = (self.part + 1) as f64 * of_part_s;
        let until = self.random.f64().powf(1.0 / f64::from(self.left_in_part));
        self.at_s += (end_s - self.at_s) * (1.0 - until);
        self.left_in_part -= 1;
        let begins_s = *self.begins_s.get_or_insert(self.at_s);
        Some((((self.at_s - begins_s) * 1e6) as u64, self.length_s()))
    }

    fn length_s(&mut self) -> f64 {
        let mut draw = self.random.f64() * self.shares;
        for length in &self.lengths {
            draw -= length.share;
            if draw < 0.0 {
                return length.seconds;
            }
        }
        self.lengths.last().map_or(1.0, |length| length.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_come_as_the_profile_says_in_order_and_by_its_shape() {
        let profile = Profile { videos: 10_000, shape: vec![1.0, 3.0], ..Profile::default() };
        let mut arrivals = Arrivals::new(&profile, 3);
        let mut all = vec![];
        while let Some((at_us, length_s)) = arrivals.next() {
            assert!(length_s > 0.0);
            all.push(at_us);
        }
        assert!(all.is_sorted() && all.last().is_some_and(|&last| last < 86_400_000_000));
        let in_the_morning = all.iter().filter(|&&at_us| at_us < 43_200_000_000).count();
        assert_eq!((all.len(), all[0]), (10_000, 0));
        // The morning is shorter by what passed before the first.
        assert!((2_500..2_550).contains(&in_the_morning), "{in_the_morning}");
    }
}

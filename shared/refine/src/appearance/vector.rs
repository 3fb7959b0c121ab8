//! The vectors of a network, and the mean direction of a stretch of rows.

use half::f16;

/// Vectors as they are stored: floats of 16 bits, the lower byte first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vectors {
    bytes_each: usize,
    bytes: Vec<u8>,
}

impl Vectors {
    /// How many there were before; none where nothing is known. The first one says how long they are.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.bytes.is_empty() {
            self.bytes_each = bytes.len();
        }
        let is_known = bytes.len() == self.bytes_each && bytes.iter().any(|&byte| byte != 0);
        is_known.then(|| {
            let before = self.bytes.len() / self.bytes_each;
            self.bytes.extend_from_slice(bytes);
            before
        })
    }

    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        self.bytes.get(at.checked_mul(self.bytes_each)?..)?.get(..self.bytes_each)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A mean of vectors, of length 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direction(Box<[f32]>);

impl Direction {
    /// Of vectors with weights; none where they have no direction.
    pub(super) fn of<'a>(vectors: impl Iterator<Item = (&'a [u8], f64)>) -> Option<Self> {
        let mut sums: Vec<f64> = Vec::new();
        for (bytes, weight) in vectors {
            let numbers = bytes.as_chunks::<2>().0;
            sums.resize(numbers.len(), 0.0);
            for (sum, &number) in sums.iter_mut().zip(numbers) {
                *sum += weight * f64::from(f16::from_le_bytes(number));
            }
        }
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        (length > 0.0 && length.is_finite()).then(|| Self(sums.iter().map(|sum| (sum / length) as f32).collect()))
    }

    /// 1 less the cosine of the angle between two, 0 to 2.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        1.0 - self.0.iter().zip(&other.0).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect()
    }

    #[test]
    fn the_distance_is_by_the_angle_between_weighted_means() {
        let of =
            |weighted: &[(Vec<u8>, f64)]| Direction::of(weighted.iter().map(|(bytes, weight)| (&bytes[..], *weight)));
        let along = of(&[(bytes(&[2.0, 0.0]), 1.0)]).unwrap();
        let across = of(&[(bytes(&[0.0, 0.5]), 3.0)]).unwrap();
        // 3 to the right and 4 up: a cosine of 0.6 with what goes right.
        let both = of(&[(bytes(&[1.0, 0.0]), 3.0), (bytes(&[0.0, 1.0]), 4.0)]).unwrap();
        assert_eq!((along.distance(&along), along.distance(&across)), (0.0, 1.0));
        assert!((along.distance(&both) - 0.4).abs() < 1e-7, "{}", along.distance(&both));
        assert_eq!(of(&[(bytes(&[-1.0, 0.0]), 1.0)]).unwrap().distance(&along), 2.0);
        for nothing in [&[][..], &[(bytes(&[1.0]), 1.0), (bytes(&[-1.0]), 1.0)], &[(bytes(&[f32::NAN]), 1.0)]] {
            assert_eq!(of(nothing), None);
        }
    }

    #[test]
    fn what_is_unknown_has_no_place() {
        let mut vectors = Vectors::default();
        assert_eq!(vectors.add(&bytes(&[0.0, 0.0])), None);
        assert_eq!(
            (vectors.add(&bytes(&[1.0, 0.0])), vectors.add(&bytes(&[1.0])), vectors.add(&[])),
            (Some(0), None, None)
        );
        assert_eq!(vectors.add(&bytes(&[0.0, 1.0])), Some(1));
        assert_eq!((vectors.get(1), vectors.get(2)), (Some(&bytes(&[0.0, 1.0])[..]), None));
    }
}

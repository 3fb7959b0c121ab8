//! What a stretch of rows looks like on the whole.

use super::{
    Appearances, Stored,
    descriptor::{BINS, Descriptor, STRIPES},
    index,
    vector::Direction,
};
use std::num::NonZeroU32;

/// A mean of what a stretch looks like, of which two can be compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mean {
    Colors(Box<Colors>),
    Vector(Direction),
}

impl Mean {
    /// Of what lies at these places, with weights; none where nothing is known.
    pub(super) fn of(appearances: &Appearances, weighted: impl Iterator<Item = (NonZeroU32, f64)>) -> Option<Self> {
        match &appearances.0 {
            Stored::Colors(descriptors) => {
                let described = weighted.filter_map(|(place, weight)| Some((descriptors.get(index(place))?, weight)));
                Colors::of(described).map(Box::new).map(Self::Colors)
            }
            Stored::Vectors(vectors) => {
                let described = weighted.filter_map(|(place, weight)| Some((vectors.get(index(place))?, weight)));
                Direction::of(described).map(Self::Vector)
            }
        }
    }

    /// How different two are, from 0; none where they have nothing in common.
    pub(super) fn distance(&self, other: &Self) -> Option<f64> {
        match (self, other) {
            (Self::Colors(a), Self::Colors(b)) => a.distance(b),
            (Self::Vector(a), Self::Vector(b)) => Some(a.distance(b)),
            _ => None,
        }
    }
}

/// The square roots of the mean shares in each stripe, of length 1; all 0 where nothing is known of a stripe.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Colors([[f32; BINS]; STRIPES]);

impl Colors {
    /// Of descriptors with weights; none where there is none.
    fn of<'a>(described: impl Iterator<Item = (&'a Descriptor, f64)>) -> Option<Self> {
        let mut sums = [[0.0_f64; BINS]; STRIPES];
        let mut is_any = false;
        for (descriptor, weight) in described {
            for (stripe, sums) in sums.iter_mut().enumerate() {
                let all: u32 = descriptor.levels(stripe).map(|level| u32::from(level).pow(2)).sum();
                for (sum, level) in sums.iter_mut().zip(descriptor.levels(stripe)).filter(|_| all > 0) {
                    *sum += weight * f64::from(u32::from(level).pow(2)) / f64::from(all);
                    is_any = true;
                }
            }
        }
        is_any.then(|| {
            Self(sums.map(|sums| {
                let all: f64 = sums.iter().sum();
                sums.map(|sum| if all > 0.0 { (sum / all).sqrt() as f32 } else { 0.0 })
            }))
        })
    }

    /// How different two are, 0 to 1; none where they have no stripe in common.
    fn distance(&self, other: &Self) -> Option<f64> {
        let (mut sum, mut stripes) = (0.0, 0.0);
        for (a, b) in self.0.iter().zip(&other.0) {
            let is_known = |stripe: &[f32; BINS]| stripe.iter().any(|&root| root > 0.0);
            if is_known(a) && is_known(b) {
                sum += f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
                stripes += 1.0;
            }
        }
        (stripes > 0.0).then(|| 1.0 - sum / stripes)
    }
}

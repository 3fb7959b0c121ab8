//! What objects look like, and how much likelier that makes it that two pieces of tracks are one object.

mod descriptor;
mod likeness;
mod mean;
mod vector;

use std::num::NonZeroU32;

pub use descriptor::{DESCRIPTOR_BYTES, Descriptor, Picture};
pub(crate) use likeness::{Calibration, Likeness, Looked};
use vector::Vectors;

/// What a video's detections look like. A [`Row`](crate::Row) names its own by its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Appearances(Stored);

#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Colors(Vec<Descriptor>),
    Vectors(Vectors),
}

impl Default for Appearances {
    /// Of colours.
    fn default() -> Self {
        Self(Stored::Colors(Vec::new()))
    }
}

impl Appearances {
    /// Of the vectors of a network, which are compared by the angle between them.
    #[must_use]
    pub fn of_vectors() -> Self {
        Self(Stored::Vectors(Vectors::default()))
    }

    /// Adds the colours of a detection, and gives their place; none once there are more than four billion, and beside vectors.
    pub fn add(&mut self, descriptor: Descriptor) -> Option<NonZeroU32> {
        match self.0 {
            Stored::Colors(_) => self.add_stored(&descriptor.0),
            Stored::Vectors(_) => None,
        }
    }

    /// Adds what is stored of a detection, the [`Descriptor`]'s bytes or a vector of floats of 16 bits, the lower byte first. None where nothing is
    /// known: other bytes than those before have, a vector of zeros.
    pub fn add_stored(&mut self, bytes: &[u8]) -> Option<NonZeroU32> {
        let before = match &mut self.0 {
            Stored::Colors(descriptors) => {
                descriptors.push(Descriptor(bytes.try_into().ok()?));
                descriptors.len() - 1
            }
            Stored::Vectors(vectors) => vectors.add(bytes)?,
        };
        u32::try_from(before + 1).ok().and_then(NonZeroU32::new)
    }

    /// Whether nothing is known of what objects look like.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Stored::Colors(descriptors) => descriptors.is_empty(),
            Stored::Vectors(vectors) => vectors.is_empty(),
        }
    }
}

/// Where something is of which this is the place.
fn index(place: NonZeroU32) -> usize {
    place.get() as usize - 1
}

//! What objects look like, and how much likelier that makes it that two pieces of tracks are one object.

mod descriptor;
mod likeness;
mod mean;

use std::num::NonZeroU32;

pub use descriptor::{DESCRIPTOR_BYTES, Descriptor, Picture};
pub(crate) use likeness::{Calibration, Likeness, Looked};

/// The descriptors of a video's detections. A [`Row`](crate::Row) names its own by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appearances(Vec<Descriptor>);

impl Appearances {
    /// Adds one, and gives its place; none once there are more than four billion.
    pub fn add(&mut self, descriptor: Descriptor) -> Option<NonZeroU32> {
        let place = u32::try_from(self.0.len() + 1).ok().and_then(NonZeroU32::new)?;
        self.0.push(descriptor);
        Some(place)
    }

    /// Whether nothing is known of what objects look like.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, place: Option<NonZeroU32>) -> Option<&Descriptor> {
        self.0.get(place?.get() as usize - 1)
    }
}

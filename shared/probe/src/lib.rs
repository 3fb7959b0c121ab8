//! How often a detector must look at a video: a few stretches of it are looked at in full, and tracks from every N-th look are compared
//! with those from all looks.
//!
//! - [`Budget::stretches`] says which frames: by their indices in the whole video, whatever way it is cut.
//! - [`Prober`] looks at them.
//! - [`choose`] tracks each stretch with every stride, and takes the largest one that loses no more than a bound.
//!
//! All of it is a pure function of the video, the detector and the settings of the request. [The design](../../../docs/design/stride.md)
//! says where it is in the flow.

mod asked;
mod choice;
mod prober;
mod stretches;
mod trial;

pub use asked::{Asked, refine_of, tracker_settings};
pub use choice::{STRIDES, choose};
pub use prober::{Prober, Seen};
pub use stretches::Budget;
pub use trial::Stretch;

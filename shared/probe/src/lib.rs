//! Finds out how often a detector must look at a video. The detector looks at every frame of a few stretches. Tracks
//! from every N-th frame are then compared with those from all frames.
//!
//! - [`Budget::stretches`] chooses the stretches by frame indices of the whole video, so they do not depend on how it
//!   is cut.
//! - [`Prober`] runs the detector on them.
//! - [`choose`] tracks each stretch with every stride, and chooses the largest stride whose loss is within a bound.
//!
//! ```
//! use trackdrop_probe::Budget;
//!
//! // Ten minutes at 30 frames a second, with a key frame every two seconds.
//! let key_frames: Vec<u64> = (0..18_000).step_by(60).collect();
//! let stretches = Budget::default().stretches(&key_frames, 18_000);
//! assert_eq!((stretches.len(), stretches[0].clone()), (7, 1_320..1_448));
//! ```
//!
//! This crate also converts a request's settings to those of the tracker and the refinements ([`tracker_settings`],
//! [`refine_of`]). `merge` uses the same functions, so that the choice and the tracks have the same settings.
//!
//! All of it is a pure function of the video, the detector and the settings of the request. [The
//! design](../../../docs/design/stride.md) says where it is in the flow.

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

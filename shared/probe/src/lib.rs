//! How often a detector must look at a video: a few stretches of it are looked at in full, and tracks from every N-th look are compared
//! with those from all looks.
//!
//! - [`Budget::stretches`] says which frames: by their indices in the whole video, whatever way it is cut.
//! - [`Prober`] looks at them.
//! - [`choose`] tracks each stretch with every stride, and takes the largest one that loses no more than a bound.
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
//! `merge` takes from here what a request's settings mean for the tracker and for refinements ([`tracker_settings`], [`refine_of`]): the choice and the
//! tracks must agree on it.
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

//! Multi-object tracking by detection: [`ByteTrack`], with the same rows as the authors' reference implementation.
//!
//! A tracker gets the detections of one frame at a time, and returns the tracks seen in that frame. Everything is `f64`
//! (unless [`Rules::single_precision`] is set) and deterministic: the same detections give the same bits on every run.
//!
//! ```
//! use trackdrop_tracker::{ByteTrack, Detection, Settings};
//!
//! let mut tracker = ByteTrack::new(Settings::default())?;
//! let walker = |x: f64| Detection { x1: x, y1: 50.0, x2: x + 40.0, y2: 150.0, score: 0.9 };
//!
//! let first = tracker.step(&[walker(100.0)])[0].id;
//! let second = tracker.step(&[walker(104.0)])[0].id;
//! assert_eq!(first, second);
//! # Ok::<(), trackdrop_tracker::SettingsError>(())
//! ```
//!
//! The documentation of [`ByteTrack`] describes how a frame is processed, and lists the differences from the reference.
//! [`ByteTrack`] ignores classes; [`PerClass`] has one tracker for each class. This crate does not read video, run a
//! detector, interpolate gaps, or compute metrics.
//!
//! Papers: Zhang et al., *ByteTrack: Multi-Object Tracking by Associating Every Detection Box*, ECCV 2022; Kalman, *A
//! New Approach to Linear Filtering and Prediction Problems*, 1960; Jonker & Volgenant, *A Shortest Augmenting Path
//! Algorithm for Dense and Sparse Linear Assignment Problems*, Computing 38, 1987.

mod assignment;
mod association;
mod checkpoint;
mod detection;
mod iou;
mod kalman;
mod lifecycle;
mod output;
mod per_class;
mod rules;
mod set_order;
mod settings;
mod step;
mod sweep;

pub use checkpoint::{Checkpoint, RestoreError};
pub use detection::Detection;
pub use output::{MAX_ASPECT, MIN_BOX_AREA_PX2, Track, passes_output_filter};
pub use per_class::{PerClass, PerClassCheckpoint};
pub use rules::Rules;
pub use settings::{BIRTH_MARGIN, LOW_FLOOR, Settings, SettingsError, check_match_thresh, check_track_thresh};
pub use step::ByteTrack;

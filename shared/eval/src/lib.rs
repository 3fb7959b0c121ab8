//! Measures how good tracks are: [`evaluate`] compares them with ground truth, and [`compare`] with other tracks.
//!
//! The metrics are HOTA, CLEAR and identity by the definitions of TrackEval, the reference evaluator of MOTChallenge,
//! and agree with its numbers. All computation is `f64` and deterministic.
//!
//! ```
//! use trackdrop_eval::{Options, Row, Sequence, evaluate};
//!
//! let walk = |id: u64, start: f64| (1..=10).map(move |frame| Row::new(frame, id, [start + f64::from(frame), 5.0, 40.0, 90.0]));
//! let truth = Sequence::from_rows(walk(1, 0.0).chain(walk(2, 200.0)).collect())?;
//! let tracks = Sequence::from_rows(walk(7, 1.0).chain(walk(8, 201.0)).collect())?;
//!
//! let evaluation = evaluate(&truth, &tracks, &Options::default());
//! assert_eq!(evaluation.identity.idf1, 100.0);
//! assert_eq!(evaluation.clear.switches, 0);
//! println!("{evaluation}");
//! # Ok::<(), trackdrop_eval::SequenceError>(())
//! ```
//!
//! [`read_file`] reads files. Rows from other sources, such as Parquet, go through [`Sequence::from_rows`].
//!
//! # Conventions
//! - Frames count from 1, as in every file of MOTChallenge. Frame 0 is refused. A [`FrameShift`] is reported if the
//!   tracks would fit much better after a shift by one frame.
//! - Boxes are left, top, width and height in px. The overlap of two boxes is the plain intersection over union,
//!   *without* the extra pixel per side that the tracker's reference counts.
//! - Shares are percentages, as TrackEval prints them; no number is rounded.
//!
//! # Papers
//! Luiten et al., *HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking*, IJCV 2021; Bernardin &
//! Stiefelhagen, *Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics*, 2008; Ristani et al.,
//! *Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking*, 2016; Crouse, *On Implementing 2D
//! Rectangular Assignment Algorithms*, 2016.

mod clear;
mod comparison;
mod evaluation;
mod frame_shift;
mod hota;
mod identity;
mod iou;
mod lines;
mod mistakes;
mod parallel;
mod pooled;
mod preprocessing;
mod quick_line;
mod read;
mod row;
mod scene;
mod sequence;

pub use clear::Clear;
pub use comparison::{CompareOptions, Comparison, Difference, Moved, compare};
pub use evaluation::{Evaluation, Options, evaluate};
pub use frame_shift::{FrameShift, frame_shift};
pub use hota::{ALPHAS, Hota, HotaAtAlpha};
pub use identity::Identity;
pub use mistakes::{Mistakes, Stretch, Switch, mistakes};
pub use parallel::on_all_cores;
pub use pooled::pooled;
pub use preprocessing::Preprocessing;
pub use read::{ReadError, ReadErrorKind, parse, read_file};
pub use row::Row;
pub use sequence::{Sequence, SequenceError};

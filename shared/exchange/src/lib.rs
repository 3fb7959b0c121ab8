//! Reads detections of other programs, tracks them, and exports tracks in the formats of other tools.
//!
//! - [`read_detections`] reads CSV, MOTChallenge or Trackdrop's Parquet into [`Frames`].
//! - [`retrack`] runs the tracker over them, frame by frame. It writes the tracks into a [`TrackSink`], such as a
//!   [`TrackFile`]. With the classes of [`read_classes`] it tracks each class separately. [`retrack_file`] does the
//!   same while it reads the file.
//! - [`read_tracks`] reads the tracks of any file, as the metrics take them.
//! - [`retrack_refined`] refines the tracks of our tracker, and [`refine_tracks`] those of another tracker.
//!   [`retrack_file_refined`] tracks a file and refines its tracks while it reads the file.
//! - [`export`] writes the tracks of a request as MOTChallenge, COCO, CVAT, CSV or newline-delimited JSON. It also
//!   writes the JSON with which Google's Video Intelligence API and Amazon Rekognition's people pathing answered. With
//!   the feature `archive`, `ExportChoice` has the name of each of these formats, and of CVAT's ZIP archive.
//!
//! ```no_run
//! use trackdrop_exchange::{TrackFile, read_detections, retrack};
//! use trackdrop_tracker::Settings;
//!
//! let detections = read_detections("det.txt".as_ref())?;
//! let mut tracks = TrackFile::create("tracks.csv".as_ref(), false)?;
//! let retracked = retrack(&detections, &Settings::default(), None, &mut tracks)?;
//! println!("{} objects in {} frames", retracked.ids, retracked.frames);
//! # Ok::<(), trackdrop_exchange::ExchangeError>(())
//! ```
//!
//! In [`Frames`] and in the files of trackers (CSV, MOTChallenge) the first frame has number 1. In Trackdrop's own
//! tables it has index 0. The table in `src/export.rs` has the first number of each export format.
//!
//! This crate does not depend on video, clouds or the detector.

mod ahead;
mod behind;
mod blocks;
mod classes;
mod detection_text;
mod detections;
mod error;
mod export;
mod frames;
mod number_text;
mod refined;
mod retrack;
mod retrack_file;
mod track_file;
mod track_parquet;
mod track_rows;
mod track_text;
mod tracking;

pub use classes::read_classes;
pub use detections::read_detections;
pub use error::{ExchangeError, LineProblem};
#[cfg(feature = "archive")]
pub use export::{ExportChoice, UnknownChoice};
pub use export::{ExportError, VideoMeta, export, export_mot_ground_truth};
pub use frames::{Frames, MAX_FRAME};
pub use refined::{refine_tracks, retrack_refined};
pub use retrack::{Retracked, TrackSink, retrack};
pub use retrack_file::{retrack_file, retrack_file_refined};
pub use track_file::TrackFile;
pub use track_parquet::{ParquetSink, WrittenTrack, read_written_tracks};
pub use track_rows::{ReadTracks, SINGLE_PRECISION_PX, read_track_parquet, read_tracks, read_tracks_of};
pub use track_text::{TextFormat, TextSink};
pub use trackdrop_pipeline::export_format::{ExportFormat, UnknownFormat};

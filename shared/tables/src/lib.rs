//! The tables of Trackdrop and the Parquet files that hold them.
//!
//! [`schema`] is the one definition of the columns of all tables and of detections; the Arrow, BigQuery and DuckDB
//! schemas are made from it. [`detections`] has the output of the detector, and defines the optional column
//! `appearance`. [`tracks`] has the rows of the tracker. [`crops`] has the best picture of each object, and defines its
//! own columns.
//!
//! A file's bytes depend only on its rows, and not on the batches in which they arrived: rows are collected into row
//! groups of a fixed size before encoding.
//!
//! ```
//! use trackdrop_tables::detections::{DetectionRow, DetectionsWriter};
//!
//! let mut writer = DetectionsWriter::new(Vec::new())?;
//! writer.push(DetectionRow { frame_index: 0, pts: 0, bbox: [10.0, 20.0, 30.0, 60.0], score: 0.9, class_id: 0 })?;
//! let (parquet, rows) = writer.finish(None)?;
//! assert_eq!((rows, &parquet[..4]), (1, &b"PAR1"[..]));
//! # Ok::<(), trackdrop_tables::TableError>(())
//! ```

mod appearance_column;
pub mod crops;
pub mod detections;
mod parquet_file;
pub mod requests;
pub mod schema;
pub mod tracks;

pub use parquet_file::TableError;

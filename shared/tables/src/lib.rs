//! The tables of Trackdrop and the Parquet files that hold them.
//!
//! [`schema`] is the one definition of every column; the Arrow, BigQuery and DuckDB schemas are made from it.
//! [`detections`] is what the detector saw, [`tracks`] what the tracker made of it, [`crops`] the best picture of each object. A file's bytes depend on its rows only, not on
//! how they arrived: rows are gathered into row groups of a fixed size before anything is encoded.

pub mod crops;
pub mod detections;
mod parquet_file;
pub mod requests;
pub mod schema;
pub mod tracks;

pub use parquet_file::TableError;

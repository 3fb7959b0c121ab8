//! The compiled half of the Python package `trackdrop`. What people import is in `python/trackdrop`, which documents
//! it; the types are in `_trackdrop.pyi`. Every function releases the interpreter's lock while it reads files or
//! computes.

#![warn(unreachable_pub, unsafe_op_in_unsafe_fn, clippy::unwrap_used, clippy::expect_used)]

mod arrays;
mod byte_track;
mod error;
mod evaluation;
mod files;
mod requests;
mod scenes;
mod sequence;
mod table;

#[pyo3::pymodule]
mod _trackdrop {
    #[pymodule_export]
    use crate::{
        byte_track::{ByteTrack, Tracks},
        evaluation::{evaluate, evaluate_all},
        files::{
            duckdb_schema, planned_frames, read_appearances, read_detection_file, read_parquet, read_tracks,
            requests_table,
        },
        requests::request_meant,
        scenes::{scene_rows, scene_schema},
        sequence::track_sequence,
        table::Table,
    };
}

//! Files of tracks, from this program or another.

use anyhow::Context;
use std::path::Path;
use trackdrop_eval::{Row, Sequence};
use trackdrop_exchange::{FileTrack, read_track_parquet};

/// Boxes of `tracks.parquet` are `f32`: in a picture of 8,192 pixels two edges of a box that was rounded are together less than this away
/// from the tracker's own.
pub(crate) const SINGLE_PRECISION_PX: f64 = 1e-3;

/// Tracks from a file.
pub(crate) struct Tracks {
    pub(crate) sequence: Sequence,
    /// Whether the file holds boxes as `f32`.
    pub(crate) single_precision: bool,
}

/// Any file of tracks: text by its content, Parquet by its ending: a request's `tracks.parquet`, or what `retrack --out` wrote.
pub(crate) fn read(path: &Path) -> anyhow::Result<Tracks> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return Ok(Tracks { sequence: trackdrop_eval::read_file(path)?, single_precision: false });
    }
    let file = read_track_parquet(path)?;
    let to_row =
        |row: FileTrack| Row { score: row.score, observed: row.observed, ..Row::new(row.frame, row.id, row.tlwh) };
    let sequence = Sequence::from_rows(file.rows.into_iter().map(to_row).collect());
    Ok(Tracks {
        sequence: sequence.with_context(|| path.display().to_string())?,
        single_precision: file.single_precision,
    })
}

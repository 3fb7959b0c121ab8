//! Reads files of tracks, from this program or another.

use crate::{error::ExchangeError, track_parquet::read_written_tracks};
use bytes::Bytes;
use std::path::Path;
use trackdrop_eval::{Row, Sequence};
use trackdrop_tables::tracks;

/// Boxes of `tracks.parquet` are `f32`: in a picture of 8,192 pixels two edges of a box that was rounded are together less than this away
/// from the tracker's own.
pub const SINGLE_PRECISION_PX: f64 = 1e-3;

/// The tracks of a file, as the metrics take them.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadTracks {
    /// The tracks. Frames count from 1, whatever the file does. Those of Parquet have no class.
    pub sequence: Sequence,
    /// Whether the file holds boxes as `f32`: then they are up to [`SINGLE_PRECISION_PX`] away from the tracker's own.
    pub single_precision: bool,
}

/// Reads any file of tracks or ground truth: text by its content, Parquet by its ending (a request's `tracks.parquet`, or a
/// [`TrackFile`](crate::TrackFile)).
///
/// # Errors
/// The file can't be read, or is none of these; the error names file, line or row, and value.
pub fn read_tracks(path: &Path) -> Result<ReadTracks, ExchangeError> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return Ok(ReadTracks { sequence: trackdrop_eval::read_file(path)?, single_precision: false });
    }
    read_track_parquet(path)
}

/// Reads the tracks of a Parquet file, whatever its name is.
///
/// # Errors
/// The file can't be read, is no Parquet file of tracks, or a row has no possible frame, id or box.
pub fn read_track_parquet(path: &Path) -> Result<ReadTracks, ExchangeError> {
    let (rows, single_precision) = rows_of(path)?;
    let sequence = Sequence::from_rows(rows).map_err(|source| ExchangeError::Sequence { path: path.into(), source })?;
    Ok(ReadTracks { sequence, single_precision })
}

/// The rows, and whether their boxes are `f32`.
fn rows_of(path: &Path) -> Result<(Vec<Row>, bool), ExchangeError> {
    let unreadable = |source| ExchangeError::Read { path: path.into(), source };
    let bytes = Bytes::from(std::fs::read(path).map_err(unreadable)?);
    let place = |row, frame: Option<i64>, id: i64| {
        let frame = frame.and_then(|frame| u32::try_from(frame).ok());
        match (frame, u64::try_from(id)) {
            (Some(frame), Ok(id)) => Ok((frame, id)),
            _ => Err(ExchangeError::TrackRow { path: path.into(), row, frame: frame.map(i64::from), id }),
        }
    };
    if let Some(rows) = read_written_tracks(bytes.clone()).map_err(unreadable)? {
        let to_row = |(index, row): (usize, &crate::WrittenTrack)| {
            let (frame, id) = place(index, Some(row.frame), row.id)?;
            Ok(Row { score: row.score, observed: row.observed, ..Row::new(frame, id, row.tlwh) })
        };
        return Ok((rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?, false));
    }
    let rows = tracks::read(bytes).map_err(|source| ExchangeError::Table { path: path.into(), source })?;
    let to_row = |(index, row): (usize, &tracks::TrackRow)| {
        let (frame, id) = place(index, row.frame_index.checked_add(1), row.track_id)?;
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        let row_of = Row::new(frame, id, [x1, y1, x2 - x1, y2 - y1]);
        Ok(Row { score: f64::from(row.score), observed: row.observed, ..row_of })
    };
    Ok((rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?, true))
}

//! Reads files of tracks, from this program or another.

use crate::{error::ExchangeError, track_parquet::read_written_tracks};
use bytes::Bytes;
use std::{collections::BTreeSet, path::Path, sync::Arc};
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
    read_tracks_of(path, &[])
}

/// The same, but only the tracks of these classes of a request. None are named for all tracks.
///
/// # Errors
/// Those of [`read_tracks`]; classes are named and the file has no names of classes, or none of its rows has such a class.
pub fn read_tracks_of(path: &Path, classes: &[String]) -> Result<ReadTracks, ExchangeError> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return read_track_parquet(path, classes);
    }
    if !classes.is_empty() {
        return Err(ExchangeError::NoClassNames { path: path.into() });
    }
    Ok(ReadTracks { sequence: trackdrop_eval::read_file(path)?, single_precision: false })
}

/// Reads the tracks of a Parquet file, whatever its name is: those of these classes, or all if none is named.
///
/// # Errors
/// The file can't be read, is no Parquet file of tracks, or a row has no possible frame, id or box; those of classes as in
/// [`read_tracks_of`].
pub fn read_track_parquet(path: &Path, classes: &[String]) -> Result<ReadTracks, ExchangeError> {
    let (rows, single_precision) = rows_of(path, classes)?;
    let sequence = Sequence::from_rows(rows).map_err(|source| ExchangeError::Sequence { path: path.into(), source })?;
    Ok(ReadTracks { sequence, single_precision })
}

/// The rows, and whether their boxes are `f32`.
fn rows_of(path: &Path, classes: &[String]) -> Result<(Vec<Row>, bool), ExchangeError> {
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
        if !classes.is_empty() {
            return Err(ExchangeError::NoClassNames { path: path.into() });
        }
        let to_row = |(index, row): (usize, &crate::WrittenTrack)| {
            let (frame, id) = place(index, Some(row.frame), row.id)?;
            Ok(Row { score: row.score, observed: row.observed, ..Row::new(frame, id, row.tlwh) })
        };
        return Ok((rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?, false));
    }
    let mut rows = tracks::read(bytes).map_err(|source| ExchangeError::Table { path: path.into(), source })?;
    keep(&mut rows, classes, path)?;
    let to_row = |(index, row): (usize, &tracks::TrackRow)| {
        let (frame, id) = place(index, row.frame_index.checked_add(1), row.track_id)?;
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        let row_of = Row::new(frame, id, [x1, y1, x2 - x1, y2 - y1]);
        Ok(Row { score: f64::from(row.score), observed: row.observed, ..row_of })
    };
    Ok((rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?, true))
}

/// Keeps the rows of these classes. A class that no row has is more likely misspelt than absent.
fn keep(rows: &mut Vec<tracks::TrackRow>, classes: &[String], path: &Path) -> Result<(), ExchangeError> {
    if classes.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<Arc<str>> = rows.iter().map(|row| row.class_name.clone()).collect();
    let is_known = |class: &&String| known.iter().any(|known| known.eq_ignore_ascii_case(class));
    if let Some(unknown) = classes.iter().find(|class| !is_known(class)) {
        let known = known.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        return Err(ExchangeError::UnknownClass { path: path.into(), class: unknown.clone(), known });
    }
    rows.retain(|row| classes.iter().any(|class| row.class_name.eq_ignore_ascii_case(class)));
    Ok(())
}

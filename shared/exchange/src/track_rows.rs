//! Tracks from Parquet, from this program or another: a request's `tracks.parquet`, or a [`TrackFile`](crate::TrackFile).

use crate::{error::ExchangeError, track_parquet::read_written_tracks};
use bytes::Bytes;
use std::path::Path;
use trackdrop_tables::tracks;

/// An object in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileTrack {
    /// From 1.
    pub frame: u32,
    /// The identity.
    pub id: u64,
    /// Left, top, width and height, px.
    pub tlwh: [f64; 4],
    /// Score of the detection; below 0 where there was none.
    pub score: f64,
    /// False where the tracker did not return the row, for example because a refinement added it.
    pub observed: bool,
}

/// The rows of a file, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTracks {
    /// The rows.
    pub rows: Vec<FileTrack>,
    /// Whether the file holds boxes as `f32`.
    pub single_precision: bool,
}

/// Reads the tracks of a Parquet file. Frames that count from 0 in it count from 1 here.
///
/// # Errors
/// The file can't be read, is no Parquet file of tracks, or a row has no possible frame or id.
pub fn read_track_parquet(path: &Path) -> Result<FileTracks, ExchangeError> {
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
            Ok(FileTrack { frame, id, tlwh: row.tlwh, score: row.score, observed: row.observed })
        };
        let rows = rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?;
        return Ok(FileTracks { rows, single_precision: false });
    }
    let rows = tracks::read(bytes).map_err(|source| ExchangeError::Table { path: path.into(), source })?;
    let to_row = |(index, row): (usize, &tracks::TrackRow)| {
        let (frame, id) = place(index, row.frame_index.checked_add(1), row.track_id)?;
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        let tlwh = [x1, y1, x2 - x1, y2 - y1];
        Ok(FileTrack { frame, id, tlwh, score: f64::from(row.score), observed: row.observed })
    };
    let rows = rows.iter().enumerate().map(to_row).collect::<Result<_, ExchangeError>>()?;
    Ok(FileTracks { rows, single_precision: true })
}

//! Detections from any tool; the format is recognised by the content.

use crate::{
    blocks::{BlockError, BlockSource},
    detection_text::{Layout, LayoutError, parse_lines},
    error::ExchangeError,
    frames::{Frames, MAX_FRAME, Part},
};
use std::path::Path;
use trackdrop_tracker::Detection;

/// Room for the first line.
const HEAD_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the detections of a video. The format is recognised by the content of the file:
///
/// | file | frames | boxes |
/// |---|---|---|
/// | CSV with the header `frame,x1,y1,x2,y2,score`, in any order, other columns ignored | from 1 | corners |
/// | MOTChallenge text, `frame,id,x,y,w,h,score,...`, no header, ids ignored | from 1 | left, top, width, height |
/// | Trackdrop's `detections.parquet` | `frame_index` from 0, read as frame 1 | corners, widened from `f32` |
///
/// Frames may come in any order; within a frame the order of the file is retained, since new ids are given in it. Coordinates are passed on as they
/// are, also NaN and boxes without a size: the tracker refuses and counts them. Classes are left to [`read_classes`](crate::read_classes). Text fields may have spaces around them, but no
/// quotes.
///
/// # Errors
/// The first line, in the order of the file, that is no detection; or the file cannot be read.
pub fn read_detections(path: &Path) -> Result<Frames, ExchangeError> {
    let source = BlockSource::open(path).map_err(|source| ExchangeError::Read { path: path.into(), source })?;
    let head = source.head(HEAD_BYTES).map_err(|source| ExchangeError::Read { path: path.into(), source })?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if head.starts_with(b"PAR1") || ending == "parquet" {
        return read_parquet(path);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Err(ExchangeError::Compressed { path: path.into() });
    }
    let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    // Without a line, only the ending can tell whether a header is missing.
    if head.len() == mark && ending != "csv" {
        return Ok(Frames::join(&[]));
    }
    let (layout, start) = Layout::detect(&head[mark..]).map_err(|error| match error {
        LayoutError::MissingColumn { found, missing } => {
            ExchangeError::MissingColumn { path: path.into(), found, missing }
        }
        LayoutError::TooFewColumns(columns) => ExchangeError::MissingHeader { path: path.into(), columns },
    })?;
    let parts = source.parse_lines((mark + start) as u64, |lines| parse_lines(&layout, lines));
    parts.map(|parts| Frames::join(&parts)).map_err(|error| match error {
        BlockError::Io(source) => ExchangeError::Read { path: path.into(), source },
        BlockError::Line(line, problem) => ExchangeError::Line { path: path.into(), line, problem },
    })
}

fn read_parquet(path: &Path) -> Result<Frames, ExchangeError> {
    let rows = trackdrop_tables::detections::read_rows(path)
        .map_err(|source| ExchangeError::Table { path: path.into(), source })?;
    let mut part = Part::default();
    for (index, row) in rows.iter().enumerate() {
        let number = row.frame_index.checked_add(1).and_then(|number| u32::try_from(number).ok());
        let Some(number) = number.filter(|number| (1..=MAX_FRAME).contains(number)) else {
            return Err(ExchangeError::FrameIndex { path: path.into(), row: index, frame_index: row.frame_index });
        };
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        part.push(number, Detection { x1, y1, x2, y2, score: f64::from(row.score) });
    }
    Ok(Frames::join(&[part]))
}

//! Detections from any tool; the format is recognised by the content.

use crate::{
    blocks::{BlockError, BlockSource},
    detection_text::{Layout, LayoutError, parse_lines},
    error::ExchangeError,
    frames::{Frames, MAX_FRAME, Part},
};
use std::{
    mem,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
};
use trackdrop_tables::detections::DetectionRow;
use trackdrop_tracker::Detection;

/// Room for the first line.
const HEAD_BYTES: usize = 64 << 10;

/// Batches of a Parquet file that are read before they are taken.
const BATCHES_AHEAD: usize = 4;

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
    DetectionFile::open(path)?.read()
}

/// A file of detections whose format is known.
#[derive(Debug)]
pub(crate) struct DetectionFile {
    path: PathBuf,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Parquet,
    /// Text without a line.
    Empty,
    /// Lines from a byte on.
    Text {
        source: BlockSource,
        layout: Layout,
        start: u64,
    },
}

impl DetectionFile {
    /// Recognises the format by the first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, ExchangeError> {
        let source = BlockSource::open(path).map_err(|source| ExchangeError::Read { path: path.into(), source })?;
        let head = source.head(HEAD_BYTES).map_err(|source| ExchangeError::Read { path: path.into(), source })?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let file = |format| Ok(Self { path: path.into(), format });
        if head.starts_with(b"PAR1") || ending == "parquet" {
            return file(Format::Parquet);
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            return Err(ExchangeError::Compressed { path: path.into() });
        }
        let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        // Without a line, only the ending can tell whether a header is missing.
        if head.len() == mark && ending != "csv" {
            return file(Format::Empty);
        }
        let (layout, start) = Layout::detect(&head[mark..]).map_err(|error| match error {
            LayoutError::MissingColumn { found, missing } => {
                ExchangeError::MissingColumn { path: path.into(), found, missing }
            }
            LayoutError::TooFewColumns(columns) => ExchangeError::MissingHeader { path: path.into(), columns },
        })?;
        file(Format::Text { source, layout, start: (mark + start) as u64 })
    }

    /// Reads it whole.
    pub(crate) fn read(&self) -> Result<Frames, ExchangeError> {
        let mut parts = Vec::new();
        self.parts(|part| {
            parts.push(mem::take(part));
            ControlFlow::Continue(())
        })?;
        Ok(Frames::join(&parts))
    }

    /// Gives the detections to `take` piece by piece, in the order of the file, while the next pieces are read in other threads. Stops when
    /// `take` says so.
    pub(crate) fn parts(&self, take: impl FnMut(&mut Part) -> ControlFlow<()>) -> Result<(), ExchangeError> {
        let path = &self.path;
        match &self.format {
            Format::Empty => Ok(()),
            Format::Parquet => parquet_parts(path, take),
            Format::Text { source, layout, start } => {
                let parse = |lines: &[u8], part: &mut Part| parse_lines(layout, lines, part);
                source.parse_lines(*start, parse, take).map_err(|error| match error {
                    BlockError::Io(source) => ExchangeError::Read { path: path.clone(), source },
                    BlockError::Line(line, problem) => ExchangeError::Line { path: path.clone(), line, problem },
                })
            }
        }
    }
}

fn parquet_parts(path: &Path, mut take: impl FnMut(&mut Part) -> ControlFlow<()>) -> Result<(), ExchangeError> {
    let (filled, to_take) = sync_channel(BATCHES_AHEAD);
    let (used, to_fill) = channel();
    thread::scope(|scope| {
        // The side that stops first closes its end of a channel, which stops the other.
        scope.spawn(move || read_parquet(path, &filled, &to_fill));
        for part in to_take {
            let mut part = part?;
            if take(&mut part).is_break() {
                break;
            }
            used.send(part).ok();
        }
        Ok(())
    })
}

/// Sends the rows batch by batch, or at last what is wrong with the file.
fn read_parquet(path: &Path, filled: &SyncSender<Result<Part, ExchangeError>>, to_fill: &Receiver<Part>) {
    let table = |source| ExchangeError::Table { path: path.into(), source };
    let batches = match trackdrop_tables::detections::read_batches(path) {
        Ok(batches) => batches,
        Err(error) => return drop(filled.send(Err(table(error)))),
    };
    let mut first = 0;
    for rows in batches {
        let part = rows.map_err(table).and_then(|rows| {
            let mut part = to_fill.try_recv().unwrap_or_default();
            fill(&mut part, &rows).map_err(|(index, frame_index)| ExchangeError::FrameIndex {
                path: path.into(),
                row: first + index,
                frame_index,
            })?;
            first += rows.len();
            Ok(part)
        });
        let is_last = part.is_err();
        if filled.send(part).is_err() || is_last {
            return;
        }
    }
}

/// Puts the rows in the place of what `part` holds. Else the index of the first whose frame is none, and that frame.
fn fill(part: &mut Part, rows: &[DetectionRow]) -> Result<(), (usize, i64)> {
    part.clear(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let number = row.frame_index.checked_add(1).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=MAX_FRAME).contains(number)).ok_or((index, row.frame_index))?;
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        part.push(number, Detection { x1, y1, x2, y2, score: f64::from(row.score) });
    }
    Ok(())
}

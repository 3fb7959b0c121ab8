//! What can be wrong with a file of detections, and what to do about it.

use crate::frames::MAX_FRAME;
use std::{io, path::PathBuf};
use trackdrop_eval::{ReadError, SequenceError};
use trackdrop_tables::TableError;
use trackdrop_tracker::SettingsError;

/// Detections that can't be read, or tracks that can't be made of them or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The operating system refused.
    #[error("{}: cannot read it: {source}", path.display())]
    Read {
        /// The file of detections.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sink of tracks failed, or the file could not be made.
    #[error("cannot write the tracks: {0}")]
    Write(#[source] io::Error),
    /// One line of a text file.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file of detections.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// It is CSV, but without the columns that detections need.
    #[error(
        "{}: its header is {found:?}, without the column {missing}; detections are CSV with the header \
         frame,x1,y1,x2,y2,score (frames from 1, corners in pixels), or MOTChallenge text without a header",
        path.display()
    )]
    MissingColumn {
        /// The file of detections.
        path: PathBuf,
        /// Its first line.
        found: String,
        /// The first column of the header that it lacks.
        missing: &'static str,
    },
    /// It starts with numbers, but with too few for MOTChallenge text.
    #[error(
        "{}: it has no header and {columns} columns; MOTChallenge text has at least 7 (frame,id,x,y,w,h,score); if it is \
         CSV, put the header frame,x1,y1,x2,y2,score on its first line",
        path.display()
    )]
    MissingHeader {
        /// The file of detections.
        path: PathBuf,
        /// Columns of its first line.
        columns: usize,
    },
    /// A row of a file of tracks has a frame or an id that can't be one.
    #[error(
        "{}, row {row}: frame {} and id {id}; frames count from 1 and ids from 0",
        path.display(),
        frame.map_or_else(|| "out of range".to_owned(), |frame| frame.to_string())
    )]
    TrackRow {
        /// The file of tracks.
        path: PathBuf,
        /// From 0.
        row: usize,
        /// The frame, from 1, where it is in range.
        frame: Option<i64>,
        /// The id.
        id: i64,
    },
    /// A text file of tracks or ground truth.
    #[error(transparent)]
    Tracks(#[from] ReadError),
    /// A row of a Parquet file of tracks is no box, or an id occurs twice in a frame.
    #[error("{}, row {}: {source}", path.display(), source.row())]
    Sequence {
        /// The file of tracks.
        path: PathBuf,
        /// Which row and why; rows count from 0.
        source: SequenceError,
    },
    /// Tracks of some classes are wanted, and the file does not name classes.
    #[error(
        "{}: it has no names of classes; --classes needs the tracks.parquet of a request, or leave other classes out of the file",
        path.display()
    )]
    NoClassNames {
        /// The file of tracks.
        path: PathBuf,
    },
    /// No row has a wanted class.
    #[error("{}: no row has the class {class:?}; it has {}", path.display(), if known.is_empty() { "no rows" } else { known })]
    UnknownClass {
        /// The file of tracks.
        path: PathBuf,
        /// The class.
        class: String,
        /// The classes of the rows, as a list.
        known: String,
    },
    /// Each class was to be by itself, and it says no class.
    #[error(
        "{}: it has no classes; --per-class needs CSV with a column class_id (or class) of whole numbers, or the detections.parquet of a request",
        path.display()
    )]
    NoClasses {
        /// The file.
        path: PathBuf,
    },
    /// It is gzip.
    #[error("{}: it is compressed with gzip; unpack it with gunzip first", path.display())]
    Compressed {
        /// The file of detections.
        path: PathBuf,
    },
    /// It is meant to be Parquet.
    #[error("{}: {source}; expected the detections.parquet of a request", path.display())]
    Table {
        /// The file of detections.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// A row of a Parquet file is for a frame that cannot be.
    #[error("{}, row {row}: frame_index {frame_index} is not from 0 to {}", path.display(), MAX_FRAME - 1)]
    FrameIndex {
        /// The file of detections.
        path: PathBuf,
        /// From 0.
        row: usize,
        /// The refused value.
        frame_index: i64,
    },
    /// Detections beyond the number of frames that was asked for would be lost.
    #[error("there are detections up to frame {last}, but only {asked} frames were asked for; ask for at least {last}")]
    TooFewFrames {
        /// The number of frames asked for.
        asked: u32,
        /// The last frame with a detection.
        last: u32,
    },
    /// A setting of the tracker is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The ending of the output names no format.
    #[error("{}: tracks are written as .csv, .txt (MOTChallenge) or .parquet; give the file one of these endings", path.display())]
    UnknownEnding {
        /// The output asked for.
        path: PathBuf,
    },
}

/// What is wrong with one line of a text file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// A value is no number.
    #[error("column {column}: {value:?} is not a number")]
    NotANumber {
        /// Name of the column in its format.
        column: &'static str,
        /// The refused text, at most its start.
        value: String,
    },
    /// A frame is no whole number, negative or too large.
    #[error("column frame: {value:?} is not a whole number from 1 to {MAX_FRAME}")]
    NotAFrame {
        /// The refused text, at most its start.
        value: String,
    },
    /// The classic: the file counts frames from 0.
    #[error(
        "column frame: there is no frame 0, since this format counts frames from 1; if the file counts from 0, add 1 to \
         every frame"
    )]
    FrameZero,
    /// The line ends too early.
    #[error("it ends after {columns} columns, before column {column}")]
    TooShort {
        /// Name of the column in its format.
        column: &'static str,
        /// Columns there are.
        columns: usize,
    },
}

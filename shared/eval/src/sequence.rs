//! All rows of one video.

use std::ops::Range;

use crate::row::Row;

/// Larger values are outside every picture. Products of values up to this are far from overflow.
const MAX_MAGNITUDE: f64 = 1e9;

/// The rows of one video, ordered by frame. Within a frame they are in the given order, and no id occurs twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence {
    rows: Vec<Row>,
    /// Frames that have rows, ascending.
    frames: Vec<FrameRows>,
}

/// Which rows a frame has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FrameRows {
    pub(crate) frame: u32,
    pub(crate) rows: Range<usize>,
}

impl Sequence {
    /// Makes a sequence of rows in any order.
    ///
    /// # Errors
    /// The first row with a bad value, or the first frame in which an id occurs twice.
    pub fn from_rows(rows: Vec<Row>) -> Result<Self, SequenceError> {
        for (index, row) in rows.iter().enumerate() {
            check(index, row)?;
        }
        let (rows, given) = in_order(rows);
        let sorted = Self::index(rows);
        let mut seen = Vec::new();
        for FrameRows { frame, rows } in &sorted.frames {
            // Most files have ids in order, and then none twice.
            if sorted.rows[rows.clone()].is_sorted_by(|a, b| a.id < b.id) {
                continue;
            }
            seen.clear();
            let row_given = |place: usize| given.as_ref().map_or(place, |given| given[place]);
            seen.extend(rows.clone().map(|place| (sorted.rows[place].id, row_given(place))));
            seen.sort_unstable();
            if let Some(twice) = seen.windows(2).find(|two| two[0].0 == two[1].0) {
                let ((id, first_row), (_, row)) = (twice[0], twice[1]);
                return Err(SequenceError::DuplicateId { row, first_row, frame: *frame, id });
            }
        }
        Ok(sorted)
    }

    /// Rows derived from those of a valid sequence, with no id twice in a frame.
    pub(crate) fn from_derived_rows(rows: Vec<Row>) -> Self {
        Self::index(in_order(rows).0)
    }

    fn index(rows: Vec<Row>) -> Self {
        let mut frames: Vec<FrameRows> = Vec::new();
        for chunk in rows.chunk_by(|a, b| a.frame == b.frame) {
            let start = frames.last().map_or(0, |last| last.rows.end);
            frames.push(FrameRows { frame: chunk[0].frame, rows: start..start + chunk.len() });
        }
        Self { rows, frames }
    }

    /// All rows, by frame.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of one frame. Empty if it has none.
    #[must_use]
    pub fn frame(&self, frame: u32) -> &[Row] {
        match self.frames.binary_search_by_key(&frame, |rows| rows.frame) {
            Ok(place) => &self.rows[self.frames[place].rows.clone()],
            Err(_) => &[],
        }
    }

    /// The frames that have rows, ascending, each with its rows.
    pub fn frames(&self) -> impl Iterator<Item = (u32, &[Row])> {
        self.frames.iter().map(|frame| (frame.frame, &self.rows[frame.rows.clone()]))
    }

    pub(crate) fn spans(&self) -> &[FrameRows] {
        &self.frames
    }

    /// The last frame that has rows; 0 if there is none.
    #[must_use]
    pub fn last_frame(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.frame)
    }
}

/// Rows by frame, within a frame as they are; and the place that each had, where that is another.
fn in_order(rows: Vec<Row>) -> (Vec<Row>, Option<Vec<usize>>) {
    if rows.is_sorted_by_key(|row| row.frame) {
        return (rows, None);
    }
    let mut order: Vec<(u32, usize)> = rows.iter().zip(0..).map(|(row, place)| (row.frame, place)).collect();
    order.sort_unstable();
    let given: Vec<usize> = order.into_iter().map(|(_, place)| place).collect();
    (given.iter().map(|&place| rows[place]).collect(), Some(given))
}

fn check(index: usize, row: &Row) -> Result<(), SequenceError> {
    if row.frame == 0 {
        return Err(SequenceError::FrameZero { row: index });
    }
    for (column, value) in [("x", row.x), ("y", row.y), ("w", row.w), ("h", row.h), ("score", row.score)] {
        // Written in this way so that NaN, which is in no range, is refused.
        if !(-MAX_MAGNITUDE..=MAX_MAGNITUDE).contains(&value) {
            return Err(SequenceError::OutOfRange { row: index, column, value });
        }
    }
    for (column, value) in [("w", row.w), ("h", row.h)] {
        if value < 0.0 {
            return Err(SequenceError::NegativeSize { row: index, column, value });
        }
    }
    Ok(())
}

/// Why rows are refused. `row` is the index in the given list, from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// A common mistake: frames count from 0.
    #[error("frame 0: frames start at 1 here; this looks 0-based, so add 1 to every frame")]
    FrameZero {
        /// The first row with frame 0.
        row: usize,
    },
    /// Not finite, or beyond ±1e9.
    #[error("{column} is {value}; it must be a finite number within ±1e9")]
    OutOfRange {
        /// The row.
        row: usize,
        /// Its column.
        column: &'static str,
        /// The value of the row.
        value: f64,
    },
    /// A width or height below 0.
    #[error(
        "{column} is {value}, but a box can't have a negative size (are these corners instead of width and height?)"
    )]
    NegativeSize {
        /// The row.
        row: usize,
        /// Its column.
        column: &'static str,
        /// The value of the row.
        value: f64,
    },
    /// One object with two boxes in a frame.
    #[error("id {id} appears twice in frame {frame}")]
    DuplicateId {
        /// The second row of the two.
        row: usize,
        /// The first.
        first_row: usize,
        /// Where both are.
        frame: u32,
        /// What both say.
        id: u64,
    },
}

impl SequenceError {
    /// The index of the bad row in the given list, from 0.
    #[must_use]
    pub fn row(&self) -> usize {
        match self {
            Self::FrameZero { row }
            | Self::OutOfRange { row, .. }
            | Self::NegativeSize { row, .. }
            | Self::DuplicateId { row, .. } => *row,
        }
    }
}

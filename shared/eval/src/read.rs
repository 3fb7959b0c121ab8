//! Reads tracks and ground truth from text: MOTChallenge, and CSV with a header.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use crate::{
    lines::Lines,
    row::Row,
    sequence::{Sequence, SequenceError},
};

/// Reads a file of tracks or ground truth.
///
/// If the first line begins with `frame`, the file is CSV. Columns are found by name: `frame,id,x,y,w,h` are needed,
/// `score`, `class` and `observed` are optional, and others are ignored. Otherwise the file is MOTChallenge:
/// `frame,id,x,y,w,h[,conf[,class[,..]]]`. A missing score is 1. A class that is not a whole number from 0 counts as no
/// class, because older ground truth has 3D positions there.
///
/// # Errors
/// The file can't be read, is not text, or a line has a bad value. The error names file, line and value.
pub fn read_file(path: &Path) -> Result<Sequence, ReadError> {
    let in_file = |line, kind| ReadError { file: path.to_owned(), line, kind };
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return Err(in_file(0, ReadErrorKind::NotText));
    }
    let file = File::open(path).map_err(|error| in_file(0, ReadErrorKind::Io(error)))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    parse_of(BufReader::new(file), bytes, path)
}

/// The same as [`read_file`], for a text. Errors use `name` as the name of the file.
///
/// # Errors
/// The same as of [`read_file`].
pub fn parse(text: impl BufRead, name: &Path) -> Result<Sequence, ReadError> {
    parse_of(text, 0, name)
}

fn parse_of(text: impl BufRead, bytes: u64, name: &Path) -> Result<Sequence, ReadError> {
    let at = |line, kind| ReadError { file: name.to_owned(), line, kind };
    let Lines { rows, of_rows: lines, .. } = Lines::read(text, bytes).map_err(|(line, kind)| at(line, kind))?;
    Sequence::from_rows(rows).map_err(|error| {
        let first_line = match error {
            SequenceError::DuplicateId { first_row, .. } => Some(lines[first_row]),
            _ => None,
        };
        at(lines[error.row()], ReadErrorKind::Row { error, first_line })
    })
}

/// The position of each value in a line.
#[derive(Debug)]
pub(crate) struct Columns {
    frame: usize,
    id: usize,
    tlwh: [usize; 4],
    score: Option<usize>,
    class: Option<usize>,
    observed: Option<usize>,
    /// One past the last column needed.
    width: usize,
    score_name: &'static str,
}

impl Columns {
    /// The columns, and whether the line was a header.
    pub(crate) fn from_first_line(line: &str) -> Result<(Self, bool), ReadErrorKind> {
        let names: Vec<&str> = line.split(',').map(|name| name.trim().trim_matches('"')).collect();
        if names[0].eq_ignore_ascii_case("frame") {
            return Ok((Self::from_header(&names)?, true));
        }
        if names[0].parse::<f64>().is_err() {
            return Err(ReadErrorKind::UnknownFormat { line: excerpt(line) });
        }
        let columns = Self {
            frame: 0,
            id: 1,
            tlwh: [2, 3, 4, 5],
            score: Some(6),
            class: Some(7),
            observed: None,
            width: 6,
            score_name: "conf",
        };
        Ok((columns, false))
    }

    fn from_header(names: &[&str]) -> Result<Self, ReadErrorKind> {
        let place = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let needed = |column| place(column).ok_or(ReadErrorKind::MissingColumn { column });
        let (frame, id) = (needed("frame")?, needed("id")?);
        let tlwh = [needed("x")?, needed("y")?, needed("w")?, needed("h")?];
        let width = 1 + tlwh.into_iter().fold(frame.max(id), usize::max);
        let (score, class, observed) = (place("score"), place("class"), place("observed"));
        Ok(Self { frame, id, tlwh, score, class, observed, width, score_name: "score" })
    }

    pub(crate) fn row(&self, line: &str) -> Result<Row, ReadErrorKind> {
        const MOST: usize = 32;
        let mut values = [""; MOST];
        let mut count = 0;
        for (slot, value) in values.iter_mut().zip(Values(Some(line))) {
            *slot = value;
            count += 1;
        }
        if count < self.width {
            return Err(ReadErrorKind::TooFewColumns { columns: count, needed: self.width });
        }
        let value = |place: usize| if place < count { values[place] } else { "" };
        let number = |column, place: usize| {
            let text = value(place);
            text.parse::<f64>().map_err(|_| ReadErrorKind::NotANumber { column, value: excerpt(text) })
        };
        let [x, y, w, h] = self.tlwh;
        let tlwh = [number("x", x)?, number("y", y)?, number("w", w)?, number("h", h)?];
        let score = match self.score {
            Some(place) if !value(place).is_empty() => number(self.score_name, place)?,
            _ => 1.0,
        };
        let observed = match self.observed.map(value) {
            None | Some("" | "1" | "true" | "True") => true,
            Some("0" | "false" | "False") => false,
            Some(other) => {
                return Err(ReadErrorKind::NotABool { column: "observed", value: excerpt(other) });
            }
        };
        let class = self.class.and_then(|place| whole(value(place))).and_then(|class| u16::try_from(class).ok());
        Ok(Row {
            score,
            class,
            observed,
            ..Row::new(frame_number(value(self.frame))?, identity(value(self.id))?, tlwh)
        })
    }

    /// The row of a line whose values are all numbers. None if the text is needed to decide.
    pub(crate) fn row_of_numbers(&self, values: &[f64]) -> Option<Row> {
        if values.len() < self.width {
            return None;
        }
        let value = |place: Option<usize>| place.and_then(|place| values.get(place)).copied();
        let whole = |value: f64, end: f64| (value.fract() == 0.0 && (0.0..end).contains(&value)).then_some(value);
        // `1.0` is a number, but neither true nor false.
        let observed = self.observed.is_none().then_some(true)?;
        let frame = whole(values[self.frame], 4_294_967_296.0)? as u32;
        let id = whole(values[self.id], EXACT)? as u64;
        let class = value(self.class).and_then(|class| whole(class, 65_536.0)).map(|class| class as u16);
        let score = value(self.score).unwrap_or(1.0);
        Some(Row { score, class, observed, ..Row::new(frame, id, self.tlwh.map(|place| values[place])) })
    }
}

/// From here on `f64` does not have all whole numbers.
const EXACT: f64 = (1_u64 << 53) as f64;

/// The values of a line, between its commas.
struct Values<'a>(Option<&'a str>);

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        // Values are short, so to check each byte is faster than a search for long texts.
        let (value, after) = match rest.bytes().position(|byte| byte == b',') {
            Some(comma) => (&rest[..comma], Some(&rest[comma + 1..])),
            None => (rest, None),
        };
        self.0 = after;
        let is_bare = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_graphic());
        let is_bare = is_bare(value.bytes().next()) && is_bare(value.bytes().next_back());
        Some(if is_bare { value } else { value.trim() })
    }
}

fn frame_number(text: &str) -> Result<u32, ReadErrorKind> {
    let frame = whole(text).and_then(|frame| u32::try_from(frame).ok());
    frame.ok_or_else(|| ReadErrorKind::NotWhole { column: "frame", value: excerpt(text), allowed: "from 1" })
}

fn identity(text: &str) -> Result<u64, ReadErrorKind> {
    whole(text).ok_or_else(|| match text.parse::<f64>() {
        Ok(-1.0) => ReadErrorKind::Detections,
        _ => ReadErrorKind::NotWhole { column: "id", value: excerpt(text), allowed: "from 0" },
    })
}

/// A whole number from 0; some tools write it as `1.0` or `1e0`.
fn whole(text: &str) -> Option<u64> {
    // What older files have instead of a class.
    if text == "-1" {
        return None;
    }
    text.parse().ok().or_else(|| {
        let value = text.parse::<f64>().ok()?;
        (value.fract() == 0.0 && (0.0..EXACT).contains(&value)).then_some(value as u64)
    })
}

/// The part of a text that an error shows. The text can have any length.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Why a file can't be read as rows.
///
/// # Troubleshooting
/// - Frame 0: the file counts from 0. Add 1 to its frames.
/// - An id of -1: these are detections (`det.txt`). Track them first.
/// - A negative size, or boxes that overlap nothing: the file has corners instead of left, top, width and height.
#[derive(Debug)]
pub struct ReadError {
    file: PathBuf,
    line: u64,
    kind: ReadErrorKind,
}

impl ReadError {
    /// The file, or the name of the text.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, from 1; 0 if the error is not about a line.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ReadErrorKind {
        &self.kind
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ReadErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The operating system refuses.
    #[error("can't be read: {0}")]
    Io(io::Error),
    /// Binary content. Rows of Parquet files must be given to [`Sequence::from_rows`].
    #[error("is no text; only MOTChallenge text and CSV are read here")]
    NotText,
    /// The first line begins neither with a number nor with `frame`.
    #[error("expected `frame,id,x,y,w,h,..` as numbers or as a header, got `{line}`")]
    UnknownFormat {
        /// The line.
        line: String,
    },
    /// A header lacks something.
    #[error("the header has no column `{column}`; needed are frame,id,x,y,w,h")]
    MissingColumn {
        /// What is missing.
        column: &'static str,
    },
    /// A line with too few columns.
    #[error("has {columns} columns, but {needed} are needed")]
    TooFewColumns {
        /// How many there are.
        columns: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A value that must be a number, and is not.
    #[error("{column} is `{value}`, which is no number")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// The value in the file.
        value: String,
    },
    /// A value that must be a whole number, and is not, or is out of its range.
    #[error("{column} is `{value}`; it must be a whole number {allowed}")]
    NotWhole {
        /// The column.
        column: &'static str,
        /// The value in the file.
        value: String,
        /// Which values are allowed.
        allowed: &'static str,
    },
    /// Neither `true` nor `false`, nor 1 or 0.
    #[error("{column} is `{value}`; it must be true or false")]
    NotABool {
        /// The column.
        column: &'static str,
        /// The value in the file.
        value: String,
    },
    /// Detections, which have no identity.
    #[error("id is -1, which marks detections; tracks and ground truth have ids from 0")]
    Detections,
    /// A row that can't be part of a sequence.
    #[error("{error}{}", match first_line { Some(line) => format!(" (first on line {line})"), None => String::new() })]
    Row {
        /// What is wrong with it.
        error: SequenceError,
        /// The line of the row that it conflicts with.
        first_line: Option<u64>,
    },
}

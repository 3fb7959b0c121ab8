//! Lines of numbers as detections: CSV with a header, and MOTChallenge text.

use crate::{
    blocks::AtOffset,
    error::LineProblem,
    frames::{MAX_FRAME, Part},
};
use trackdrop_tracker::Detection;

/// The columns of the CSV, in the order of [`Layout::values`].
const CORNER_COLUMNS: [&str; 6] = ["frame", "x1", "y1", "x2", "y2", "score"];

/// The columns of MOTChallenge text up to the last one of interest. The second is an id, -1 in files of detections.
const MOT_COLUMNS: [&str; 7] = ["frame", "id", "x", "y", "w", "h", "score"];

/// `1,0,0,1,1,1` and a line break.
const SHORTEST_LINE_BYTES: usize = 12;

/// How much of a refused value an error repeats.
const SHOWN_BYTES: usize = 40;

/// Where a line has what.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    /// What each column is, up to the last one of interest.
    columns: Vec<Column>,
    boxes: Boxes,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Ignored,
    Frame,
    /// An index into the line's values: four of the box, and the score.
    Value(usize, &'static str),
}

/// What the four values of a box are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Boxes {
    /// Left, top, right, bottom.
    Corners,
    /// Left, top, width, height.
    Sizes,
}

/// Why the first line tells no layout.
#[derive(Debug, PartialEq)]
pub(crate) enum LayoutError {
    MissingColumn { found: String, missing: &'static str },
    TooFewColumns(usize),
}

impl Layout {
    /// The layout by the first line that is not blank, and the offset at which the detections begin.
    pub(crate) fn detect(head: &[u8]) -> Result<(Self, usize), LayoutError> {
        let blank = head.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let length = memchr::memchr(b'\n', &head[blank..]).unwrap_or(head.len() - blank);
        let line = &head[blank..][..length];
        let mut fields = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if fields.next().is_some_and(|first| fast_float2::parse::<f64, _>(first).is_ok()) {
            let columns = fields.count() + 1;
            let enough = columns >= MOT_COLUMNS.len();
            return enough.then(|| (Self::mot(), 0)).ok_or(LayoutError::TooFewColumns(columns));
        }
        Ok((Self::from_header(line)?, blank + (length + 1).min(head.len() - blank)))
    }

    fn mot() -> Self {
        let column = |(index, name): (usize, &'static str)| match index {
            0 => Column::Frame,
            1 => Column::Ignored,
            _ => Column::Value(index - 2, name),
        };
        Self { columns: MOT_COLUMNS.into_iter().enumerate().map(column).collect(), boxes: Boxes::Sizes }
    }

    fn from_header(line: &[u8]) -> Result<Self, LayoutError> {
        let names: Vec<_> = line.split(|&byte| byte == b',').map(column_name).collect();
        let mut columns = vec![Column::Ignored; names.len()];
        for (index, wanted) in CORNER_COLUMNS.into_iter().enumerate() {
            let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(wanted.as_bytes())) else {
                return Err(LayoutError::MissingColumn { found: shown(line), missing: wanted });
            };
            columns[at] = if index == 0 { Column::Frame } else { Column::Value(index - 1, wanted) };
        }
        let interesting = columns.iter().rposition(|&column| column != Column::Ignored).map_or(0, |last| last + 1);
        columns.truncate(interesting);
        Ok(Self { columns, boxes: Boxes::Corners })
    }
}

/// Some programs put the names, not the numbers, in quotes.
fn column_name(field: &[u8]) -> &[u8] {
    let name = field.trim_ascii();
    name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name)
}

/// Parses whole lines into `part`, in the place of what that holds; blank ones are skipped.
pub(crate) fn parse_lines(layout: &Layout, bytes: &[u8], part: &mut Part) -> Result<(), AtOffset<LineProblem>> {
    // About as many lines as the length of the first one tells.
    let line_length = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()).max(SHORTEST_LINE_BYTES);
    part.clear(bytes.len() / line_length + 1);
    let mut cursor = Cursor { bytes, at: 0 };
    while cursor.at < bytes.len() {
        let offset = cursor.at;
        if !cursor.skip_blank_line() {
            let (frame, detection) = cursor.line(layout).map_err(|problem| AtOffset { offset, problem })?;
            part.push(frame, detection);
        }
    }
    Ok(())
}

/// A place in the text. A number never runs over the end of its field: no number holds a comma or a line break.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn line(&mut self, layout: &Layout) -> Result<(u32, Detection), LineProblem> {
        let (mut frame, mut values) = (0, [0.0; 5]);
        for (index, &column) in layout.columns.iter().enumerate() {
            if index > 0 && !self.skip_comma() {
                return Err(LineProblem::TooShort { column: name(column), columns: index });
            }
            match column {
                Column::Ignored => self.skip_to_separator(),
                Column::Frame => frame = self.frame()?,
                Column::Value(value, name) => values[value] = self.float(name)?,
            }
        }
        self.at = memchr::memchr(b'\n', self.rest()).map_or(self.bytes.len(), |length| self.at + length + 1);

        let [x1, y1, third, fourth, score] = values;
        let (x2, y2) = match layout.boxes {
            Boxes::Corners => (third, fourth),
            Boxes::Sizes => (x1 + third, y1 + fourth),
        };
        Ok((frame, Detection { x1, y1, x2, y2, score }))
    }

    fn float(&mut self, column: &'static str) -> Result<f64, LineProblem> {
        self.skip_spaces();
        let start = self.at;
        if let Ok((value, length)) = fast_float2::parse_partial::<f64, _>(self.rest()) {
            self.at += length;
            self.skip_spaces();
            if self.at_separator() {
                return Ok(value);
            }
        }
        Err(LineProblem::NotANumber { column, value: self.field_from(start) })
    }

    fn frame(&mut self) -> Result<u32, LineProblem> {
        self.skip_spaces();
        let start = self.at;
        let mut frame = 0_u32;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            frame = frame.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            self.at += 1;
        }
        let plain = self.at > start;
        self.skip_spaces();
        if !(plain && self.at_separator()) {
            // Some programs write every number as a float, the frame too: `1.0`.
            self.at = start;
            let value = self.float("frame").ok().filter(|value| value.fract() == 0.0 && *value >= 0.0);
            frame = value.ok_or_else(|| LineProblem::NotAFrame { value: self.field_from(start) })? as u32;
        }
        match frame {
            0 => Err(LineProblem::FrameZero),
            1..=MAX_FRAME => Ok(frame),
            _ => Err(LineProblem::NotAFrame { value: self.field_from(start) }),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Whether the field ends here.
    fn at_separator(&self) -> bool {
        matches!(self.peek(), None | Some(b',' | b'\n'))
    }

    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn skip_to_separator(&mut self) {
        while !self.at_separator() {
            self.at += 1;
        }
    }

    fn skip_comma(&mut self) -> bool {
        let comma = self.peek() == Some(b',');
        self.at += usize::from(comma);
        comma
    }

    /// Skips the line if it is blank.
    fn skip_blank_line(&mut self) -> bool {
        self.skip_spaces();
        let blank = matches!(self.peek(), None | Some(b'\n'));
        self.at += usize::from(blank && self.at < self.bytes.len());
        blank
    }

    /// The text of the field that starts at `start`, for an error.
    fn field_from(&self, start: usize) -> String {
        let field = &self.bytes[start..];
        let end = memchr::memchr2(b',', b'\n', field).unwrap_or(field.len());
        shown(&field[..end])
    }
}

fn name(column: Column) -> &'static str {
    match column {
        Column::Ignored => "id",
        Column::Frame => "frame",
        Column::Value(_, name) => name,
    }
}

fn shown(text: &[u8]) -> String {
    let text = text.trim_ascii();
    let start = String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES)]).into_owned();
    if text.len() > SHOWN_BYTES { start + "..." } else { start }
}

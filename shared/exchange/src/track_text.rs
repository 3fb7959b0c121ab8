//! Tracks as text: CSV and MOTChallenge.

use crate::{
    number_text::{push_float, push_integer},
    retrack::TrackSink,
};
use std::io::{self, Write};
use trackdrop_tracker::Track;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// The two ways to write a track in a line of text; frames from 1, and the box as left, top, width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// `frame,id,x,y,w,h,score`, with that header. Refined tracks have the column `observed` after these: 0 in rows that a refinement
    /// added, else 1.
    Csv,
    /// `frame,id,x,y,w,h,score,-1,-1,-1`, no header. The score of a row that a refinement added is -1, whatever it was.
    MotChallenge,
}

/// A line's end in MOTChallenge text: the place in the world, which a 2-D tracker does not know.
pub(crate) const MOT_ENDING: &[u8] = b",-1,-1,-1\n";

/// Writes every track it is given as a line, in the shortest numbers that read back as the same `f64`.
#[derive(Debug)]
pub struct TextSink<W: Write> {
    out: W,
    buffer: Vec<u8>,
    format: TextFormat,
    /// How a line ends: that of a row which the tracker returned, and that of an added one.
    endings: [&'static [u8]; 2],
}

impl<W: Write> TextSink<W> {
    /// Into `out`, which needs no buffer of its own; `is_refined` where rows may be added to what the tracker returned.
    #[must_use]
    pub fn new(out: W, format: TextFormat, is_refined: bool) -> Self {
        let (header, endings): (&[u8], [&[u8]; 2]) = match format {
            TextFormat::Csv if is_refined => (b"frame,id,x,y,w,h,score,observed\n", [b",1\n", b",0\n"]),
            TextFormat::Csv => (b"frame,id,x,y,w,h,score\n", [b"\n"; 2]),
            TextFormat::MotChallenge => (b"", [MOT_ENDING; 2]),
        };
        Self { out, buffer: header.to_vec(), format, endings }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> TrackSink for TextSink<W> {
    fn frame(&mut self, number: u32, tracks: &[Track], added: &[Track]) -> io::Result<()> {
        for track in tracks {
            push_line(&mut self.buffer, number, track.id, track.tlwh(), track.score, self.endings[0]);
        }
        for track in added {
            let score = if self.format == TextFormat::MotChallenge { -1.0 } else { track.score };
            push_line(&mut self.buffer, number, track.id, track.tlwh(), score, self.endings[1]);
        }
        if self.buffer.len() >= BUFFER_BYTES { self.write_buffer() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_buffer()?;
        self.out.flush()
    }
}

/// Appends a line: frame, id, left, top, width, height, score, and how the format ends it.
pub(crate) fn push_line<F: zmij::Float>(
    out: &mut Vec<u8>,
    frame: impl itoa::Integer,
    id: impl itoa::Integer,
    tlwh: [F; 4],
    score: F,
    ending: &[u8],
) {
    push_box(out, frame, id, tlwh);
    out.push(b',');
    push_float(out, score);
    out.extend_from_slice(ending);
}

/// Appends how a line begins: frame, id, left, top, width, height.
pub(crate) fn push_box<F: zmij::Float>(
    out: &mut Vec<u8>,
    frame: impl itoa::Integer,
    id: impl itoa::Integer,
    tlwh: [F; 4],
) {
    push_integer(out, frame);
    out.push(b',');
    push_integer(out, id);
    for value in tlwh {
        out.push(b',');
        push_float(out, value);
    }
}

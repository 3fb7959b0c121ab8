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
    /// `frame,id,x,y,w,h,score`, with that header.
    Csv,
    /// `frame,id,x,y,w,h,score,-1,-1,-1`, no header.
    MotChallenge,
}

/// A line's end in MOTChallenge text: the place in the world, which a 2-D tracker does not know.
pub(crate) const MOT_ENDING: &[u8] = b",-1,-1,-1\n";

/// Writes every track it is given as a line, in the shortest numbers that read back as the same `f64`.
#[derive(Debug)]
pub struct TextSink<W: Write> {
    out: W,
    buffer: Vec<u8>,
    ending: &'static [u8],
}

impl<W: Write> TextSink<W> {
    /// Into `out`, which needs no buffer of its own.
    #[must_use]
    pub fn new(out: W, format: TextFormat) -> Self {
        let (header, ending): (&[u8], _) = match format {
            TextFormat::Csv => (b"frame,id,x,y,w,h,score\n", b"\n".as_slice()),
            TextFormat::MotChallenge => (b"", MOT_ENDING),
        };
        Self { out, buffer: header.to_vec(), ending }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> TrackSink for TextSink<W> {
    fn frame(&mut self, number: u32, tracks: &[Track]) -> io::Result<()> {
        for track in tracks {
            push_line(&mut self.buffer, number, track.id, track.tlwh(), track.score, self.ending);
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
    push_integer(out, frame);
    out.push(b',');
    push_integer(out, id);
    for value in tlwh.into_iter().chain([score]) {
        out.push(b',');
        push_float(out, value);
    }
    out.extend_from_slice(ending);
}

//! Reads rows of a text in blocks. Several threads parse the lines of a block.

use std::{
    io::{self, BufRead, Read},
    panic::resume_unwind,
    thread,
};

use crate::{
    quick_line::quick_line,
    read::{Columns, ReadErrorKind},
    row::Row,
};

/// Text is read in blocks of about this many bytes, so a long file is never completely in memory.
const BLOCK_BYTES: u64 = 16 << 20;

/// With fewer bytes than this, to start a thread takes about as long as its work.
const PIECE_BYTES: usize = 64 << 10;

/// The rows of a text.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) rows: Vec<Row>,
    /// The line of each row, from 1.
    pub(crate) of_rows: Vec<u64>,
    /// All lines so far.
    count: u64,
}

/// A line, from 1, and what is wrong with it.
type Fault = (u64, ReadErrorKind);

impl Lines {
    /// Reads all rows of a text of any length. `bytes` is its expected length. The first line that is not blank decides
    /// what the columns are.
    ///
    /// # Errors
    /// The first line that is not a row, and the reason.
    pub(crate) fn read(mut text: impl BufRead, bytes: u64) -> Result<Self, Fault> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        // One byte more, so that the end is found without more memory.
        let block = Vec::with_capacity(bytes.min(BLOCK_BYTES) as usize + 1);
        let (mut all, mut columns, mut block) = (Self::default(), None, block);
        loop {
            block.clear();
            next_block(&mut text, &mut block)
                .map_err(|error| (all.count + newlines(&block) + 1, ReadErrorKind::Io(error)))?;
            if block.is_empty() {
                return Ok(all);
            }
            let mut rest = &block[..];
            while columns.is_none() && !rest.is_empty() {
                let (line, after) = rest.split_at(line_end(rest));
                let content = str::from_utf8(line).map_err(|_| (all.count + 1, ReadErrorKind::NotText))?;
                let Some(content) = content_of(content) else {
                    all.count += 1;
                    rest = after;
                    continue;
                };
                let (found, is_header) = Columns::from_first_line(content).map_err(|kind| (all.count + 1, kind))?;
                columns = Some(found);
                if is_header {
                    all.count += 1;
                    rest = after;
                }
            }
            if let Some(columns) = &columns {
                all.append(rest, threads, columns)?;
            }
        }
    }

    fn append(&mut self, block: &[u8], threads: usize, columns: &Columns) -> Result<(), Fault> {
        let mut pieces = pieces(block, (block.len() / PIECE_BYTES).clamp(1, threads));
        let last = pieces.pop().unwrap_or_default();
        let read = thread::scope(|scope| {
            let others: Vec<_> =
                pieces.into_iter().map(|piece| scope.spawn(move || Self::of_piece(piece, columns))).collect();
            let last = Self::of_piece(last, columns);
            let others = others.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
            others.chain([last]).collect::<Vec<_>>()
        });
        for piece in read {
            let piece = piece.map_err(|(line, kind)| (self.count + line, kind))?;
            self.of_rows.extend(piece.of_rows.iter().map(|line| self.count + line));
            self.count += piece.count;
            if self.rows.is_empty() {
                self.rows = piece.rows;
            } else {
                self.rows.extend(piece.rows);
            }
        }
        Ok(())
    }

    fn of_piece(piece: &[u8], columns: &Columns) -> Result<Self, Fault> {
        let (text, is_text) = match str::from_utf8(piece) {
            Ok(text) => (text, true),
            // A line before that of the bad byte may be at fault, too.
            Err(error) => {
                let valid = &piece[..error.valid_up_to()];
                let lines = valid.iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
                (str::from_utf8(&valid[..lines]).unwrap_or_default(), false)
            }
        };
        // Lines of a file have about the same length. Memory that is not needed is never touched.
        let lines = piece.len() / line_end(piece).max(1) + 1;
        let mut read = Self { rows: Vec::with_capacity(lines), of_rows: Vec::with_capacity(lines), count: 0 };
        let mut rest = text;
        while !rest.is_empty() {
            read.count += 1;
            if let Some((row, length)) = quick_line(rest.as_bytes(), columns) {
                read.rows.push(row);
                read.of_rows.push(read.count);
                rest = &rest[length..];
                continue;
            }
            let (line, after) = rest.split_at(line_end(rest.as_bytes()));
            rest = after;
            if let Some(content) = content_of(line) {
                read.rows.push(columns.row(content).map_err(|kind| (read.count, kind))?);
                read.of_rows.push(read.count);
            }
        }
        if is_text { Ok(read) } else { Err((read.count + 1, ReadErrorKind::NotText)) }
    }
}

/// A line without what surrounds its values; none if it is blank.
fn content_of(line: &str) -> Option<&str> {
    let content = line.trim_start_matches('\u{feff}').trim();
    (!content.is_empty()).then_some(content)
}

/// Whole lines.
fn next_block(text: &mut impl BufRead, block: &mut Vec<u8>) -> io::Result<()> {
    text.by_ref().take(BLOCK_BYTES).read_to_end(block)?;
    if !block.ends_with(b"\n") {
        text.read_until(b'\n', block)?;
    }
    Ok(())
}

/// The first line's length, its end included.
fn line_end(text: &[u8]) -> usize {
    text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |place| place + 1)
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Whole lines, about the same number of bytes in each piece; at most `parts` pieces.
fn pieces(mut block: &[u8], parts: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(parts);
    for left in (1..=parts).rev() {
        let start = block.len() / left;
        let (piece, after) = block.split_at(start + if left == 1 { 0 } else { line_end(&block[start..]) });
        pieces.push(piece);
        block = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_and_all_of_them() {
        let text: String = (0..50).map(|number| format!("{}\n", "x".repeat(number * 7 % 31))).collect();
        for text in ["", "\n", "a", "a\nb", text.as_str()] {
            for parts in 1..9 {
                let found = pieces(text.as_bytes(), parts);
                assert_eq!(found.concat(), text.as_bytes());
                let mut end = 0;
                for piece in found {
                    end += piece.len();
                    assert!(piece.is_empty() || piece.ends_with(b"\n") || end == text.len(), "{parts}");
                }
            }
        }
    }
}

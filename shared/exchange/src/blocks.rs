//! Reads a text file in blocks of whole lines, several blocks at the same time.

use crate::ahead::Ahead;
use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::Path,
    thread,
};

/// Small enough to stay in a core's cache between reading and parsing.
const BLOCK_BYTES: u64 = 1 << 20;

/// By how much a block is lengthened until it ends with its last line.
const TAIL_BYTES: usize = 4096;

/// How many blocks may be parsed, or be in work, before the first of them is taken.
const BLOCKS_PER_WORKER: u64 = 3;

/// Bytes that can be read from any place: a file, or what came through a pipe.
#[derive(Debug)]
pub(crate) enum BlockSource {
    File { file: File, len: u64 },
    Memory(Vec<u8>),
}

/// Why a block could not be parsed: the problem, and the byte offset in the block of the line that has it.
#[derive(Debug)]
pub(crate) struct AtOffset<E> {
    pub(crate) offset: usize,
    pub(crate) problem: E,
}

/// The first failure in the file.
#[derive(Debug)]
pub(crate) enum BlockError<E> {
    Io(io::Error),
    /// A line, from 1, and what is wrong with it.
    Line(u64, E),
}

impl<E> From<io::Error> for BlockError<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl BlockSource {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            return Ok(Self::File { file, len: metadata.len() });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self::Memory(bytes))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The first bytes, up to `limit`.
    pub(crate) fn head(&self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.append(&mut bytes, 0, limit)?;
        Ok(bytes)
    }

    /// Appends `count` bytes from `offset` on; fewer at the end. Returns how many.
    fn append(&self, buffer: &mut Vec<u8>, offset: u64, count: usize) -> io::Result<usize> {
        let count = count.min(usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX));
        let start = buffer.len();
        match self {
            Self::File { file, .. } => {
                buffer.resize(start + count, 0);
                file.read_exact_at(&mut buffer[start..], offset)?;
            }
            Self::Memory(bytes) => buffer.extend_from_slice(&bytes[offset as usize..][..count]),
        }
        Ok(count)
    }

    /// Parses the lines from byte `start` on, in blocks, on all cores, and gives what was parsed to `take` in file order, while later blocks are
    /// being parsed. Stops when `take` says so.
    ///
    /// Each call of `parse` is given whole lines, of which the last may lack its line break, and what it is to fill in the place of what that holds.
    pub(crate) fn parse_lines<T: Default + Send, E: Send>(
        &self,
        start: u64,
        parse: impl Fn(&[u8], &mut T) -> Result<(), AtOffset<E>> + Sync,
        mut take: impl FnMut(&mut T) -> ControlFlow<()>,
    ) -> Result<(), BlockError<E>> {
        let blocks = self.len().saturating_sub(start).div_ceil(BLOCK_BYTES);
        let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64).min(blocks);
        let ahead = Ahead::new(blocks, workers * BLOCKS_PER_WORKER);
        let work = || {
            let mut buffer = Vec::new();
            ahead.work(|block, parsed| self.parse_block(start, block, &mut buffer, &parse, parsed));
        };
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
            ahead.take_all(&mut take)
        })
    }

    /// Parses the lines that begin in a block, if any does.
    fn parse_block<T: Default, E>(
        &self,
        start: u64,
        block: u64,
        buffer: &mut Vec<u8>,
        parse: impl Fn(&[u8], &mut T) -> Result<(), AtOffset<E>>,
        parsed: &mut T,
    ) -> Result<(), BlockError<E>> {
        // From the byte before, which tells whether a line begins with the block.
        let lead = u64::from(block > 0);
        let from = start + block * BLOCK_BYTES - lead;
        buffer.clear();
        let mut end = from + self.append(buffer, from, (BLOCK_BYTES + lead) as usize)? as u64;
        let first = match lead {
            0 => Some(0),
            _ => memchr::memchr(b'\n', buffer).map(|at| at + 1).filter(|&first| first < buffer.len()),
        };
        let Some(first) = first else {
            *parsed = T::default();
            return Ok(());
        };
        while buffer.last() != Some(&b'\n') {
            let before = buffer.len();
            end += match self.append(buffer, end, TAIL_BYTES)? as u64 {
                0 => break,
                more => more,
            };
            if let Some(at) = memchr::memchr(b'\n', &buffer[before..]) {
                buffer.truncate(before + at + 1);
            }
        }
        match parse(&buffer[first..], parsed) {
            Ok(()) => Ok(()),
            Err(AtOffset { offset, problem }) => {
                Err(BlockError::Line(self.line_at(from + (first + offset) as u64)?, problem))
            }
        }
    }

    /// The number of the line, from 1, that begins at a byte.
    fn line_at(&self, offset: u64) -> io::Result<u64> {
        let (mut line, mut at, mut buffer) = (1, 0, Vec::new());
        while at < offset {
            buffer.clear();
            let count = self.append(&mut buffer, at, (offset - at).min(BLOCK_BYTES) as usize)?;
            line += memchr::memchr_iter(b'\n', &buffer).count() as u64;
            at += count as u64;
        }
        Ok(line)
    }
}

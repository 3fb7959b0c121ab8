//! How FFmpeg reads a source: through one stream of bytes, for a file and for an object alike.
//!
//! To plan an MP4, the sizes and times in its index are enough. But FFmpeg's demuxer returns them together with the
//! packets, so it also reads the packets. To save this reading, a stream can be *hollow*: then it returns zeros as
//! media data, and reads only the other bytes from the source.

use std::{
    io::{self, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{source::Opened, ts_watch::TsWatch};

/// What the opener of a source shares with the stream, in both directions.
#[derive(Debug, Default)]
pub(crate) struct Line {
    is_hollow: AtomicBool,
    error: Mutex<Option<io::Error>>,
    /// Sees what the demuxer reads.
    transport: Mutex<TsWatch>,
}

impl Line {
    /// From now on the stream returns zeros as media data.
    pub(crate) fn hollow_out(&self) {
        self.is_hollow.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_hollow(&self) -> bool {
        self.is_hollow.load(Ordering::Relaxed)
    }

    /// The error of the last read. Some demuxers take it for the end of the file, so the caller must check it.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is known of a transport stream so far.
    pub(crate) fn transport(&self) -> MutexGuard<'_, TsWatch> {
        self.transport.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Bytes {
    opened: Opened,
    size: u64,
    position: u64,
    line: Arc<Line>,
    boxes: Boxes,
}

impl Bytes {
    pub(crate) fn new(opened: Opened, size: u64, line: Arc<Line>) -> Self {
        Self { opened, size, position: 0, line, boxes: Boxes::default() }
    }

    fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let mut length = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        if self.line.is_hollow() {
            let (is_media, end) = self.boxes.at(self.position, self.size, &mut self.opened)?;
            length = length.min(usize::try_from(end - self.position).unwrap_or(usize::MAX));
            if is_media {
                into[..length].fill(0);
                return Ok(length);
            }
        }
        self.opened.read_at(self.position, &mut into[..length])
    }
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // FFmpeg calls this, and no panic may cross it.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read_some(into)))
            .unwrap_or_else(|_| Err(io::Error::other("reading the source panicked")));
        match outcome {
            Ok(read) => {
                self.line.transport().take(self.position, &into[..read]);
                self.position += read as u64;
            }
            Err(ref error) => {
                let copy = error
                    .raw_os_error()
                    .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error);
                *self.line.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
            }
        }
        outcome
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(step) => self.position.checked_add_signed(step),
            SeekFrom::End(step) => self.size.checked_add_signed(step),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The top-level boxes of an MP4 (ISO/IEC 14496-12, 4.2) that were found so far.
#[derive(Debug, Default)]
struct Boxes {
    /// The byte ranges of media data, in order.
    media: Vec<std::ops::Range<u64>>,
    /// Where the next box begins.
    walked: u64,
}

impl Boxes {
    /// Whether the byte at `place` is media data, and where the range with the same answer ends.
    fn at(&mut self, place: u64, size: u64, source: &mut Opened) -> io::Result<(bool, u64)> {
        while self.walked <= place {
            self.walk(size, source)?;
        }
        let after = self.media.partition_point(|range| range.end <= place);
        Ok(match self.media.get(after) {
            Some(range) if range.contains(&place) => (true, range.end),
            Some(range) => (false, range.start),
            None => (false, self.walked.min(size)),
        })
    }

    /// Steps over one box. Bytes that are not a box count as no media data, up to the end.
    fn walk(&mut self, size: u64, source: &mut Opened) -> io::Result<()> {
        let start = self.walked;
        self.walked = u64::MAX;
        let mut head = [0; 16];
        let known = usize::try_from(size.saturating_sub(start)).unwrap_or(16).min(16);
        read_fully(source, start, &mut head[..known])?;
        let short = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let (length, content) = match short {
            0 => (size - start, 8),
            1 => {
                (u64::from_be_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]), 16)
            }
            short => (u64::from(short), 8),
        };
        let Some(end) = start.checked_add(length).filter(|_| length >= content && known as u64 >= content) else {
            return Ok(());
        };
        if &head[4..8] == b"mdat" && start + content < end {
            self.media.push(start + content..end);
        }
        if end < size {
            self.walked = end;
        }
        Ok(())
    }
}

/// Reads forward, so that one request returns the head of a box and what follows it.
fn read_fully(source: &mut Opened, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        let read = source.read_at(offset, into)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        into = &mut into[read..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn hollow(content: Vec<u8>) -> Vec<u8> {
        let size = content.len() as u64;
        let source = Source::of_ranges("clip", size, move |offset, into| {
            into.copy_from_slice(&content[offset as usize..][..into.len()]);
            Ok(())
        });
        let line = Arc::new(Line::default());
        line.hollow_out();
        let mut all = Vec::new();
        Bytes::new(source.open().unwrap(), size, line).read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn media_data_are_zeros_and_all_else_is_as_it_is() {
        let free = [&[0, 0, 0, 12][..], b"free", &[9; 4]].concat();
        let data = [&[0, 0, 0, 11][..], b"mdat", &[7; 3]].concat();
        let long = [&[0, 0, 0, 1][..], b"mdat", &[0, 0, 0, 0, 0, 0, 0, 18], &[5; 2]].concat();
        let rest = [&[0, 0, 0, 0][..], b"mdat", &[6; 5]].concat();
        let file = [free.clone(), data, free.clone(), long, rest].concat();
        let mut expected = file.clone();
        for place in (20..23).chain(51..53).chain(61..66) {
            expected[place] = 0;
        }
        assert_eq!(hollow(file), expected);
    }

    #[test]
    fn what_is_no_box_is_read_as_it_is() {
        for file in [&[0, 0, 0, 3, 1, 2, 3, 4, 5][..], &[1, 2, 3], &[0, 0, 0, 1, b'm', b'd', b'a', b't', 1], &[255; 40]]
        {
            assert_eq!(hollow(file.to_vec()), file);
        }
    }
}

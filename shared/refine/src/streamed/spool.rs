//! Records of one length by key, on disk: what is in memory is a buffer, and where each key's records are.

use crate::ids::ById;
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
};

/// Bytes that are held before they are written: few enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 2 << 20;

/// Records that are read back by key, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    record_bytes: usize,
    held: Held,
    places: Places,
}

/// Where the records of each key are.
#[derive(Debug, Default)]
struct Places {
    end: u64,
    written: ById<Vec<Chunk>>,
}

/// Some records of a key that lie together.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// The number of its first record among those of its key.
    first: usize,
    records: usize,
    offset: u64,
}

/// Records that are not written yet.
#[derive(Debug, Default)]
struct Held {
    by_key: ById<Vec<u8>>,
    bytes: usize,
    /// Buffers that hold nothing now: memory that is used again is not asked for page by page.
    spare: Vec<Vec<u8>>,
    together: Vec<u8>,
}

impl Held {
    fn push(&mut self, key: u64, records: &[u8]) {
        let held = self.by_key.entry(key).or_insert_with(|| self.spare.pop().unwrap_or_default());
        held.extend_from_slice(records);
        self.bytes += records.len();
    }

    /// Puts all records together, to be written at the offset that it gives.
    fn gather(&mut self, record_bytes: usize, places: &mut Places) -> u64 {
        self.together.clear();
        let mut kept_bytes = self.spare.iter().map(Vec::capacity).sum::<usize>();
        let start = places.end;
        for (key, mut bytes) in self.by_key.drain() {
            let chunks = places.written.entry(key).or_default();
            let first = chunks.last().map_or(0, |last| last.first + last.records);
            let (records, offset) = (bytes.len() / record_bytes, start + self.together.len() as u64);
            chunks.push(Chunk { first, records, offset });
            self.together.extend_from_slice(&bytes);
            bytes.clear();
            kept_bytes += bytes.capacity();
            if kept_bytes <= 2 * BUFFER_BYTES {
                self.spare.push(bytes);
            }
        }
        places.end += self.together.len() as u64;
        self.bytes = 0;
        start
    }
}

impl Spool {
    /// An empty one, which overwrites a file.
    pub(super) fn new(file: File, record_bytes: usize) -> Self {
        Self { file, record_bytes, held: Held::default(), places: Places::default() }
    }

    /// Its file, for another one before anything is written to this.
    pub(super) fn file(&self) -> io::Result<File> {
        debug_assert_eq!(self.places.end, 0);
        self.file.try_clone()
    }

    /// Appends records, one after the other.
    pub(super) fn push(&mut self, key: u64, records: &[u8]) -> io::Result<()> {
        debug_assert!(records.len().is_multiple_of(self.record_bytes));
        self.held.push(key, records);
        if self.held.bytes >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let offset = self.held.gather(self.record_bytes, &mut self.places);
        self.file.write_all_at(&self.held.together, offset)
    }

    /// Writes what is held: reading comes after it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.held = Held::default();
        Ok(())
    }

    /// To be written by several threads, each of which has a [`Pen`].
    pub(super) fn shared(self) -> Shared {
        Shared { file: self.file, record_bytes: self.record_bytes, places: Mutex::new(self.places) }
    }

    /// The keys, ascending.
    pub(super) fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.places.written.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// How many records a key has.
    pub(super) fn count(&self, key: u64) -> usize {
        self.places.written.get(&key).and_then(|chunks| chunks.last()).map_or(0, |last| last.first + last.records)
    }

    /// Appends the bytes of some of a key's records.
    pub(super) fn read(&self, key: u64, records: Range<usize>, into: &mut Vec<u8>) -> io::Result<()> {
        let Some(chunks) = self.places.written.get(&key) else { return Ok(()) };
        let from = chunks.partition_point(|chunk| chunk.first + chunk.records <= records.start);
        for chunk in chunks[from..].iter().take_while(|chunk| chunk.first < records.end) {
            let start = records.start.max(chunk.first);
            let end = records.end.min(chunk.first + chunk.records);
            let at = into.len();
            into.resize(at + (end - start) * self.record_bytes, 0);
            let offset = chunk.offset + ((start - chunk.first) * self.record_bytes) as u64;
            self.file.read_exact_at(&mut into[at..], offset)?;
        }
        Ok(())
    }
}

/// A spool that several threads write: records of one key are in no order.
#[derive(Debug)]
pub(super) struct Shared {
    file: File,
    record_bytes: usize,
    places: Mutex<Places>,
}

impl Shared {
    /// Once all have flushed.
    pub(super) fn into_spool(self) -> Spool {
        let places = self.places.into_inner().unwrap_or_else(PoisonError::into_inner);
        Spool { file: self.file, record_bytes: self.record_bytes, held: Held::default(), places }
    }

    pub(super) fn pen(&self) -> Pen<'_> {
        Pen { shared: self, held: Held::default() }
    }
}

/// One thread's records for a [`Shared`] spool: it is locked to say where they will be, and not while they are written.
pub(super) struct Pen<'a> {
    shared: &'a Shared,
    held: Held,
}

impl Pen<'_> {
    pub(super) fn push(&mut self, key: u64, records: &[u8]) -> io::Result<()> {
        self.held.push(key, records);
        if self.held.bytes >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Shared { file, record_bytes, places } = self.shared;
        let offset = self.held.gather(*record_bytes, &mut places.lock().unwrap_or_else(PoisonError::into_inner));
        file.write_all_at(&self.held.together, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_by_key_in_their_order_from_any_place() {
        let path = std::env::temp_dir().join(format!("trackdrop-refine-spool-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let mut spool = Spool::new(file, 8);
        for number in 0_u64..3_000 {
            spool.push(number % 7, &number.to_le_bytes()).unwrap();
            if number % 500 == 499 {
                spool.flush().unwrap();
            }
        }
        spool.finish().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(spool.keys(), [0, 1, 2, 3, 4, 5, 6]);
        for key in 0..7 {
            let all: Vec<u64> = (0..3_000).filter(|number| number % 7 == key).collect();
            assert_eq!(spool.count(key), all.len());
            for range in [0..all.len(), 70..73, 100..400, 5..5] {
                let mut bytes = Vec::new();
                spool.read(key, range.clone(), &mut bytes).unwrap();
                let read: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
                assert_eq!(read, all[range]);
            }
        }
        assert_eq!(spool.count(9), 0);
    }
}

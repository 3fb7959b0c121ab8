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
    /// Bytes before the end that nobody reads any more.
    free: Vec<Range<u64>>,
    written: ById<Vec<Chunk>>,
}

impl Places {
    /// A place for some of this many bytes, in whole records: where it begins, and how many it takes. What is free comes first: memory that the
    /// system holds a file in costs more than to overwrite it.
    fn take(&mut self, wanted: usize, record_bytes: usize) -> (u64, usize) {
        while let Some(mut free) = self.free.pop() {
            let taken = wanted.min((free.end - free.start) as usize) / record_bytes * record_bytes;
            let offset = free.start;
            free.start += taken as u64;
            // The rest of a range that has no room for a record is lost.
            if taken > 0 {
                self.free.push(free);
                return (offset, taken);
            }
        }
        self.end += wanted as u64;
        (self.end - wanted as u64, wanted)
    }
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
    /// At which offset how many of those bytes are written, one after the other.
    writes: Vec<(u64, usize)>,
}

impl Held {
    fn push(&mut self, key: u64, records: &[u8]) {
        self.of(key).extend_from_slice(records);
        self.bytes += records.len();
    }

    fn of(&mut self, key: u64) -> &mut Vec<u8> {
        self.by_key.entry(key).or_insert_with(|| self.spare.pop().unwrap_or_default())
    }

    /// Puts all records together, and says where they are to be written.
    fn gather(&mut self, record_bytes: usize, places: &mut Places) {
        self.together.clear();
        self.writes.clear();
        let mut kept_bytes = self.spare.iter().map(Vec::capacity).sum::<usize>();
        for (key, mut bytes) in self.by_key.drain() {
            let mut rest = bytes.len();
            while rest > 0 {
                let (offset, taken) = places.take(rest, record_bytes);
                rest -= taken;
                match self.writes.last_mut() {
                    Some((start, length)) if *start + *length as u64 == offset => *length += taken,
                    _ => self.writes.push((offset, taken)),
                }
                let chunks = places.written.entry(key).or_default();
                let first = chunks.last().map_or(0, |last| last.first + last.records);
                chunks.push(Chunk { first, records: taken / record_bytes, offset });
            }
            self.together.extend_from_slice(&bytes);
            bytes.clear();
            kept_bytes += bytes.capacity();
            if kept_bytes <= 2 * BUFFER_BYTES {
                self.spare.push(bytes);
            }
        }
        self.bytes = 0;
    }

    /// Writes what was put together.
    fn write(&self, file: &File) -> io::Result<()> {
        let mut rest = self.together.as_slice();
        for &(offset, length) in &self.writes {
            let (now, after) = rest.split_at(length);
            file.write_all_at(now, offset)?;
            rest = after;
        }
        Ok(())
    }
}

impl Spool {
    /// An empty one, which overwrites a file.
    pub(super) fn new(file: File, record_bytes: usize) -> Self {
        Self { file, record_bytes, held: Held::default(), places: Places::default() }
    }

    /// Appends records, one after the other.
    pub(super) fn push(&mut self, key: u64, records: &[u8]) -> io::Result<()> {
        debug_assert!(records.len().is_multiple_of(self.record_bytes));
        self.held.push(key, records);
        if self.held.bytes >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Appends the record that `put` appends to some bytes: to copy it from elsewhere takes as long as to make it.
    pub(super) fn push_with(&mut self, key: u64, put: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let held = self.held.of(key);
        held.reserve(self.record_bytes);
        put(held)?;
        debug_assert!(held.len().is_multiple_of(self.record_bytes));
        self.held.bytes += self.record_bytes;
        if self.held.bytes >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.held.gather(self.record_bytes, &mut self.places);
        self.held.write(&self.file)
    }

    /// Writes what is held: reading comes after it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.held = Held::default();
        Ok(())
    }

    /// Another one in the same file, whose records come after those of this one, and in the place of those that are freed. To be written by several
    /// threads, each of which has a [`Pen`].
    pub(super) fn following(&self, record_bytes: usize) -> io::Result<Shared> {
        let places = Places { end: self.places.end, ..Places::default() };
        Ok(Shared { file: self.file.try_clone()?, record_bytes, places: Mutex::new(places) })
    }

    /// Gives back the room on disk: nothing is read any more.
    pub(super) fn discard(self) -> io::Result<()> {
        self.file.set_len(0)
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
        for place in self.places_of(key, records) {
            let at = into.len();
            into.resize(at + (place.end - place.start) as usize, 0);
            self.file.read_exact_at(&mut into[at..], place.start)?;
        }
        Ok(())
    }

    /// Where some of a key's records are in the file.
    pub(super) fn places_of(&self, key: u64, records: Range<usize>) -> impl Iterator<Item = Range<u64>> {
        let chunks = self.places.written.get(&key).map_or(&[][..], Vec::as_slice);
        let from = chunks.partition_point(|chunk| chunk.first + chunk.records <= records.start);
        let within = chunks[from..].iter().take_while(move |chunk| chunk.first < records.end);
        within.map(move |chunk| {
            let start = records.start.max(chunk.first);
            let end = records.end.min(chunk.first + chunk.records);
            let offset = |record: usize| chunk.offset + ((record - chunk.first) * self.record_bytes) as u64;
            offset(start)..offset(end)
        })
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
        self.held.gather(*record_bytes, &mut places.lock().unwrap_or_else(PoisonError::into_inner));
        self.held.write(file)
    }

    /// Says that nobody reads these bytes of the file any more.
    pub(super) fn free(&self, places: impl Iterator<Item = Range<u64>>) {
        let free = &mut self.shared.places.lock().unwrap_or_else(PoisonError::into_inner).free;
        for place in places {
            match free.last_mut() {
                Some(last) if last.end == place.start => last.end = place.end,
                _ => free.push(place),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gone with the test.
    fn scratch(name: &str) -> File {
        let path = std::env::temp_dir().join(format!("trackdrop-refine-spool-{name}-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    fn numbers(spool: &Spool, key: u64) -> Vec<u64> {
        let mut bytes = Vec::new();
        spool.read(key, 0..spool.count(key), &mut bytes).unwrap();
        bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn records_that_follow_take_the_room_of_those_that_are_freed_and_of_no_other() {
        let mut before = Spool::new(scratch("follow"), 12);
        (0..600_u64).for_each(|number| before.push(number % 3, &[number as u8; 12]).unwrap());
        before.finish().unwrap();
        let length = before.file.metadata().unwrap().len();
        let shared = before.following(8).unwrap();
        let mut pen = shared.pen();
        // The places of one record each are too small for two that follow, and a place of 12 bytes leaves 4.
        pen.free((0..200).step_by(2).flat_map(|record| before.places_of(1, record..record + 1)));
        pen.free(before.places_of(2, 0..200));
        (0..500_u64).for_each(|number| pen.push(number % 2, &number.to_le_bytes()).unwrap());
        pen.flush().unwrap();
        drop(pen);
        let after = shared.into_spool();
        for key in [0, 1] {
            assert_eq!(numbers(&after, key), (0..500).filter(|number| number % 2 == key).collect::<Vec<_>>());
        }
        let mut bytes = Vec::new();
        before.read(0, 0..200, &mut bytes).unwrap();
        assert!(bytes.chunks(12).zip((0..600_u64).step_by(3)).all(|(record, number)| record == [number as u8; 12]));
        // 200 records of 12 bytes have room for 300 of 8, the single ones for 100, and 100 are left.
        assert_eq!(after.file.metadata().unwrap().len(), length + 800);
    }

    #[test]
    fn records_come_back_by_key_in_their_order_from_any_place() {
        let mut spool = Spool::new(scratch("order"), 8);
        for number in 0_u64..3_000 {
            spool.push(number % 7, &number.to_le_bytes()).unwrap();
            if number % 500 == 499 {
                spool.flush().unwrap();
            }
        }
        spool.finish().unwrap();
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

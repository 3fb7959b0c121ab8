//! Where the bytes of a source are: in a file, or in a store whose objects are read in ranges.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use trackdrop_pipeline::RequestSettings;

use crate::{
    Limits, MediaError, Rational,
    notebook::{NoteEvery, Noted, Notes},
};

/// The smallest size of a request.
const LEAST_BYTES: u64 = 4 << 10;
/// The largest size of a request. While reading goes forward, the size doubles up to this.
const MOST_BYTES: u64 = 4 << 20;
/// A step forward of up to this many bytes counts as reading forward. It skips the sound between two pictures.
const STEP_BYTES: u64 = 256 << 10;
/// Size of the memory cache of the last read bytes. A video is opened several times, and its index is read each time.
const KEPT_BYTES: u64 = 16 << 20;

/// A video to read. Made from a path, or by [`Source::of_ranges`] from bytes that are elsewhere.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    /// What messages call it.
    name: PathBuf,
    ranges: Option<Arc<Ranges>>,
    noted: Option<Noted>,
    reading: Reading,
}

/// The choices of the caller for files that need a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Which of the file's video streams is read, from 0, without cover pictures. `None`: the one that
    /// [`crate::VideoStreams::rule`] describes.
    pub video_stream: Option<u32>,
    /// Pictures per second of a raw stream, which has no clock. `None`: the rate that the stream states, or 25.
    pub raw_frame_rate: Option<Rational>,
}

impl From<&RequestSettings> for Reading {
    fn from(settings: &RequestSettings) -> Self {
        Self { video_stream: settings.video_stream, raw_frame_rate: settings.raw_frame_rate }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Source {
    fn from(path: &P) -> Self {
        let file = path.as_ref().to_owned();
        Self { name: file.clone(), file, ranges: None, noted: None, reading: Reading::default() }
    }
}

impl From<&Self> for Source {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}

/// Fills the whole slice with bytes from an offset on. The range is inside the source.
type ReadAt = dyn Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync;

impl Source {
    /// A source of `bytes` bytes that `read_at` reads: it fills the whole slice from the offset on. The source is read
    /// forward in requests of up to 4 MiB. To plan an MP4, only its index is read. Messages use `name`.
    pub fn of_ranges(
        name: impl AsRef<Path>,
        bytes: u64,
        read_at: impl Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let ranges = Ranges { bytes, read_at: Box::new(read_at), spool: None, kept: Mutex::default() };
        Self { ranges: Some(Arc::new(ranges)), ..Self::from(&name) }
    }

    /// The same source with a spool. If a container must be read whole to be planned, up to `most_bytes` of it are
    /// stored in a file in `folder`, so that cutting need not read them again. Without a spool, and beyond the bound,
    /// bytes are read twice.
    #[must_use]
    pub fn with_spool(self, folder: &Path, most_bytes: u64) -> Self {
        let ranges = self.ranges.map(|ranges| match Arc::try_unwrap(ranges) {
            Ok(ranges) => Arc::new(Ranges { spool: Some(Spool { folder: folder.to_owned(), most_bytes }), ..ranges }),
            // Already being read: too late to keep what was read.
            Err(ranges) => ranges,
        });
        Self { ranges, ..self }
    }

    /// The same source with the notes of earlier scans. If the source must be read whole to be planned, and an earlier
    /// scan was interrupted, the next scan resumes. `notes` must belong to exactly these bytes.
    #[must_use]
    pub fn with_notes(self, notes: Arc<dyn Notes>, every: NoteEvery) -> Self {
        Self { noted: Some(Noted { notes, every }), ..self }
    }

    pub(crate) fn noted(&self) -> Option<&Noted> {
        self.noted.as_ref()
    }

    /// Its size; none for a file, which may grow.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.ranges.as_ref().map(|ranges| ranges.bytes)
    }

    /// The same source with these choices.
    #[must_use]
    pub fn read_as(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// The choices of the caller.
    pub(crate) fn reading(&self) -> Reading {
        self.reading
    }

    /// The same source with another name in messages. A copy of an upload has the name of the upload.
    #[must_use]
    pub fn named(self, name: impl AsRef<Path>) -> Self {
        Self { name: name.as_ref().to_owned(), ..self }
    }

    /// The path of the file. For other sources it is the name with which they were made; its ending says how a bare
    /// stream is read.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// What messages call it.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Refuses sources that can be refused without a demuxer. Returns the size in bytes.
    pub(crate) fn check(&self, limits: &Limits) -> Result<u64, MediaError> {
        let Some(ranges) = &self.ranges else { return check_file(&self.file, &self.name, limits) };
        if ranges.bytes == 0 {
            return Err(MediaError::Empty { path: self.name.clone() });
        }
        limits.check_bytes(ranges.bytes)?;
        Ok(ranges.bytes)
    }

    /// From now on, bytes that are read are stored on disk, if there is a spool.
    pub(crate) fn keep_what_is_read(&self) -> Result<(), MediaError> {
        let Some((ranges, spool)) = self.ranges.as_ref().and_then(|r| Some((r, r.spool.as_ref()?))) else {
            return Ok(());
        };
        let mut kept = ranges.kept();
        if kept.file.is_none() && spool.most_bytes > 0 {
            let failed = |error| MediaError::io("write", &spool.folder, error);
            kept.file = Some(unnamed_file(&spool.folder).map_err(failed)?);
            // What was read to recognise the container, too.
            let pieces = std::mem::take(&mut kept.pieces);
            let outcome =
                pieces.iter().try_for_each(|(&start, piece)| kept.spool(start, &piece.bytes, spool.most_bytes));
            kept.pieces = pieces;
            outcome.map_err(failed)?;
        }
        Ok(())
    }

    /// Opens it for one reader.
    pub(crate) fn open(&self) -> Result<Opened, MediaError> {
        match &self.ranges {
            Some(ranges) => Ok(Opened::Ranges { ranges: ranges.clone(), reads_next: 0, request_bytes: LEAST_BYTES }),
            None => fs::File::open(&self.file).map(Opened::File).map_err(|e| MediaError::io("open", &self.name, e)),
        }
    }
}

/// As [`Source::check`], for a file that messages call `path`.
pub(crate) fn check_file(file: &Path, path: &Path, limits: &Limits) -> Result<u64, MediaError> {
    let metadata = fs::metadata(file).map_err(|e| MediaError::io("open", path, e))?;
    if !metadata.is_file() {
        let reason = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(MediaError::NotAVideo { path: path.to_owned(), reason: reason.into() });
    }
    fs::File::open(file).map_err(|e| MediaError::io("open", path, e))?;
    if metadata.len() == 0 {
        return Err(MediaError::Empty { path: path.to_owned() });
    }
    limits.check_bytes(metadata.len())?;
    Ok(metadata.len())
}

/// A file that is gone when it is closed.
fn unnamed_file(folder: &Path) -> io::Result<fs::File> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    loop {
        let nth = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.join(format!(".trackdrop-spool-{}-{nth}", std::process::id()));
        match fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.and_then(|file| fs::remove_file(&path).map(|()| file)),
        }
    }
}

/// A source that one reader reads.
#[derive(Debug)]
pub(crate) enum Opened {
    File(fs::File),
    Ranges { ranges: Arc<Ranges>, reads_next: u64, request_bytes: u64 },
}

impl Opened {
    /// Reads some bytes at `offset`, at least one where there are any.
    pub(crate) fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(into, offset),
            Self::Ranges { ranges, reads_next, request_bytes } => {
                let goes_on = offset.checked_sub(*reads_next).is_some_and(|step| step <= STEP_BYTES);
                if !goes_on {
                    *request_bytes = LEAST_BYTES;
                }
                let (read, asked) = ranges.read(offset, into, *request_bytes)?;
                if asked {
                    *request_bytes = (*request_bytes * 2).min(MOST_BYTES);
                }
                *reads_next = offset + read as u64;
                Ok(read)
            }
        }
    }

    /// As [`Opened::read_at`], but fills all of the slice, and asks for no more than that.
    pub(crate) fn read_exactly_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.fill(offset, into, |opened, offset, into| match opened {
            Self::File(file) => file.read_at(into, offset),
            Self::Ranges { ranges, .. } => ranges.read(offset, into, into.len() as u64).map(|(read, _)| read),
        })
    }

    /// As [`Opened::read_at`], but fills all of the slice.
    pub(crate) fn read_on_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.fill(offset, into, Self::read_at)
    }

    fn fill(
        &mut self,
        mut offset: u64,
        mut into: &mut [u8],
        read_at: impl Fn(&mut Self, u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while !into.is_empty() {
            let read = read_at(self, offset, into)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += read as u64;
            into = &mut into[read..];
        }
        Ok(())
    }
}

struct Spool {
    folder: PathBuf,
    most_bytes: u64,
}

/// Bytes that are asked for in ranges.
pub(crate) struct Ranges {
    bytes: u64,
    read_at: Box<ReadAt>,
    spool: Option<Spool>,
    kept: Mutex<Pieces>,
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranges").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What was read, by where it begins. Pieces don't overlap.
#[derive(Default)]
struct Pieces {
    pieces: BTreeMap<u64, Piece>,
    piece_bytes: u64,
    uses: u64,
    /// The spool, and which ranges of the source lie in it, each at its own offset.
    file: Option<fs::File>,
    spooled: BTreeMap<u64, u64>,
    spooled_bytes: u64,
}

struct Piece {
    bytes: Vec<u8>,
    last_use: u64,
}

impl Ranges {
    fn kept(&self) -> MutexGuard<'_, Pieces> {
        // A reader that panicked in between leaves whole pieces behind.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads some bytes at `offset`, and returns whether they had to be requested. A request is for `request_bytes`
    /// bytes, or fewer if later bytes are already stored.
    fn read(&self, offset: u64, into: &mut [u8], request_bytes: u64) -> io::Result<(usize, bool)> {
        if offset >= self.bytes || into.is_empty() {
            return Ok((0, false));
        }
        let mut kept = self.kept();
        if let Some(read) = kept.read(offset, into)? {
            return Ok((read, false));
        }
        let end = (offset + request_bytes).min(self.bytes).min(kept.next_after(offset));
        let mut bytes = vec![0; (end - offset) as usize];
        (self.read_at)(offset, &mut bytes)?;
        let read = into.len().min(bytes.len());
        into[..read].copy_from_slice(&bytes[..read]);
        kept.keep(offset, bytes, self.spool.as_ref().map_or(0, |spool| spool.most_bytes))?;
        Ok((read, true))
    }
}

impl Pieces {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some((&start, piece)) = self.pieces.range_mut(..=offset).next_back()
            && let Some(rest) = piece.bytes.get((offset - start) as usize..).filter(|rest| !rest.is_empty())
        {
            self.uses += 1;
            piece.last_use = self.uses;
            let read = rest.len().min(into.len());
            into[..read].copy_from_slice(&rest[..read]);
            return Ok(Some(read));
        }
        let spooled = self.spooled.range(..=offset).next_back().map(|(_, &end)| end).filter(|&end| end > offset);
        let (Some(end), Some(file)) = (spooled, &self.file) else { return Ok(None) };
        let read = into.len().min((end - offset) as usize);
        file.read_exact_at(&mut into[..read], offset)?;
        Ok(Some(read))
    }

    /// Where the first known byte after `offset`, which is not known, lies.
    fn next_after(&self, offset: u64) -> u64 {
        let of_pieces = self.pieces.range(offset..).next().map(|(&start, _)| start);
        let spooled = self.spooled.range(offset..).next().map(|(&start, _)| start);
        of_pieces.into_iter().chain(spooled).min().unwrap_or(u64::MAX)
    }

    /// Writes bytes into the spool, if there is one with room for them.
    fn spool(&mut self, start: u64, bytes: &[u8], most_bytes: u64) -> io::Result<()> {
        let (end, Some(file)) = (start + bytes.len() as u64, &self.file) else { return Ok(()) };
        if self.spooled_bytes + bytes.len() as u64 <= most_bytes {
            file.write_all_at(bytes, start)?;
            self.spooled_bytes += bytes.len() as u64;
            match self.spooled.range_mut(..start).next_back() {
                Some((_, before)) if *before == start => *before = end,
                _ => drop(self.spooled.insert(start, end)),
            }
        }
        Ok(())
    }

    fn keep(&mut self, start: u64, bytes: Vec<u8>, most_spooled: u64) -> io::Result<()> {
        self.spool(start, &bytes, most_spooled)?;
        self.piece_bytes += bytes.len() as u64;
        self.uses += 1;
        self.pieces.insert(start, Piece { bytes, last_use: self.uses });
        while self.piece_bytes > KEPT_BYTES {
            let oldest = self.pieces.iter().min_by_key(|(_, piece)| piece.last_use).map(|(&start, _)| start);
            let Some(piece) = oldest.and_then(|start| self.pieces.remove(&start)) else { break };
            self.piece_bytes -= piece.bytes.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn counted(bytes: usize) -> (Source, Vec<u8>, Arc<AtomicU64>) {
        let content: Vec<u8> = (0..bytes).map(|i| (i * 31 + i / 251) as u8).collect();
        let (copy, count) = (content.clone(), Arc::new(AtomicU64::new(0)));
        let counter = count.clone();
        let source = Source::of_ranges("clip", bytes as u64, move |offset, into| {
            counter.fetch_add(into.len() as u64, Ordering::Relaxed);
            into.copy_from_slice(&copy[offset as usize..][..into.len()]);
            Ok(())
        });
        (source, content, count)
    }

    fn read_all(source: &Source) -> Vec<u8> {
        let (mut opened, mut all, mut buffer) = (source.open().unwrap(), Vec::new(), vec![0; 10_007]);
        loop {
            match opened.read_at(all.len() as u64, &mut buffer).unwrap() {
                0 => return all,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[test]
    fn what_is_read_in_ranges_is_what_is_there_and_a_short_source_is_asked_for_once() {
        let (source, content, count) = counted(9 << 20);
        for _ in 0..3 {
            assert!(read_all(&source) == content);
        }
        assert_eq!(count.load(Ordering::Relaxed), content.len() as u64);
        let mut part = [0; 100];
        source.open().unwrap().read_exactly_at(5_000_001, &mut part).unwrap();
        assert_eq!(part, content[5_000_001..][..100]);
        assert!(source.open().unwrap().read_exactly_at(content.len() as u64 - 99, &mut part).is_err());
    }

    #[test]
    fn a_long_source_is_asked_for_again_but_for_what_the_spool_holds() {
        let (source, content, count) = counted(40 << 20);
        read_all(&source);
        assert!(read_all(&source) == content);
        assert!(count.load(Ordering::Relaxed) > 60 << 20, "memory holds 16 MiB of it");

        let folder = tempfile::tempdir().unwrap();
        for (most_bytes, asked) in [(64 << 20, 40 << 20), (24 << 20, 56 << 20)] {
            let (source, content, count) = counted(40 << 20);
            let source = source.with_spool(folder.path(), most_bytes);
            source.keep_what_is_read().unwrap();
            read_all(&source);
            assert!(read_all(&source) == content);
            let slack = count.load(Ordering::Relaxed).abs_diff(asked);
            assert!(slack <= 2 * MOST_BYTES, "{} asked for, spool of {most_bytes}", count.load(Ordering::Relaxed));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the spool leaves nothing behind");
    }

    #[test]
    fn a_jump_asks_for_little() {
        let (source, content, count) = counted(32 << 20);
        let (mut opened, mut part) = (source.open().unwrap(), [0; 10]);
        for place in (0..30).rev() {
            let read = opened.read_at(place << 20, &mut part).unwrap();
            assert_eq!(part[..read], content[(place as usize) << 20..][..read]);
        }
        assert_eq!(count.load(Ordering::Relaxed), 30 * LEAST_BYTES);
    }
}

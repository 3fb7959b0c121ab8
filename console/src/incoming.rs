//! Videos that are uploaded in parts: each has a file that grows, and a record of its progress.
//!
//! ```text
//! FOLDER/lock        held by the one console that takes uploads
//! FOLDER/<id>.data   what has come
//! FOLDER/<id>.json   the record; what the file has beyond its offset does not count
//! ```
//!
//! A piece counts once it is on disk and the record says so, which is replaced in one step. So a process that is killed at any moment leaves the offset
//! of a whole piece, with the CRC32C of all bytes before it.

use crate::works::Wishes;
use crc32c::crc32c_append;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use trackdrop_pipeline::RequestId;

/// Uploads that may be unfinished or undismissed at a time.
const MOST: usize = 1_000;
/// Bytes of the disk that uploads leave free: the work needs some, and so does the rest of the machine.
const KEEP_FREE_BYTES: u64 = 256 << 20;
/// Bytes of the longest name.
const LONGEST_NAME_BYTES: usize = 1_000;

/// A video that is coming, or has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) name: String,
    /// How large it will be.
    pub(crate) bytes: u64,
    /// How much of it has come.
    pub(crate) offset: u64,
    /// CRC32C of what has come.
    pub(crate) crc32c: u32,
    /// When its file was changed last, in milliseconds since 1970, as the browser says: with name and size it tells whether a file is the same again.
    pub(crate) modified_ms: i64,
    pub(crate) wishes: Wishes,
    /// What it became.
    pub(crate) request: Option<RequestId>,
    /// Why it has become nothing, and what helps.
    pub(crate) problem: Option<String>,
}

impl Upload {
    pub(crate) fn is_whole(&self) -> bool {
        self.offset == self.bytes
    }
}

/// Why a video is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IncomingError {
    #[error("there is no upload {0:?}: it was discarded, or never begun")]
    Unknown(String),
    #[error(
        "the video has {bytes} bytes, and TRACKDROP_LIMITS allows max_bytes={most}: cut it, or allow more and start the console again"
    )]
    TooLarge { bytes: u64, most: u64 },
    #[error("the video has no bytes: choose a file with a video in it")]
    Empty,
    #[error(
        "{bytes} bytes are to be uploaded, and the disk of the data directory has {free} free, of which {KEEP_FREE_BYTES} stay free: delete something, or give --data on a larger disk"
    )]
    NoRoom { bytes: u64, free: u64 },
    #[error("{MOST} uploads are stored already: discard some first")]
    TooMany,
    #[error("{0:?} is not a file name: a file name has between 1 and {LONGEST_NAME_BYTES} bytes, none of them a slash")]
    Name(String),
    #[error("the upload is at byte {is} and not at {given}: ask for its offset, and resume there")]
    Offset { given: u64, is: u64 },
    #[error("the upload is being written by another request: try again in a moment")]
    InUse,
    #[error("more arrived than the {0} bytes that were announced for the video: discard the upload, and begin again")]
    Beyond(u64),
    #[error("this part of the upload has CRC32C {is:08x} and was sent with {given:08x}: send it again")]
    Damaged { given: u32, is: u32 },
    #[error("the upload is complete and is being checked, or has become a request: cancel that one, or wait")]
    Begun,
    #[error("uploads can't be stored: {0}")]
    Io(#[from] io::Error),
}

/// Why the console accepts no uploads.
#[derive(Debug, thiserror::Error)]
pub enum IncomingOpenError {
    /// Another process does.
    #[error(
        "another console takes the uploads of this data directory: use that one, or stop it and start this one again"
    )]
    Taken,
    /// The folder can't be used.
    #[error("uploads can't be stored in {0:?}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

/// All unfinished uploads.
#[derive(Debug)]
pub struct Incoming {
    folder: PathBuf,
    most_bytes: u64,
    free: fn(&Path) -> io::Result<u64>,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug, Default)]
struct State {
    uploads: BTreeMap<String, Upload>,
    in_use: BTreeSet<String>,
}

/// The right to write to one upload, until it is dropped.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    incoming: &'a Incoming,
    upload: Upload,
    file: File,
    /// What has come since the record was written.
    at: u64,
    crc32c: u32,
    /// CRC32C of what has come in this call alone.
    of_piece: u32,
}

fn free(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl Incoming {
    /// Opens a folder, made where it is missing, and what earlier consoles left there. Videos of more than `most_bytes` are refused.
    ///
    /// # Errors
    /// Another process has it open; it can't be made, read or written.
    pub fn open(folder: &Path, most_bytes: u64) -> Result<Self, IncomingOpenError> {
        let failed = |error| IncomingOpenError::Io(folder.to_owned(), error);
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(IncomingOpenError::Taken),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let incoming = Self { folder: folder.to_owned(), most_bytes, free, state: Mutex::default(), _lock: lock };
        incoming.read_all().map_err(failed)?;
        Ok(incoming)
    }

    fn read_all(&self) -> io::Result<()> {
        let mut found = BTreeMap::new();
        let mut data = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => {
                    let upload: Upload = match serde_json::from_slice(&fs::read(&path)?) {
                        Ok(upload) => upload,
                        Err(error) => {
                            tracing::warn!(?path, %error, "a record of an upload can't be read, and is left out");
                            continue;
                        }
                    };
                    found.insert(upload.id.clone(), upload);
                }
                Some("data") => data.push(path),
                Some("new") => fs::remove_file(&path)?,
                _ => {}
            }
        }
        // A record was written after its file was made, and removed before: a file without a record is what is left of a removal.
        for path in data {
            if path.file_stem().and_then(|stem| stem.to_str()).is_none_or(|id| !found.contains_key(id)) {
                fs::remove_file(&path)?;
            }
        }
        for upload in found.values_mut().filter(|upload| upload.request.is_none()) {
            let stored = fs::metadata(self.data(&upload.id)).map(|file| file.len()).unwrap_or_default();
            if stored < upload.offset {
                // The machine lost what it had said to be on disk.
                (upload.offset, upload.crc32c) = (0, 0);
            }
        }
        self.state().uploads = found;
        Ok(())
    }

    /// The most bytes of a video.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is one step: a panic elsewhere leaves none half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where what has come of an upload is.
    pub(crate) fn data(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.data"))
    }

    /// All uploads, in the order of their ids, which is that of their beginnings.
    pub(crate) fn all(&self) -> Vec<Upload> {
        self.state().uploads.values().cloned().collect()
    }

    pub(crate) fn get(&self, id: &str) -> Result<Upload, IncomingError> {
        self.state().uploads.get(id).cloned().ok_or_else(|| IncomingError::Unknown(id.to_owned()))
    }

    /// Begins an upload, where there is room for it and for all others that have begun.
    pub(crate) fn begin(
        &self,
        name: &str,
        bytes: u64,
        modified_ms: i64,
        wishes: Wishes,
    ) -> Result<Upload, IncomingError> {
        if name.is_empty()
            || name.len() > LONGEST_NAME_BYTES
            || name.contains(['/', '\\', '\0'])
            || [".", ".."].contains(&name)
        {
            return Err(IncomingError::Name(name.to_owned()));
        }
        match bytes {
            0 => return Err(IncomingError::Empty),
            _ if bytes > self.most_bytes => return Err(IncomingError::TooLarge { bytes, most: self.most_bytes }),
            _ => {}
        }
        let mut state = self.state();
        if state.uploads.len() >= MOST {
            return Err(IncomingError::TooMany);
        }
        let to_come: u64 = state.uploads.values().map(|upload| upload.bytes - upload.offset).sum();
        let (wanted, free) = (bytes.saturating_add(to_come), (self.free)(&self.folder)?);
        if wanted.saturating_add(KEEP_FREE_BYTES) > free {
            return Err(IncomingError::NoRoom { bytes: wanted, free });
        }
        let id = new_id()?;
        let upload = Upload {
            id: id.clone(),
            name: name.to_owned(),
            bytes,
            offset: 0,
            crc32c: 0,
            modified_ms,
            wishes,
            request: None,
            problem: None,
        };
        File::create_new(self.data(&id))?;
        self.write(&upload)?;
        state.uploads.insert(id, upload.clone());
        Ok(upload)
    }

    /// The right to write to an upload from `offset` on.
    pub(crate) fn writing(&self, id: &str, offset: u64) -> Result<Writing<'_>, IncomingError> {
        let mut state = self.state();
        let upload = state.uploads.get(id).cloned().ok_or_else(|| IncomingError::Unknown(id.to_owned()))?;
        if state.in_use.contains(id) {
            return Err(IncomingError::InUse);
        }
        if upload.offset != offset {
            return Err(IncomingError::Offset { given: offset, is: upload.offset });
        }
        if upload.request.is_some() || upload.is_whole() {
            return Err(IncomingError::Begun);
        }
        let file = File::options().write(true).open(self.data(id))?;
        // What came after the last piece that counts.
        file.set_len(offset)?;
        io::Seek::seek(&mut &file, io::SeekFrom::Start(offset))?;
        state.in_use.insert(id.to_owned());
        Ok(Writing { incoming: self, at: offset, crc32c: upload.crc32c, upload, file, of_piece: 0 })
    }

    /// Changes a record that nobody writes to.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Upload)) -> Result<Upload, IncomingError> {
        let mut state = self.state();
        let upload = state.uploads.get_mut(id).ok_or_else(|| IncomingError::Unknown(id.to_owned()))?;
        let mut changed = upload.clone();
        change(&mut changed);
        self.write(&changed)?;
        *upload = changed.clone();
        Ok(changed)
    }

    /// Says that nobody may discard it or begin it again until the guard is dropped.
    pub(crate) fn hold(&self, id: &str) -> Result<Held<'_>, IncomingError> {
        let mut state = self.state();
        if !state.uploads.contains_key(id) {
            return Err(IncomingError::Unknown(id.to_owned()));
        }
        if !state.in_use.insert(id.to_owned()) {
            return Err(IncomingError::InUse);
        }
        Ok(Held { incoming: self, id: id.to_owned() })
    }

    /// Whether somebody holds it.
    pub(crate) fn is_held(&self, id: &str) -> bool {
        self.state().in_use.contains(id)
    }

    /// Discards an upload, with what has come of it.
    pub(crate) fn discard(&self, id: &str) -> Result<(), IncomingError> {
        let mut state = self.state();
        if !state.uploads.contains_key(id) {
            return Err(IncomingError::Unknown(id.to_owned()));
        }
        if state.in_use.contains(id) {
            return Err(IncomingError::InUse);
        }
        fs::remove_file(self.record(id))?;
        state.uploads.remove(id);
        self.drop_data(id);
        Ok(())
    }

    /// Removes the content of an upload that has become a request, which has its own.
    pub(crate) fn drop_data(&self, id: &str) {
        if let Err(error) = fs::remove_file(self.data(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(id, %error, "the stored part of an upload remains until the next console");
        }
    }

    fn record(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn write(&self, upload: &Upload) -> Result<(), IncomingError> {
        let new = self.folder.join(format!("{}.new", upload.id));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(upload).map_err(io::Error::other)?)?;
        file.sync_data()?;
        fs::rename(&new, self.record(&upload.id))?;
        Ok(())
    }
}

/// An upload that nobody else may touch.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    incoming: &'a Incoming,
    id: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.incoming.state().in_use.remove(&self.id);
    }
}

impl Writing<'_> {
    /// Takes more of it. It counts once [`Writing::count`] has said so.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), IncomingError> {
        if self.at + bytes.len() as u64 > self.upload.bytes {
            return Err(IncomingError::Beyond(self.upload.bytes));
        }
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        self.crc32c = crc32c_append(self.crc32c, bytes);
        self.of_piece = crc32c_append(self.of_piece, bytes);
        Ok(())
    }

    /// Bytes that do not count yet.
    pub(crate) fn uncounted(&self) -> u64 {
        self.at - self.upload.offset
    }

    /// Refuses a piece that is not what was sent.
    pub(crate) fn check(&self, given: Option<u32>) -> Result<(), IncomingError> {
        match given {
            Some(given) if given != self.of_piece => Err(IncomingError::Damaged { given, is: self.of_piece }),
            _ => Ok(()),
        }
    }

    /// Lets all count that has come.
    pub(crate) fn count(&mut self) -> Result<Upload, IncomingError> {
        self.file.sync_data()?;
        (self.upload.offset, self.upload.crc32c) = (self.at, self.crc32c);
        self.incoming.write(&self.upload)?;
        self.incoming.state().uploads.insert(self.upload.id.clone(), self.upload.clone());
        Ok(self.upload.clone())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.incoming.state().in_use.remove(&self.upload.id);
    }
}

/// A name that can't be guessed, and that sorts by time: the time in microseconds and random bytes, hexadecimal.
fn new_id() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:014x}{:016x}", trackdrop_pipeline::Timestamp::now().micros(), u64::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(folder: &Path) -> Incoming {
        Incoming::open(folder, 1_000).unwrap()
    }

    fn begun(incoming: &Incoming, bytes: u64) -> Upload {
        incoming.begin("a.mp4", bytes, 5, Wishes::default()).unwrap()
    }

    #[test]
    fn what_counted_remains_after_the_process_is_killed_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let id = {
            let incoming = opened(folder.path());
            let id = begun(&incoming, 9).id;
            let mut writing = incoming.writing(&id, 0).unwrap();
            writing.take(b"1234").unwrap();
            writing.count().unwrap();
            writing.take(b"lost").unwrap();
            id
        };
        let incoming = opened(folder.path());
        let upload = incoming.get(&id).unwrap();
        assert_eq!((upload.offset, upload.crc32c), (4, crc32c::crc32c(b"1234")));
        let mut writing = incoming.writing(&id, 4).unwrap();
        writing.take(b"56789").unwrap();
        let upload = writing.count().unwrap();
        // The check value of CRC-32C.
        assert_eq!((upload.is_whole(), upload.crc32c), (true, 0xe306_9283));
        assert_eq!(fs::read(incoming.data(&id)).unwrap(), b"123456789");
    }

    #[test]
    fn a_disk_that_lost_bytes_begins_at_the_first_again() {
        let folder = tempfile::tempdir().unwrap();
        let id = {
            let incoming = opened(folder.path());
            let id = begun(&incoming, 9).id;
            let mut writing = incoming.writing(&id, 0).unwrap();
            writing.take(b"1234").unwrap();
            writing.count().unwrap();
            id
        };
        File::options().write(true).open(folder.path().join(format!("{id}.data"))).unwrap().set_len(2).unwrap();
        assert_eq!(opened(folder.path()).get(&id).unwrap().offset, 0);
    }

    #[test]
    fn a_video_beyond_the_limit_or_the_disk_is_refused_before_a_byte_of_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut incoming = opened(folder.path());
        let refused = |incoming: &Incoming, name: &str, bytes| {
            incoming.begin(name, bytes, 0, Wishes::default()).unwrap_err().to_string()
        };
        assert!(refused(&incoming, "a.mp4", 1_001).contains("max_bytes=1000"));
        assert!(refused(&incoming, "a.mp4", 0).contains("no bytes"));
        for name in ["", ".", "..", "a/b.mp4", "..\\b.mp4", &"x".repeat(1_001)] {
            assert!(refused(&incoming, name, 10).contains("is not a file name"), "{name}");
        }
        incoming.free = |_| Ok(KEEP_FREE_BYTES + 1_500);
        begun(&incoming, 900);
        assert!(refused(&incoming, "b.mp4", 601).contains("1501 bytes are to be uploaded"));
        begun(&incoming, 600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "two files, two records and the lock");
    }

    #[test]
    fn a_piece_is_taken_at_its_place_once_and_as_it_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let incoming = opened(folder.path());
        let id = begun(&incoming, 9).id;
        assert!(matches!(incoming.writing(&id, 3), Err(IncomingError::Offset { given: 3, is: 0 })));
        let mut writing = incoming.writing(&id, 0).unwrap();
        assert!(matches!(incoming.writing(&id, 0), Err(IncomingError::InUse)));
        assert!(matches!(incoming.discard(&id), Err(IncomingError::InUse)));
        writing.take(b"1234").unwrap();
        assert!(writing.check(Some(7)).is_err() && writing.check(Some(crc32c::crc32c(b"1234"))).is_ok());
        assert!(matches!(writing.take(b"567890"), Err(IncomingError::Beyond(9))));
        drop(writing);
        assert_eq!(incoming.get(&id).unwrap().offset, 0, "nothing was counted");
        incoming.discard(&id).unwrap();
        assert!(matches!(incoming.get(&id), Err(IncomingError::Unknown(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
    }

    #[test]
    fn one_process_takes_the_uploads() {
        let folder = tempfile::tempdir().unwrap();
        let first = opened(folder.path());
        assert!(matches!(Incoming::open(folder.path(), 1), Err(IncomingOpenError::Taken)));
        drop(first);
        opened(folder.path());
    }
}

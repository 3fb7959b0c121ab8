//! Whether a file is complete.

use crate::output::explain;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::Path,
    time::Duration,
};
use trackdrop_media::{Limits, check_head};

/// What of a file changes when it is written or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    inode: u64,
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl Seen {
    /// None where there is no such file any more.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let (modified_s, modified_ns) = (found.mtime(), found.mtime_nsec());
        Some(Self { inode: found.ino(), bytes: found.len(), modified_s, modified_ns })
    }
}

/// Why a file that has not changed for some time is not complete; none where it is.
pub(super) fn obstacle(path: &Path, unchanged_for: Duration, quiet: Duration, limits: &Limits) -> Option<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Some(format!("it can't be read: {error}")),
    };
    match is_written(&file) {
        Some(true) => return Some("a program has it open for writing".to_owned()),
        Some(false) => {}
        None if unchanged_for < quiet => {
            return Some(format!(
                "the system can't say whether it is still written, so it must be unchanged for {} s (--quiet-seconds)",
                quiet.as_secs_f64()
            ));
        }
        None => {}
    }
    let error = check_head(path, limits).err()?;
    Some(format!("it is not a complete video yet: {}", explain(&error.into())))
}

/// Whether a program has a file open for writing; none where the system can't say, as on a network drive or of another user's file.
#[cfg(target_os = "linux")]
fn is_written(file: &File) -> Option<bool> {
    let lease = |kind: libc::c_int| {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and this command takes a number.
        match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // Nobody may have it open for writing while somebody has a lease to read it undisturbed.
    match lease(libc::F_RDLCK) {
        Ok(()) => {
            // It ends with the descriptor, too.
            lease(libc::F_UNLCK).ok();
            Some(false)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(true),
        Err(_) => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn is_written(_: &File) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_somebody_writes_is_known_and_so_is_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = || is_written(&File::open(file.path()).unwrap());
        assert_eq!(read(), Some(true));
        let again = File::options().append(true).open(file.path()).unwrap();
        let path = file.into_temp_path();
        assert_eq!(is_written(&File::open(&path).unwrap()), Some(true), "another program may append");
        drop(again);
        assert_eq!(is_written(&File::open(&path).unwrap()), Some(false));
    }

    #[test]
    fn another_content_time_or_file_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        fs::write(&path, "one").unwrap();
        let first = Seen::of(&path).unwrap();
        assert_eq!(Seen::of(&path), Some(first));
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        let longer = Seen::of(&path).unwrap();
        assert_ne!(longer, first);
        fs::write(folder.path().join("b.mp4"), "another").unwrap();
        fs::rename(folder.path().join("b.mp4"), &path).unwrap();
        assert_ne!(Seen::of(&path), Some(longer), "of the same length under the same name");
        fs::remove_file(&path).unwrap();
        assert_eq!((Seen::of(&path), Seen::of(folder.path())), (None, None));
    }

    #[test]
    fn what_is_no_video_yet_waits_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        fs::write(&path, b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x10mdat12345678").unwrap();
        let why = obstacle(&path, Duration::MAX, Duration::ZERO, &Limits::default()).unwrap();
        assert!(why.contains("not a complete video"), "{why}");
    }
}

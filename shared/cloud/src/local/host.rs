//! Finds which processes are alive. Each process locks a file, and the operating system releases the lock when the
//! process dies.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// This process, as an owner of its lock file.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: String,
    pub(super) scratch: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Host {
    pub(super) fn start(store: &Path) -> io::Result<Self> {
        let id = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        let lock_path = store.join("hosts").join(&id);
        // It is locked under another name first, because no process may find the file before its lock is held.
        let hidden = store.join("hosts").join(format!(".{id}"));
        let lock = File::create(&hidden)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("a fresh lock file is locked already"),
            TryLockError::Error(error) => error,
        })?;
        std::fs::rename(&hidden, &lock_path)?;
        let scratch = store.join("tmp").join(&id);
        std::fs::create_dir(&scratch)?;
        Ok(Self { id, scratch, lock_path, _lock: lock })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // If something is not removed here, the next process removes it.
        std::fs::remove_dir_all(&self.scratch).ok();
        std::fs::remove_file(&self.lock_path).ok();
    }
}

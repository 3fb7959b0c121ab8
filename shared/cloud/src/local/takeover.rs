//! Takes over from processes that died: their messages are delivered again, and their temporary files are deleted.

use super::catalog::{Inner, unavailable};
use crate::StorageError;
use rusqlite::params;
use std::{
    collections::HashSet,
    fs::{File, TryLockError},
};

impl Inner {
    /// Returns the messages of dead processes to the queue, and deletes their temporary files. Returns how many such
    /// processes there were.
    pub(super) fn take_over_dead_hosts(&self) -> Result<usize, StorageError> {
        let doing = "looking for dead processes";
        let io_error = |error| self.io_error(doing, error);
        let mut dead = Vec::new();
        for entry in std::fs::read_dir(self.store.join("hosts")).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            let Ok(id) = entry.file_name().into_string() else { continue };
            if id == self.host.id || id.starts_with('.') {
                continue;
            }
            // It was removed after the listing, so its process ended normally.
            let Ok(file) = File::open(entry.path()) else { continue };
            match file.try_lock() {
                // The lock is held until the take-over is done, so that two processes don't do it twice.
                Ok(()) => dead.push((id, file, entry.path())),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unavailable(doing, error)),
            }
        }
        let dead_ids: HashSet<&str> = dead.iter().map(|(id, ..)| id.as_str()).collect();
        let released = self.release_messages_of_dead_hosts(&dead_ids)?;
        if dead.is_empty() && released == 0 {
            return Ok(0);
        }
        self.sweep_blobs()?;
        self.link_all_results()?;
        for (id, _lock, path) in &dead {
            std::fs::remove_dir_all(self.store.join("tmp").join(id)).ok();
            std::fs::remove_file(path).ok();
            tracing::debug!(host = id, "took over from a dead process");
        }
        Ok(dead.len())
    }

    fn release_messages_of_dead_hosts(&self, dead: &HashSet<&str>) -> Result<usize, StorageError> {
        let doing = "handing out the messages of dead processes again";
        let fail = |error| self.sql_error(doing, error);
        self.transaction(doing, |transaction| {
            let owners: Vec<String> = transaction
                .prepare("SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(fail)?;
            let mut released = 0;
            for owner in owners {
                // A host without a lock file ended normally, but could not return its messages.
                if dead.contains(owner.as_str()) || !self.store.join("hosts").join(&owner).exists() {
                    released += transaction
                        .execute("UPDATE messages SET owner = NULL WHERE owner = ?1", params![owner])
                        .map_err(fail)?;
                }
            }
            Ok(released)
        })
    }

    /// Deletes blobs that no object names: a process died between writing one and naming it, or between deleting an object and its
    /// blob. Runs inside a write transaction, when no other process can be between those two steps.
    fn sweep_blobs(&self) -> Result<(), StorageError> {
        let doing = "sweeping blobs that nothing names";
        self.transaction(doing, |transaction| {
            let mut named = transaction
                .prepare("SELECT 1 FROM objects WHERE generation = ?1")
                .map_err(|error| self.sql_error(doing, error))?;
            for entry in std::fs::read_dir(self.store.join("blobs")).map_err(|error| self.io_error(doing, error))? {
                let Ok(entry) = entry else { continue };
                let Some(generation) = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok()) else {
                    continue;
                };
                if !named.exists(params![generation]).map_err(|error| self.sql_error(doing, error))? {
                    std::fs::remove_file(entry.path()).ok();
                }
            }
            Ok(())
        })
    }
}

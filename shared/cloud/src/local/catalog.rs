//! The catalog: one SQLite file that lists everything that exists in the data directory.

use super::host::Host;
use crate::StorageError;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use trackdrop_pipeline::trigger::Trigger;

/// Bytes reserved on disk for recording a failure when the disk is full.
const RESERVE_BYTES: usize = 1 << 20;
/// How long a transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE objects (
  bucket TEXT NOT NULL, name BLOB NOT NULL, generation INTEGER NOT NULL UNIQUE, created INTEGER NOT NULL,
  bytes INTEGER NOT NULL, crc32c INTEGER NOT NULL, content_type TEXT NOT NULL, metadata TEXT NOT NULL,
  PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE clock (last_generation INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, function TEXT NOT NULL, event TEXT NOT NULL, request TEXT NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, owner TEXT
);
CREATE INDEX messages_by_function ON messages (function, owner, not_before);
CREATE INDEX messages_by_request ON messages (request);
CREATE TABLE turns (request TEXT PRIMARY KEY, served INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE loaded_tracks (request TEXT PRIMARY KEY, generation INTEGER NOT NULL, name BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE request_rows (request TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
";

/// Storage, publisher, warehouse and message queue in one directory.
#[derive(Debug)]
pub struct LocalCloud {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) root: PathBuf,
    pub(super) store: PathBuf,
    pub(super) host: Host,
    pub(super) triggers: Vec<Trigger>,
    connection: Mutex<Connection>,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it can't be made or written.
    #[error("the data directory {path} can't be used")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The catalog can't be opened.
    #[error("the catalog of the data directory {path} can't be opened: {reason}")]
    Catalog {
        /// The directory.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The catalog was made by another version.
    #[error(
        "the data directory {path} was made by a version with another layout ({found}, this one knows {SCHEMA_VERSION}): give another --data"
    )]
    Version {
        /// The directory.
        path: PathBuf,
        /// The layout found.
        found: i64,
    },
}

impl LocalCloud {
    /// Opens a data directory, and creates it if it is missing. Takes over the messages and files of processes that died.
    ///
    /// # Errors
    /// The directory cannot be made, is of another version, or is not a data directory.
    pub fn open(root: &Path, triggers: Vec<Trigger>) -> Result<Self, OpenError> {
        let io_error = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        std::fs::create_dir_all(root).map_err(io_error(root))?;
        let root = root.canonicalize().map_err(io_error(root))?;
        let store = root.join(".store");
        for folder in [store.join("blobs"), store.join("tmp"), store.join("hosts"), root.join("results")] {
            std::fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        }
        let host = Host::start(&store).map_err(io_error(&store))?;
        // Only one process may open the catalog at a time. If two switch on its write-ahead log at the same time,
        // SQLite does not wait, and one of them gets the error "locked".
        let opening = store.join("opening");
        let turn = std::fs::File::create(&opening).map_err(io_error(&opening))?;
        turn.lock().map_err(io_error(&opening))?;
        let connection = open_catalog(&root, &store.join("catalog.db"))?;
        drop(turn);
        let reserve = store.join("reserve");
        if !reserve.exists() {
            // Best effort: a full disk must not prevent reading.
            if std::fs::write(&reserve, vec![0x54; RESERVE_BYTES]).is_err() {
                std::fs::remove_file(&reserve).ok();
            }
        }
        let cloud = Self {
            inner: Arc::new(Inner { root: root.clone(), store, host, triggers, connection: Mutex::new(connection) }),
        };
        cloud
            .inner
            .take_over_dead_hosts()
            .map_err(|error| OpenError::Catalog { path: root, reason: error.to_string() })?;
        Ok(cloud)
    }

    /// Whether there is a data directory at `root`.
    pub fn exists(root: &Path) -> bool {
        root.join(".store").join("catalog.db").is_file()
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The folder for contents that arrive in pieces, until they are complete. It is on the disk of the contents, and not cleared
    /// when a process dies.
    pub fn incoming(&self) -> PathBuf {
        self.inner.store.join("incoming")
    }

    /// Deletes the reserve, so that a failure can be recorded on a full disk. The next `open` makes it again.
    pub fn release_reserve(&self) {
        std::fs::remove_file(self.inner.store.join("reserve")).ok();
    }

    /// Runs `work` on the catalog, on a blocking thread.
    pub(super) async fn on_catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(unavailable("using the catalog", "the program is stopping")),
        }
    }
}

fn open_catalog(root: &Path, path: &Path) -> Result<Connection, OpenError> {
    let fail = |error: rusqlite::Error| OpenError::Catalog { path: root.to_owned(), reason: error.to_string() };
    let mut connection = Connection::open(path).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    // WAL preserves the order of transactions after a power loss. If the latest ones are lost, their work is done
    // again, because their messages are lost with them.
    connection.pragma_update(None, "journal_mode", "wal").map_err(fail)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(fail)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
    match found {
        0 => {
            transaction.execute_batch(SCHEMA).map_err(fail)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(fail)?;
        }
        SCHEMA_VERSION => {}
        _ => return Err(OpenError::Version { path: root.to_owned(), found }),
    }
    transaction.commit().map_err(fail)?;
    Ok(connection)
}

impl Inner {
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere has rolled back its transaction, so the connection is usable.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One write transaction: all of `work` takes effect, or nothing.
    pub(super) fn transaction<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| self.sql_error(doing, error))?;
        let result = work(&transaction)?;
        transaction.commit().map_err(|error| self.sql_error(doing, error))?;
        Ok(result)
    }

    pub(super) fn blob(&self, generation: i64) -> PathBuf {
        self.store.join("blobs").join(generation.to_string())
    }

    pub(super) fn sql_error(&self, doing: &str, error: rusqlite::Error) -> StorageError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => self.out_of_space(doing),
            _ => unavailable(doing, error),
        }
    }

    pub(super) fn io_error(&self, doing: &str, error: io::Error) -> StorageError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.out_of_space(doing),
            _ => unavailable(doing, error),
        }
    }

    fn out_of_space(&self, doing: &str) -> StorageError {
        StorageError::OutOfSpace { what: doing.to_owned(), place: self.root.display().to_string() }
    }
}

pub(super) fn unavailable(doing: &str, reason: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable { doing: doing.to_owned(), reason: reason.to_string() }
}

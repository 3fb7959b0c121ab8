//! Rows that are queried in SQL.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use trackdrop_pipeline::{Failure, FailureKind, RequestId, Timestamp, names::ObjectName};
use trackdrop_tables::requests::RequestRow;

/// A warehouse with the tables `tracks` and `requests`.
#[async_trait]
pub trait Warehouse: Send + Sync + std::fmt::Debug {
    /// Loads the rows of one or several `tracks.parquet`, all of them or none, and exactly once, even if it is called several
    /// times with the same files. Which files are loaded together must be decided once: together with other files a file would be
    /// loaded again. Several that were refused together stay so, and may be loaded one by one.
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError>;

    /// Records how requests ended: one row an end (which its request and moment name), all of them or none; of the same list the
    /// first one stays. One that was taken back does not come again, or goes when a later end is recorded. Which ends are
    /// recorded together must be decided once: together with other ends an end would be recorded again. Several that were refused
    /// together stay so, and may be recorded one by one.
    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError>;

    /// Removes the row of a failure from before this moment, if one is recorded: the request was reopened then.
    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError>;

    /// Deletes all rows of a request, in both tables; without any it does nothing.
    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError>;
}

/// The `tracks.parquet` of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TracksFile {
    /// The request.
    pub request_id: RequestId,
    /// The file.
    pub object: ObjectName,
    /// Its generation.
    pub generation: i64,
}

/// Whether a load had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The rows were loaded by this call.
    Loaded,
    /// An earlier call had loaded them.
    AlreadyLoaded,
}

/// Why a warehouse did not take rows.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// Another attempt may succeed.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// What came back.
        reason: String,
    },
    /// It will never accept these rows.
    #[error("{doing}: {reason}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What came back.
        reason: String,
    },
    /// No space is left.
    #[error("no space left in {0}: free some and try again")]
    OutOfSpace(String),
}

impl From<WarehouseError> for Failure {
    fn from(error: WarehouseError) -> Self {
        let kind = match error {
            WarehouseError::Unavailable { .. } => FailureKind::Transient,
            WarehouseError::Refused { .. } => FailureKind::Permanent,
            WarehouseError::OutOfSpace(_) => FailureKind::Exhausted,
        };
        Self::from_error(kind, error)
    }
}

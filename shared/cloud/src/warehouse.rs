//! Rows that are queried in SQL.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use trackdrop_pipeline::{Failure, FailureKind, RequestId, Timestamp, names::ObjectName};
use trackdrop_tables::requests::RequestRow;

/// A warehouse with the tables `tracks` and `requests`.
#[async_trait]
pub trait Warehouse: Send + Sync + std::fmt::Debug {
    /// Loads the rows of one or several `tracks.parquet`: all of them or none, and exactly once, even if it is called
    /// several times with the same files. Decide once which files are loaded together: if a file is in two different
    /// lists, it is loaded twice. If a list was refused, it remains refused, and its files can be loaded separately.
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError>;

    /// Records how requests ended, with one row per end: all of them or none. Request and time identify an end. If the
    /// same list is recorded twice, the first one remains. A withdrawn end is not recorded again, or is removed when a
    /// later end is recorded. Decide once which ends are recorded together: if an end is in two different lists, it is
    /// recorded twice. If a list was refused, it remains refused, and its ends can be recorded separately.
    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError>;

    /// Removes the row of a failure from before this time, if there is one. The request was reopened at this time.
    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError>;

    /// Deletes all rows of a request in both tables. Without any it does nothing.
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
    /// This call loaded the rows.
    Loaded,
    /// An earlier call had loaded them.
    AlreadyLoaded,
}

/// Why a warehouse did not take rows.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// Another attempt can succeed.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// What came back.
        reason: String,
    },
    /// No attempt can succeed with these rows.
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

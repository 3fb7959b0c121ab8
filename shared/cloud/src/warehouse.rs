//! Rows that are queried in SQL.

use async_trait::async_trait;
use trackdrop_pipeline::{Failure, FailureKind, RequestId, names::ObjectName};
use trackdrop_tables::requests::RequestRow;

/// A warehouse with the tables `tracks` and `requests`.
#[async_trait]
pub trait Warehouse: Send + Sync + std::fmt::Debug {
    /// Loads the rows of a request's `tracks.parquet`, exactly once however often it is called.
    async fn load_tracks(
        &self,
        request: &RequestId,
        file: &ObjectName,
        generation: i64,
    ) -> Result<LoadOutcome, WarehouseError>;

    /// Records how a request ended: one row a request, the first one stays.
    async fn record_request(&self, row: &RequestRow) -> Result<LoadOutcome, WarehouseError>;
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
    /// It may take them at another attempt.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// What came back.
        reason: String,
    },
    /// It will not take these rows, however often it is asked.
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

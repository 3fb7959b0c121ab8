//! Converts a detector error into a failure of a stage.

use crate::DetectorError;
use trackdrop_pipeline::{Failure, FailureKind};

impl From<DetectorError> for Failure {
    fn from(error: DetectorError) -> Self {
        let kind = if error.is_transient() { FailureKind::Transient } else { FailureKind::Permanent };
        Self::from_error(kind, error)
    }
}

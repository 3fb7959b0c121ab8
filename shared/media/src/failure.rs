//! What a media error means for the flow.

use crate::MediaError;
use trackdrop_pipeline::{Failure, FailureKind};

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let kind = match &error {
            MediaError::OutOfSpace { .. } => FailureKind::Exhausted,
            error if error.is_transient() => FailureKind::Transient,
            _ => FailureKind::Permanent,
        };
        Self::from_error(kind, error)
    }
}

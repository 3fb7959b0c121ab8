//! Errors in the form in which the page shows them.

use crate::json::Json;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use trackdrop_cloud::StorageError;
use trackdrop_database::DatabaseError;
use trackdrop_media::MediaError;
use trackdrop_pipeline::Failure;
use trackdrop_tables::TableError;

/// An answer that says what was wrong and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Json(serde_json::json!({ "problem": self.message })).into_response();
        *response.status_mut() = self.status;
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound(_) => Self::not_found(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::internal(failure)
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(_) | DatabaseError::NotOne => Self::bad(error.to_string()),
            // Not 408, which browsers take for a reason to ask again.
            DatabaseError::TooLong(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<duckdb::Error> for Problem {
    fn from(error: duckdb::Error) -> Self {
        Self::internal(DatabaseError::from(error))
    }
}

impl From<MediaError> for Problem {
    fn from(error: MediaError) -> Self {
        Self::internal(error)
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        Self::internal(error)
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::internal(error)
    }
}

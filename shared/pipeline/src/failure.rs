//! How a stage fails. Transient failures are retried. Permanent ones end the request, or only its annotated video, with a reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether doing the same again can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Retried with backoff: another attempt may succeed.
    Transient,
    /// No attempt can succeed. The request ends as failed, with this reason. In `annotate` and `join` only the annotated video fails: the request ends
    /// when its rows are loaded. It is not retried, except on Google Cloud where no request can record it: there Pub/Sub delivers again, until the
    /// delivery is a dead letter.
    Permanent,
    /// The host has no room left (disk, memory). Waiting seconds does not help. A service returns the delivery, and it is retried. A local run
    /// ends, says what to free and records the request as failed; the same command opens it again.
    Exhausted,
    /// Retried: the host is stopping and returned the delivery. On a laptop this does not count as an attempt;
    /// Pub/Sub counts it.
    Cancelled,
}

/// Why a delivery did not succeed. The line that creates the error decides the kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: FailureKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An I/O error of the host's own files: a full disk is [`FailureKind::Exhausted`], all others are transient.
    pub fn from_io(doing: &str, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FailureKind::Exhausted,
            _ => FailureKind::Transient,
        };
        Self::from_error(kind, error).context(doing)
    }

    /// A failure after which another attempt can succeed.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Transient, message: message.into(), source: None }
    }

    /// A failure after which no attempt can succeed.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, message: message.into(), source: None }
    }

    /// A permanent failure whose message is the error's own.
    pub fn permanent_from(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::from_error(FailureKind::Permanent, error)
    }

    /// A failure of this kind whose message is the error's own.
    pub fn from_error(kind: FailureKind, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { kind, message: error.to_string(), source: Some(Box::new(error)) }
    }

    /// The attempt was asked to stop before it ended.
    pub fn cancelled() -> Self {
        Self { kind: FailureKind::Cancelled, message: "stopped before it was finished".into(), source: None }
    }

    /// The kind, which the line that created the error decided.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Puts a description of the work in progress before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

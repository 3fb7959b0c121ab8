//! Messages on topics.

use async_trait::async_trait;
use trackdrop_pipeline::{Event, Failure, FailureKind, ObjectFinalized};

/// Requests that have ended, for the users' own systems.
pub const TOPIC_REQUESTS: &str = "requests";
/// Deliveries whose attempts all failed.
pub const TOPIC_DEAD_LETTERS: &str = "dead-letters";

/// Publishes events on topics, at-least-once.
#[async_trait]
pub trait Publisher: Send + Sync + std::fmt::Debug {
    /// Returns once the message is stored.
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError>;

    /// Publishes the event of an existing object again, to the functions that it starts. It is for lost events. Returns
    /// when the message is stored.
    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError>;
}

/// A message that was not stored. Another attempt can succeed.
#[derive(Debug, thiserror::Error)]
#[error("publishing to {topic}: {reason}")]
pub struct PublishError {
    /// The topic.
    pub topic: String,
    /// The reason that was returned.
    pub reason: String,
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::from_error(FailureKind::Transient, error)
    }
}

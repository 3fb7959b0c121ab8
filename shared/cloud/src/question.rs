//! Queries in SQL to a warehouse that bills for the bytes that a query reads.

use async_trait::async_trait;
use std::time::Duration;

/// Runs one SELECT over the tables and views of the warehouse. It writes nothing, and reads no other tables.
#[async_trait]
pub trait Questions: Send + Sync + std::fmt::Debug {
    /// Returns how much a statement would read. The statement does not run.
    ///
    /// # Errors
    /// [`QuestionError`]: the statement is not allowed, or is not valid.
    async fn price(&self, statement: &str) -> Result<Price, QuestionError>;

    /// Runs a statement that [`Questions::price`] allows.
    ///
    /// # Errors
    /// [`QuestionError`]. If the statement would read more than the bound, it is refused and nothing is billed.
    async fn answer(&self, statement: &str, bounds: QuestionBounds) -> Result<Answered, QuestionError>;
}

/// How much a statement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Bytes that are read.
    pub bytes: u64,
    /// Bytes that are paid for. Each table counts with at least a certain size.
    pub paid_bytes: u64,
}

/// The limits of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionBounds {
    /// Largest number of paid bytes.
    pub paid_bytes: u64,
    /// Largest number of rows of the answer.
    pub rows: usize,
    /// Largest duration.
    pub time: Duration,
}

/// The result of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Its columns: name and type.
    pub columns: Vec<(String, String)>,
    /// Its rows: for each column the value as text, or none for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than these.
    pub is_cut: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The statement is not one SELECT over these tables.
    #[error("{0}")]
    NotAllowed(String),
    /// The warehouse refuses the statement.
    #[error("the query failed: {0}")]
    Refused(String),
    /// It did not end in time.
    #[error("the query was stopped after {0} s: ask about fewer rows, such as one day of `uploaded_at`")]
    TooLong(u64),
    /// The warehouse did not answer.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// What came back.
        reason: String,
    },
}

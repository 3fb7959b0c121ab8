//! The three traits of a cloud that the functions use, and their back ends.
//!
//! - [`Storage`]: objects with generations and preconditions, in the sense of Google Cloud Storage.
//! - [`Publisher`]: messages on topics.
//! - [`Warehouse`]: rows for SQL queries, loaded exactly once.
//!
//! `local` (a feature) implements all three in one directory, and `google` (another one) on Google Cloud. Every `Storage`
//! passes the suite [`conformance`].

pub mod conformance;
#[cfg(feature = "google")]
pub mod google;
#[cfg(feature = "local")]
pub mod local;
mod publisher;
mod storage;
mod warehouse;

pub use publisher::{PublishError, Publisher, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS};
pub use storage::{
    Content, Listing, LocalFile, ObjectInfo, Obstacle, OpenObject, Page, Precondition, PutOptions, ReadRange, Storage,
    StorageError,
};
pub use warehouse::{LoadOutcome, TracksFile, Warehouse, WarehouseError};

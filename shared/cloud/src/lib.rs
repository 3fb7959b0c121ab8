//! What the functions need of a cloud, as three traits, and the back ends that give it.
//!
//! - [`Storage`]: objects with generations and preconditions, in the sense of Google Cloud Storage.
//! - [`Publisher`]: messages on topics.
//! - [`Warehouse`]: rows that are queried in SQL, loaded exactly once.
//!
//! [`local`] gives all three from one directory, `google` (a feature) from Google Cloud. [`conformance`] is the suite that every `Storage` passes: a back end is one that
//! passes it, whatever it is made of.

pub mod conformance;
#[cfg(feature = "google")]
pub mod google;
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

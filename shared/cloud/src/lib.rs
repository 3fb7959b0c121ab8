//! The three traits of a cloud that the functions use, and their back ends.
//!
//! - [`Storage`]: objects with generations and preconditions, in the sense of Google Cloud Storage.
//! - [`Publisher`]: messages on topics.
//! - [`Warehouse`]: rows for SQL queries, loaded exactly once.
//!
//! Two more traits are for the console on Google Cloud: [`Questions`] for queries in SQL, and [`UploadSessions`] for
//! uploads.
//!
//! The cargo feature `local` implements the first three in one directory, and the feature `google` on Google Cloud.
//! Every `Storage` passes the suite [`conformance`].
//!
//! ```
//! # #[cfg(feature = "local")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use trackdrop_cloud::{Content, Precondition, PutOptions, Storage, local::LocalCloud};
//! use trackdrop_pipeline::{Bucket, names::ObjectName};
//!
//! let folder = tempfile::tempdir()?;
//! let cloud = LocalCloud::open(folder.path(), Vec::new())?;
//! let object = ObjectName::new(Bucket::Work, "once");
//! let once = PutOptions { precondition: Precondition::NotExists, ..PutOptions::default() };
//! cloud.put(&object, Content::Bytes("the first".into()), once.clone()).await?;
//! let second = cloud.put(&object, Content::Bytes("the second".into()), once).await;
//! assert!(second.is_err_and(|error| error.is_precondition()));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "local"))]
//! # fn main() {}
//! ```

pub mod conformance;
#[cfg(feature = "google")]
pub mod google;
#[cfg(feature = "local")]
pub mod local;
mod publisher;
mod question;
mod session;
mod storage;
mod warehouse;

pub use publisher::{PublishError, Publisher, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS};
pub use question::{Answered, Price, QuestionBounds, QuestionError, Questions};
pub use session::{NewUpload, UploadSessions};
pub use storage::{
    Content, Listing, LocalFile, ObjectInfo, Obstacle, OpenObject, Page, Precondition, PutOptions, ReadRange, Storage,
    StorageError,
};
pub use warehouse::{LoadOutcome, TracksFile, Warehouse, WarehouseError};

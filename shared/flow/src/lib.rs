//! The code that all functions of the flow share. It uses a cloud only through its traits.
//!
//! - [`activity`]: what an attempt spends its time on, as spans of its trace and in the report of its work.
//! - [`allocator`]: sets up the memory allocator; a process calls it first.
//! - [`beside`]: runs writes and other waits concurrently, at most N at a time.
//! - [`blocking`](mod@blocking): runs blocking work outside the threads of the asynchronous runtime.
//! - [`chunks`]: records size and checksum of the chunks in the manifest.
//! - [`claim`]: an unchanged upload of the same name makes no second request.
//! - [`count`]: counts a segment; the worker that completes the stage creates the stage's marker.
//! - [`known`]: lists the existing requests.
//! - [`manifest`]: the manifest is created once and changed by compare-and-set: read, change, and write if nobody
//!   else wrote.
//! - [`delete`]: removes a request everywhere.
//! - [`end`]: ends a request with a result or with an error, and publishes the end; idempotent.
//! - [`room`]: shares the memory of a process among its concurrent deliveries.
//! - [`progress`]: how far a request is, by the objects in the store.
//! - [`round`]: a reopened request ends a second time; its rounds tell the two ends apart.
//! - [`version`]: another version of a request's tracks, from the stored detections.
//! - `store`: the methods of [`Cloud`] that read objects, create markers and write under a condition; its items are at
//!   the root.
//! - [`sweep`]: finds stalled requests, and restarts them or fails them with the reason.
//! - [`timeline`]: how long each part of a request took.
//! - [`trace`]: the trace of work that a scheduler starts.
//! - [`stage`]: the wrapper around each handler: finds the request, skips deleted and failed ones, records permanent
//!   failures.
//! - [`window`]: loads the waiting rows of many requests by one job.
//! - `work`: the work that it took to make an object, stored in the metadata of the object; its items are at the root.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use trackdrop_cloud::local::LocalCloud;
//! use trackdrop_flow::{Cloud, Created};
//! use trackdrop_pipeline::{Bucket, names::ObjectName};
//!
//! let folder = tempfile::tempdir()?;
//! let local = Arc::new(LocalCloud::open(folder.path(), Vec::new())?);
//! let cloud = Cloud::new(local.clone(), local.clone(), local);
//! let marker = ObjectName::new(Bucket::Work, "marker");
//! assert!(matches!(cloud.mark(marker.clone()).await?, Created::Now(_)));
//! // A redelivery has no effect.
//! assert!(matches!(cloud.mark(marker).await?, Created::Before));
//! # Ok(())
//! # }
//! ```

pub mod activity;
pub mod allocator;
pub mod beside;
pub mod blocking;
pub mod chunks;
pub mod claim;
pub mod count;
pub mod delete;
pub mod end;
pub mod known;
pub mod manifest;
pub mod progress;
pub mod room;
pub mod round;
pub mod stage;
mod store;
pub mod sweep;
pub mod timeline;
pub mod trace;
pub mod version;
pub mod window;
mod work;

use std::sync::Arc;
use trackdrop_cloud::{Publisher, Storage, Warehouse};

pub use activity::{Doing, downloading};
pub use blocking::blocking;
pub use store::{Created, NewObject, scratch_file};
pub use work::{WorkReport, busy_seconds};

/// The version in manifests and rows.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A cloud: the local one, or Google's.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Objects.
    pub storage: Arc<dyn Storage>,
    /// Messages.
    pub publisher: Arc<dyn Publisher>,
    /// Rows.
    pub warehouse: Arc<dyn Warehouse>,
    /// Whether rows wait until the scheduler closes a window. Then one job has the rows of many requests.
    pub is_by_window: bool,
}

impl Cloud {
    /// A cloud with these back ends. The rows of each request are loaded by a separate job.
    pub fn new(storage: Arc<dyn Storage>, publisher: Arc<dyn Publisher>, warehouse: Arc<dyn Warehouse>) -> Self {
        Self { storage, publisher, warehouse, is_by_window: false }
    }

    /// Sets whether rows are loaded by window.
    #[must_use]
    pub fn by_window(self, is_by_window: bool) -> Self {
        Self { is_by_window, ..self }
    }
}

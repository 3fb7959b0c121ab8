//! What every function of the flow shares, written once over the cloud's traits.
//!
//! - [`activity`]: what an attempt spends its time on, as spans of its trace and for the report of its work.
//! - [`allocator`]: what every process does first.
//! - [`beside`]: writes and other waiting, so much of it at the same time.
//! - [`blocking`](mod@blocking): work that blocks, off the threads that wait.
//! - [`chunks`]: what the chunks are, recorded in the manifest.
//! - [`claim`]: what is uploaded again as it was makes no second request.
//! - [`count`]: a worker reports its segment complete; whoever completes the stage creates its marker.
//! - [`manifest`]: the manifest is created once and changed by compare-and-set.
//! - [`end`]: how a request ends, well or badly, exactly once in effect.
//! - [`room`]: memory that is shared out among what a process works on at a time.
//! - [`round`]: a request that is opened again ends another time, and what is told of its ends does not mix.
//! - [`version`]: another version of a request's tracks, from the detections that stand.
//! - [`sweep`]: requests that stand still are found and set going again, or fail with the reason.
//! - [`trace`]: which trace the work belongs to that the clock starts.
//! - [`stage`]: the frame around a handler: which request, whether it is over already, and what a permanent failure does.

pub mod activity;
pub mod allocator;
pub mod beside;
pub mod blocking;
pub mod chunks;
pub mod claim;
pub mod count;
pub mod end;
pub mod manifest;
pub mod room;
pub mod round;
pub mod stage;
pub mod sweep;
pub mod trace;
pub mod version;
mod work;

use bytes::Bytes;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tempfile::TempPath;
use trackdrop_cloud::{Content, ObjectInfo, Precondition, Publisher, PutOptions, Storage, Warehouse};
use trackdrop_pipeline::{
    Failure, FailureKind, ObjectFinalized,
    names::{LONGEST_SHOWN, ObjectName, cut},
};

pub use activity::Doing;
pub use blocking::blocking;
pub use work::{WorkReport, busy_seconds};

/// The version that manifests and rows carry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A cloud, whichever it is.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Objects.
    pub storage: Arc<dyn Storage>,
    /// Messages.
    pub publisher: Arc<dyn Publisher>,
    /// Rows.
    pub warehouse: Arc<dyn Warehouse>,
}

/// A message that speaks of a stored or fetched file speaks of what people call it instead, which may be long.
pub fn named(failure: Failure, path: &Path, name: &str) -> Failure {
    let message = failure.to_string();
    let renamed = message.replace(&format!("{path:?}"), &format!("{:?}", cut(name, LONGEST_SHOWN)));
    if renamed == message { failure } else { Failure::new(failure.kind(), renamed) }
}

/// A new object that is created once.
#[derive(Debug)]
pub struct NewObject {
    /// Bucket and name.
    pub object: ObjectName,
    /// What is written.
    pub content: Content,
    /// MIME type.
    pub content_type: &'static str,
    /// Custom metadata.
    pub metadata: BTreeMap<String, String>,
}

impl NewObject {
    /// From bytes in memory.
    pub fn of_bytes(object: ObjectName, bytes: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self { object, content: Content::Bytes(bytes.into()), content_type, metadata: BTreeMap::new() }
    }

    /// From a finished temporary file.
    pub fn of_file(object: ObjectName, file: TempPath, content_type: &'static str) -> Self {
        Self { object, content: Content::File(file), content_type, metadata: BTreeMap::new() }
    }

    /// With a report of the work that made it.
    #[must_use]
    pub fn with_work(mut self, work: &WorkReport) -> Self {
        self.metadata.extend(work.to_metadata());
        self
    }

    /// With more custom metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata.extend(metadata);
        self
    }
}

impl Cloud {
    /// Creates an object, or finds that it was created before: a duplicate delivery is no error.
    pub async fn create(&self, new: NewObject) -> Result<Created, Failure> {
        let NewObject { object, content, content_type, metadata } = new;
        let options = PutOptions { precondition: Precondition::NotExists, content_type, metadata };
        match self.storage.put(&object, content, options).await {
            Ok(info) => Ok(Created::Now(info)),
            Err(error) if error.is_precondition() => Ok(Created::Before),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of an upload that an event told of; none where it does not exist, was overwritten by another one, or can't be looked at.
    pub async fn find_upload(&self, upload: &ObjectFinalized) -> Result<Option<ObjectInfo>, Failure> {
        match self.find(&upload.object).await {
            Ok(info) => Ok(info.filter(|info| info.generation == upload.generation)),
            // Its request is to be told so, which must not fail for the same reason.
            Err(failure) if failure.kind() == FailureKind::Permanent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What is known of an object; none where it does not exist.
    pub async fn find(&self, object: &ObjectName) -> Result<Option<ObjectInfo>, Failure> {
        match self.storage.stat(object).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Who created an object.
#[derive(Debug)]
pub enum Created {
    /// This call.
    Now(ObjectInfo),
    /// An earlier one.
    Before,
}

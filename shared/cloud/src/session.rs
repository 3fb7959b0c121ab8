//! Uploads that a browser sends directly to the store, in parts. They resume after an interruption.

use crate::StorageError;
use async_trait::async_trait;
use std::collections::BTreeMap;
use trackdrop_pipeline::names::ObjectName;

/// Opens uploads for senders that have no permission on the store.
#[async_trait]
pub trait UploadSessions: Send + Sync + std::fmt::Debug {
    /// Opens the upload of one new object, and returns its address. With the address a sender can send this object and nothing
    /// else.
    ///
    /// # Errors
    /// [`StorageError::Precondition`]: an object with this name exists.
    async fn open_upload(&self, object: &ObjectName, upload: &NewUpload) -> Result<String, StorageError>;

    /// The scheme, host and port of these addresses, which a page must be allowed to send to.
    fn origin(&self) -> String;
}

/// What will be uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewUpload {
    /// Bytes of the content.
    pub bytes: u64,
    /// Custom metadata of the object.
    pub metadata: BTreeMap<String, String>,
    /// The origin of the page that sends it: the store lets no other page read its answers.
    pub page: String,
}

//! The operations on the store that all functions use: create once, create a marker, write conditionally, get an object that may
//! not exist.

use crate::{Cloud, WorkReport};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::Path};
use tempfile::{NamedTempFile, TempPath};
use trackdrop_cloud::{Content, ObjectInfo, Precondition, PutOptions, StorageError};
use trackdrop_pipeline::{Failure, FailureKind, ObjectFinalized, names::ObjectName};

/// MIME type of a marker, which is empty.
const MARKER_TYPE: &str = "application/octet-stream";

/// A new object that is created once.
#[derive(Debug)]
pub struct NewObject {
    /// Bucket and name.
    pub object: ObjectName,
    /// The content.
    pub content: Content,
    /// MIME type.
    pub content_type: &'static str,
    /// Custom metadata.
    pub metadata: BTreeMap<String, String>,
}

impl NewObject {
    /// An object from bytes in memory.
    pub fn of_bytes(object: ObjectName, bytes: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self { object, content: Content::Bytes(bytes.into()), content_type, metadata: BTreeMap::new() }
    }

    /// A marker: an empty object whose existence states a fact.
    pub fn marker(object: ObjectName) -> Self {
        Self::of_bytes(object, "", MARKER_TYPE)
    }

    /// An object from a finished temporary file.
    pub fn of_file(object: ObjectName, file: TempPath, content_type: &'static str) -> Self {
        Self { object, content: Content::File(file), content_type, metadata: BTreeMap::new() }
    }

    /// Adds a report of the work that made it.
    #[must_use]
    pub fn with_work(mut self, work: &WorkReport) -> Self {
        self.metadata.extend(work.to_metadata());
        self
    }

    /// Adds more custom metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata.extend(metadata);
        self
    }
}

impl Cloud {
    /// Creates an object, or finds that it already exists, which is not an error: a delivery can be repeated.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn create(&self, new: NewObject) -> Result<Created, Failure> {
        let written = self.put_if(Precondition::NotExists, new).await?;
        Ok(written.map_or(Created::Before, Created::Now))
    }

    /// Creates a marker: an empty object whose existence states a fact.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mark(&self, marker: ObjectName) -> Result<Created, Failure> {
        self.create(NewObject::marker(marker)).await
    }

    /// A conditional write. If the condition is not met, it has no effect and returns none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put_if(&self, precondition: Precondition, new: NewObject) -> Result<Option<ObjectInfo>, Failure> {
        let NewObject { object, content, content_type, metadata } = new;
        let options = PutOptions { precondition, content_type, metadata };
        let needs_one = matches!(precondition, Precondition::Generation(_));
        match self.storage.put(&object, content, options).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_precondition() || (needs_one && error.is_not_found()) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a small object with its content. None if it does not exist.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn get(&self, object: &ObjectName) -> Result<Option<(ObjectInfo, Bytes)>, Failure> {
        found(self.storage.get(object).await)
    }

    /// Reads an object of JSON. None if it does not exist.
    ///
    /// # Errors
    /// Those of the store. Permanent: the content is something else.
    pub async fn get_json<T: DeserializeOwned>(&self, object: &ObjectName) -> Result<Option<(ObjectInfo, T)>, Failure> {
        let Some((info, json)) = self.get(object).await? else { return Ok(None) };
        Ok(Some((info, parse_json(object, &json)?)))
    }

    /// The metadata of an upload that an event names; none if it does not exist, was overwritten, or can't be read.
    ///
    /// # Errors
    /// Transient: the store did not answer.
    pub async fn find_upload(&self, upload: &ObjectFinalized) -> Result<Option<ObjectInfo>, Failure> {
        match self.find(&upload.object).await {
            Ok(info) => Ok(info.filter(|info| info.generation == upload.generation)),
            // The failure must still be recorded for the request, and that must not fail for the same reason.
            Err(failure) if failure.kind() == FailureKind::Permanent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The metadata of an object; none if it does not exist.
    ///
    /// # Errors
    /// Transient: the store did not answer.
    pub async fn find(&self, object: &ObjectName) -> Result<Option<ObjectInfo>, Failure> {
        found(self.storage.stat(object).await)
    }
}

/// A temporary file in a scratch folder, deleted with its path.
///
/// # Errors
/// The file cannot be made.
pub fn scratch_file(folder: &Path, ending: &str) -> Result<NamedTempFile, Failure> {
    let file = tempfile::Builder::new().suffix(ending).tempfile_in(folder);
    file.map_err(|error| Failure::from_io("making a temporary file", error))
}

fn found<T>(outcome: Result<T, StorageError>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Parses the JSON of an object.
pub(crate) fn parse_json<T: DeserializeOwned>(object: &ObjectName, json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| Failure::permanent(format!("{object} can't be read: {error}")))
}

/// Who created an object.
#[derive(Debug)]
pub enum Created {
    /// This call.
    Now(ObjectInfo),
    /// An earlier one.
    Before,
}

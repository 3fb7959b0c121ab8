//! Objects with generations and preconditions.

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempPath;
use trackdrop_pipeline::{Failure, FailureKind, ObjectFinalized, Timestamp, names::ObjectName};

/// A store of objects.
///
/// - A name has at most one live object. Each write gets a generation that is greater than every earlier one in the whole store.
/// - A write is atomic, and its precondition is checked in the same step.
/// - Listings are strongly consistent and in the byte order of names.
/// - Names are data: any non-empty text of up to 1,024 bytes.
#[async_trait]
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Writes an object. If the precondition is not met, it fails with [`StorageError::Precondition`] and has no effect.
    async fn put(&self, object: &ObjectName, content: Content, options: PutOptions)
    -> Result<ObjectInfo, StorageError>;

    /// The metadata of an object, without its content.
    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError>;

    /// Reads an object with its content. Use it for small objects.
    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError>;

    /// Gets an object as a file, which exists as long as the returned value. With a generation, exactly that one.
    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError>;

    /// Opens an object to read parts of it, without a copy on this host: as a file, if the store has it as a file on
    /// this host, and otherwise in ranges. With a generation, exactly that one.
    async fn open(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, OpenObject), StorageError> {
        let (info, file) = self.fetch(object, generation).await?;
        Ok((info, OpenObject::File(file)))
    }

    /// Lists every object of the bucket of `prefix` whose name begins with the name of `prefix`, in the order of names.
    /// If the metadata of an object are invalid, it is left out, and the log says so.
    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Returns a page of [`Storage::list`], for listings that can be too long for memory: the first page, or the one
    /// that an earlier page names. The default implementation returns everything as one page.
    async fn list_page(&self, prefix: &ObjectName, _from: Option<&str>) -> Result<Page, StorageError> {
        Ok(Page { objects: self.list(prefix).await?, next: None })
    }

    /// Deletes an object. If the object does not exist, this is not an error.
    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError>;

    /// A folder for temporary files that will become objects. If the store has a disk, the folder is on it.
    fn scratch(&self) -> &Path;
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects in the order of names, after those of earlier pages. A page can be empty although others follow.
    pub objects: Vec<ObjectInfo>,
    /// The argument of [`Storage::list_page`] for the next page; none if this is the last one.
    pub next: Option<String>,
}

/// [`Storage::list`], one object after the other. Only one page of it is in memory.
#[derive(Debug)]
pub struct Listing<'a> {
    storage: &'a dyn Storage,
    prefix: ObjectName,
    objects: std::vec::IntoIter<ObjectInfo>,
    /// Where the listing continues: at the beginning, at the next page, or not at all.
    next: Option<Option<String>>,
}

impl<'a> Listing<'a> {
    /// Every object of the bucket of `prefix` whose name begins with the name of `prefix`.
    pub fn of(storage: &'a dyn Storage, prefix: ObjectName) -> Self {
        Self { storage, prefix, objects: Vec::new().into_iter(), next: Some(None) }
    }

    /// The next object in the order of names.
    ///
    /// # Errors
    /// The same as of [`Storage::list`]. The next call requests the same page again.
    pub async fn next(&mut self) -> Result<Option<ObjectInfo>, StorageError> {
        loop {
            if let Some(info) = self.objects.next() {
                return Ok(Some(info));
            }
            let Some(from) = &self.next else { return Ok(None) };
            let Page { objects, next } = self.storage.list_page(&self.prefix, from.as_deref()).await?;
            (self.objects, self.next) = (objects.into_iter(), next.map(Some));
        }
    }
}

/// The content of a write.
#[derive(Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A finished temporary file, which is consumed. Make it in [`Storage::scratch`] if possible.
    File(TempPath),
}

/// How an object is written.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// The condition at the moment of writing.
    pub precondition: Precondition,
    /// MIME type.
    pub content_type: &'static str,
    /// Custom metadata.
    pub metadata: BTreeMap<String, String>,
}

/// The condition at the moment of writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No condition.
    #[default]
    None,
    /// There is no object of this name (`ifGenerationMatch=0`).
    NotExists,
    /// The object has this generation.
    Generation(i64),
}

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bucket and name.
    pub object: ObjectName,
    /// The generation of this content.
    pub generation: i64,
    /// When it was written.
    pub created: Timestamp,
    /// Size of the content.
    pub bytes: u64,
    /// CRC32C of the content, if the store reports it.
    pub crc32c: Option<u32>,
    /// Custom metadata.
    pub metadata: BTreeMap<String, String>,
    /// Why the content can't be read as it was uploaded. None if it can.
    pub obstacle: Option<Obstacle>,
}

/// Why the content of an object can't be read as it was uploaded. Only uploads by users can have an obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is encrypted with a key that only its uploader has.
    CustomerKey,
    /// It is stored compressed (`Content-Encoding`). Cloud Storage decompresses gzip while it sends, and ignores
    /// ranges.
    Compressed,
}

impl Obstacle {
    /// The problem, and what to do.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CustomerKey => {
                "it is encrypted with a customer-supplied key, which nobody here has: upload it without one (a Cloud KMS key of the bucket is fine)"
            }
            Self::Compressed => {
                "it is stored compressed (Content-Encoding), so no part of it can be read: upload it as it is, without --gzip-local, -z or -Z"
            }
        }
    }
}

impl ObjectInfo {
    /// The content of a notification about the object.
    pub fn finalized(&self) -> ObjectFinalized {
        ObjectFinalized { object: self.object.clone(), generation: self.generation, created: self.created }
    }

    /// Refuses an object that has an obstacle.
    pub(crate) fn check_readable(&self) -> Result<(), StorageError> {
        match self.obstacle {
            None => Ok(()),
            Some(obstacle) => Err(StorageError::unreadable(&self.object, obstacle.as_str())),
        }
    }
}

/// A file that exists as long as this value.
#[derive(Debug)]
pub enum LocalFile {
    /// The store's own file. Never write to it.
    Stored(PathBuf),
    /// A copy, deleted with this value.
    Copied(TempPath),
}

impl LocalFile {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Stored(path) => path,
            Self::Copied(path) => path,
        }
    }
}

/// An object that is open for reading.
#[derive(Debug)]
pub enum OpenObject {
    /// A file.
    File(LocalFile),
    /// Ranges of bytes, which are read when they are needed.
    Ranges(Arc<dyn ReadRange>),
}

/// Reads ranges of one generation of an object.
#[async_trait]
pub trait ReadRange: Send + Sync + std::fmt::Debug {
    /// Reads the bytes of the half-open range, which is inside the object. [`StorageError::NotFound`]: this generation
    /// does not exist any more. A part of an object can't be compared with the object's checksum.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError>;
}

/// Why an operation of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object (or no longer this generation of it).
    #[error("{0} does not exist")]
    NotFound(ObjectName),
    /// The precondition was not met.
    #[error("{object} exists or was changed by another writer (precondition {precondition:?} failed)")]
    Precondition {
        /// The object.
        object: ObjectName,
        /// The precondition.
        precondition: Precondition,
    },
    /// The name is empty or longer than 1,024 bytes.
    #[error("object name of {0} bytes: it must have 1 to 1,024")]
    Name(usize),
    /// The content can't be read, and no attempt can succeed.
    #[error("{object} can't be read: {why}")]
    Unreadable {
        /// The object.
        object: ObjectName,
        /// The problem, and what to do.
        why: String,
    },
    /// No space is left.
    #[error("no space left for {what} in {place}: free some and try again")]
    OutOfSpace {
        /// What was being written.
        what: String,
        /// Where.
        place: String,
    },
    /// The store can't be reached, is busy, or answered with a transient error.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// The answer.
        reason: String,
    },
}

impl StorageError {
    pub(crate) fn unreadable(object: &ObjectName, why: impl Into<String>) -> Self {
        Self::Unreadable { object: object.clone(), why: why.into() }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the precondition was not met.
    pub fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition { .. })
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let kind = match error {
            StorageError::Name(_) | StorageError::Unreadable { .. } => FailureKind::Permanent,
            StorageError::OutOfSpace { .. } => FailureKind::Exhausted,
            // At the next attempt a missing object can exist, or a lost precondition can be met.
            StorageError::NotFound(_) | StorageError::Precondition { .. } | StorageError::Unavailable { .. } => {
                FailureKind::Transient
            }
        };
        Self::from_error(kind, error)
    }
}

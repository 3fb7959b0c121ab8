//! A store that holds one object back.

use async_trait::async_trait;
use bytes::Bytes;
use std::{path::Path, sync::Arc};
use trackdrop_cloud::{Content, LocalFile, ObjectInfo, PutOptions, Storage, StorageError, local::LocalCloud};
use trackdrop_pipeline::names::ObjectName;

/// Creates `object` only once all of `until` exist; all else as ever.
#[derive(Debug)]
pub struct Held {
    pub local: Arc<LocalCloud>,
    pub object: ObjectName,
    pub until: Vec<ObjectName>,
}

#[async_trait]
impl Storage for Held {
    async fn put(&self, object: &ObjectName, content: Content, put: PutOptions) -> Result<ObjectInfo, StorageError> {
        for awaited in self.until.iter().filter(|_| *object == self.object) {
            while self.local.stat(awaited).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
        self.local.put(object, content, put).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        self.local.stat(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        self.local.get(object).await
    }

    async fn fetch(&self, object: &ObjectName, at: Option<i64>) -> Result<(ObjectInfo, LocalFile), StorageError> {
        self.local.fetch(object, at).await
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.local.list(prefix).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.local.delete(object).await
    }

    fn scratch(&self) -> &Path {
        self.local.scratch()
    }
}

//! Somebody who is held at one of its operations on the cloud.

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use trackdrop_cloud::{
    Content, LoadOutcome, LocalFile, ObjectInfo, PublishError, Publisher, PutOptions, Storage, StorageError,
    TracksFile, Warehouse, WarehouseError,
};
use trackdrop_flow::Cloud;
use trackdrop_pipeline::{Event, ObjectFinalized, RequestId, Timestamp, names::ObjectName};
use trackdrop_tables::requests::RequestRow;

/// Somebody who is held at an operation.
pub(crate) struct Late<T> {
    gate: Arc<Gate>,
    task: JoinHandle<T>,
}

impl<T: std::fmt::Debug + Send + 'static> Late<T> {
    /// `what` is done on this cloud and held at its operation of this number; none where there are fewer.
    pub(crate) async fn held<F: Future<Output = T> + Send + 'static>(
        cloud: &Cloud,
        hold: usize,
        what: impl FnOnce(Cloud) -> F,
    ) -> Option<Self> {
        let gate =
            Arc::new(Gate { hold, passed: AtomicUsize::new(0), held: Notify::new(), open: watch::Sender::new(false) });
        let gated = Arc::new(Gated(cloud.clone(), gate.clone()));
        let cloud = Cloud::new(gated.clone(), gated.clone(), gated);
        let mut task = tokio::spawn(what(cloud));
        tokio::select! {
            _ = gate.held.notified() => Some(Self { gate, task }),
            ended = &mut task => {
                ended.unwrap();
                None
            }
        }
    }

    pub(crate) async fn goes_on(self) -> T {
        self.gate.open.send_replace(true);
        self.task.await.unwrap()
    }

    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Holds the one who comes to its operation of this number, until it is opened.
#[derive(Debug)]
struct Gate {
    hold: usize,
    passed: AtomicUsize,
    held: Notify,
    open: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.hold {
            self.held.notify_one();
            self.open.subscribe().wait_for(|open| *open).await.unwrap();
        }
    }
}

/// A cloud with a gate before each operation.
#[derive(Clone, Debug)]
struct Gated(Cloud, Arc<Gate>);

#[async_trait]
impl Storage for Gated {
    async fn put(&self, object: &ObjectName, content: Content, put: PutOptions) -> Result<ObjectInfo, StorageError> {
        self.1.pass().await;
        self.0.storage.put(object, content, put).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        self.1.pass().await;
        self.0.storage.stat(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        self.1.pass().await;
        self.0.storage.get(object).await
    }

    async fn fetch(&self, object: &ObjectName, at: Option<i64>) -> Result<(ObjectInfo, LocalFile), StorageError> {
        self.1.pass().await;
        self.0.storage.fetch(object, at).await
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.1.pass().await;
        self.0.storage.list(prefix).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.1.pass().await;
        self.0.storage.delete(object).await
    }

    fn scratch(&self) -> &Path {
        self.0.storage.scratch()
    }
}

#[async_trait]
impl Publisher for Gated {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        self.1.pass().await;
        self.0.publisher.publish(topic, event).await
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        self.1.pass().await;
        self.0.publisher.tell_again(object).await
    }
}

#[async_trait]
impl Warehouse for Gated {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        self.1.pass().await;
        self.0.warehouse.load_tracks(files).await
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        self.1.pass().await;
        self.0.warehouse.record_requests(rows).await
    }

    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        self.1.pass().await;
        self.0.warehouse.forget_failure(request, before).await
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        self.0.warehouse.forget_request(request).await
    }
}

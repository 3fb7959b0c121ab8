//! Where the ends of requests are published: a warehouse, and a topic.

use async_trait::async_trait;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use trackdrop_cloud::{LoadOutcome, PublishError, Publisher, TracksFile, Warehouse, WarehouseError, local::LocalCloud};
use trackdrop_pipeline::{Event, ObjectFinalized, RequestId, RequestState, Timestamp};
use trackdrop_tables::requests::RequestRow;

/// The table `requests` of a warehouse that knows ends by the ids of jobs, as BigQuery does: each adds its row once, beside all others, and does not
/// add it again when it was taken back.
#[derive(Debug, Default)]
pub(crate) struct Jobs(pub(crate) Mutex<Table>);

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) jobs: BTreeSet<Vec<Timestamp>>,
    pub(crate) rows: Vec<RequestRow>,
}

#[async_trait]
impl Warehouse for Jobs {
    async fn load_tracks(&self, _: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        Ok(LoadOutcome::Loaded)
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        let mut table = self.0.lock().unwrap();
        if !table.jobs.insert(rows.iter().map(|row| row.finished_at).collect()) {
            return Ok(LoadOutcome::AlreadyLoaded);
        }
        table.rows.extend_from_slice(rows);
        Ok(LoadOutcome::Loaded)
    }

    async fn forget_failure(&self, _: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        let stays = |row: &RequestRow| row.state == RequestState::Done || row.finished_at >= before;
        self.0.lock().unwrap().rows.retain(stays);
        Ok(())
    }

    async fn forget_request(&self, _: &RequestId) -> Result<(), WarehouseError> {
        self.0.lock().unwrap().rows.clear();
        Ok(())
    }
}

/// Remembers what is published on the topic of the ends.
#[derive(Debug)]
pub(crate) struct Heard(pub(crate) Arc<LocalCloud>, pub(crate) Arc<Mutex<Vec<RequestState>>>);

#[async_trait]
impl Publisher for Heard {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        if let Event::RequestFinished(finished) = event {
            self.1.lock().unwrap().push(finished.state);
        }
        self.0.publish(topic, event).await
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        self.0.tell_again(object).await
    }
}

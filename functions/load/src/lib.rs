//! `load`: the tracks of a merged request become rows of the warehouse, exactly once.

use async_trait::async_trait;
use trackdrop_cloud::LoadOutcome;
use trackdrop_flow::{Cloud, Doing, NewObject, WorkReport, end, stage::StageHandler};
use trackdrop_pipeline::{
    Activity, Delivery, Failure, ObjectFinalized, RequestId, Stage, Stopwatch,
    names::{Marker, ResultFile},
};

/// The handler.
#[derive(Debug)]
pub struct Load {
    cloud: Cloud,
}

impl Load {
    /// A handler over this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl StageHandler for Load {
    const STAGE: Stage = Stage::Load;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, _: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        let file = ResultFile::Tracks.object(request);
        let started = Stopwatch::start();
        let tracks = self.cloud.storage.stat(&file).await?;
        // The warehouse itself knows whether the rows are there: a repeated load has no effect.
        let mut loading = Doing::begin(delivery, Activity::Load);
        let load = self.cloud.warehouse.load_tracks(request, &file, tracks.generation);
        let (LoadOutcome::Loaded | LoadOutcome::AlreadyLoaded) = loading.time_async(load).await?;
        loading.bytes(tracks.bytes);
        drop(loading);
        let marker = NewObject::of_bytes(Marker::Loaded.object(request), "", "application/octet-stream");
        if self.cloud.find(&marker.object).await?.is_none() {
            let merged = WorkReport::from_metadata(&tracks.metadata);
            let mut work = WorkReport::of(delivery, started, merged.frames, 0.0);
            work.rows = merged.rows;
            self.cloud.create(marker.with_work(&work)).await?;
        }
        end::finish_if_complete(&self.cloud, request).await
    }
}

//! `load`: the tracks of merged requests become rows of the warehouse, exactly once. A load job has the rows of
//! one request, or of all requests of a window.
//!
//! ```
//! use trackdrop_flow::Cloud;
//! use trackdrop_load::{Load, LoadService};
//! use trackdrop_pipeline::Handler;
//!
//! fn handler(cloud: Cloud) -> impl Handler {
//!     LoadService::new(Load::new(cloud))
//! }
//! ```

mod window;

use async_trait::async_trait;
use trackdrop_cloud::{LoadOutcome, TracksFile};
use trackdrop_flow::{
    Cloud, Doing, NewObject, WorkReport, end,
    stage::{StageHandler, Staged},
};
use trackdrop_pipeline::{
    Activity, Delivery, Event, Failure, Handler, ObjectFinalized, RequestId, Stage, Stopwatch,
    names::{Marker, ResultFile},
};

/// The handler.
#[derive(Debug)]
pub struct Load {
    cloud: Cloud,
}

impl Load {
    /// A handler over this cloud. If loading by window is on, a merged request waits until the scheduler closes the window.
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
        if self.cloud.find(&Marker::Loaded.object(request)).await?.is_none() {
            if self.cloud.is_by_window {
                return window::wait(&self.cloud, request).await;
            }
            if window::waits(&self.cloud, request).await? {
                // Windows were turned off while it waited, so no scheduler closes them any more.
                return window::load_all(&self.cloud, delivery).await;
            }
            self.load(request, delivery).await?;
        }
        end::finish_if_complete(&self.cloud, request).await
    }
}

impl Load {
    async fn load(&self, request: &RequestId, delivery: &Delivery) -> Result<(), Failure> {
        let object = ResultFile::Tracks.object(request);
        let started = Stopwatch::start();
        let tracks = self.cloud.storage.stat(&object).await?;
        // The warehouse itself knows whether the rows exist, so a repeated load has no effect.
        let mut loading = Doing::begin(delivery, Activity::Load);
        let file = [TracksFile { request_id: request.clone(), object, generation: tracks.generation }];
        let (LoadOutcome::Loaded | LoadOutcome::AlreadyLoaded) =
            loading.time_async(self.cloud.warehouse.load_tracks(&file)).await?;
        loading.bytes(tracks.bytes);
        drop(loading);
        mark_loaded(&self.cloud, request, Some((delivery, started))).await
    }
}

/// Creates the marker that the rows exist. It has the time of loading, if the load was for this request only.
async fn mark_loaded(cloud: &Cloud, request: &RequestId, took: Option<(&Delivery, Stopwatch)>) -> Result<(), Failure> {
    let marker = NewObject::marker(Marker::Loaded.object(request));
    if cloud.find(&marker.object).await?.is_none() {
        let tracks = cloud.find(&ResultFile::Tracks.object(request)).await?;
        let merged = tracks.map(|tracks| WorkReport::from_metadata(&tracks.metadata)).unwrap_or_default();
        let mut work = match took {
            Some((delivery, started)) => WorkReport::of(delivery, started, merged.frames, 0.0),
            None => WorkReport { frames: merged.frames, ..WorkReport::default() },
        };
        work.rows = merged.rows;
        cloud.create(marker.with_work(&work)).await?;
    }
    Ok(())
}

/// The handler of `load`, which also closes windows when the scheduler calls.
#[derive(Debug)]
pub struct LoadService(Staged<Load>);

impl LoadService {
    /// Makes it from the handler.
    pub fn new(load: Load) -> Self {
        Self(Staged(load))
    }
}

#[async_trait]
impl Handler for LoadService {
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        match event {
            Event::LoadWindow {} => window::load_all(self.0.0.cloud(), delivery).await,
            event => self.0.handle(event, delivery).await,
        }
    }
}

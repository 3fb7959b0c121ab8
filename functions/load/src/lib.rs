//! `load`: the tracks of a merged request become rows of the warehouse, exactly once.

use async_trait::async_trait;
use trackdrop_cloud::LoadOutcome;
use trackdrop_flow::{Cloud, NewObject, end, stage::StageHandler};
use trackdrop_pipeline::{
    Delivery, Failure, ObjectFinalized, RequestId, Stage,
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

    async fn work(&self, request: &RequestId, _: &ObjectFinalized, _: &Delivery) -> Result<(), Failure> {
        let file = ResultFile::Tracks.object(request);
        let tracks = self.cloud.storage.stat(&file).await?;
        // The warehouse itself knows whether the rows are there: a repeated load has no effect.
        let (LoadOutcome::Loaded | LoadOutcome::AlreadyLoaded) =
            self.cloud.warehouse.load_tracks(request, &file, tracks.generation).await?;
        let marker = NewObject::of_bytes(Marker::Loaded.object(request), "", "application/octet-stream");
        self.cloud.create(marker).await?;
        end::finish_if_complete(&self.cloud, request).await
    }
}

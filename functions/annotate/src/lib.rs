//! `annotate`: the final tracks of a segment become an annotated segment.
//!
//! This is a second fan-out, because the ids exist only after `merge`. Each annotated segment is created once. The
//! number of existing files is the count of finished segments.
//!
//! ```
//! use std::sync::Arc;
//! use trackdrop_annotate::{Annotate, MediaRenderer};
//! use trackdrop_flow::{Cloud, stage::Staged};
//! use trackdrop_pipeline::Handler;
//!
//! fn handler(cloud: Cloud, renderer: MediaRenderer) -> impl Handler {
//!     Staged(Annotate::new(cloud, Arc::new(renderer)))
//! }
//! ```

mod drawing;
mod media;
mod pick;

use async_trait::async_trait;
use std::{path::Path, sync::Arc};
use tempfile::TempPath;
use trackdrop_flow::{
    Cloud, NewObject, WorkReport, blocking, count, downloading, scratch_file, stage::StageHandler, version,
};
use trackdrop_pipeline::{
    Delivery, Failure, ObjectFinalized, RequestId, SegmentDescription, Stage, Stopwatch, counter::Counted, names,
    names::PerSegment,
};
use trackdrop_tables::{
    crops::{self, Crop},
    tracks::{self, SegmentTracks},
};

pub use media::MediaRenderer;
pub use trackdrop_media::{Limits, VideoEngine};

/// Draws a segment. Blocks.
pub trait Renderer: Send + Sync + std::fmt::Debug {
    /// Decodes the frames that the chunk owns, draws each frame's rows and encodes into `out`. Rows before the segment's
    /// first frame are used for the trails.
    ///
    /// # Errors
    /// Permanent: a chunk can't be decoded, or a picture can't be encoded. Exhausted: the disk is full.
    fn render(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        tracks: &SegmentTracks,
        out: &Path,
        delivery: &Delivery,
    ) -> Result<Rendered, Failure>;
}

/// The result of drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// Frames in the annotated segment.
    pub frames: u64,
    /// The best crop of each object in the segment, by track id, if crops are requested.
    pub crops: Vec<Crop>,
}

/// The handler.
#[derive(Debug)]
pub struct Annotate {
    cloud: Cloud,
    renderer: Arc<dyn Renderer>,
}

impl Annotate {
    /// A handler over this cloud and renderer.
    pub fn new(cloud: Cloud, renderer: Arc<dyn Renderer>) -> Self {
        Self { cloud, renderer }
    }
}

#[async_trait]
impl StageHandler for Annotate {
    const STAGE: Stage = Stage::Annotate;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(
        &self,
        request: &RequestId,
        started_by: &ObjectFinalized,
        delivery: &Delivery,
    ) -> Result<(), Failure> {
        let Some(number) = names::segment_of(&started_by.object) else { return Ok(()) };
        let tracks = self.cloud.storage.stat(&started_by.object).await?;
        let chunk = PerSegment::Chunk.object(&version::chunks_of(request, &tracks.metadata)?, number);
        let started = Stopwatch::start();
        let (info, file) = downloading(delivery, self.cloud.storage.fetch(&chunk, None)).await?;
        let segment = SegmentDescription::from_metadata(&info.metadata).map_err(Failure::permanent_from)?;
        let result = PerSegment::Annotated.object(request, number);
        if self.cloud.find(&result).await?.is_none() {
            let (_, bytes) = self.cloud.storage.get(&started_by.object).await?;
            let tracks = tracks::read_segment(bytes)
                .map_err(|error| Failure::permanent(format!("tracks of segment {number}: {error}")))?;
            let crops_are_wanted = tracks.drawing.crops;
            let (video, crops) = self.render(file, segment.clone(), tracks, delivery.clone()).await?;
            let work = WorkReport::of(delivery, started, segment.span.frame_count, segment.span.seconds());
            if crops_are_wanted {
                // Crops are stored before the segment, because the existence of the segment means that all is done.
                let bytes = crops::write(&crops, Vec::new())
                    .map_err(|error| Failure::permanent(format!("crops of segment {number}: {error}")))?;
                let object = names::crops(request, number);
                self.cloud.create(NewObject::of_bytes(object, bytes, "application/vnd.apache.parquet")).await?;
            }
            self.cloud.create(NewObject::of_file(result, video, "video/mp4").with_work(&work)).await?;
        }
        count::complete(&self.cloud, Counted::Annotate, request, number, segment.segment_count, delivery).await
    }
}

impl Annotate {
    async fn render(
        &self,
        chunk: trackdrop_cloud::LocalFile,
        segment: SegmentDescription,
        tracks: SegmentTracks,
        delivery: Delivery,
    ) -> Result<(TempPath, Vec<Crop>), Failure> {
        let (renderer, scratch) = (self.renderer.clone(), self.cloud.storage.scratch().to_owned());
        blocking(move || {
            let out = scratch_file(&scratch, ".mp4")?.into_temp_path();
            let rendered = renderer.render(chunk.path(), &segment, &tracks, &out, &delivery)?;
            Ok((out, rendered.crops))
        })
        .await
    }
}

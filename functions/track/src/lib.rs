//! `track`: a new chunk becomes detections.
//!
//! Detection needs no memory of other frames, so every chunk is worked on by itself; identities are given later, by `merge`. The
//! detections file is created once, and its existence is the count of finished segments.

mod pipeline;

use async_trait::async_trait;
use std::{path::Path, sync::Arc, time::Instant};
use trackdrop_flow::{Cloud, NewObject, WorkReport, blocking, count, stage::StageHandler};
use trackdrop_pipeline::{
    Delivery, Failure, FailureKind, ObjectFinalized, RequestId, SegmentDescription, Stage, counter::Counted,
    names::PerSegment,
};
use trackdrop_tables::{
    TableError,
    detections::{DetectionRow, DetectionsWriter, SegmentFooter},
};

pub use pipeline::{DetectorPool, MediaSegmentDetector};

/// What detecting a segment gives.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentDetections {
    /// The detections, in frame order, within a frame in the detector's order.
    pub rows: Vec<DetectionRow>,
    /// The account of the frames, and the model.
    pub footer: SegmentFooter,
}

/// Decodes a chunk's window and detects; blocking.
pub trait SegmentDetector: Send + Sync {
    /// The detections of all frames that the chunk owns.
    fn detect(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        delivery: &Delivery,
    ) -> Result<SegmentDetections, Failure>;
}

/// The handler.
pub struct Track {
    cloud: Cloud,
    detector: Arc<dyn SegmentDetector>,
}

impl std::fmt::Debug for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Track")
    }
}

impl Track {
    /// A handler over this cloud and detector.
    pub fn new(cloud: Cloud, detector: Arc<dyn SegmentDetector>) -> Self {
        Self { cloud, detector }
    }
}

#[async_trait]
impl StageHandler for Track {
    const STAGE: Stage = Stage::Track;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, chunk: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        let Some(info) = self.cloud.find(&chunk.object).await? else {
            // The request was started anew, and this chunk is of the past.
            return Ok(());
        };
        let segment = SegmentDescription::from_metadata(&info.metadata)
            .map_err(|error| Failure::from_error(FailureKind::Permanent, error))?;
        let result = PerSegment::Detections.object(request, segment.segment_number);
        if self.cloud.find(&result).await?.is_none() {
            let started = Instant::now();
            let (bytes, rows) = self.detect(chunk, segment.clone(), delivery.clone()).await?;
            let work = WorkReport {
                seconds: started.elapsed().as_secs_f64(),
                frames: segment.frame_count,
                rows,
                ..Default::default()
            };
            let new = NewObject::of_bytes(result, bytes, "application/vnd.apache.parquet").with_work(&work);
            self.cloud.create(new).await?;
        }
        count::complete(&self.cloud, Counted::Track, request, segment.segment_number, segment.segment_count).await
    }
}

impl Track {
    /// The segment's detections as a Parquet file, and the number of its rows.
    async fn detect(
        &self,
        chunk: &ObjectFinalized,
        segment: SegmentDescription,
        delivery: Delivery,
    ) -> Result<(Vec<u8>, u64), Failure> {
        let (_, file) = self.cloud.storage.fetch(&chunk.object, Some(chunk.generation)).await?;
        let detector = self.detector.clone();
        blocking(move || {
            let found = detector.detect(file.path(), &segment, &delivery)?;
            check_classes(&segment, &found.footer)?;
            let write = || -> Result<(Vec<u8>, u64), TableError> {
                let mut writer = DetectionsWriter::new(Vec::new())?;
                for row in found.rows {
                    writer.push(row)?;
                }
                writer.finish(Some(&found.footer))
            };
            write().map_err(|error| Failure::from_error(FailureKind::Permanent, error))
        })
        .await
    }
}

/// Refuses a class that the model does not know, as soon as the model is known.
fn check_classes(segment: &SegmentDescription, footer: &SegmentFooter) -> Result<(), Failure> {
    for class in segment.settings.classes.iter().flatten() {
        if !footer.class_names.contains(class) {
            let known = footer.class_names.join(", ");
            return Err(Failure::permanent(format!(
                "the model {} knows no class {class:?}; it knows: {known}",
                footer.model.name
            )));
        }
    }
    Ok(())
}

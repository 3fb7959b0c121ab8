//! The progress of a request, counted from the objects in the store. So it includes the work of all processes.

use crate::{Cloud, WorkReport, manifest};
use std::collections::BTreeMap;
use trackdrop_pipeline::{
    Bucket, Failure, RequestId, Stage,
    names::{Marker, ObjectName, PerSegment, ResultFile},
};

/// The finished work of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestProgress {
    /// Segments of its plan; 0 while there is no plan.
    pub segments: u64,
    /// Frames of its plan.
    pub frames: u64,
    /// The finished work of each of its stages.
    pub stages: BTreeMap<Stage, Finished>,
}

/// The finished work of a stage, without work in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Segments.
    pub segments: u64,
    /// Frames of them.
    pub frames: u64,
}

/// Counts the finished work of a request. A request without a manifest has none.
///
/// # Errors
/// Those of the store.
pub async fn read(cloud: &Cloud, request: &RequestId) -> Result<RequestProgress, Failure> {
    let mut progress = RequestProgress::default();
    let Some(manifest) = manifest::read(cloud, request).await? else { return Ok(progress) };
    progress.segments = u64::from(manifest.segment_count);
    progress.frames = manifest.segments.iter().map(|segment| segment.span.frame_count).sum();
    let video = manifest.settings.video;
    let counted = [
        (Stage::Split, PerSegment::Chunk, true),
        (Stage::Track, PerSegment::Detections, true),
        (Stage::Annotate, PerSegment::Annotated, video),
    ];
    for (stage, kind, wanted) in counted {
        if wanted {
            let prefix = ObjectName::new(Bucket::Work, kind.prefix(request));
            let mut done = Finished::default();
            for info in cloud.storage.list(&prefix).await? {
                done.segments += 1;
                done.frames += WorkReport::from_metadata(&info.metadata).frames;
            }
            progress.stages.insert(stage, done);
        }
    }
    let whole = [
        (Stage::Merge, Marker::Merged.object(request), true),
        (Stage::Load, Marker::Loaded.object(request), true),
        (Stage::Join, ResultFile::AnnotatedVideo.object(request), video),
    ];
    for (stage, object, wanted) in whole {
        if wanted {
            let all = Finished { segments: progress.segments, frames: progress.frames };
            let exists = cloud.find(&object).await?.is_some();
            progress.stages.insert(stage, if exists { all } else { Finished::default() });
        }
    }
    Ok(progress)
}

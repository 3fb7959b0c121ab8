//! The completion counter over a store: see [`trackdrop_pipeline::counter`] for why it is made this way.

use crate::{Cloud, manifest};
use trackdrop_cloud::StorageError;
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, RequestId, SegmentNumber,
    counter::{Counted, GROUP_SIZE, group_count, group_size},
    names::ObjectName,
};

/// Counts a segment, and creates the stage's marker when the count is complete. Every delivery calls it after the segment's
/// result exists. Idempotent: after a crash the redelivery calls it again.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn complete(
    cloud: &Cloud,
    counted: Counted,
    request: &RequestId,
    segment: SegmentNumber,
    segment_count: u32,
    delivery: &Delivery,
) -> Result<(), Failure> {
    let in_group = count(cloud, &counted.group_prefix(request, segment)).await?;
    // With several groups, segments mostly complete in order. So for the progress that people read, earlier groups
    // count as complete.
    let about = segment.get() / GROUP_SIZE * GROUP_SIZE + in_group;
    delivery.report_waiting(segment_count.saturating_sub(about));
    let outcome = mark_if_complete(cloud, counted, request, segment, segment_count, in_group).await;
    // This is the last step, because progress is only for people, and its write may have to wait for many others.
    fold_progress(cloud, counted, request, about).await;
    outcome
}

async fn mark_if_complete(
    cloud: &Cloud,
    counted: Counted,
    request: &RequestId,
    segment: SegmentNumber,
    segment_count: u32,
    in_group: u32,
) -> Result<(), Failure> {
    if in_group < group_size(segment, segment_count) {
        return Ok(());
    }
    let groups = group_count(segment_count);
    if groups > 1 {
        cloud.mark(counted.group_marker(request, segment)).await?;
        if count(cloud, &counted.group_marker_prefix(request)).await? < groups {
            return Ok(());
        }
    }
    cloud.mark(counted.marker().object(request)).await?;
    Ok(())
}

async fn count(cloud: &Cloud, prefix: &str) -> Result<u32, StorageError> {
    Ok(cloud.storage.list(&ObjectName::new(Bucket::Work, prefix)).await?.len() as u32)
}

async fn fold_progress(cloud: &Cloud, counted: Counted, request: &RequestId, about: u32) {
    manifest::fold_progress(cloud, request, |progress| {
        let of_stage = match counted {
            Counted::Track => &mut progress.segments_tracked,
            Counted::Annotate => &mut progress.segments_annotated,
        };
        *of_stage = (*of_stage).max(about);
    })
    .await;
}

#[cfg(test)]
mod model;

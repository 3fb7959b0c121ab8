//! Spans of work that the scheduler started for a request, and not an event of that request. They belong to the request's trace,
//! too.
//!
//! The flow knows only that work has spans. The process that exports traces sets once how a span becomes a child of a
//! request's trace. If a process does not set it, nothing is read for it.

use crate::{Cloud, end};
use std::sync::OnceLock;
use tracing::{Span, field::Empty};
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, RequestId, SegmentNumber,
    names::{Marker, ObjectName, PerSegment},
};

/// Makes a new span a child of a request's trace. If there is an object of the request that names its trace, it is
/// used.
pub type Place = fn(&Span, &RequestId, Option<&ObjectInfo>);

static PLACE: OnceLock<Place> = OnceLock::new();

/// Sets how spans are placed. Only the first call has an effect.
pub fn place_with(place: Place) {
    PLACE.set(place).ok();
}

/// A span of work that the scheduler started for a request: a `sweep`, a `window`.
pub fn by_clock(name: &'static str, request: &RequestId, carrier: Option<&ObjectInfo>) -> Span {
    // Log lines inside it have the last three fields, as those of a delivery.
    let span =
        tracing::info_span!("by_clock", otel.name = name, %request, trace = Empty, span_id = Empty, sampled = Empty);
    if let Some(place) = PLACE.get() {
        place(&span, request, carrier);
    }
    span
}

/// The same, for a request that is merged.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn by_clock_after_merge(name: &'static str, cloud: &Cloud, request: &RequestId) -> Result<Span, Failure> {
    let carrier = first_that_exists(cloud, [Marker::Merged.object(request)]).await?;
    Ok(by_clock(name, request, carrier.as_ref()))
}

/// The same, for a request in any state.
pub(crate) async fn by_clock_anywhere(name: &'static str, cloud: &Cloud, manifest: &Manifest) -> Result<Span, Failure> {
    let request = &manifest.request_id;
    let mut carriers = vec![Marker::Merged.object(request), Marker::Tracked.object(request)];
    // A version has chunks and an upload that belong to another trace.
    if manifest.retrack_of.is_none() {
        carriers.extend(SegmentNumber::new(0).map(|first| PerSegment::Chunk.object(request, first)));
        carriers.push(ObjectName::new(Bucket::Uploads, end::video_name(manifest)));
    }
    let carrier = first_that_exists(cloud, carriers).await?;
    // The object that has this name now may be another upload.
    let is_ours =
        |info: &ObjectInfo| info.object.bucket != Bucket::Uploads || info.generation == manifest.source.generation;
    Ok(by_clock(name, request, carrier.filter(is_ours).as_ref()))
}

async fn first_that_exists(
    cloud: &Cloud,
    objects: impl IntoIterator<Item = ObjectName, IntoIter: Send> + Send,
) -> Result<Option<ObjectInfo>, Failure> {
    if PLACE.get().is_none() {
        return Ok(None);
    }
    for object in objects {
        if let Some(info) = cloud.find(&object).await? {
            return Ok(Some(info));
        }
    }
    Ok(None)
}

//! Size and SHA-256 of a request's chunks in the manifest. `split` records them. If `split` was interrupted before that, the
//! function that ends the request, or the sweeper, does.

use crate::{Cloud, manifest};
use std::collections::BTreeMap;
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, RequestId, RequestState, SegmentDescription, SegmentNumber,
    names::{ObjectName, PerSegment},
};

/// Size in bytes and SHA-256 of chunks.
pub type Chunks = BTreeMap<SegmentNumber, (u64, String)>;

/// The chunks of a request that exist.
///
/// # Errors
/// Transient: the store did not answer. Permanent: a chunk without a description.
pub async fn existing(cloud: &Cloud, request: &RequestId) -> Result<Chunks, Failure> {
    let prefix = ObjectName::new(Bucket::Work, PerSegment::Chunk.prefix(request));
    let mut chunks = Chunks::new();
    for info in cloud.storage.list(&prefix).await? {
        if let Ok(description) = SegmentDescription::from_metadata(&info.metadata) {
            chunks.insert(description.segment_number, (info.bytes, description.sha256));
        }
    }
    Ok(chunks)
}

/// Whether the manifest has size and SHA-256 of every chunk.
pub fn are_recorded(manifest: &Manifest) -> bool {
    manifest.segments.iter().all(|segment| segment.sha256.is_some())
}

/// Writes into a manifest what these chunks are.
pub(crate) fn note(manifest: &mut Manifest, chunks: &Chunks) {
    for segment in &mut manifest.segments {
        if let Some((bytes, sha256)) = chunks.get(&segment.segment_number) {
            segment.bytes = Some(*bytes);
            segment.sha256 = Some(sha256.clone());
        }
    }
}

/// Writes size and SHA-256 of all chunks into the manifest, and advances the state of the request.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn record(cloud: &Cloud, request: &RequestId, chunks: &Chunks) -> Result<(), Failure> {
    manifest::update(cloud, request, |manifest| {
        note(manifest, chunks);
        manifest.progress.segments_split = chunks.len() as u32;
        if manifest.state == RequestState::Splitting {
            manifest.state = RequestState::Tracking;
        }
        true
    })
    .await?;
    Ok(())
}

/// Records the chunks that an earlier delivery wrote, if every chunk exists. It does not need the upload, which may be
/// deleted by now. The request can even be done already, because chunks are processed as soon as they exist. Returns
/// false if chunks are missing.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn record_if_all_exist(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    let Some(manifest) = manifest::read(cloud, request).await? else { return Ok(false) };
    if manifest.segments.is_empty() {
        return Ok(false);
    }
    if are_recorded(&manifest) {
        if manifest.state == RequestState::Splitting {
            // It was reopened after it had failed.
            manifest::advance(cloud, request, RequestState::Tracking).await?;
        }
        return Ok(true);
    }
    let chunks = existing(cloud, request).await?;
    let all_exist = manifest.segments.iter().all(|segment| chunks.contains_key(&segment.segment_number));
    if all_exist {
        record(cloud, request, &chunks).await?;
    }
    Ok(all_exist)
}

//! Lists all existing requests, also those that still wait to be planned.

use crate::{Cloud, delete, end, manifest};
use std::collections::BTreeSet;
use trackdrop_pipeline::{Bucket, Failure, Manifest, ObjectFinalized, RequestId, Timestamp, names::ObjectName};

/// A request.
#[derive(Debug)]
pub struct Known {
    /// When its video was uploaded.
    pub uploaded_at: Timestamp,
    /// The request.
    pub request: RequestId,
    /// The object name of its upload.
    pub video: String,
    /// None if it is not planned yet.
    pub manifest: Option<Manifest>,
}

impl Known {
    /// A word for its state.
    pub fn state(&self) -> &'static str {
        self.manifest.as_ref().map_or("waiting", |manifest| manifest.state.as_str())
    }
}

/// All requests, planned or not, by the time of their uploads.
///
/// # Errors
/// Those of the store.
pub async fn all(cloud: &Cloud) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    for request in manifest::all(cloud).await? {
        if let Some(manifest) = manifest::read(cloud, &request).await? {
            let video = end::video_name(&manifest);
            known.push(Known { uploaded_at: manifest.source.uploaded_at, request, video, manifest: Some(manifest) });
        }
    }
    let planned = known.iter().map(|known| known.request.clone()).collect();
    known.extend(waiting(cloud, &planned).await?);
    known.sort_by(|a, b| (a.uploaded_at, &a.request).cmp(&(b.uploaded_at, &b.request)));
    Ok(known)
}

/// The requests that wait to be planned: those of uploads that have no manifest.
///
/// # Errors
/// Those of the store.
pub async fn waiting(cloud: &Cloud, planned: &BTreeSet<RequestId>) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    for upload in uploads(cloud).await? {
        // A deleted request waits for nothing.
        if !planned.contains(&upload.request) && !delete::is_deleted(cloud, &upload.request).await? {
            known.push(upload);
        }
    }
    Ok(known)
}

/// The requests of all uploads that are there, without their manifests.
///
/// # Errors
/// Those of the store.
pub async fn uploads(cloud: &Cloud) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    for upload in cloud.storage.list(&ObjectName::new(Bucket::Uploads, "")).await? {
        let (object, generation, created) = (upload.object, upload.generation, upload.created);
        let video = object.name.clone();
        if let Some(request) = (ObjectFinalized { object, generation, created }).request() {
            known.push(Known { uploaded_at: created, request, video, manifest: None });
        }
    }
    Ok(known)
}

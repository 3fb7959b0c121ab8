//! Removes a request everywhere: its results, its rows, its objects in `work` and, if requested, its upload.
//!
//! The first step overwrites the marker `ended`. It then says that the request was deleted, and names its upload. From
//! then on a late event does nothing, and the sweeper ignores the upload. Every step can be repeated. If a deletion was
//! interrupted, the same call completes it, even after the manifest is deleted. The marker contains only the name of
//! the upload. It exists as long as other objects of `work`.

use crate::{Cloud, claim, end, manifest, round};
use serde::{Deserialize, Serialize};
use trackdrop_cloud::{Content, Listing, ObjectInfo, PutOptions};
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, Manifest, RequestId, RequestState,
    names::{self, Marker, ObjectName},
};

/// How often the remaining objects are listed. Objects that are written during the deletion are found the next time.
const PASSES: u32 = 5;

/// The upload that a request names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadOf {
    /// Its name in `uploads`.
    pub name: String,
    /// Which generation of it.
    pub generation: i64,
}

/// What deleting a request would remove, and what depends on it.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// The request.
    pub request: RequestId,
    /// Its state; none if an earlier deletion has already removed the manifest.
    pub state: Option<RequestState>,
    /// Its upload.
    pub upload: Option<UploadOf>,
    /// Whether that generation of the upload still exists.
    pub upload_exists: bool,
    /// Its objects in `work` and `results`.
    pub objects: Vec<ObjectInfo>,
    /// If it is a version: the request whose chunks and detections it uses.
    pub version_of: Option<RequestId>,
    /// The versions of its tracks, which use its chunks and detections, with their states.
    pub versions: Vec<(RequestId, RequestState)>,
    /// Others of the same upload: the request that this one is a version of, and that one's other versions.
    pub siblings: Vec<RequestId>,
}

impl Deletion {
    /// Other requests of the same upload.
    pub fn sharing_upload(&self) -> impl Iterator<Item = &RequestId> {
        self.versions.iter().map(|(version, _)| version).chain(&self.siblings)
    }

    /// Bytes of its objects.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|info| info.bytes).sum()
    }
}

/// Whether a request, which has no manifest, was deleted.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn is_deleted(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    Ok(cloud.find(&Marker::Ended.object(request)).await?.is_some_and(|marker| round::is_of_deleted(&marker)))
}

/// Everything that exists of a request; none if there is no such request, and never was one.
///
/// # Errors
/// Those of the store.
pub async fn find(cloud: &Cloud, request: &RequestId) -> Result<Option<Deletion>, Failure> {
    let manifest = manifest::read(cloud, request).await?;
    let marker = cloud.get(&Marker::Ended.object(request)).await?.filter(|(info, _)| round::is_of_deleted(info));
    let upload = match (&manifest, &marker) {
        (Some(manifest), _) => {
            Some(UploadOf { name: end::video_name(manifest), generation: manifest.source.generation })
        }
        (None, Some((_, json))) => serde_json::from_slice(json).ok(),
        (None, None) => None,
    };
    let objects = objects(cloud, request).await?;
    if manifest.is_none() && marker.is_none() && objects.is_empty() {
        return Ok(None);
    }
    let mut upload_exists = false;
    if let Some(upload) = &upload {
        let object = ObjectName::new(Bucket::Uploads, upload.name.clone());
        upload_exists = cloud.find(&object).await?.is_some_and(|info| info.generation == upload.generation);
    }
    let version_of = manifest.as_ref().and_then(|manifest| manifest.retrack_of.clone());
    let mut deletion = Deletion {
        request: request.clone(),
        state: manifest.as_ref().map(|manifest| manifest.state),
        upload,
        upload_exists,
        objects,
        version_of,
        versions: Vec::new(),
        siblings: Vec::new(),
    };
    let mut others = manifest::Listed::begin(cloud);
    while let Some((other, _)) = others.next().await? {
        if other != *request
            && other.may_share_upload(request)
            && let Some(other) = manifest::read(cloud, &other).await?
        {
            deletion.note(other);
        }
    }
    Ok(Some(deletion))
}

impl Deletion {
    fn note(&mut self, other: Manifest) {
        let root = self.version_of.as_ref();
        if other.retrack_of.as_ref() == Some(&self.request) {
            self.versions.push((other.request_id, other.state));
        } else if root == Some(&other.request_id) || (root.is_some() && other.retrack_of.as_ref() == root) {
            self.siblings.push(other.request_id);
        }
    }
}

/// All objects of a request in `work` and `results`, but for the marker of its deletion.
async fn objects(cloud: &Cloud, request: &RequestId) -> Result<Vec<ObjectInfo>, Failure> {
    let mut all = Vec::new();
    for prefix in names::of_request(request) {
        let mut listing = Listing::of(&*cloud.storage, prefix);
        while let Some(info) = listing.next().await? {
            let is_own = names::request_of(&info.object).as_ref() == Some(request);
            if is_own && !(info.object == Marker::Ended.object(request) && round::is_of_deleted(&info)) {
                all.push(info);
            }
        }
    }
    Ok(all)
}

/// Removes what [`find`] found, and objects that were created since then. `progress` gets the number of removed objects.
///
/// # Errors
/// Those of the store and the warehouse. Calling it again resumes the deletion.
pub async fn carry_out(
    cloud: &Cloud,
    deletion: &Deletion,
    with_upload: bool,
    mut progress: impl FnMut(usize),
) -> Result<(), Failure> {
    let request = &deletion.request;
    let marker = Marker::Ended.object(request);
    let record = deletion.upload.as_ref().map(serde_json::to_vec).transpose();
    let record = record.map_err(|error| Failure::permanent(format!("{marker} can't be written: {error}")))?;
    let options = PutOptions { content_type: "application/json", metadata: round::deleted(), ..Default::default() };
    cloud.storage.put(&marker, Content::Bytes(record.unwrap_or_default().into()), options).await?;
    // Without its manifest, work in progress can neither continue nor publish anything about the request.
    cloud.storage.delete(&names::ResultFile::Manifest.object(request)).await?;
    cloud.warehouse.forget_request(request).await?;
    let mut gone = 0;
    for _ in 0..PASSES {
        let found = objects(cloud, request).await?;
        if found.is_empty() {
            break;
        }
        if found.iter().any(|info| names::of_waiting_end(&info.object).is_some()) {
            // Its row can be in an open window. After that window is closed, no row comes after the deletion.
            end::tell_all(cloud, &Delivery::new()).await?;
            cloud.warehouse.forget_request(request).await?;
        }
        for info in found {
            cloud.storage.delete(&info.object).await?;
            gone += 1;
            progress(gone);
        }
    }
    for claim in claim::held_by(cloud, request).await? {
        cloud.storage.delete(&claim).await?;
    }
    if let (true, Some(upload)) = (with_upload, &deletion.upload) {
        let object = ObjectName::new(Bucket::Uploads, upload.name.clone());
        // Another generation is another request's.
        if cloud.find(&object).await?.is_some_and(|info| info.generation == upload.generation) {
            cloud.storage.delete(&object).await?;
        }
    }
    Ok(())
}

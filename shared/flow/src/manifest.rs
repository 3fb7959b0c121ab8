//! The manifest: created once, changed by compare-and-set on its generation.

use crate::{
    Cloud, Created, NewObject, VERSION,
    round::{self, Round},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use std::collections::BTreeMap;
use trackdrop_cloud::{Listing, ObjectInfo, Precondition};
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, ObjectFinalized, RequestId, RequestSettings, RequestState, Timestamp,
    manifest::{Progress, SourceInfo},
    names::{self, ObjectName, ResultFile},
};

/// State and round are also in the object's custom metadata. So a caller that needs only these does not read the whole
/// manifest.
const STATE_KEY: &str = "trackdrop-state";
const CONTENT_TYPE: &str = "application/json";
/// Attempts of a compare-and-set. There are few writers, and each stops after its write succeeds. If all attempts of a
/// delivery lose, it fails as transient, and a redelivery tries again.
const ATTEMPTS: u32 = 50;
/// Cloud Storage accepts about one write per second of an object. Progress is written so rarely that most of these
/// writes are free for the flow itself. So if a write was rejected, the client finds a free second after at most two
/// waits.
const PROGRESS_EVERY_S: f64 = 5.0;

/// The manifest of a request of which only the upload is known.
pub fn unplanned(
    request: &RequestId,
    upload: &ObjectFinalized,
    info: Option<&ObjectInfo>,
    settings: RequestSettings,
) -> Manifest {
    let none_yet =
        Progress { segments_split: 0, segments_tracked: 0, segments_annotated: 0, updated_at: Timestamp::now() };
    Manifest {
        request_id: request.clone(),
        retrack_of: None,
        state: RequestState::Splitting,
        error: None,
        reopened_at: None,
        source: SourceInfo {
            uri: format!("{}/{}", upload.object.bucket, upload.object.name),
            generation: upload.generation,
            uploaded_at: upload.created,
            bytes: info.map(|info| info.bytes).unwrap_or_default(),
            crc32c: info
                .and_then(|info| info.crc32c)
                .map(|crc32c| BASE64_STANDARD.encode(crc32c.to_be_bytes()))
                .unwrap_or_default(),
            video: None,
        },
        settings,
        stride: None,
        model: None,
        appearance_network: None,
        version: VERSION.to_owned(),
        progress: none_yet,
        ledger: None,
        video_notes: Vec::new(),
        segment_count: 0,
        segments: Vec::new(),
    }
}

fn to_json(manifest: &Manifest) -> Result<Bytes, Failure> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| Failure::permanent(format!("the manifest can't be written: {error}")))?;
    json.push(b'\n');
    Ok(json.into())
}

fn metadata(manifest: &Manifest) -> BTreeMap<String, String> {
    let mut metadata = round::metadata(manifest.reopened_at);
    metadata.insert(STATE_KEY.to_owned(), manifest.state.as_str().to_owned());
    metadata
}

/// Every request that has a manifest, in the order of their ids.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn all(cloud: &Cloud) -> Result<Vec<RequestId>, Failure> {
    Ok(listed(cloud).await?.into_iter().map(|(request, _)| request).collect())
}

/// The same, with the metadata of the manifests, which are not read.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn listed(cloud: &Cloud) -> Result<Vec<(RequestId, ObjectInfo)>, Failure> {
    let (mut all, mut listed) = (Vec::new(), Listed::begin(cloud));
    while let Some(one) = listed.next().await? {
        all.push(one);
    }
    Ok(all)
}

/// The same, one after the other, for any number of requests.
#[derive(Debug)]
pub struct Listed<'a>(Listing<'a>);

impl<'a> Listed<'a> {
    /// Begins before the first one.
    pub fn begin(cloud: &'a Cloud) -> Self {
        Self(Listing::of(&*cloud.storage, ObjectName::new(Bucket::Results, "")))
    }

    /// The next one.
    ///
    /// # Errors
    /// Transient: the store did not answer.
    pub async fn next(&mut self) -> Result<Option<(RequestId, ObjectInfo)>, Failure> {
        while let Some(info) = self.0.next().await? {
            if let Some(request) = names::request_of(&info.object)
                && info.object == ResultFile::Manifest.object(&request)
            {
                return Ok(Some((request, info)));
            }
        }
        Ok(None)
    }
}

/// The state of a request, read from the manifest's metadata only.
pub fn state_of(info: &ObjectInfo) -> Option<RequestState> {
    let text = info.metadata.get(STATE_KEY).cloned().unwrap_or_default();
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

/// Reads a request's manifest. None if it has none yet.
///
/// # Errors
/// Those of the store. Permanent: the object is not a manifest.
pub async fn read(cloud: &Cloud, request: &RequestId) -> Result<Option<Manifest>, Failure> {
    Ok(read_generation(cloud, request).await?.map(|(manifest, _)| manifest))
}

/// Reads a request's manifest. If there is none, another delivery is about to write it.
///
/// # Errors
/// The same as of [`read`]. Transient: there is none yet.
pub async fn expect(cloud: &Cloud, request: &RequestId) -> Result<Manifest, Failure> {
    read(cloud, request).await?.ok_or_else(|| none_yet(request))
}

fn none_yet(request: &RequestId) -> Failure {
    Failure::transient(format!("{request} has no manifest yet"))
}

async fn read_generation(cloud: &Cloud, request: &RequestId) -> Result<Option<(Manifest, i64)>, Failure> {
    let read = cloud.get_json(&ResultFile::Manifest.object(request)).await?;
    Ok(read.map(|(info, manifest)| (manifest, info.generation)))
}

fn to_object(manifest: &Manifest) -> Result<NewObject, Failure> {
    let object = ResultFile::Manifest.object(&manifest.request_id);
    Ok(NewObject::of_bytes(object, to_json(manifest)?, CONTENT_TYPE).with_metadata(metadata(manifest)))
}

/// Creates the manifest unless there is one.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn create(cloud: &Cloud, manifest: &Manifest) -> Result<Created, Failure> {
    cloud.create(to_object(manifest)?).await
}

/// Changes the manifest. `change` returns whether there is anything to write, and may run several times. Returns the
/// resulting manifest.
///
/// # Errors
/// Permanent: there is no manifest, or it cannot be read. Transient: the store did not answer, or others changed it too often.
pub async fn update(
    cloud: &Cloud,
    request: &RequestId,
    mut change: impl FnMut(&mut Manifest) -> bool + Send,
) -> Result<Manifest, Failure> {
    for _ in 0..ATTEMPTS {
        let (mut manifest, generation) = read_generation(cloud, request).await?.ok_or_else(|| none_yet(request))?;
        if !change(&mut manifest) {
            return Ok(manifest);
        }
        if cloud.put_if(Precondition::Generation(generation), to_object(&manifest)?).await?.is_some() {
            return Ok(manifest);
        }
    }
    Err(Failure::transient(format!("the manifest of {request} was changed by others {ATTEMPTS} times in a row")))
}

/// Writes a plan into a new manifest. It also writes the plan into the manifest of a request that failed before it was
/// planned, and was reopened. In all other cases it writes nothing. Returns the manifest that exists then. It can have
/// another plan, or none.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn plan(cloud: &Cloud, planned: &Manifest) -> Result<Manifest, Failure> {
    if let Created::Now(_) = create(cloud, planned).await? {
        return Ok(planned.clone());
    }
    update(cloud, &planned.request_id, |manifest| {
        let is_open = manifest.segments.is_empty() && !manifest.state.is_final();
        if is_open {
            *manifest = Manifest { reopened_at: manifest.reopened_at, ..planned.clone() };
        }
        is_open
    })
    .await
}

/// The state of a request, read from metadata only; none if it has no manifest.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn state(cloud: &Cloud, request: &RequestId) -> Result<Option<RequestState>, Failure> {
    Ok(state_and_round(cloud, request).await?.map(|(state, _)| state))
}

/// The same with the round that the request is in.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn state_and_round(cloud: &Cloud, request: &RequestId) -> Result<Option<(RequestState, Round)>, Failure> {
    let info = cloud.find(&ResultFile::Manifest.object(request)).await?;
    Ok(info.and_then(|info| Some((state_of(&info)?, round::of(&info)))))
}

/// Advances the state. It never goes back, and a final state does not change.
///
/// # Errors
/// Permanent: there is no manifest, or it cannot be read. Transient: the store did not answer.
pub async fn advance(cloud: &Cloud, request: &RequestId, to: RequestState) -> Result<Manifest, Failure> {
    update(cloud, request, |manifest| {
        let moves = !manifest.state.is_final() && (manifest.state as u8) < to as u8;
        if moves {
            manifest.state = to;
            manifest.progress.updated_at = Timestamp::now();
        }
        moves
    })
    .await
}

/// Writes a count into the progress that people read, at most every five seconds. Correctness does not depend on it. So
/// a lost race or a failed write has no effect.
pub async fn fold_progress(cloud: &Cloud, request: &RequestId, fold: impl Fn(&mut Progress) + Send) {
    let object = ResultFile::Manifest.object(request);
    let due = |at: Timestamp| Timestamp::now().seconds_since(at).abs() >= PROGRESS_EVERY_S;
    match cloud.storage.stat(&object).await {
        Ok(info) if due(info.created) => {}
        _ => return,
    }
    let Ok(Some((mut manifest, generation))) = read_generation(cloud, request).await else { return };
    if manifest.state.is_final() {
        return;
    }
    fold(&mut manifest.progress);
    manifest.progress.updated_at = Timestamp::now();
    let Ok(new) = to_object(&manifest) else { return };
    if let Err(error) = cloud.put_if(Precondition::Generation(generation), new).await {
        tracing::debug!(%request, %error, "progress not folded");
    }
}

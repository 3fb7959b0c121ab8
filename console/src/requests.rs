//! The list of requests, and the page of one.

use crate::{Console, json::Json, problem::Problem};
use axum::extract::{Path, State};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use trackdrop_flow::{end, known, manifest, round, timeline};
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, RequestId, Timestamp,
    names::{ObjectName, ResultFile},
};

/// Requests that are read at the same time.
const READ_AT_ONCE: usize = 24;

/// A request as the list shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListedRequest {
    request_id: RequestId,
    video: String,
    uploaded_at: Timestamp,
    state: &'static str,
    retrack_of: Option<RequestId>,
    error: Option<String>,
    seconds: Option<f64>,
    frames: Option<u64>,
    frames_damaged: Option<u64>,
    width_px: Option<u32>,
    height_px: Option<u32>,
    segments: Option<u32>,
    segments_tracked: Option<u32>,
    tracks: Option<u64>,
    cost: Option<serde_json::Value>,
}

impl ListedRequest {
    /// For a request of which nothing else is known.
    fn of(request_id: RequestId) -> Self {
        Self {
            request_id,
            video: String::new(),
            uploaded_at: Timestamp::from_micros(0),
            state: "waiting",
            retrack_of: None,
            error: None,
            seconds: None,
            frames: None,
            frames_damaged: None,
            width_px: None,
            height_px: None,
            segments: None,
            segments_tracked: None,
            tracks: None,
            cost: None,
        }
    }
}

/// The request that an address names, and its manifest.
pub(crate) async fn found(console: &Console, request: &str) -> Result<Manifest, Problem> {
    let unknown = || Problem::not_found(format!("there is no request {request:?}: the list of requests has them all"));
    let id: RequestId = request.parse().map_err(|_| unknown())?;
    manifest::read(&console.cloud, &id).await?.ok_or_else(unknown)
}

/// The requests that are over, as the list shows them, each with the generation of the manifest that it was made of: a store that answers each question
/// over a network is asked for them once.
#[derive(Debug, Default)]
pub(crate) struct ListedRequests(Mutex<BTreeMap<RequestId, (i64, ListedRequest)>>);

impl ListedRequests {
    fn known(&self) -> MutexGuard<'_, BTreeMap<RequestId, (i64, ListedRequest)>> {
        // A panic elsewhere leaves whole requests: each is inserted at once.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, request: &RequestId, generation: i64) -> Option<ListedRequest> {
        let known = self.known();
        known.get(request).filter(|(of, _)| *of == generation).map(|(_, listed)| listed.clone())
    }
}

pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json, Problem> {
    let cloud = &console.cloud;
    let manifests = manifest::listed(cloud).await?;
    let planned: BTreeSet<_> = manifests.iter().map(|(request, _)| request.clone()).collect();
    let read = manifests.into_iter().map(|(request, info)| listed_request(&console, request, info.generation).boxed());
    let mut requests: Vec<ListedRequest> =
        stream::iter(read).buffered(READ_AT_ONCE).try_filter_map(future::ok).try_collect().await?;
    requests.extend(known::waiting(cloud, &planned).await?.into_iter().map(|known| {
        let (uploaded_at, state) = (known.uploaded_at, known.state());
        ListedRequest { video: known.video, uploaded_at, state, ..ListedRequest::of(known.request) }
    }));
    requests.sort_by(|a, b| (b.uploaded_at, &b.request_id).cmp(&(a.uploaded_at, &a.request_id)));
    console.listed.known().retain(|request, _| planned.contains(request));
    Ok(Json(json!({ "requests": requests })))
}

/// A request in the form in which the list shows it; none if it was deleted meanwhile.
async fn listed_request(
    console: &Console,
    request: RequestId,
    generation: i64,
) -> Result<Option<ListedRequest>, Failure> {
    if let Some(listed) = console.listed.find(&request, generation) {
        return Ok(Some(listed));
    }
    let cloud = &console.cloud;
    let Some(manifest) = manifest::read(cloud, &request).await? else { return Ok(None) };
    let summary = match manifest.state.has_rows() {
        true => end::read_summary(cloud, &request).await?,
        false => None,
    };
    let (video, ledger) = (manifest.source.video.as_ref(), manifest.ledger.as_ref());
    let is_over = manifest.state.is_final() && (summary.is_some() || !manifest.state.has_rows());
    let listed = ListedRequest {
        video: end::video_name(&manifest),
        uploaded_at: manifest.source.uploaded_at,
        state: manifest.state.as_str(),
        retrack_of: manifest.retrack_of.clone(),
        error: manifest.error.as_ref().map(|error| error.message.clone()),
        seconds: video.map(|video| video.seconds()),
        frames: video.map(|video| video.frame_count),
        frames_damaged: ledger.map(|ledger| ledger.frames_damaged),
        width_px: video.map(|video| video.width_px),
        height_px: video.map(|video| video.height_px),
        segments: Some(manifest.segment_count),
        segments_tracked: Some(manifest.progress.segments_tracked),
        tracks: summary.as_ref().map(|summary| summary.tracks_by_class.values().sum()),
        cost: summary.and_then(|summary| summary.cost).map(|cost| json!(cost)),
        ..ListedRequest::of(request.clone())
    };
    if is_over {
        console.listed.known().insert(request, (generation, listed.clone()));
    }
    Ok(Some(listed))
}

pub(crate) async fn page(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    let manifest = found(&console, &request).await?;
    let (cloud, id) = (&console.cloud, &manifest.request_id);
    let notes: Vec<_> = manifest.notes().collect();
    let summary_info = cloud.find(&ResultFile::Summary.object(id)).await?;
    // A request that was reopened has the summary of its failure until it ends once more.
    let summary = match summary_info.is_some_and(|info| round::of(&info) == manifest.reopened_at) {
        true => end::read_summary(cloud, id).await?,
        false => None,
    };
    let timeline = timeline::of(cloud, &manifest).await?.map(|(timeline, works)| {
        let began = timeline.began_at;
        let pieces: Vec<_> = works
            .iter()
            .map(|work| {
                json!({
                    "stage": work.stage, "segment": work.segment,
                    "from_s": work.began_at.seconds_since(began), "to_s": work.ended_at.seconds_since(began),
                })
            })
            .collect();
        json!({ "summary": timeline, "pieces": pieces })
    });
    let mut files = Vec::new();
    for info in cloud.storage.list(&ObjectName::new(Bucket::Results, format!("{id}/"))).await.map_err(Problem::from)? {
        let name = info.object.name.rsplit('/').next().unwrap_or_default().to_owned();
        files.push(json!({ "name": name, "bytes": info.bytes }));
    }
    let source = source(&manifest);
    let has_source = cloud.find(&source).await?.is_some_and(|info| info.generation == manifest.source.generation);
    let has = |file: ResultFile| files.iter().any(|one| one["name"] == file.file_name());
    let video = manifest.source.video.as_ref().map(|video| {
        let mut facts = serde_json::to_value(video).unwrap_or_default();
        if let Some(facts) = facts.as_object_mut() {
            facts.remove("presentation");
            facts.remove("warnings");
            facts.insert("seconds".into(), json!(video.seconds()));
        }
        facts
    });
    Ok(Json(json!({
        "request_id": id, "video": end::video_name(&manifest), "state": manifest.state, "is_final": manifest.state.is_final(),
        "retrack_of": manifest.retrack_of, "uploaded_at": manifest.source.uploaded_at, "bytes": manifest.source.bytes,
        "crc32c": manifest.source.crc32c, "facts": video, "notes": notes, "error": manifest.error, "model": manifest.model,
        "ledger": manifest.ledger, "progress": manifest.progress, "segments": manifest.segment_count,
        "settings": manifest.settings, "version": manifest.version, "summary": summary, "timeline": timeline, "files": files,
        "has": {
            "source": has_source, "annotated": has(ResultFile::AnnotatedVideo), "tracks": has(ResultFile::Tracks),
            "crops": has(ResultFile::Crops),
        },
    })))
}

/// The upload of a request.
pub(crate) fn source(manifest: &Manifest) -> ObjectName {
    ObjectName::new(Bucket::Uploads, trackdrop_flow::end::video_name(manifest))
}

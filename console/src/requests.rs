//! The list of requests, and the page of one.

use crate::{Console, json::Json, problem::Problem};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use trackdrop_flow::{end, known, manifest, round, timeline};
use trackdrop_pipeline::{
    Bucket, Manifest, RequestId, Timestamp,
    names::{ObjectName, ResultFile},
};

/// A line of the list.
#[derive(Debug, Serialize)]
struct Line {
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
}

/// The request that an address names, and its manifest.
pub(crate) async fn found(console: &Console, request: &str) -> Result<Manifest, Problem> {
    let unknown = || Problem::not_found(format!("there is no request {request:?}: the list of requests has them all"));
    let id: RequestId = request.parse().map_err(|_| unknown())?;
    manifest::read(&console.cloud, &id).await?.ok_or_else(unknown)
}

pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json, Problem> {
    let mut lines = Vec::new();
    for known in known::all(&console.cloud).await?.into_iter().rev() {
        let state = known.state();
        let manifest = known.manifest.as_ref();
        let video = manifest.and_then(|manifest| manifest.source.video.as_ref());
        let ledger = manifest.and_then(|manifest| manifest.ledger.as_ref());
        let summary = match manifest.filter(|manifest| manifest.state.has_rows()) {
            Some(_) => end::read_summary(&console.cloud, &known.request).await?,
            None => None,
        };
        lines.push(Line {
            state,
            retrack_of: manifest.and_then(|manifest| manifest.retrack_of.clone()),
            error: manifest.and_then(|manifest| Some(manifest.error.as_ref()?.message.clone())),
            seconds: video.map(|video| video.seconds()),
            frames: video.map(|video| video.frame_count),
            frames_damaged: ledger.map(|ledger| ledger.frames_damaged),
            width_px: video.map(|video| video.width_px),
            height_px: video.map(|video| video.height_px),
            segments: manifest.map(|manifest| manifest.segment_count),
            segments_tracked: manifest.map(|manifest| manifest.progress.segments_tracked),
            tracks: summary.map(|summary| summary.tracks_by_class.values().sum()),
            request_id: known.request,
            video: known.video,
            uploaded_at: known.uploaded_at,
        });
    }
    Ok(Json(json!({ "requests": lines })))
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

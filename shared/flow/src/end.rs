//! How a request ends: exactly once in effect, whoever gets there and however often.

use crate::{
    Cloud, Created, NewObject, VERSION, WorkReport, busy_seconds,
    chunks::{self, Chunks},
    manifest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tracing::Instrument;
use trackdrop_cloud::TOPIC_REQUESTS;
use trackdrop_pipeline::{
    Bucket, Event, Failure, Manifest, RequestFinished, RequestId, RequestState, Stage, Timestamp,
    cost::{CostEstimate, Prices},
    ledger::LedgerTotal,
    manifest::{ModelIdentity, RequestError},
    names::{Marker, ObjectName, PerSegment, ResultFile},
};
use trackdrop_tables::requests::RequestRow;

/// Counts and timings of a finished request: `results/<request_id>/summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The request.
    pub request_id: RequestId,
    /// The request whose detections it was made from, where it is another version of that one's tracks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrack_of: Option<RequestId>,
    /// Object name of the upload.
    pub video: String,
    /// When the request ended.
    pub finished_at: Timestamp,
    /// Segments that the video was cut into.
    pub segments: u32,
    /// The account of its frames.
    pub ledger: LedgerTotal,
    /// Detections stored.
    pub detections: u64,
    /// Rows in `tracks`.
    pub track_rows: u64,
    /// Identities by class name.
    pub tracks_by_class: BTreeMap<String, u64>,
    /// The model.
    pub model: Option<ModelIdentity>,
    /// Seconds of work a stage, all segments together.
    pub seconds_by_stage: BTreeMap<Stage, f64>,
    /// Frames in a second in which an instance was busy with `track`, however many segments it worked on in it: what
    /// `trackdrop plan --fps-per-gpu` wants.
    #[serde(default)]
    pub fps_per_instance: Option<f64>,
    /// What this work would cost on Cloud Run with L4 GPUs if instances were busy with it for the same time there. An estimate.
    #[serde(default)]
    pub cost: Option<CostEstimate>,
    /// Version of Trackdrop.
    pub version: String,
}

/// To be called by whoever made one of the last results: ends the request if all of them stand.
pub async fn finish_if_complete(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    let Some((manifest, _)) = manifest::read(cloud, request).await? else {
        return Err(Failure::transient(format!("{request} has no manifest yet")));
    };
    if manifest.state == RequestState::Failed {
        return tell(cloud, &manifest).await;
    }
    if cloud.find(&Marker::Loaded.object(request)).await?.is_none() {
        return Ok(());
    }
    if manifest.settings.video && cloud.find(&ResultFile::AnnotatedVideo.object(request)).await?.is_none() {
        return Ok(());
    }
    let segments = manifest.segment_count;
    // `split` may not have got to it, and may never: chunks are worked on as soon as they stand.
    let chunks = match chunks::are_recorded(&manifest) {
        true => Chunks::new(),
        false => chunks::standing(cloud, manifest.detected_in()).await?,
    };
    let manifest = manifest::update(cloud, request, |manifest| {
        let changes = !manifest.state.is_final();
        if changes {
            chunks::note(manifest, &chunks);
            manifest.state = RequestState::Done;
            manifest.progress.segments_split = segments;
            manifest.progress.segments_tracked = segments;
            manifest.progress.segments_annotated = if manifest.settings.video { segments } else { 0 };
            manifest.progress.updated_at = Timestamp::now();
        }
        changes
    })
    .await?;
    tell(cloud, &manifest).await
}

/// Ends a request with a reason; the first reason stays. `manifest_if_none` describes a request that has no manifest yet.
pub async fn fail(
    cloud: &Cloud,
    request: &RequestId,
    stage: Stage,
    message: &str,
    manifest_if_none: impl FnOnce() -> Option<Manifest> + Send,
) -> Result<(), Failure> {
    let error = RequestError { stage, message: message.to_owned() };
    if manifest::state(cloud, request).await?.is_none() {
        let Some(mut manifest) = manifest_if_none() else {
            return Err(Failure::permanent(format!("{request} failed before it was planned: {message}")));
        };
        manifest.state = RequestState::Failed;
        manifest.error = Some(error.clone());
        manifest::create(cloud, &manifest).await?;
    }
    let manifest = manifest::update(cloud, request, |manifest| {
        let changes = !manifest.state.is_final();
        if changes {
            manifest.state = RequestState::Failed;
            manifest.error = Some(error.clone());
            manifest.progress.updated_at = Timestamp::now();
        }
        changes
    })
    .await?;
    // It may have been done all the same, and its last delivery given up on the way to telling so.
    tell(cloud, &manifest).await
}

/// For a request that stands as failed: tells its end again if a crash came between.
pub async fn tell_failed(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    if cloud.find(&Marker::Ended.object(request)).await?.is_some() {
        return Ok(());
    }
    match manifest::read(cloud, request).await? {
        Some((manifest, _)) if manifest.state == RequestState::Failed => tell(cloud, &manifest).await,
        _ => Ok(()),
    }
}

/// Opens a failed request again, so that what is missing can be done: the reason may be gone (a full disk, a wrong model file).
pub async fn reopen(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    for object in [Marker::Ended.object(request), ResultFile::Summary.object(request)] {
        cloud.storage.delete(&object).await?;
    }
    let manifest = manifest::update(cloud, request, |manifest| {
        let changes = manifest.state == RequestState::Failed;
        if changes {
            manifest.state = RequestState::Splitting;
            manifest.error = None;
        }
        changes
    })
    .await?;
    if manifest.segments.is_empty() {
        // It failed before it was planned: the plan is made anew.
        cloud.storage.delete(&ResultFile::Manifest.object(request)).await?;
    }
    Ok(())
}

/// Tells the end of a request: the summary, the row, the message, and then the marker that it is told. Every delivery that finds the
/// request over repeats this until the marker stands, so a crash between the steps loses none; the row is written once, the message
/// at least once.
async fn tell(cloud: &Cloud, manifest: &Manifest) -> Result<(), Failure> {
    let told = Marker::Ended.object(&manifest.request_id);
    if cloud.find(&told).await?.is_some() {
        return Ok(());
    }
    let summary = summarise(cloud, manifest).await?;
    let json = serde_json::to_vec_pretty(&summary)
        .map_err(|error| Failure::permanent(format!("the summary can't be written: {error}")))?;
    let file = ResultFile::Summary.object(&manifest.request_id);
    let summary = match cloud.create(NewObject::of_bytes(file.clone(), json, "application/json")).await? {
        Created::Now(_) => summary,
        // Another delivery wrote it: the row must say what the file says, to the moment at which the request ended.
        Created::Before => read_summary(cloud, &file).await?,
    };
    let row = row(manifest, &summary);
    cloud.warehouse.record_request(&row).instrument(tracing::info_span!("record")).await?;
    let finished = RequestFinished {
        request_id: manifest.request_id.clone(),
        state: manifest.state,
        error: manifest.error.as_ref().map(|error| error.message.clone()),
    };
    cloud.publisher.publish(TOPIC_REQUESTS, &Event::RequestFinished(finished)).await?;
    let began_at = began_at(cloud, manifest).await?;
    if let Created::Now(_) = cloud.create(NewObject::of_bytes(told, "", "application/octet-stream")).await? {
        log_end(manifest, &summary, began_at);
    }
    Ok(())
}

async fn read_summary(cloud: &Cloud, file: &ObjectName) -> Result<Summary, Failure> {
    let (_, json) = cloud.storage.get(file).await?;
    serde_json::from_slice(&json)
        .map_err(|error| Failure::permanent(format!("the summary {file} can't be read: {error}")))
}

/// The target of the one line that the log has of a request's end; a trace's outermost span is made of it.
pub const LOG_TARGET: &str = "trackdrop_flow::end";

fn log_end(manifest: &Manifest, summary: &Summary, began_at: Timestamp) {
    let (request, segments, frames) = (&manifest.request_id, summary.segments, summary.ledger.frames);
    let seconds = summary.finished_at.seconds_since(began_at);
    match &manifest.error {
        Some(error) => {
            let (stage, error) = (error.stage.name(), error.message.as_str());
            tracing::error!(target: LOG_TARGET, %request, %began_at, seconds, segments, frames, stage, error, "request failed");
        }
        None => tracing::info!(target: LOG_TARGET, %request, %began_at, seconds, segments, frames, "request done"),
    }
}

/// When a request began: with its upload, or, where it is another version of one's tracks, when that was asked for.
pub async fn began_at(cloud: &Cloud, manifest: &Manifest) -> Result<Timestamp, Failure> {
    if manifest.retrack_of.is_some()
        && let Some(marker) = cloud.find(&Marker::Tracked.object(&manifest.request_id)).await?
    {
        return Ok(marker.created);
    }
    Ok(manifest.source.uploaded_at)
}

/// Adds up the work reports that the request's objects carry.
async fn summarise(cloud: &Cloud, manifest: &Manifest) -> Result<Summary, Failure> {
    let request = &manifest.request_id;
    let mut seconds_by_stage = BTreeMap::new();
    let mut busy_by_stage = BTreeMap::new();
    let mut detections = 0;
    for (kind, stage) in [
        (PerSegment::Chunk, Stage::Split),
        (PerSegment::Detections, Stage::Track),
        (PerSegment::Annotated, Stage::Annotate),
    ] {
        let by = if kind == PerSegment::Annotated { request } else { manifest.detected_in() };
        let all = cloud.storage.list(&ObjectName::new(Bucket::Work, kind.prefix(by))).await?;
        let reports: Vec<_> = all.iter().map(|info| WorkReport::from_metadata(&info.metadata)).collect();
        if kind == PerSegment::Detections {
            detections = reports.iter().map(|report| report.rows).sum::<u64>();
        }
        // A version of another request's tracks did not do that one's work again.
        if by == request && !reports.is_empty() {
            seconds_by_stage.insert(stage, reports.iter().map(|report| report.seconds).sum::<f64>());
            busy_by_stage.insert(stage, busy_seconds(&reports));
        }
    }
    let mut merged = WorkReport::default();
    for (file, stage) in [(ResultFile::Tracks, Stage::Merge), (ResultFile::AnnotatedVideo, Stage::Join)] {
        let Some(info) = cloud.find(&file.object(request)).await? else { continue };
        let report = WorkReport::from_metadata(&info.metadata);
        seconds_by_stage.insert(stage, report.seconds);
        busy_by_stage.insert(stage, report.seconds);
        if file == ResultFile::Tracks {
            merged = report;
        }
    }
    let ledger = manifest.ledger.clone().unwrap_or_default();
    let track_s = busy_by_stage.get(&Stage::Track).copied().filter(|seconds| *seconds > 0.0);
    let cost = (!busy_by_stage.is_empty()).then(|| Prices::built_in().estimate_by_stage(&busy_by_stage));
    Ok(Summary {
        request_id: request.clone(),
        retrack_of: manifest.retrack_of.clone(),
        video: video_name(manifest),
        finished_at: Timestamp::now(),
        segments: manifest.segment_count,
        fps_per_instance: track_s.map(|seconds| ledger.frames as f64 / seconds),
        cost,
        ledger,
        detections,
        track_rows: merged.rows,
        tracks_by_class: merged.tracks,
        model: manifest.model.clone(),
        seconds_by_stage,
        version: VERSION.to_owned(),
    })
}

/// The upload's object name, out of its path for people.
pub fn video_name(manifest: &Manifest) -> String {
    let uri = &manifest.source.uri;
    uri.strip_prefix("uploads/").unwrap_or(uri).to_owned()
}

fn row(manifest: &Manifest, summary: &Summary) -> RequestRow {
    let seconds = |stage| summary.seconds_by_stage.get(&stage).copied().unwrap_or_default();
    RequestRow {
        request_id: manifest.request_id.clone(),
        retrack_of: manifest.retrack_of.clone(),
        video: summary.video.clone(),
        uploaded_at: manifest.source.uploaded_at,
        finished_at: summary.finished_at,
        state: manifest.state,
        error_stage: manifest.error.as_ref().map(|error| error.stage),
        error: manifest.error.as_ref().map(|error| error.message.clone()),
        segments: i64::from(summary.segments),
        frames: summary.ledger.frames as i64,
        frames_damaged: summary.ledger.frames_damaged as i64,
        detections: summary.detections as i64,
        track_rows: summary.track_rows as i64,
        track_count: summary.tracks_by_class.values().sum::<u64>() as i64,
        model: summary.model.as_ref().map(|model| model.name.clone()),
        model_sha256: summary.model.as_ref().map(|model| model.sha256.clone()),
        version: summary.version.clone(),
        split_s: seconds(Stage::Split),
        track_s: seconds(Stage::Track),
        merge_s: seconds(Stage::Merge),
        annotate_s: seconds(Stage::Annotate),
        join_s: seconds(Stage::Join),
    }
}

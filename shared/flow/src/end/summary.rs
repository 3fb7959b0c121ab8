//! Counts and timings of a request, summed when it ends: `summary.json`, and the row in `requests`.

use crate::{
    Cloud, VERSION, WorkReport, busy_seconds,
    round::{self, Round},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trackdrop_pipeline::{
    Bucket, DetectEvery, Failure, Manifest, RequestId, Stage, Timestamp,
    cost::{CostEstimate, Prices},
    ledger::LedgerTotal,
    manifest::ModelIdentity,
    names::{ObjectName, PerSegment, ResultFile},
};
use trackdrop_tables::requests::{PictureColumns, RequestRow};

/// Counts and timings of a finished request: `results/<request_id>/summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The request.
    pub request_id: RequestId,
    /// If it is a version: the request whose detections it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrack_of: Option<RequestId>,
    /// Object name of the upload.
    pub video: String,
    /// When the request ended.
    pub finished_at: Timestamp,
    /// Segments that the video was cut into.
    pub segments: u32,
    /// How many frames came from one look of the detector to the next.
    #[serde(default, skip_serializing_if = "DetectEvery::is_all")]
    pub detect_every: DetectEvery,
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
    /// Seconds of work for each stage, all segments together.
    pub seconds_by_stage: BTreeMap<Stage, f64>,
    /// Frames that the detector looked at per second in which an instance was busy with `track`. A second counts once
    /// if the instance worked on several segments. `trackdrop plan --fps-per-gpu` needs this value.
    #[serde(default)]
    pub fps_per_instance: Option<f64>,
    /// What this work would cost on Cloud Run with L4 GPUs if instances were busy with it for the same time there. An estimate.
    #[serde(default)]
    pub cost: Option<CostEstimate>,
    /// Release of Trackdrop.
    pub version: String,
}

/// Reads the summary of a finished request; none if it does not exist.
///
/// # Errors
/// Those of the store. Permanent: the object is not a summary.
pub async fn read_summary(cloud: &Cloud, request: &RequestId) -> Result<Option<Summary>, Failure> {
    let read = cloud.get_json(&ResultFile::Summary.object(request)).await?;
    Ok(read.map(|(_, summary)| summary))
}

/// The same, if the summary is of this round.
pub(super) async fn read_summary_of(
    cloud: &Cloud,
    request: &RequestId,
    round: Round,
) -> Result<Option<Summary>, Failure> {
    let read = cloud.get_json(&ResultFile::Summary.object(request)).await?;
    Ok(read.filter(|(info, _)| round::told(info) == Some(round)).map(|(_, summary)| summary))
}

/// Adds up the work reports that the request's objects carry.
pub(super) async fn summarise(cloud: &Cloud, manifest: &Manifest) -> Result<Summary, Failure> {
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
        // A version did not do the work of the first request again.
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
    let now = Timestamp::now();
    let ledger = manifest.ledger.clone().unwrap_or_default();
    let track_s = busy_by_stage.get(&Stage::Track).copied().filter(|seconds| *seconds > 0.0);
    let cost = (!busy_by_stage.is_empty()).then(|| Prices::built_in().estimate_by_stage(&busy_by_stage));
    Ok(Summary {
        request_id: request.clone(),
        retrack_of: manifest.retrack_of.clone(),
        video: video_name(manifest),
        // The moment distinguishes the rows of this round from those of earlier rounds, whatever the clocks say.
        finished_at: manifest.reopened_at.map_or(now, |began_at| now.max(began_at)),
        segments: manifest.segment_count,
        fps_per_instance: track_s.map(|seconds| ledger.looks() as f64 / seconds),
        cost,
        detect_every: manifest.detect_every().into(),
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
    manifest.video().to_owned()
}

/// The row of a request in the table `requests`.
pub fn row(manifest: &Manifest, summary: &Summary) -> RequestRow {
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
        picture: manifest.source.video.as_ref().map(PictureColumns::from).unwrap_or_default(),
    }
}

//! How a request ends. Idempotent: any delivery may end it, any number of times.

mod summary;
mod waiting;

use crate::{
    Cloud, NewObject,
    chunks::{self, Chunks},
    manifest,
    round::{self, Round},
    store::parse_json,
};
use bytes::Bytes;
use std::{cmp::Ordering, collections::BTreeMap};
use summary::summarise;
pub use summary::{Summary, read_summary, row, video_name};
use tracing::Instrument;
use trackdrop_cloud::{LoadOutcome, ObjectInfo, Precondition, TOPIC_REQUESTS, WarehouseError};
use trackdrop_pipeline::{
    Delivery, Event, Failure, Manifest, RequestFinished, RequestId, RequestState, Stage, Timestamp,
    manifest::RequestError,
    names::{Marker, ResultFile},
};
use trackdrop_tables::requests::RequestRow;
pub use waiting::{ROWS_OF_A_WINDOW, tell_all, tell_next};

/// Metadata of a summary whose row waits for a window.
const ENDS_BY_WINDOW: &str = "trackdrop-by-window";
/// Attempts of a conditional write. Only a write for another round makes one fail.
const ATTEMPTS: u32 = 10;

/// Ends the request if all its results exist. Call it after writing the load marker or the annotated video.
///
/// # Errors
/// Transient: store, warehouse or publisher did not answer.
pub async fn finish_if_complete(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    let manifest = manifest::expect(cloud, request).await?;
    if manifest.state.lacks_something() {
        return tell(cloud, &manifest).await;
    }
    if cloud.find(&Marker::Loaded.object(request)).await?.is_none() {
        return Ok(());
    }
    let lacks_video =
        manifest.settings.video && cloud.find(&ResultFile::AnnotatedVideo.object(request)).await?.is_none();
    if lacks_video && manifest.error.is_none() {
        return Ok(());
    }
    let segments = manifest.segment_count;
    // `split` may not have recorded them yet, and may never do so: chunks are processed as soon as they exist.
    let chunks = match chunks::are_recorded(&manifest) {
        true => Chunks::new(),
        false => chunks::existing(cloud, manifest.detected_in()).await?,
    };
    let manifest = manifest::update(cloud, request, |manifest| {
        // It can have been reopened in the meantime, so that the video is made.
        let changes = !manifest.state.is_final() && (!lacks_video || manifest.error.is_some());
        if changes {
            chunks::note(manifest, &chunks);
            manifest.progress.segments_split = segments;
            manifest.progress.segments_tracked = segments;
            if lacks_video {
                manifest.state = RequestState::DoneWithoutVideo;
            } else {
                manifest.state = RequestState::Done;
                // Another delivery has done what this one failed to do.
                manifest.error = None;
                manifest.progress.segments_annotated = if manifest.settings.video { segments } else { 0 };
            }
            manifest.progress.updated_at = Timestamp::now();
        }
        changes
    })
    .await?;
    if manifest.state.is_final() { tell(cloud, &manifest).await } else { Ok(()) }
}

/// Records that a stage failed permanently. This ends the request, except in the stages that draw and join. There only
/// the annotated video fails, because the rows do not depend on it. The request then ends when its rows are loaded, and
/// its end says what is missing. The first reason is retained. Everything else is as in [`fail`].
///
/// # Errors
/// Transient: store, warehouse or publisher did not answer.
pub async fn fail_in_stage(
    cloud: &Cloud,
    request: &RequestId,
    stage: Stage,
    message: &str,
    known_at: Option<Timestamp>,
    manifest_if_none: impl FnOnce() -> Option<Manifest> + Send,
) -> Result<(), Failure> {
    if !matches!(stage, Stage::Annotate | Stage::Join) || manifest::state(cloud, request).await?.is_none() {
        return fail(cloud, request, stage, message, known_at, manifest_if_none).await;
    }
    manifest::update(cloud, request, |manifest| {
        let changes = !manifest.state.is_final() && manifest.reopened_at <= known_at && manifest.error.is_none();
        if changes {
            manifest.error = Some(RequestError { stage, message: message.to_owned() });
            manifest.progress.updated_at = Timestamp::now();
        }
        changes
    })
    .await?;
    finish_if_complete(cloud, request).await
}

/// Ends a request with a reason. The first reason is retained. If the request was reopened after `known_at`, it
/// continues, because the reason belongs to an earlier round. A round is identified by the time at which it began.
/// `manifest_if_none` describes a request that has no manifest yet.
///
/// # Errors
/// Transient: store, warehouse or publisher did not answer.
pub async fn fail(
    cloud: &Cloud,
    request: &RequestId,
    stage: Stage,
    message: &str,
    known_at: Option<Timestamp>,
    manifest_if_none: impl FnOnce() -> Option<Manifest> + Send,
) -> Result<(), Failure> {
    let error = RequestError { stage, message: message.to_owned() };
    if manifest::state(cloud, request).await?.is_none() {
        // Another delivery found that its content has made another request: nothing failed.
        if cloud.find(&Marker::Ended.object(request)).await?.is_some_and(|marker| round::told(&marker).is_none()) {
            return Ok(());
        }
        let Some(mut manifest) = manifest_if_none() else {
            return Err(Failure::permanent(format!("{request} failed before it was planned: {message}")));
        };
        manifest.state = RequestState::Failed;
        manifest.error = Some(error.clone());
        manifest::create(cloud, &manifest).await?;
    }
    let manifest = manifest::update(cloud, request, |manifest| {
        let changes = !manifest.state.is_final() && manifest.reopened_at <= known_at;
        if changes {
            manifest.state = RequestState::Failed;
            manifest.error = Some(error.clone());
            manifest.progress.updated_at = Timestamp::now();
        }
        changes
    })
    .await?;
    if !manifest.state.is_final() {
        tracing::info!(%request, %stage, message, "opened again since: this failure is of the time before");
        return Ok(());
    }
    // The request can be done nevertheless: its last delivery may have been abandoned before it published the end.
    tell(cloud, &manifest).await
}

/// Publishes the end of a request again, in case a crash prevented it. For a request that ended in this round without
/// all results.
///
/// # Errors
/// Transient: store, warehouse or publisher did not answer.
pub async fn tell_failed(cloud: &Cloud, request: &RequestId, round: Round) -> Result<(), Failure> {
    if cloud.find(&Marker::Ended.object(request)).await?.is_some_and(|told| round::told(&told) >= Some(round)) {
        return Ok(());
    }
    match manifest::read(cloud, request).await? {
        Some(manifest) if manifest.state.lacks_something() => tell(cloud, &manifest).await,
        _ => Ok(()),
    }
}

/// Whether the request is over, and the end of its current round is published.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn is_told(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    let Some(told) = cloud.find(&Marker::Ended.object(request)).await? else { return Ok(false) };
    // Without a manifest there is nothing to publish: its content belongs to another request, or the request was deleted.
    Ok(manifest::state_and_round(cloud, request).await?.is_none_or(|(_, round)| round::told(&told) >= Some(round)))
}

/// Reopens a request that failed, or that lacks its annotated video, so that the missing work can be done. The cause
/// may no longer exist (a full disk, a wrong model file). The new round begins later than `after`, so a failure that is
/// known by then belongs to an earlier round. A request in another state is not reopened. Then this call completes what
/// an earlier call may have left undone.
///
/// # Errors
/// Permanent: the request cannot continue. Transient: store or warehouse did not answer.
pub async fn reopen(cloud: &Cloud, request: &RequestId, after: Option<Timestamp>) -> Result<(), Failure> {
    let Some(failed) = manifest::read(cloud, request).await? else { return Ok(()) };
    let mut reopened_at = failed.reopened_at;
    let lacks_something = |manifest: &Manifest| {
        // A request whose rows are not loaded yet continues although its video has failed.
        manifest.state.lacks_something() || (!manifest.state.is_final() && manifest.error.is_some())
    };
    if lacks_something(&failed) {
        if failed.state.is_final() {
            // The earlier end is published completely before the request is reopened. So another process that publishes
            // it at the same time has nothing left to write.
            tell_now(cloud, &failed).await?;
        }
        let ended_at = read_summary(cloud, request).await?.map(|summary| summary.finished_at);
        let earlier = [ended_at, failed.reopened_at, after].into_iter().flatten().map(just_after);
        let now = Timestamp::now();
        let began_at = earlier.fold(now, Timestamp::max);
        let manifest = manifest::update(cloud, request, |manifest| {
            let changes = lacks_something(manifest) && manifest.reopened_at == failed.reopened_at;
            if changes {
                if manifest.state.is_final() {
                    manifest.state = RequestState::Splitting;
                }
                manifest.error = None;
                manifest.reopened_at = Some(began_at);
                manifest.progress.updated_at = now;
            }
            changes
        })
        .await?;
        reopened_at = manifest.reopened_at;
    }
    forget_failures_before(cloud, request, reopened_at).await
}

fn just_after(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.micros().saturating_add(1))
}

/// Removes the rows of earlier rounds. Their times are before this round began. So the row of this round is never among
/// them, whichever process recorded it.
async fn forget_failures_before(cloud: &Cloud, request: &RequestId, round: Round) -> Result<(), Failure> {
    match round {
        Some(began_at) => Ok(cloud.warehouse.forget_failure(request, began_at).await?),
        None => Ok(()),
    }
}

/// Publishes the end of a request, in this order: the summary, the row, the message, and the marker that the end is
/// published. Every delivery that finds the request ended repeats these steps until the marker exists. So a crash
/// between two steps loses none. The row is written once, and the message at least once. What an earlier round
/// published is overwritten. If a later round has published its end, this call changes nothing. If rows are recorded by
/// window, the end waits for its window after the summary.
async fn tell(cloud: &Cloud, manifest: &Manifest) -> Result<(), Failure> {
    let (request, round) = (&manifest.request_id, manifest.reopened_at);
    let told = Marker::Ended.object(request);
    if cloud.find(&told).await?.is_some_and(|told| round::told(&told) >= Some(round)) {
        return Ok(());
    }
    let summary = summarise(cloud, manifest).await?;
    let json: Bytes = serde_json::to_vec_pretty(&summary)
        .map_err(|error| Failure::permanent(format!("the summary can't be written: {error}")))?
        .into();
    let file = ResultFile::Summary.object(request);
    let by_window = cloud.is_by_window.then(|| (ENDS_BY_WINDOW.to_owned(), "true".to_owned()));
    let by_window: BTreeMap<_, _> = by_window.into_iter().collect();
    let new = || NewObject::of_bytes(file.clone(), json.clone(), "application/json").with_metadata(by_window.clone());
    let (summary, is_by_window) = match tell_of_round(cloud, round, new).await? {
        Told::Now => (summary, cloud.is_by_window),
        // Another delivery wrote it. The row must agree with the file, also in the time at which the request ended.
        Told::Before(info, json) => (parse_json(&file, &json)?, waiting::is_by_window(&info)),
        Told::LaterRound => return Ok(()),
    };
    // The process that reopened the request may have died before it removed them.
    forget_failures_before(cloud, request, round).await?;
    if is_by_window {
        return waiting::wait(cloud, request, round).await;
    }
    let row = row(manifest, &summary);
    record(cloud, std::slice::from_ref(&row)).await?;
    publish(cloud, &row, round).await
}

/// The same, without waiting for the scheduler.
async fn tell_now(cloud: &Cloud, manifest: &Manifest) -> Result<(), Failure> {
    tell(cloud, manifest).await?;
    if is_told(cloud, &manifest.request_id).await? { Ok(()) } else { tell_all(cloud, &Delivery::new()).await }
}

/// Records rows of requests, together and once. If several deliveries end a request at the same time, all of them call
/// this, and the warehouse records the row of one.
async fn record(cloud: &Cloud, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
    let span = tracing::info_span!("record", rows = rows.len(), loaded = tracing::field::Empty);
    let outcome = cloud.warehouse.record_requests(rows).instrument(span.clone()).await?;
    span.record("loaded", outcome == LoadOutcome::Loaded);
    Ok(outcome)
}

/// Publishes the end that a row describes, then marks it as published.
async fn publish(cloud: &Cloud, row: &RequestRow, round: Round) -> Result<(), Failure> {
    let told = Marker::Ended.object(&row.request_id);
    let finished = RequestFinished { request_id: row.request_id.clone(), state: row.state, error: row.error.clone() };
    cloud.publisher.publish(TOPIC_REQUESTS, &Event::RequestFinished(finished)).await?;
    let began_at = asked_at(cloud, &row.request_id, row.retrack_of.is_some(), row.uploaded_at).await?;
    if let Told::Now = tell_of_round(cloud, round, || NewObject::marker(told.clone())).await? {
        log_end(row, began_at);
    }
    Ok(())
}

/// The result of publishing something for a round.
enum Told {
    /// This call published it.
    Now,
    /// An earlier call published it, with this content.
    Before(ObjectInfo, Bytes),
    /// A later round has published its own, or the request was deleted. So this one is outdated.
    LaterRound,
}

/// Writes an object once per round. It overwrites one of an earlier round, never one of the same or a later round.
async fn tell_of_round(cloud: &Cloud, round: Round, new: impl Fn() -> NewObject + Send) -> Result<Told, Failure> {
    let object = new().object;
    let mut precondition = Precondition::NotExists;
    for _ in 0..ATTEMPTS {
        if cloud.put_if(precondition, new().with_metadata(round::metadata(round))).await?.is_some() {
            return Ok(Told::Now);
        }
        precondition = match cloud.get(&object).await? {
            Some((info, _)) if round::is_of_deleted(&info) => return Ok(Told::LaterRound),
            Some((info, content)) => match round::told(&info).cmp(&Some(round)) {
                Ordering::Less => Precondition::Generation(info.generation),
                Ordering::Equal => return Ok(Told::Before(info, content)),
                Ordering::Greater => return Ok(Told::LaterRound),
            },
            None => Precondition::NotExists,
        };
    }
    Err(Failure::transient(format!("{object} was changed by others {ATTEMPTS} times in a row")))
}

/// The target of the log line about a request's end. The root span of the trace is made from that line.
pub const LOG_TARGET: &str = "trackdrop_flow::end";

fn log_end(row: &RequestRow, began_at: Timestamp) {
    let (request, segments, frames) = (&row.request_id, row.segments, row.frames);
    let seconds = row.finished_at.seconds_since(began_at);
    match (&row.error, row.error_stage) {
        (Some(error), Some(stage)) => {
            let (stage, error) = (stage.name(), error.as_str());
            if row.state == RequestState::DoneWithoutVideo {
                tracing::error!(target: LOG_TARGET, %request, %began_at, seconds, segments, frames, stage, error, "request done without its video");
            } else {
                tracing::error!(target: LOG_TARGET, %request, %began_at, seconds, segments, frames, stage, error, "request failed");
            }
        }
        _ => tracing::info!(target: LOG_TARGET, %request, %began_at, seconds, segments, frames, "request done"),
    }
}

/// When a request began: when its upload was created, or when the version was requested.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn began_at(cloud: &Cloud, manifest: &Manifest) -> Result<Timestamp, Failure> {
    asked_at(cloud, &manifest.request_id, manifest.retrack_of.is_some(), manifest.source.uploaded_at).await
}

async fn asked_at(
    cloud: &Cloud,
    request: &RequestId,
    is_version: bool,
    uploaded_at: Timestamp,
) -> Result<Timestamp, Failure> {
    if is_version && let Some(marker) = cloud.find(&Marker::Tracked.object(request)).await? {
        return Ok(marker.created);
    }
    Ok(uploaded_at)
}

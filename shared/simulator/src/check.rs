//! The rules that must be true at the end of every run.

use crate::{
    after::{After, Dropped},
    attempt::WAITING,
    fault::{Fault, Placed},
    memory::State,
    stand_ins::UNJOINABLE,
    world::GivenUp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use trackdrop_cloud::TOPIC_REQUESTS;
use trackdrop_flow::{chunks, claim, end::Summary};
use trackdrop_pipeline::{
    Bucket, Event, Manifest, RequestFinished, RequestId, RequestSettings, RequestState, Stage, Timestamp,
    names::{self, Marker, ObjectName, ResultFile, request_of},
};
use trackdrop_tables::tracks;

/// The sweeper's records.
const SWEPT: &str = "swept/";
/// Where `load` keeps its windows.
const WINDOWS: &str = "loads/";

/// Returns every broken rule, as sentences. `expected` has the results of each upload without faults.
pub(crate) fn all(after: &After, expected: &BTreeMap<RequestId, Arc<State>>) -> Vec<String> {
    let mut broken = vec![];
    for dropped in &after.dropped {
        let request = &dropped.request;
        let mut rule = |outcome: Result<(), String>| {
            if let Err(text) = outcome {
                broken.push(format!("{request} ({:?}): {text}", dropped.upload.name));
            }
        };
        rule(ended_with_a_reason(after, dropped));
        rule(told_once_and_the_same_everywhere(&after.state, request));
        rule(rows_are_there_once(&after.state, request));
        if let Some(expected) = expected.get(request) {
            rule(same_bytes(&after.state, expected, request));
        }
    }
    broken.extend(nothing_else_was_touched(after));
    broken.extend(everything_was_written_once(&after.state));
    broken.extend(no_more_work_than_the_faults_explain(after));
    broken.extend(given_up_by_faults_alone(after));
    broken
}

fn manifest(state: &State, request: &RequestId) -> Option<Manifest> {
    let (_, json) = state.objects.get(&ResultFile::Manifest.object(request))?;
    serde_json::from_slice(json).ok()
}

/// The state of a request.
pub(crate) fn state_of(state: &State, request: &RequestId) -> Option<&'static str> {
    manifest(state, request).map(|manifest| manifest.state.as_str())
}

/// No request hangs. A failed request says why. Transient faults fail no request.
fn ended_with_a_reason(after: &After, dropped: &Dropped) -> Result<(), String> {
    let Some(manifest) = manifest(&after.state, &dropped.request) else {
        // Its event was lost and then the upload itself was taken away: no object names it any more.
        let upload = format!("split {}@{}#", dropped.info.object, dropped.info.generation);
        let was_lost = |(place, fault): &Placed| *fault == Fault::Lost && place.starts_with(&upload);
        if dropped.taken_away && after.faults.iter().any(was_lost) {
            return Ok(());
        }
        // Its content belongs to another request, and its marker says so.
        let is_left = after.state.objects.contains_key(&Marker::Ended.object(&dropped.request));
        if is_left
            && after.dropped.iter().any(|other| is_the_same(dropped, other) && is_cut(&after.state, &other.request))
        {
            return Ok(());
        }
        return Err("hangs without a manifest".to_owned());
    };
    if !after.state.objects.contains_key(&Marker::Ended.object(&dropped.request)) {
        return Err(format!("hangs as {}", manifest.state.as_str()));
    }
    let source = &manifest.source;
    if source.generation != dropped.info.generation {
        return Err(format!("speaks of generation {} of its upload", source.generation));
    }
    let bytes = dropped.upload.text.len() as u64;
    if source.bytes != bytes && (source.bytes != 0 || !dropped.taken_away) {
        return Err(format!("says that its upload has {} bytes instead of {bytes}", source.bytes));
    }
    if manifest.settings != dropped.upload.settings && !dropped.taken_away {
        return Err("has other settings than its upload".to_owned());
    }
    match (manifest.state, &manifest.error) {
        (RequestState::Done, None) => Ok(()),
        (RequestState::Failed, Some(error)) if matches!(error.stage, Stage::Annotate | Stage::Join) => Err(format!(
            "failed as a whole, though only its video could not be made: {}: {}",
            error.stage, error.message
        )),
        (state @ (RequestState::Failed | RequestState::DoneWithoutVideo), Some(error)) => {
            let message = error.message.as_str();
            let without_video = state == RequestState::DoneWithoutVideo;
            if without_video != matches!(error.stage, Stage::Annotate | Stage::Join) {
                return Err(format!("ended as {} for what happened in {}", state.as_str(), error.stage));
            }
            if without_video && after.state.objects.contains_key(&ResultFile::AnnotatedVideo.object(&dropped.request)) {
                return Err("says that it has no video, which exists".to_owned());
            }
            let is_unjoinable = dropped.upload.text.contains(UNJOINABLE) && message == "join: the parts do not fit";
            if without_video && is_unjoinable {
                return Ok(());
            }
            let no_video = message.contains("is not a video") && !dropped.upload.text.contains("gop=");
            let gone = message.contains("was deleted or overwritten") && dropped.taken_away;
            let gone = gone || (message.contains("is gone: upload") && dropped.taken_away);
            // Which must be explained: see below.
            let was_given_up =
                after.given_up.iter().any(|given_up| given_up.request.as_ref() == Some(&dropped.request));
            let gave_up = message.starts_with("abandoned after") || message.starts_with("no activity for");
            if no_video || gone || (gave_up && was_given_up) {
                return Ok(());
            }
            Err(format!("failed without need: {}: {message}", error.stage))
        }
        (state, error) => Err(format!("ended as {} with the reason {error:?}", state.as_str())),
    }
}

/// Whether two uploads have one name, content and settings, but for the length of segments.
fn is_the_same(one: &Dropped, other: &Dropped) -> bool {
    let of = |dropped: &Dropped| {
        let settings = RequestSettings { segment_seconds: 1.0, ..dropped.upload.settings.clone() };
        (dropped.info.object.clone(), dropped.upload.text.clone(), settings)
    };
    one.request != other.request && of(one) == of(other)
}

fn is_cut(state: &State, request: &RequestId) -> bool {
    manifest(state, request).is_some_and(|manifest| chunks::are_recorded(&manifest))
}

/// The summary, the row in `requests` and the messages agree.
fn told_once_and_the_same_everywhere(state: &State, request: &RequestId) -> Result<(), String> {
    let Some(manifest) = manifest(state, request) else { return Ok(()) };
    let summary: Summary = match state.objects.get(&ResultFile::Summary.object(request)) {
        Some((_, json)) => serde_json::from_slice(json).map_err(|error| format!("summary: {error}"))?,
        None => return Err("has no summary".to_owned()),
    };
    let rows: Vec<_> = state.request_rows.iter().filter(|row| row.request_id == *request).collect();
    let [row] = rows[..] else { return Err(format!("has {} rows in requests", rows.len())) };
    let numbers = [row.segments, row.frames, row.frames_damaged, row.detections, row.track_rows, row.track_count];
    let of_row =
        (row.state, row.error_stage, row.error.as_deref(), row.finished_at, numbers.map(|number| number as u64));
    let ledger = &summary.ledger;
    let error = manifest.error.as_ref();
    let numbers = [
        u64::from(summary.segments),
        ledger.frames,
        ledger.frames_damaged,
        summary.detections,
        summary.track_rows,
        summary.tracks_by_class.values().sum(),
    ];
    let message = error.map(|error| error.message.as_str());
    let of_others = (manifest.state, error.map(|error| error.stage), message, summary.finished_at, numbers);
    if of_row != of_others {
        return Err(format!("the row says {of_row:?}, manifest and summary {of_others:?}"));
    }
    let told: Vec<&RequestFinished> = state
        .messages
        .iter()
        .filter(|(topic, _)| topic == TOPIC_REQUESTS)
        .filter_map(|(_, event)| match event {
            Event::RequestFinished(finished) if finished.request_id == *request => Some(finished),
            _ => None,
        })
        .collect();
    let is_the_same =
        |finished: &&RequestFinished| (finished.state, finished.error.as_deref()) == (manifest.state, message);
    if told.is_empty() || !told.iter().all(is_the_same) {
        return Err(format!("is {} ({message:?}), but was published as {told:?}", manifest.state.as_str()));
    }
    Ok(())
}

/// `tracks` has each row once.
fn rows_are_there_once(state: &State, request: &RequestId) -> Result<(), String> {
    let loaded: Vec<_> = state.tracks.iter().filter(|(of, _)| of == request).map(|(_, content)| content).collect();
    let loads = loaded.len();
    let has_rows = manifest(state, request).is_some_and(|manifest| manifest.state.has_rows());
    if loads > 1 || (has_rows && loads == 0) {
        return Err(format!("its rows were loaded {loads} times"));
    }
    let Some((_, content)) = state.objects.get(&ResultFile::Tracks.object(request)) else { return Ok(()) };
    if loaded.iter().any(|rows| *rows != content) {
        return Err("other rows were loaded than those of tracks.parquet".to_owned());
    }
    let rows = tracks::read(content.clone()).map_err(|error| format!("tracks.parquet: {error}"))?;
    let keys: BTreeSet<_> = rows.iter().map(|row| (row.frame_index, row.track_id)).collect();
    if keys.len() == rows.len() { Ok(()) } else { Err("tracks.parquet has rows twice".to_owned()) }
}

/// Every object that exists has the bytes of an undisturbed run, and a request that is done has all of them.
fn same_bytes(state: &State, expected: &State, request: &RequestId) -> Result<(), String> {
    let undisturbed = manifest(expected, request);
    // Done, or without its video where that can't be made.
    let is_done = manifest(state, request).is_some_and(|manifest| {
        manifest.state.has_rows() && undisturbed.as_ref().map(|of| of.state) == Some(manifest.state)
    });
    let of = |state: &State| -> BTreeMap<ObjectName, (Vec<u8>, BTreeMap<String, String>)> {
        let all = state.objects.iter().filter(|(object, _)| request_of(object).as_ref() == Some(request));
        all.map(|(object, (info, content))| {
            let mut metadata = info.metadata.clone();
            metadata.remove("trackdrop-work");
            // Of several uploads that are the same, another may have been the first.
            metadata.remove("trackdrop-left-to");
            (object.clone(), (content.to_vec(), metadata))
        })
        .collect()
    };
    let told = [ResultFile::Manifest, ResultFile::Summary].map(|file| file.object(request));
    let (ours, theirs) = (of(state), of(expected));
    let is_its_own = |object: &ObjectName| told.contains(object) || object.name.starts_with(SWEPT) || waits(object);
    for (object, content) in ours.iter().filter(|(object, _)| !is_its_own(object)) {
        match theirs.get(object) {
            None => return Err(format!("{object} exists, which an undisturbed run does not make")),
            Some(expected) if expected != content => {
                return Err(format!("{object} differs from that of an undisturbed run"));
            }
            Some(_) => {}
        }
    }
    if is_done {
        if let Some(missing) = theirs.keys().find(|object| !ours.contains_key(object)) {
            return Err(format!("is done, but {missing} is missing"));
        }
        if manifest(state, request).map(without_times) != undisturbed.map(without_times) {
            return Err("is done, but its manifest is not that of an undisturbed run".to_owned());
        }
        let [of_ours, of_theirs] = [&ours, &theirs].map(|of| {
            let (json, _) = of.get(&told[1])?;
            let mut summary: Summary = serde_json::from_slice(json).ok()?;
            summary.finished_at = Timestamp::from_micros(0);
            summary.seconds_by_stage = summary.seconds_by_stage.into_keys().map(|stage| (stage, 0.0)).collect();
            // Both follow from how long the work took.
            (summary.fps_per_instance, summary.cost) = (None, None);
            Some(summary)
        });
        if of_ours != of_theirs {
            return Err(format!("its summary is {of_ours:?}, undisturbed {of_theirs:?}"));
        }
    }
    Ok(())
}

fn without_times(mut manifest: Manifest) -> Manifest {
    manifest.progress.updated_at = Timestamp::from_micros(0);
    // Progress is written at most every few seconds, and the last count only where all was drawn.
    if manifest.state == RequestState::DoneWithoutVideo {
        manifest.progress.segments_annotated = 0;
    }
    manifest
}

/// All objects have the names of a request of this run. In `work` these are the names of the lifecycle rule. In
/// `results` a request has five files.
fn nothing_else_was_touched(after: &After) -> Vec<String> {
    let files = [
        ResultFile::Manifest,
        ResultFile::Detections,
        ResultFile::Tracks,
        ResultFile::AnnotatedVideo,
        ResultFile::Summary,
    ];
    let mut broken = vec![];
    for object in after.state.writes.keys() {
        let request = request_of(object);
        let known = after.dropped.iter().find(|dropped| Some(&dropped.request) == request.as_ref());
        let allowed = match (object.bucket, known) {
            (Bucket::Uploads, _) => after.dropped.iter().any(|dropped| dropped.info.object == *object),
            (Bucket::Work, known) => {
                known.is_some() || object.name.starts_with(WINDOWS) || object.name.starts_with(claim::PREFIX)
            }
            (Bucket::Results, Some(known)) => files.iter().any(|file| file.object(&known.request) == *object),
            (Bucket::Results, None) => false,
        };
        if !allowed {
            broken.push(format!("{object} was written"));
        }
    }
    broken
}

/// Whether it lets a request wait for a window. A late delivery can do so again, and the next window finds that there
/// is nothing to load.
fn waits(object: &ObjectName) -> bool {
    [WAITING, &names::waiting_ends().name].iter().any(|waiting| object.name.starts_with(waiting))
}

/// Everything is created once and never written again, except the manifest, claims, the lists of windows and the sweeper's records.
fn everything_was_written_once(state: &State) -> Vec<String> {
    let again = state.writes.iter().filter(|&(object, &times)| {
        let may_change = object.bucket == Bucket::Uploads
            || object.name.ends_with("/manifest.json")
            || (object.bucket == Bucket::Work
                && [SWEPT, WINDOWS, claim::PREFIX].iter().any(|prefix| object.name.starts_with(prefix)))
            || waits(object);
        times > 1 && !may_change
    });
    again.map(|(object, times)| format!("{object} was written {times} times")).collect()
}

/// A delivery without a fault does its work at most once, and a fault causes at most one repetition.
fn no_more_work_than_the_faults_explain(after: &After) -> Vec<String> {
    let mut broken = vec![];
    for ((message, result), deliveries) in &after.tries {
        if message.starts_with("trackdrop.") {
            // The clock starts it again and again, and it resumes with what it finds.
            continue;
        }
        let of_message = |place: &str| {
            let rest = place.strip_prefix(message.as_str());
            rest.is_some_and(|rest| rest.starts_with('#'))
        };
        let places = after.faults.iter().filter(|(_, fault)| fault.repeats_work()).map(|(place, _)| place);
        let places = places.chain(&after.killed);
        // "split uploads/clip.mp4@1767225601000000", "merge work/tracked/req_...".
        let started_by = message.split_once(' ').map_or("", |(_, object)| object);
        let told_again =
            after.told_again.iter().map(ToString::to_string).filter(|object| started_by.starts_with(object));
        let faults = places.filter(|place| of_message(place)).count() + told_again.count();
        if deliveries.len() > 1 + faults {
            let times = deliveries.len();
            broken.push(format!("{message} made {result} {times} times, with {faults} faults on its way"));
        }
    }
    broken
}

/// Only faults use up attempts: each attempt of an abandoned delivery had a fault.
fn given_up_by_faults_alone(after: &After) -> Vec<String> {
    let unexplained = after.given_up.iter().filter(|given_up| !given_up.unexplained.is_empty());
    unexplained
        .map(|GivenUp { message, reason, unexplained, .. }| {
            format!("{message} was abandoned ({reason}), though no fault struck its attempts {unexplained:?}")
        })
        .collect()
}

//! Finds stalled requests, says why, and restarts them.
//!
//! Every event is delivered until a handler accepts it or a dead letter ends its request. So the sweeper finds nothing in normal operation. It exists
//! for two cases: an event that was lost all the same (a subscription that was created too late or purged, a message that outlived its retention),
//! and a crash after which nothing was redelivered. It reads the objects in the buckets, because only they say how far a request is:
//!
//! - A request that has everything but a marker gets the marker. A request whose end is not published gets its end published.
//! - For a request that waits for an event, the object's event is published again. If the first event was not lost but waits in a queue, the handler
//!   receives it twice, which changes nothing. The time until the next publication doubles, so that repetitions do not fill a long queue.
//! - A request that can't continue (its chunk is gone), or that did not continue for days after its event was last published again, is failed with
//!   the reason. Days without a sign of life alone are no failure: the queue may be that long.

mod known;

use crate::{
    Cloud, end,
    manifest::{self, unplanned},
    round::{self, Round},
    trace,
};
use known::{Ended, Known};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tracing::Instrument;
use trackdrop_cloud::{Content, Listing, ObjectInfo, PutOptions};
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, Manifest, NamePatterns, ObjectFinalized, RequestId, RequestSettings, RequestState,
    Stage, Timestamp,
    names::{self, Marker, ObjectName, PerSegment, ResultFile},
};

/// What is done about a request, in that request's trace.
const SPAN: &str = "sweep";
/// How many missing segments are named.
const NAMED: usize = 10;
/// How long an upload is still examined after the time by which its request must be abandoned. Results may have been removed by then, and must not be
/// recreated.
const UPLOADS_AFTER_S: f64 = 86_400.0;
/// Every stalled request is abandoned before it has stalled for this many times the patience.
const GIVEN_UP_WITHIN: f64 = 3.0;

/// How long requests may stall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Seconds without a sign of life after which a request is restarted.
    pub still_s: f64,
    /// Seconds after which it is failed, counted from the last time its events were published again. It is failed only while the next publication is
    /// further away than that. So it is failed after between twice and three times as long without a sign of life.
    pub give_up_s: f64,
}

impl Default for Patience {
    /// Two hours, as the alert on stalled requests; and two days, so a request is failed after four to six. Pub/Sub and the bucket retain messages
    /// and chunks for seven.
    fn default() -> Self {
        Self { still_s: 7_200.0, give_up_s: 2.0 * 86_400.0 }
    }
}

impl Patience {
    /// For where it is known that nothing is on its way.
    pub const NONE: Self = Self { still_s: f64::NEG_INFINITY, give_up_s: f64::INFINITY };
}

/// A stalled request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandsStill {
    /// The request.
    pub request_id: RequestId,
    /// The stage that stalled.
    pub stage: Stage,
    /// Seconds since the last sign of life.
    pub seconds: f64,
    /// What is missing.
    pub why: String,
    /// What was done about it.
    pub done: Treatment,
}

/// What was done about a stalled request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// This many events were published again.
    ToldAgain(usize),
    /// A missing step was completed: a marker was written, or the end was published.
    Healed,
    /// It was failed with this reason.
    Failed(String),
    /// Nothing this time: its events were published again not long ago.
    Nothing,
}

/// The result of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// The stalled requests, in the order of their ids.
    pub found: Vec<StandsStill>,
    /// Requests that could not be handled, and why. They do not delay the others.
    pub failed: Vec<(RequestId, Failure)>,
}

/// Handles all requests except those of `busy`, which are known to be in progress. Uploads that `ignored` names, and empty uploads, are expected to
/// make no request.
///
/// # Errors
/// Where the buckets can't be listed, and where `delivery` is asked to stop: the next sweep looks at all of them again.
pub async fn sweep(
    cloud: &Cloud,
    patience: Patience,
    ignored: &NamePatterns,
    busy: &BTreeSet<RequestId>,
    delivery: &Delivery,
) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    sweep_each(cloud, patience, ignored, busy, delivery, &mut |looked_after| match looked_after {
        Ok(found) => swept.found.push(found),
        Err(failed) => swept.failed.push(failed),
    })
    .await?;
    swept.found.sort_by(|a, b| a.request_id.cmp(&b.request_id));
    Ok(swept)
}

/// What `sweep_each` passes to `note`: a stalled request, or one that could not be handled, and why.
pub type LookedAfter = Result<StandsStill, (RequestId, Failure)>;

/// The same, for any number of requests and uploads. It passes what it finds to `note` one by one: first the requests, then the uploads that no
/// request took. Of each listed request it holds at most 16 bytes.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_each(
    cloud: &Cloud,
    patience: Patience,
    ignored: &NamePatterns,
    busy: &BTreeSet<RequestId>,
    delivery: &Delivery,
    note: &mut (dyn FnMut(LookedAfter) + Send + Sync),
) -> Result<(), Failure> {
    let mut sweeper = Sweeper { cloud, patience, note };
    // In the order of the ids, as the manifests are.
    let mut ended = Ended::begin(cloud);
    let mut told = ended.next().await?;
    let (mut manifests, mut known) = (manifest::Listed::begin(cloud), Known::default());
    while let Some((request, info)) = manifests.next().await? {
        while let Some((ended_before, _)) = told.as_ref().filter(|(ended, _)| *ended < request) {
            known.note(ended_before);
            told = ended.next().await?;
        }
        known.note(&request);
        // Markers of requests that are long over have been cleared away.
        let is_long_over = manifest::state_of(&info).is_some_and(RequestState::is_final)
            && Timestamp::now().seconds_since(info.created) >= patience.give_up_s;
        // Its manifest is a sign of life itself: most requests that are under way need no look.
        let is_young = Timestamp::now().seconds_since(info.created) < patience.still_s;
        let is_told = told.as_ref().is_some_and(|(ended, told)| *ended == request && *told >= Some(round::of(&info)));
        if is_told || busy.contains(&request) || is_long_over || is_young {
            continue;
        }
        delivery.step()?;
        let outcome = sweeper.look_after(&request).await;
        sweeper.failed(&request, outcome);
    }
    while let Some((request, _)) = told {
        known.note(&request);
        told = ended.next().await?;
    }
    let known = known.complete();
    let mut uploads = Listing::of(&*cloud.storage, ObjectName::new(Bucket::Uploads, ""));
    while let Some(info) = uploads.next().await? {
        if info.bytes == 0 || ignored.matching(&info.object.name).is_some() {
            continue;
        }
        let upload = info.finalized();
        let Some(request) = upload.request() else { continue };
        let is_too_old =
            Timestamp::now().seconds_since(info.created) >= GIVEN_UP_WITHIN * patience.give_up_s + UPLOADS_AFTER_S;
        if known.contains(&request) || busy.contains(&request) || is_too_old {
            continue;
        }
        let why = format!("{} was never planned: its event did not reach split", info.object);
        let remedies = vec![Remedy::Tell(vec![upload.clone()])];
        let standing = Standing { round: None, last: info.created, stage: Stage::Split, why, remedies };
        if !sweeper.stands_still(&standing) {
            continue;
        }
        delivery.step()?;
        let describe = || {
            let settings = RequestSettings::of_upload(&info.metadata).unwrap_or_default();
            Some(unplanned(&request, &upload, Some(&info), settings))
        };
        let span = trace::by_clock(SPAN, &request, Some(&info));
        let outcome = sweeper.treat(&request, standing, describe).instrument(span).await;
        sweeper.failed(&request, outcome);
    }
    Ok(())
}

/// Tells all that a request waits for once more, at once; for one that was opened again. Gives what was done.
///
/// # Errors
/// Permanent: the request cannot continue. Transient: store or publisher did not answer.
pub async fn go_on(cloud: &Cloud, request: &RequestId) -> Result<Treatment, Failure> {
    let mut done = Treatment::Nothing;
    let note: &mut (dyn FnMut(LookedAfter) + Send + Sync) = &mut |looked_after| {
        if let Ok(found) = looked_after {
            done = found.done;
        }
    };
    Sweeper { cloud, patience: Patience::NONE, note }.look_after(request).await?;
    Ok(done)
}

/// The state of a request.
struct Standing {
    round: Round,
    /// The last sign of life.
    last: Timestamp,
    stage: Stage,
    why: String,
    /// More than one where the flow forks.
    remedies: Vec<Remedy>,
}

/// What sets a request going again.
enum Remedy {
    /// To tell of these objects once more.
    Tell(Vec<ObjectFinalized>),
    /// A marker; everything that it states is complete.
    Mark(Marker),
    /// Publish its end.
    End,
    /// Nothing: what it needs is gone.
    Gone(String),
}

/// When the events of a request were last published again, and how often: `work/swept/<request_id>`.
#[derive(Default, Serialize, Deserialize)]
struct ToldBefore {
    times: u32,
    at: Option<Timestamp>,
}

fn record_of(request: &RequestId) -> ObjectName {
    ObjectName::new(Bucket::Work, format!("swept/{request}"))
}

struct Sweeper<'a> {
    cloud: &'a Cloud,
    patience: Patience,
    note: &'a mut (dyn FnMut(LookedAfter) + Send + Sync),
}

impl Sweeper<'_> {
    fn failed(&mut self, request: &RequestId, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            tracing::error!(%request, %failure, "a request can't be looked after");
            (self.note)(Err((request.clone(), failure)));
        }
    }

    async fn look_after(&mut self, request: &RequestId) -> Result<(), Failure> {
        let Some(manifest) = manifest::read(self.cloud, request).await? else { return Ok(()) };
        let standing = look(self.cloud, &manifest).await?;
        if !self.stands_still(&standing) {
            return Ok(());
        }
        let span = trace::by_clock_anywhere(SPAN, self.cloud, &manifest).await?;
        self.treat(request, standing, || None).instrument(span).await
    }

    fn stands_still(&self, standing: &Standing) -> bool {
        Timestamp::now().seconds_since(standing.last) >= self.patience.still_s
    }

    async fn treat(
        &mut self,
        request: &RequestId,
        standing: Standing,
        describe: impl FnOnce() -> Option<Manifest> + Send,
    ) -> Result<(), Failure> {
        let Standing { round, last, stage, why, remedies } = standing;
        let now = Timestamp::now();
        let seconds = now.seconds_since(last);
        let (mut reason, mut told, mut done) = (None, Vec::new(), Treatment::Nothing);
        for remedy in remedies {
            match remedy {
                Remedy::Mark(marker) => {
                    self.cloud.mark(marker.object(request)).await?;
                    done = Treatment::Healed;
                }
                Remedy::End => {
                    end::finish_if_complete(self.cloud, request).await?;
                    // It may wait for a window that no clock ends.
                    end::tell_all(self.cloud, &Delivery::new()).await?;
                    done = Treatment::Healed;
                }
                Remedy::Tell(objects) => told.extend(objects),
                Remedy::Gone(what) => reason = Some(what),
            }
        }
        let before = if told.is_empty() { ToldBefore::default() } else { self.told_before(request).await? };
        let is_given_up = |at: Timestamp| at >= last && now.seconds_since(at) >= self.patience.give_up_s;
        if !told.is_empty() && before.at.is_some_and(is_given_up) {
            let (hours, times) = (seconds / 3_600.0, before.times);
            reason =
                Some(format!("it stood still for {hours:.0} hours, though it was told again ({times} times): {why}"));
        }
        if let Some(reason) = reason {
            end::fail_in_stage(self.cloud, request, stage, &reason, round, describe).await?;
            done = Treatment::Failed(reason);
        } else if !told.is_empty() {
            done = self.tell(request, last, &before, &told).await?;
        }
        tracing::warn!(%request, %stage, seconds, why, ?done, "a request stands still");
        (self.note)(Ok(StandsStill { request_id: request.clone(), stage, seconds, why, done }));
        Ok(())
    }

    async fn told_before(&self, request: &RequestId) -> Result<ToldBefore, Failure> {
        let record = self.cloud.get(&record_of(request)).await?;
        Ok(record.and_then(|(_, json)| serde_json::from_slice(&json).ok()).unwrap_or_default())
    }

    /// Publishes the objects' events again, unless that was done a short time ago: the time since the last publication must be at least as long as
    /// the time from the last sign of life to that publication.
    async fn tell(
        &self,
        request: &RequestId,
        last: Timestamp,
        before: &ToldBefore,
        objects: &[ObjectFinalized],
    ) -> Result<Treatment, Failure> {
        let now = Timestamp::now();
        let wait_s = before.at.map(|at| at.seconds_since(last).max(self.patience.still_s));
        let is_due = before.at.zip(wait_s).is_none_or(|(at, wait_s)| now.seconds_since(at) >= wait_s);
        if !is_due && self.patience != Patience::NONE {
            return Ok(Treatment::Nothing);
        }
        for object in objects {
            self.cloud.publisher.tell_again(object).await?;
        }
        // After the telling: a crash in between tells once too often, never once too little.
        let told = ToldBefore { times: before.times + 1, at: Some(now) };
        let json = serde_json::to_vec(&told)
            .map_err(|error| Failure::permanent(format!("{} can't be written: {error}", record_of(request))))?;
        let (record, options) =
            (record_of(request), PutOptions { content_type: "application/json", ..Default::default() });
        self.cloud.storage.put(&record, Content::Bytes(json.into()), options).await?;
        Ok(Treatment::ToldAgain(objects.len()))
    }
}

/// What a request waits for, and since when.
async fn look(cloud: &Cloud, manifest: &Manifest) -> Result<Standing, Failure> {
    let request = &manifest.request_id;
    let (round, mut last) = (manifest.reopened_at, manifest.progress.updated_at);
    if manifest.state.is_final() {
        let why = "it is over, but its end was not told to all".to_owned();
        return Ok(Standing { round, last, stage: Stage::Load, why, remedies: vec![Remedy::End] });
    }
    let mut seen = Seen::default();
    for kind in [PerSegment::Chunk, PerSegment::Detections, PerSegment::Tracks, PerSegment::Annotated] {
        let by = match kind {
            PerSegment::Chunk | PerSegment::Detections => manifest.detected_in(),
            PerSegment::Tracks | PerSegment::Annotated => request,
        };
        for info in cloud.storage.list(&ObjectName::new(Bucket::Work, kind.prefix(by))).await? {
            last = last.max(info.created);
            if let Some(segment) = names::segment_of(&info.object) {
                seen.of(kind).insert(segment.get(), info);
            }
        }
    }
    let mut find = async |object: ObjectName| -> Result<Option<ObjectInfo>, Failure> {
        let found = cloud.find(&object).await?;
        last = found.as_ref().map_or(last, |info| last.max(info.created));
        Ok(found)
    };
    let stands = Stands {
        tracked: find(Marker::Tracked.object(request)).await?,
        merged: find(Marker::Merged.object(request)).await?,
        annotated: find(Marker::Annotated.object(request)).await?,
        loaded: find(Marker::Loaded.object(request)).await?,
        video: find(ResultFile::AnnotatedVideo.object(request)).await?,
    };
    let waits = match (&stands.tracked, &stands.merged) {
        (None, _) => before_tracked(cloud, manifest, &seen).await?,
        (Some(tracked), None) => vec![(Stage::Merge, "all segments are tracked, but not merged".into(), tell(tracked))],
        (Some(_), Some(merged)) => after_merged(manifest, &seen, &stands, merged),
    };
    let stage = waits.first().map_or(Stage::Load, |&(stage, ..)| stage);
    let (mut why, mut remedies) = (Vec::new(), Vec::new());
    for (_, what, remedy) in waits {
        why.push(what);
        remedies.push(remedy);
    }
    Ok(Standing { round, last, stage, why: why.join("; "), remedies })
}

/// What a request has one of.
struct Stands {
    tracked: Option<ObjectInfo>,
    merged: Option<ObjectInfo>,
    annotated: Option<ObjectInfo>,
    loaded: Option<ObjectInfo>,
    video: Option<ObjectInfo>,
}

/// The stalled stage, what it waits for, and the remedy.
type Waits = (Stage, String, Remedy);

fn tell(info: &ObjectInfo) -> Remedy {
    Remedy::Tell(vec![info.finalized()])
}

async fn before_tracked(cloud: &Cloud, manifest: &Manifest, seen: &Seen) -> Result<Vec<Waits>, Failure> {
    let Seen { chunks, detections, .. } = seen;
    let segments = manifest.segment_count;
    if segments > 0 && detections.len() as u32 >= segments {
        let why = "all segments are tracked, but nobody said so".to_owned();
        return Ok(vec![(Stage::Track, why, Remedy::Mark(Marker::Tracked))]);
    }
    let cut = (0..segments).filter(|segment| chunks.contains_key(segment) || detections.contains_key(segment)).count();
    if segments > 0 && cut as u32 == segments {
        let remedy = untaken(chunks, detections, segments);
        return Ok(vec![(Stage::Track, missing("tracked", detections, segments), remedy)]);
    }
    let why = match segments {
        0 => "it is not planned yet".to_owned(),
        _ => format!("{cut} of {segments} chunks are cut"),
    };
    let was_cut = segments > 0 && manifest.segments.iter().all(|segment| segment.sha256.is_some());
    let remedy = match was_cut {
        true => Remedy::Gone("chunks were cut, but are gone: upload the video again".to_owned()),
        false => upload_of(cloud, manifest).await?,
    };
    let mut waits = vec![(Stage::Split, why, remedy)];
    let not_tracked = chunks.iter().filter(|(segment, _)| !detections.contains_key(segment));
    let objects: Vec<_> = not_tracked.map(|(_, info)| info.finalized()).collect();
    if !objects.is_empty() {
        waits.push((Stage::Track, format!("{} of them are not tracked", objects.len()), Remedy::Tell(objects)));
    }
    Ok(waits)
}

/// Here the flow forks: rows are loaded, and segments are drawn and joined.
fn after_merged(manifest: &Manifest, seen: &Seen, stands: &Stands, merged: &ObjectInfo) -> Vec<Waits> {
    let (Seen { tracks, drawn, .. }, segments) = (seen, manifest.segment_count);
    let mut waits = Vec::new();
    if stands.loaded.is_none() {
        waits.push((Stage::Load, "its rows are not loaded".to_owned(), tell(merged)));
    }
    // A request whose video has failed ends without it.
    if manifest.settings.video && stands.video.is_none() && manifest.error.is_none() {
        waits.push(match &stands.annotated {
            Some(annotated) => (Stage::Join, "all segments are drawn, but not joined".to_owned(), tell(annotated)),
            None if drawn.len() as u32 >= segments => {
                let why = "all segments are drawn, but nobody said so".to_owned();
                (Stage::Annotate, why, Remedy::Mark(Marker::Annotated))
            }
            None => (Stage::Annotate, missing("drawn", drawn, segments), untaken(tracks, drawn, segments)),
        });
    }
    if waits.is_empty() {
        waits.push((Stage::Load, "all results stand, but its end was not told".to_owned(), Remedy::End));
    }
    waits
}

/// Objects of a request by segment.
#[derive(Default)]
struct Seen {
    chunks: BTreeMap<u32, ObjectInfo>,
    detections: BTreeMap<u32, ObjectInfo>,
    tracks: BTreeMap<u32, ObjectInfo>,
    drawn: BTreeMap<u32, ObjectInfo>,
}

impl Seen {
    fn of(&mut self, kind: PerSegment) -> &mut BTreeMap<u32, ObjectInfo> {
        match kind {
            PerSegment::Chunk => &mut self.chunks,
            PerSegment::Detections => &mut self.detections,
            PerSegment::Tracks => &mut self.tracks,
            PerSegment::Annotated => &mut self.drawn,
        }
    }
}

/// To tell of what started each segment that is not done.
fn untaken(started_by: &BTreeMap<u32, ObjectInfo>, done: &BTreeMap<u32, ObjectInfo>, segments: u32) -> Remedy {
    let mut objects = Vec::new();
    for segment in (0..segments).filter(|segment| !done.contains_key(segment)) {
        match started_by.get(&segment) {
            Some(info) => objects.push(info.finalized()),
            None => {
                return Remedy::Gone(format!("what segment {segment} is made from is gone: upload the video again"));
            }
        }
    }
    Remedy::Tell(objects)
}

/// To tell of the upload, where it is still the one that the request is about.
async fn upload_of(cloud: &Cloud, manifest: &Manifest) -> Result<Remedy, Failure> {
    let object = ObjectName::new(Bucket::Uploads, end::video_name(manifest));
    let upload = cloud.find(&object).await?.filter(|info| info.generation == manifest.source.generation);
    Ok(match upload {
        Some(info) => Remedy::Tell(vec![info.finalized()]),
        None => Remedy::Gone(format!("{object} was deleted or overwritten before it was cut: upload it again")),
    })
}

/// Which segments are not done, the first of them by number.
fn missing(what: &str, done: &BTreeMap<u32, ObjectInfo>, segments: u32) -> String {
    let missing: Vec<_> = (0..segments).filter(|segment| !done.contains_key(segment)).collect();
    let named: Vec<_> = missing.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if missing.len() > NAMED { ", ..." } else { "" };
    format!(
        "{} of {segments} segments are {what}; missing: {}{more}",
        segments as usize - missing.len(),
        named.join(", ")
    )
}

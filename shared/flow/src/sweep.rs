//! Finds stalled requests, reports why they stall, and restarts them.
//!
//! Every event is delivered until a handler accepts it or it becomes a dead letter. So the sweeper finds nothing in normal
//! operation. It exists for two cases: an event that was lost nevertheless (a subscription that was created too late or purged, a
//! message that outlived its retention), and a crash after which nothing was redelivered. It reads the objects in the buckets,
//! because only they say how far a request is:
//!
//! - A request that has everything but a marker gets the marker. A request whose end is not published gets its end published.
//! - If a request waits for an event, the event of the object is published again. If the first event was not lost but
//!   waits in a queue, the handler receives it twice, which changes nothing. The time until the next publication
//!   doubles, so that repetitions do not fill a long queue.
//! - A request fails, with the reason, if it can't continue (its chunk is deleted), or if it did not continue for days
//!   after its event was last published again. The sweeper can't distinguish an event that waits in a queue from a lost
//!   one. So a queue that is longer than twice [`Patience::give_up_s`] can fail a request.

mod known;
mod situation;

use crate::{
    Cloud, end,
    manifest::{self, unplanned},
    round, trace,
};
use known::{Ended, Known};
use serde::{Deserialize, Serialize};
use situation::{Remedy, Situation};
use std::collections::BTreeSet;
use tracing::Instrument;
use trackdrop_cloud::{Content, Listing, PutOptions};
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, Manifest, NamePatterns, ObjectFinalized, RequestId, RequestSettings, RequestState,
    Stage, Timestamp, names::ObjectName,
};

/// The work for one request, in the trace of that request.
const SPAN: &str = "sweep";
/// How long an upload is examined after the time by which its request must be abandoned. Later its results may have
/// been deleted, and must not be recreated.
const UPLOADS_AFTER_S: f64 = 86_400.0;
/// Every stalled request is abandoned before it has stalled for this many times [`Patience::give_up_s`].
const GIVEN_UP_WITHIN: f64 = 3.0;

/// How long requests can stall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Seconds without activity after which a request is restarted.
    pub stalled_s: f64,
    /// Seconds after which it fails, counted from the last time its events were published again. As long as the next
    /// publication comes earlier, it does not fail. So it fails after two to three times as long without activity.
    pub give_up_s: f64,
}

impl Default for Patience {
    /// Two hours, as in the alert about stalled requests; and two days, so a request fails after four to six days.
    /// Pub/Sub and the bucket retain messages and chunks for seven days.
    fn default() -> Self {
        Self { stalled_s: 7_200.0, give_up_s: 2.0 * 86_400.0 }
    }
}

impl Patience {
    /// No waiting, for a store whose queue is known to be empty.
    pub const NONE: Self = Self { stalled_s: f64::NEG_INFINITY, give_up_s: f64::INFINITY };
}

/// A stalled request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StalledRequest {
    /// The request.
    pub request_id: RequestId,
    /// The stage that stalled.
    pub stage: Stage,
    /// Seconds since the last activity.
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
    /// Nothing in this sweep, because its events were published again a short time ago.
    Nothing,
}

/// The result of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// The stalled requests, in the order of their ids.
    pub found: Vec<StalledRequest>,
    /// Requests that could not be handled, and why. They do not delay the others.
    pub failed: Vec<(RequestId, Failure)>,
}

/// Handles all requests except those in `busy`, which are known to be in progress. Uploads whose names `ignored`
/// matches, and empty uploads, have no request.
///
/// # Errors
/// The buckets can't be listed, or `delivery` must stop. The next sweep examines all requests again.
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
pub type LookedAfter = Result<StalledRequest, (RequestId, Failure)>;

/// The same, for any number of requests and uploads. It passes each result to `note`: first the requests, then the
/// uploads without a request. It holds at most 16 bytes in memory per request.
///
/// # Errors
/// The same as of [`sweep`].
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
        // Markers of requests that ended long ago have been deleted.
        let is_long_over = manifest::state_of(&info).is_some_and(RequestState::is_final)
            && Timestamp::now().seconds_since(info.created) >= patience.give_up_s;
        // A new manifest is activity, too. So most requests in progress need not be examined.
        let is_young = Timestamp::now().seconds_since(info.created) < patience.stalled_s;
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
        let situation = Situation { round: None, last: info.created, stage: Stage::Split, why, remedies };
        if !sweeper.is_stalled(&situation) {
            continue;
        }
        delivery.step()?;
        let describe = || {
            let settings = RequestSettings::of_upload(&info.metadata).unwrap_or_default();
            Some(unplanned(&request, &upload, Some(&info), settings))
        };
        let span = trace::by_clock(SPAN, &request, Some(&info));
        let outcome = sweeper.treat(&request, situation, describe).instrument(span).await;
        sweeper.failed(&request, outcome);
    }
    Ok(())
}

/// Publishes all events again that a request waits for. It does not wait for an interval to pass. It is for a request
/// that was reopened. Returns what was done.
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
            tracing::error!(%request, %failure, "a request can't be checked");
            (self.note)(Err((request.clone(), failure)));
        }
    }

    async fn look_after(&mut self, request: &RequestId) -> Result<(), Failure> {
        let Some(manifest) = manifest::read(self.cloud, request).await? else { return Ok(()) };
        let situation = situation::read(self.cloud, &manifest).await?;
        if !self.is_stalled(&situation) {
            return Ok(());
        }
        let span = trace::by_clock_anywhere(SPAN, self.cloud, &manifest).await?;
        self.treat(request, situation, || None).instrument(span).await
    }

    fn is_stalled(&self, situation: &Situation) -> bool {
        Timestamp::now().seconds_since(situation.last) >= self.patience.stalled_s
    }

    async fn treat(
        &mut self,
        request: &RequestId,
        situation: Situation,
        describe: impl FnOnce() -> Option<Manifest> + Send,
    ) -> Result<(), Failure> {
        let Situation { round, last, stage, why, remedies } = situation;
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
                    // It can wait for a window that no scheduler closes.
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
            reason = Some(format!(
                "no activity for {hours:.0} hours, although its events were published again {times} times: {why}"
            ));
        }
        if let Some(reason) = reason {
            end::fail_in_stage(self.cloud, request, stage, &reason, round, describe).await?;
            done = Treatment::Failed(reason);
        } else if !told.is_empty() {
            done = self.tell(request, last, &before, &told).await?;
        }
        tracing::warn!(%request, %stage, seconds, why, ?done, "request stalled");
        (self.note)(Ok(StalledRequest { request_id: request.clone(), stage, seconds, why, done }));
        Ok(())
    }

    async fn told_before(&self, request: &RequestId) -> Result<ToldBefore, Failure> {
        let record = self.cloud.get(&record_of(request)).await?;
        Ok(record.and_then(|(_, json)| serde_json::from_slice(&json).ok()).unwrap_or_default())
    }

    /// Publishes the objects' events again, unless that was done a short time ago. The time since the last publication
    /// must be at least as long as the time from the last activity to that publication.
    async fn tell(
        &self,
        request: &RequestId,
        last: Timestamp,
        before: &ToldBefore,
        objects: &[ObjectFinalized],
    ) -> Result<Treatment, Failure> {
        let now = Timestamp::now();
        let wait_s = before.at.map(|at| at.seconds_since(last).max(self.patience.stalled_s));
        let is_due = before.at.zip(wait_s).is_none_or(|(at, wait_s)| now.seconds_since(at) >= wait_s);
        if !is_due && self.patience != Patience::NONE {
            return Ok(Treatment::Nothing);
        }
        for object in objects {
            self.cloud.publisher.tell_again(object).await?;
        }
        // This is after the publication: a crash between the two publishes once too often, and never once too little.
        let told = ToldBefore { times: before.times + 1, at: Some(now) };
        let json = serde_json::to_vec(&told)
            .map_err(|error| Failure::permanent(format!("{} can't be written: {error}", record_of(request))))?;
        let (record, options) =
            (record_of(request), PutOptions { content_type: "application/json", ..Default::default() });
        self.cloud.storage.put(&record, Content::Bytes(json.into()), options).await?;
        Ok(Treatment::ToldAgain(objects.len()))
    }
}

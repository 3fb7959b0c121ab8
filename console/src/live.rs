//! The progress of uploads and requests, sent to the page immediately (server-sent events).

use crate::{Console, drops::Drops, incoming::Upload, problem::Problem, works::Works};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, watch};
use trackdrop_flow::{
    end,
    known::{self, Known},
    manifest, progress,
};
use trackdrop_pipeline::{Failure, RequestId, Stage, Timestamp};

/// How often the state is read while somebody watches: on this machine, and in a store that is asked over a network and paid for that.
const POLL_EVERY: Duration = Duration::from_millis(400);
const POLL_EVERY_IN_CLOUD: Duration = Duration::from_secs(3);
/// Of requests that this console does not work for: how old an upload is at most, and how many are read. In a cloud the sweeper restarts or fails
/// what takes longer.
const RECENT_S: f64 = 2.0 * 86_400.0;
const MOST_READ: usize = 50;
const READ_AT_ONCE: usize = 12;

/// What the watchers saw last.
#[derive(Debug)]
pub(crate) struct Live {
    seen: watch::Sender<Arc<str>>,
    now: Notify,
    ending: watch::Sender<bool>,
    /// The last state of requests that are over: they are not read again.
    over: Mutex<BTreeMap<RequestId, Value>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seen: watch::Sender::new(Arc::from("{}")),
            now: Notify::new(),
            ending: watch::Sender::new(false),
            over: Mutex::default(),
        }
    }
}

impl Live {
    /// Something has changed.
    pub(crate) fn read_now(&self) {
        self.now.notify_one();
    }

    /// Ends all streams.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Until all streams end.
    pub(crate) async fn ended(&self) {
        ended(&mut self.ending.subscribe()).await;
    }

    /// Forgets a request that was deleted: it no longer counts as one that is over.
    pub(crate) fn forget(&self, request: &RequestId) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).remove(request);
    }
}

/// Reads the state while somebody watches, for as long as the console runs.
pub(crate) async fn keep_fresh(console: Arc<Console>) {
    let mut clock = tokio::time::interval(if console.is_in_cloud() { POLL_EVERY_IN_CLOUD } else { POLL_EVERY });
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = console.live.now.notified() => {}
        }
        if console.live.seen.receiver_count() > 0
            && let Err(failure) = refresh(&console).await
        {
            tracing::warn!(%failure, "the progress of the requests can't be read");
        }
    }
}

async fn refresh(console: &Console) -> Result<(), Failure> {
    let seen = match console.drops.as_ref() {
        Ok(drops) => snapshot(console, drops).await?,
        Err(_) if console.is_in_cloud() => {
            json!({ "drops": [], "others": recent(console, None, &[]).await?, "notes": [] })
        }
        Err(_) => json!({ "drops": [], "others": [], "notes": [] }),
    };
    let text: Arc<str> = seen.to_string().into();
    console.live.seen.send_if_modified(|seen| {
        let is_new = **seen != *text;
        *seen = text;
        is_new
    });
    Ok(())
}

/// The requests of recent uploads that this console does not know: services or another command work on them.
async fn recent(console: &Console, works: Option<&dyn Works>, known: &[RequestId]) -> Result<Vec<Value>, Failure> {
    let now = Timestamp::now();
    let mut uploads = known::uploads(&console.cloud).await?;
    uploads.retain(|upload| now.seconds_since(upload.uploaded_at) < RECENT_S && !known.contains(&upload.request));
    uploads.sort_by_key(|upload| std::cmp::Reverse(upload.uploaded_at));
    uploads.truncate(MOST_READ);
    let read = uploads.into_iter().map(|upload| recent_one(console, works, upload).boxed());
    stream::iter(read).buffered(READ_AT_ONCE).try_collect().await
}

async fn recent_one(console: &Console, works: Option<&dyn Works>, upload: Known) -> Result<Value, Failure> {
    let mut told = of_request(console, works, &upload.request).await?;
    if told["video"].is_null() {
        told["video"] = json!(upload.video);
    }
    Ok(told)
}

async fn snapshot(console: &Console, drops: &Drops) -> Result<Value, Failure> {
    let (mut shown, mut known) = (Vec::new(), Vec::new());
    for upload in drops.incoming.all() {
        let request = match &upload.request {
            Some(request) => {
                known.push(request.clone());
                Some(of_request(console, Some(&*drops.works), request).await?)
            }
            None => None,
        };
        shown.push(of_upload(&upload, drops.incoming.is_held(&upload.id), request));
    }
    let mut others = Vec::new();
    for request in drops.works.unfinished() {
        if !known.contains(&request) {
            others.push(of_request(console, Some(&*drops.works), &request).await?);
            known.push(request);
        }
    }
    others.extend(recent(console, Some(&*drops.works), &known).await?);
    let general: Vec<_> =
        drops.works.notes().into_iter().filter(|(about, _)| about.is_none()).map(|(_, note)| note).collect();
    Ok(json!({ "drops": shown, "others": others, "notes": general }))
}

fn of_upload(upload: &Upload, is_held: bool, request: Option<Value>) -> Value {
    let Upload { id, name, bytes, offset, modified_ms, wishes, problem, .. } = upload;
    json!({
        "id": id, "name": name, "bytes": bytes, "offset": offset, "modified_ms": modified_ms, "wishes": wishes,
        "crc32c": format!("{:08x}", upload.crc32c), "problem": problem, "is_held": is_held, "request": request,
    })
}

async fn of_request(console: &Console, works: Option<&dyn Works>, request: &RequestId) -> Result<Value, Failure> {
    // In a cloud the services work for it.
    let is_worked_for = works.is_none_or(|works| works.unfinished().contains(request));
    let over = || console.live.over.lock().unwrap_or_else(PoisonError::into_inner);
    if works.is_some() && is_worked_for {
        over().remove(request);
    } else if let Some(told) = over().get(request) {
        return Ok(told.clone());
    }
    let manifest = manifest::read(&console.cloud, request).await?;
    let is_over = (works.is_none() || !is_worked_for) && end::is_told(&console.cloud, request).await?;
    let progress = progress::read(&console.cloud, request).await?;
    let stages: Vec<_> = progress
        .stages
        .iter()
        .map(|(stage, done)| {
            let in_work = match stage {
                Stage::Track | Stage::Annotate => works.map_or(0, |works| works.in_work(request, *stage)),
                _ => 0,
            };
            let frames = (done.frames + in_work).min(progress.frames);
            json!({ "stage": stage, "segments": done.segments, "frames": frames })
        })
        .collect();
    let notes = works.map(Works::notes).unwrap_or_default();
    let notes: Vec<_> =
        notes.into_iter().filter(|(about, _)| about.as_ref() == Some(request)).map(|(_, note)| note).collect();
    let told = json!({
        "request_id": request, "video": manifest.as_ref().map(end::video_name),
        "state": manifest.as_ref().map_or("waiting", |manifest| manifest.state.as_str()),
        "error": manifest.as_ref().and_then(|manifest| manifest.error.as_ref()),
        "segments": progress.segments, "frames": progress.frames, "stages": stages, "notes": notes,
        "is_over": is_over, "is_worked_for": is_worked_for,
    });
    if is_over {
        over().insert(request.clone(), told.clone());
    }
    Ok(told)
}

/// The stream: how all is now, then each change.
pub(crate) async fn stream(
    State(console): State<Arc<Console>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let (seen, ending) = (console.live.seen.subscribe(), console.live.ending.subscribe());
    refresh(&console).await?;
    let events = stream::unfold((seen, ending, true), |(mut seen, mut ending, is_first)| async move {
        if !is_first {
            tokio::select! {
                biased;
                () = ended(&mut ending) => return None,
                changed = seen.changed() => changed.ok()?,
            }
        }
        let text = seen.borrow_and_update().clone();
        Some((Ok(Event::default().data(&*text)), (seen, ending, false)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn ended(ending: &mut watch::Receiver<bool>) {
    // Without a sender the console is gone.
    ending.wait_for(|is_ending| *is_ending).await.ok();
}

//! Loading by window, for more videos a day than a table takes load jobs: all that was merged since the last window goes into the warehouse with
//! one job.
//!
//! ```text
//! loads/waiting/<request_id>   created once, when the request is merged; deleted when its rows stand and it is told so
//! loads/window.json            the frozen list of the files of the open window; empty while none is open
//! ```
//!
//! The list is frozen by one write that only one can win: create-only at first, and then on the condition that nobody has written since the
//! last window was seen closed. The warehouse makes the job's id from the list. So the clock may call twice, and from two places at once; and
//! whoever finds a window open, because the one who froze it died, resumes that list. A window is closed after each of its requests
//! has the marker `loaded`, and what has the marker is in no later window: no rows are in two jobs.

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::Instrument;
use trackdrop_cloud::{Precondition, TracksFile, WarehouseError};
use trackdrop_flow::{Cloud, Doing, NewObject, blocking::AtOnce, end, manifest, trace};
use trackdrop_pipeline::{
    Activity, Bucket, Delivery, Failure, FailureKind, RequestId, RequestState, Stage,
    names::{Marker, ObjectName, ResultFile},
};

/// What BigQuery takes in one job.
const MOST_FILES: usize = 10_000;
/// Requests that are looked after at the same time.
const AT_ONCE: usize = 16;
/// What is done for a request of a window, in that request's trace; the job itself is one for all of them.
const SPAN: &str = "window";
const WAITING: &str = "loads/waiting/";

/// The files that are loaded together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LoadWindow {
    files: Vec<TracksFile>,
    /// Whether they were refused together, so that each is loaded alone. Kept, because some may have been by the time somebody else tries.
    #[serde(default)]
    is_one_by_one: bool,
}

fn waiting(request: &RequestId) -> ObjectName {
    ObjectName::new(Bucket::Work, format!("{WAITING}{request}"))
}

fn window_object() -> ObjectName {
    ObjectName::new(Bucket::Work, "loads/window.json")
}

/// Lets a request wait for the next window.
pub(crate) async fn wait(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    cloud.mark(waiting(request)).await.map(drop)
}

/// Whether a request waits for a window, and so must not be loaded alone.
pub(crate) async fn waits(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    Ok(cloud.find(&waiting(request)).await?.is_some())
}

/// Goes on with the window that is open, if one is, and then loads all that waits.
pub(crate) async fn load_all(cloud: &Cloud, delivery: &Delivery) -> Result<(), Failure> {
    loop {
        delivery.step()?;
        let (open, precondition) = read(cloud).await?;
        let (window, generation) = match (open, precondition) {
            (Some(window), Precondition::Generation(generation)) => (window, generation),
            _ => {
                // Gathered after the last window was seen closed: what that one loaded is not gathered again.
                let (window, failure) = gather(cloud, delivery).await?;
                if window.files.is_empty() {
                    return failure.map_or(Ok(()), Err);
                }
                match write(cloud, &window, precondition).await? {
                    Some(generation) => (window, generation),
                    // Somebody else froze a list: go on with that one.
                    None => continue,
                }
            }
        };
        if !load(cloud, &window, delivery).await? {
            // Refused together. Whoever loses this write finds the list as it is by now.
            write(cloud, &LoadWindow { is_one_by_one: true, ..window }, Precondition::Generation(generation)).await?;
            continue;
        }
        // Whoever loses this write did the same work.
        write(cloud, &LoadWindow::default(), Precondition::Generation(generation)).await?;
    }
}

/// The open window, if there is one, and what the next writing must find.
async fn read(cloud: &Cloud) -> Result<(Option<LoadWindow>, Precondition), Failure> {
    let Some((info, window)) = cloud.get_json::<LoadWindow>(&window_object()).await? else {
        return Ok((None, Precondition::NotExists));
    };
    let open = Some(window).filter(|window| !window.files.is_empty());
    Ok((open, Precondition::Generation(info.generation)))
}

/// Gives the generation; none where somebody else has written the window.
async fn write(cloud: &Cloud, window: &LoadWindow, precondition: Precondition) -> Result<Option<i64>, Failure> {
    let json = serde_json::to_vec(window)
        .map_err(|error| Failure::permanent(format!("the window can't be written: {error}")))?;
    let new = NewObject::of_bytes(window_object(), json, "application/json");
    Ok(cloud.put_if(precondition, new).await?.map(|info| info.generation))
}

/// What waits and is not loaded yet, in the order of the requests; and why others can't be looked after just now, which must not keep
/// these waiting. What is loaded, or over, is sent on and waits no more.
async fn gather(cloud: &Cloud, delivery: &Delivery) -> Result<(LoadWindow, Option<Failure>), Failure> {
    let waiting = cloud.storage.list(&ObjectName::new(Bucket::Work, WAITING)).await?;
    let mut looks = Vec::new();
    for info in waiting {
        if let Ok(request) = info.object.name[WAITING.len()..].parse::<RequestId>() {
            looks.push(look(cloud.clone(), request));
        }
    }
    let (looked, failure) = all_of(looks, delivery).await?;
    let mut files: Vec<_> = looked.into_iter().flatten().collect();
    files.sort();
    files.truncate(MOST_FILES);
    Ok((LoadWindow { files, is_one_by_one: false }, failure))
}

/// The file of a request that waits to be loaded; none where there is nothing to load any more.
async fn look(cloud: Cloud, request_id: RequestId) -> Result<Option<TracksFile>, Failure> {
    let is_loaded = cloud.find(&Marker::Loaded.object(&request_id)).await?.is_some();
    if is_loaded || manifest::state(&cloud, &request_id).await? == Some(RequestState::Failed) {
        let span = trace::by_clock_after_merge(SPAN, &cloud, &request_id).await?;
        end::finish_if_complete(&cloud, &request_id).instrument(span).await?;
        cloud.storage.delete(&waiting(&request_id)).await?;
        return Ok(None);
    }
    let object = ResultFile::Tracks.object(&request_id);
    let tracks = cloud.find(&object).await?;
    Ok(tracks.map(|tracks| TracksFile { request_id, object, generation: tracks.generation }))
}

/// Loads the files of a window, and marks the requests whose rows stand. False where nothing was loaded because the files were refused together.
async fn load(cloud: &Cloud, window: &LoadWindow, delivery: &Delivery) -> Result<bool, Failure> {
    let files = &window.files;
    let mut loading = Doing::begin(delivery, Activity::Load);
    let (loaded, failure) = if window.is_one_by_one {
        let alone = files.iter().map(|file| load_alone(cloud.clone(), file.clone())).collect();
        let (loaded, failure) = loading.time_async(all_of(alone, delivery)).await?;
        (loaded.into_iter().flatten().collect(), failure)
    } else {
        match loading.time_async(cloud.warehouse.load_tracks(files)).await {
            Ok(outcome) => tracing::info!(files = files.len(), ?outcome, "window loaded"),
            // A job is atomic, so one bad file refuses all: each goes alone, and the bad ones end their requests.
            Err(WarehouseError::Refused { doing, reason }) => {
                tracing::warn!(files = files.len(), "the window is loaded file by file: {doing}: {reason}");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        (files.clone(), None)
    };
    drop(loading);
    // Whatever has become of the request meanwhile: what has rows must have the mark, or a later window would load them again.
    let marks = loaded.into_iter().map(|file| mark(cloud.clone(), file)).collect();
    let (_, unmarked) = all_of(marks, delivery).await?;
    failure.or(unmarked).map_or(Ok(true), Err)
}

async fn mark(cloud: Cloud, file: TracksFile) -> Result<(), Failure> {
    let span = trace::by_clock_after_merge(SPAN, &cloud, &file.request_id).await?;
    crate::mark_loaded(&cloud, &file.request_id, None).instrument(span).await
}

/// Gives the file if its rows stand. One that is refused ends its request.
async fn load_alone(cloud: Cloud, file: TracksFile) -> Result<Option<TracksFile>, Failure> {
    if cloud.find(&Marker::Loaded.object(&file.request_id)).await?.is_some() {
        return Ok(Some(file));
    }
    match cloud.warehouse.load_tracks(std::slice::from_ref(&file)).await {
        Ok(_) => Ok(Some(file)),
        Err(WarehouseError::Refused { doing, reason }) => {
            let span = trace::by_clock_after_merge(SPAN, &cloud, &file.request_id).await?;
            let reason = format!("{doing}: {reason}");
            let round = manifest::look(&cloud, &file.request_id).await?.and_then(|(_, round)| round);
            end::fail(&cloud, &file.request_id, Stage::Load, &reason, round, || None).instrument(span).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Does all of these, some at the same time, in no order. All are done although some fail; the first failure that may pass is given with
/// what was made. What fails for good is logged: it must not keep the others waiting for ever.
///
/// # Errors
/// Where the delivery was asked to stop before all had begun. What had begun has ended.
async fn all_of<T: Send + 'static>(
    all: Vec<impl Future<Output = Result<T, Failure>> + Send + 'static>,
    delivery: &Delivery,
) -> Result<(Vec<T>, Option<Failure>), Failure> {
    let (mut running, mut done, mut failure) = (JoinSet::new(), Vec::new(), None);
    let mut all = all.into_iter();
    while AtOnce::is_begun()
        && let Some(next) = all.next()
    {
        // In a simulation one after the other, so that it can be replayed.
        delivery.step()?;
        match next.await {
            Ok(made) => done.push(made),
            Err(error) if error.kind() == FailureKind::Permanent => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let mut asked_to_stop = None;
    loop {
        while running.len() < AT_ONCE
            && asked_to_stop.is_none()
            && let Some(next) = all.next()
        {
            match delivery.step() {
                Ok(()) => drop(running.spawn(next.in_current_span())),
                Err(stop) => asked_to_stop = Some(stop),
            }
        }
        match running.join_next().await {
            None => break,
            Some(Ok(Ok(made))) => done.push(made),
            Some(Ok(Err(error))) if error.kind() == FailureKind::Permanent => {
                tracing::error!(%error, "a request of the window is left out");
            }
            Some(Ok(Err(error))) => failure = failure.or(Some(error)),
            Some(Err(error)) => {
                failure = failure.or(Some(Failure::transient(format!("ended without an answer: {error}"))));
            }
        }
    }
    asked_to_stop.map_or(Ok((done, failure)), Err)
}

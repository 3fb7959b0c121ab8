//! Loading by window, for more videos a day than a table takes load jobs: what was merged since the last window goes into the warehouse with one
//! job.
//!
//! ```text
//! loads/waiting/<request_id>   created once, when the request is merged; deleted when its rows stand
//! loads/window.json            the files of the open window; empty while none is open
//! ```
//!
//! The list is frozen by one write that only one can win (create-only at first, generation-matched afterwards), and the job's id is a hash of it,
//! so the clock may call twice, and a call that dies in the middle is gone on with by the next one. A window is frozen only after the last one is
//! closed, and closed only after each of its requests is marked as loaded and no longer waits: no request is ever in two windows.

use serde::{Deserialize, Serialize};
use trackdrop_cloud::{Content, Precondition, PutOptions, WarehouseError};
use trackdrop_flow::{Cloud, NewObject, end, manifest};
use trackdrop_pipeline::{
    Bucket, Failure, RequestId, RequestState, Stage,
    names::{Marker, ObjectName, ResultFile},
};

/// What BigQuery takes in one job.
const MOST_FILES: usize = 10_000;
const WAITING: &str = "loads/waiting/";

/// The files that are loaded together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    files: Vec<MergedFile>,
}

/// The `tracks.parquet` of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MergedFile {
    request_id: RequestId,
    generation: i64,
}

fn waiting(request: &RequestId) -> ObjectName {
    ObjectName::new(Bucket::Work, format!("{WAITING}{request}"))
}

fn window_object() -> ObjectName {
    ObjectName::new(Bucket::Work, "loads/window.json")
}

/// Lets a request wait for the next window.
pub(crate) async fn wait(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    cloud.create(NewObject::of_bytes(waiting(request), "", "application/octet-stream")).await.map(drop)
}

/// Whether a request waits for a window, and is that one's business.
pub(crate) async fn waits(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    Ok(cloud.find(&waiting(request)).await?.is_some())
}

/// Goes on with the open window, then loads all that waits.
pub(crate) async fn load_all(cloud: &Cloud) -> Result<(), Failure> {
    loop {
        let (window, precondition) = read(cloud).await?;
        let (window, generation) = match (window.files.is_empty(), precondition) {
            (false, Precondition::Generation(generation)) => (window, generation),
            _ => {
                let window = gather(cloud).await?;
                if window.files.is_empty() {
                    return Ok(());
                }
                match write(cloud, &window, precondition).await? {
                    Some(generation) => (window, generation),
                    // Another call froze another list: go on with that one.
                    None => continue,
                }
            }
        };
        load(cloud, &window).await?;
        // Whoever lost this write did the same work.
        write(cloud, &Window::default(), Precondition::Generation(generation)).await?;
    }
}

/// The window, and what the next writing of it must find.
async fn read(cloud: &Cloud) -> Result<(Window, Precondition), Failure> {
    match cloud.storage.get(&window_object()).await {
        Ok((info, json)) => {
            let window = serde_json::from_slice(&json)
                .map_err(|error| Failure::transient(format!("{} can't be read: {error}", window_object())))?;
            Ok((window, Precondition::Generation(info.generation)))
        }
        Err(error) if error.is_not_found() => Ok((Window::default(), Precondition::NotExists)),
        Err(error) => Err(error.into()),
    }
}

/// Gives the generation; none where the window was written by another call.
async fn write(cloud: &Cloud, window: &Window, precondition: Precondition) -> Result<Option<i64>, Failure> {
    let json = serde_json::to_vec(window)
        .map_err(|error| Failure::permanent(format!("the window can't be written: {error}")))?;
    let options = PutOptions { precondition, content_type: "application/json", ..Default::default() };
    match cloud.storage.put(&window_object(), Content::Bytes(json.into()), options).await {
        Ok(info) => Ok(Some(info.generation)),
        Err(error) if error.is_precondition() || error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What waits, in the order of the requests; to be called after the last window was seen closed.
async fn gather(cloud: &Cloud) -> Result<Window, Failure> {
    let mut files = Vec::new();
    for info in cloud.storage.list(&ObjectName::new(Bucket::Work, WAITING)).await? {
        let Ok(request) = info.object.name[WAITING.len()..].parse::<RequestId>() else { continue };
        // A delivery that was overtaken by the window may have let a loaded request wait again.
        if cloud.find(&Marker::Loaded.object(&request)).await?.is_some()
            || manifest::state(cloud, &request).await? == Some(RequestState::Failed)
        {
            cloud.storage.delete(&info.object).await?;
            continue;
        }
        let Some(tracks) = cloud.find(&ResultFile::Tracks.object(&request)).await? else { continue };
        files.push(MergedFile { request_id: request, generation: tracks.generation });
        if files.len() == MOST_FILES {
            break;
        }
    }
    Ok(Window { files })
}

async fn load(cloud: &Cloud, window: &Window) -> Result<(), Failure> {
    let files: Vec<_> = window
        .files
        .iter()
        .map(|file| (file.request_id.clone(), ResultFile::Tracks.object(&file.request_id), file.generation))
        .collect();
    let together = match &files[..] {
        [_] => Err(WarehouseError::Refused { doing: String::new(), reason: String::new() }),
        several => cloud.warehouse.load_window(several).await,
    };
    match together {
        Ok(outcome) => {
            tracing::info!(files = files.len(), ?outcome, "window loaded");
            for (request, ..) in &files {
                loaded(cloud, request).await?;
            }
            Ok(())
        }
        // A job is atomic, so one bad file refuses all: each goes alone, and the bad ones end their requests.
        Err(WarehouseError::Refused { .. }) => {
            for (request, file, generation) in &files {
                match cloud.warehouse.load_tracks(request, file, *generation).await {
                    Ok(_) => loaded(cloud, request).await?,
                    Err(WarehouseError::Refused { doing, reason }) => {
                        end::fail(cloud, request, Stage::Load, &format!("{doing}: {reason}"), || None).await?;
                        cloud.storage.delete(&waiting(request)).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The rows stand: says so, first to the flow and then to the next window.
async fn loaded(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    crate::mark_loaded(cloud, request).await?;
    Ok(cloud.storage.delete(&waiting(request)).await?)
}

//! Loading by window, for more videos per day than a table accepts load jobs: one job loads all requests that were merged since
//! the last window ([`trackdrop_flow::window`]).
//!
//! ```text
//! loads/waiting/<request_id>   created once, when the request is merged; deleted when its rows exist and its marker says so
//! loads/window.json            the frozen list of the files of the open window; empty while none is open
//! ```
//!
//! A file of a request with the marker `loaded` is in no later window.

use async_trait::async_trait;
use tracing::Instrument;
use trackdrop_cloud::{TracksFile, WarehouseError};
use trackdrop_flow::{
    Cloud, Doing, end, manifest, trace,
    window::{self, Gathering, Window, all_of},
};
use trackdrop_pipeline::{
    Activity, Bucket, Delivery, Failure, RequestId, RequestState, Stage,
    names::{Marker, ObjectName, ResultFile},
};

/// How many files BigQuery accepts in one job.
const MOST_FILES: usize = 10_000;
/// The work for one request of a window, in the trace of that request. The job itself is one for all requests.
const SPAN: &str = "window";
const WAITING: &str = "loads/waiting/";

fn waiting(request: &RequestId) -> ObjectName {
    ObjectName::new(Bucket::Work, format!("{WAITING}{request}"))
}

/// Lets a request wait for the next window.
pub(crate) async fn wait(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    cloud.mark(waiting(request)).await.map(drop)
}

/// Whether a request waits for a window. Then it must not be loaded separately.
pub(crate) async fn waits(cloud: &Cloud, request: &RequestId) -> Result<bool, Failure> {
    Ok(cloud.find(&waiting(request)).await?.is_some())
}

/// Resumes the open windows, loads all waiting requests, and publishes all waiting ends, also those of the requests
/// that it loaded. It alternates between the two, because while requests arrive, ends arrive, too.
pub(crate) async fn load_all(cloud: &Cloud, delivery: &Delivery) -> Result<(), Failure> {
    loop {
        let loaded = window::load_next(cloud, &Tracks, delivery).await;
        // If some rows are delayed, the others are recorded nevertheless.
        let told = end::tell_next(cloud, delivery).await;
        if !(loaded? | told?) {
            return Ok(());
        }
    }
}

#[derive(Debug)]
struct Tracks;

#[async_trait]
impl Gathering for Tracks {
    type Item = TracksFile;

    fn object(&self) -> ObjectName {
        ObjectName::new(Bucket::Work, "loads/window.json")
    }

    /// Lists the waiting requests in order. Requests whose rows are loaded, or that ended, are finished here and no longer wait.
    async fn gather(&self, cloud: &Cloud, delivery: &Delivery) -> Result<(Vec<TracksFile>, Option<Failure>), Failure> {
        let waiting = cloud.storage.list(&ObjectName::new(Bucket::Work, WAITING)).await?;
        let mut reads = Vec::new();
        for info in waiting {
            if let Ok(request) = info.object.name[WAITING.len()..].parse::<RequestId>() {
                reads.push(waiting_file(cloud.clone(), request));
            }
        }
        let (read, failure) = all_of(reads, delivery).await?;
        let mut files: Vec<_> = read.into_iter().flatten().collect();
        files.sort();
        files.truncate(MOST_FILES);
        Ok((files, failure))
    }

    /// Loads the files of a window, and marks the requests whose rows exist.
    async fn load(&self, cloud: &Cloud, window: &Window<TracksFile>, delivery: &Delivery) -> Result<bool, Failure> {
        let files = &window.items;
        let mut loading = Doing::begin(delivery, Activity::Load);
        let (loaded, failure) = if window.is_one_by_one {
            let alone = files.iter().map(|file| load_alone(cloud.clone(), file.clone())).collect();
            let (loaded, failure) = loading.time_async(all_of(alone, delivery)).await?;
            (loaded.into_iter().flatten().collect(), failure)
        } else {
            match loading.time_async(cloud.warehouse.load_tracks(files)).await {
                Ok(outcome) => tracing::info!(files = files.len(), ?outcome, "window loaded"),
                // A job is atomic, so one bad file fails the whole job. Then each file is loaded separately, and the
                // bad ones end their requests.
                Err(WarehouseError::Refused { doing, reason }) => {
                    tracing::warn!(files = files.len(), "the window is loaded file by file: {doing}: {reason}");
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
            (files.clone(), None)
        };
        drop(loading);
        // This is done in any state of the request: if its rows exist, it must have the marker, or a later window would
        // load them again.
        let marks = loaded.into_iter().map(|file| mark(cloud.clone(), file)).collect();
        let (_, unmarked) = all_of(marks, delivery).await?;
        failure.or(unmarked).map_or(Ok(true), Err)
    }
}

/// The file of a waiting request. None if there is nothing to load any more.
async fn waiting_file(cloud: Cloud, request_id: RequestId) -> Result<Option<TracksFile>, Failure> {
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

async fn mark(cloud: Cloud, file: TracksFile) -> Result<(), Failure> {
    let span = trace::by_clock_after_merge(SPAN, &cloud, &file.request_id).await?;
    crate::mark_loaded(&cloud, &file.request_id, None).instrument(span).await
}

/// Returns the file if its rows exist. A file that the warehouse refuses ends its request.
async fn load_alone(cloud: Cloud, file: TracksFile) -> Result<Option<TracksFile>, Failure> {
    if cloud.find(&Marker::Loaded.object(&file.request_id)).await?.is_some() {
        return Ok(Some(file));
    }
    match cloud.warehouse.load_tracks(std::slice::from_ref(&file)).await {
        Ok(_) => Ok(Some(file)),
        Err(WarehouseError::Refused { doing, reason }) => {
            let span = trace::by_clock_after_merge(SPAN, &cloud, &file.request_id).await?;
            let reason = format!("{doing}: {reason}");
            let round = manifest::state_and_round(&cloud, &file.request_id).await?.and_then(|(_, round)| round);
            end::fail(&cloud, &file.request_id, Stage::Load, &reason, round, || None).instrument(span).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

//! Publishes ends by window, because a table accepts fewer jobs per day than there can be videos. One job records the
//! rows in `requests` of all requests that ended since the last window. Then their ends are published.
//!
//! ```text
//! waiting_ends/<request_id>/<round>   created once the summary of a round exists; deleted when its end is published
//! loads/ends.json                     the frozen rows of the open window; empty while none is open
//! ```
//!
//! The process that writes the summary of a round decides whether its end waits. All other processes follow the
//! summary's metadata, and not their own settings. So no row is both in a separate job and in that of a window.

use super::{
    ENDS_BY_WINDOW, publish,
    summary::{read_summary_of, row},
};
use crate::{
    Cloud, manifest,
    round::{self, Round},
    trace,
    window::{self, Gathering, Window, all_of},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use trackdrop_cloud::{LoadOutcome, ObjectInfo, WarehouseError};
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, FailureKind, RequestId,
    names::{self, Marker, ObjectName},
};
use trackdrop_tables::requests::RequestRow;

/// Largest number of rows of a window: some megabytes of JSON.
pub const ROWS_OF_A_WINDOW: usize = 5_000;
/// The work for one request of a window, in the trace of that request. The job itself is one for all requests.
const SPAN: &str = "window";

/// An end that is to be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ended {
    round: Round,
    row: RequestRow,
}

/// Whether a summary's metadata say that its end waits for a window.
pub(super) fn is_by_window(summary: &ObjectInfo) -> bool {
    summary.metadata.contains_key(ENDS_BY_WINDOW)
}

/// Lets the end of a round wait for the next window.
pub(super) async fn wait(cloud: &Cloud, request: &RequestId, round: Round) -> Result<(), Failure> {
    cloud.mark(names::waiting_end(request, round)).await.map(drop)
}

/// Publishes waiting ends, at most one window of them. Returns whether there were any. More can be waiting.
///
/// # Errors
/// Those of store, warehouse and publisher, and when `delivery` is asked to stop. The next call resumes.
pub async fn tell_next(cloud: &Cloud, delivery: &Delivery) -> Result<bool, Failure> {
    window::load_next(cloud, &Ends, delivery).await
}

/// Publishes all ends that wait.
///
/// # Errors
/// The same as of [`tell_next`].
pub async fn tell_all(cloud: &Cloud, delivery: &Delivery) -> Result<(), Failure> {
    while tell_next(cloud, delivery).await? {}
    Ok(())
}

#[derive(Debug)]
struct Ends;

#[async_trait]
impl Gathering for Ends {
    type Item = Ended;

    fn object(&self) -> ObjectName {
        ObjectName::new(Bucket::Work, "loads/ends.json")
    }

    async fn gather(&self, cloud: &Cloud, delivery: &Delivery) -> Result<(Vec<Ended>, Option<Failure>), Failure> {
        let mut failure = None;
        for some in cloud.storage.list(&names::waiting_ends()).await?.chunks(ROWS_OF_A_WINDOW) {
            let waiting = some.iter().filter_map(|info| names::of_waiting_end(&info.object));
            let reads = waiting.map(|(request, round)| end_that_waits(cloud.clone(), request, round)).collect();
            let (read, failed) = all_of(reads, delivery).await?;
            failure = failure.or(failed);
            let mut ends: Vec<_> = read.into_iter().flatten().collect();
            if !ends.is_empty() {
                ends.sort_by(|one, other| one.row.request_id.cmp(&other.row.request_id));
                return Ok((ends, failure));
            }
        }
        Ok((vec![], failure))
    }

    async fn load(&self, cloud: &Cloud, window: &Window<Ended>, delivery: &Delivery) -> Result<bool, Failure> {
        let ends = &window.items;
        let (recorded, failure) = if window.is_one_by_one {
            let alone = ends.iter().map(|ended| record_alone(cloud.clone(), ended.clone())).collect();
            let (recorded, failure) = all_of(alone, delivery).await?;
            (recorded.into_iter().flatten().collect(), failure)
        } else {
            let rows: Vec<_> = ends.iter().map(|ended| ended.row.clone()).collect();
            match super::record(cloud, &rows).await {
                Ok(outcome) => tracing::info!(rows = rows.len(), ?outcome, "ends recorded"),
                Err(WarehouseError::Refused { doing, reason }) => {
                    tracing::warn!(rows = rows.len(), "ends are recorded one by one: {doing}: {reason}");
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
            (ends.clone(), None)
        };
        let tellings = recorded.into_iter().map(|ended| tell(cloud.clone(), ended)).collect();
        let (_, untold) = all_of(tellings, delivery).await?;
        failure.or(untold).map_or(Ok(true), Err)
    }
}

/// Returns the waiting end. If nothing is left to publish, it returns none, and removes the object of the waiting end.
async fn end_that_waits(cloud: Cloud, request: RequestId, round: Round) -> Result<Option<Ended>, Failure> {
    let marker = cloud.find(&Marker::Ended.object(&request)).await?;
    let is_told = marker.is_some_and(|told| round::is_of_deleted(&told) || round::told(&told) >= Some(round));
    let ended = if is_told { None } else { end_of(&cloud, &request, round).await? };
    if ended.is_none() {
        cloud.storage.delete(&names::waiting_end(&request, round)).await?;
    }
    Ok(ended)
}

/// The end of exactly this round, from its summary.
async fn end_of(cloud: &Cloud, request: &RequestId, round: Round) -> Result<Option<Ended>, Failure> {
    let Some(manifest) = manifest::read(cloud, request).await? else { return Ok(None) };
    if !manifest.state.is_final() || manifest.reopened_at != round {
        return Ok(None);
    }
    let summary = read_summary_of(cloud, request, round).await?;
    Ok(summary.map(|summary| Ended { round, row: row(&manifest, &summary) }))
}

/// Returns the end if its row exists. If the warehouse refuses a row, the sweeper handles it, as for a request that is
/// recorded separately.
async fn record_alone(cloud: Cloud, ended: Ended) -> Result<Option<Ended>, Failure> {
    match cloud.warehouse.record_requests(std::slice::from_ref(&ended.row)).await {
        Ok(LoadOutcome::Loaded | LoadOutcome::AlreadyLoaded) => Ok(Some(ended)),
        Err(WarehouseError::Refused { doing, reason }) => {
            let request = &ended.row.request_id;
            tracing::error!(%request, "the row of a request is refused: {doing}: {reason}");
            cloud.storage.delete(&names::waiting_end(request, ended.round)).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Publishes an end whose row exists. After a failure the window remains open until the marker exists. Otherwise a
/// later window would record the row again.
async fn tell(cloud: Cloud, ended: Ended) -> Result<(), Failure> {
    let told = try_to_tell(&cloud, &ended).await;
    told.map_err(|failure| {
        Failure::transient(format!("the end of {} can't be published: {failure}", ended.row.request_id))
    })
}

async fn try_to_tell(cloud: &Cloud, ended: &Ended) -> Result<(), Failure> {
    let (request, round) = (&ended.row.request_id, ended.round);
    let span = match manifest::read(cloud, request).await {
        Ok(Some(manifest)) => trace::by_clock_anywhere(SPAN, cloud, &manifest).await?,
        // It is being deleted, as its marker says.
        Ok(None) => trace::by_clock(SPAN, request, None),
        Err(failure) if failure.kind() == FailureKind::Permanent => trace::by_clock(SPAN, request, None),
        Err(failure) => return Err(failure),
    };
    let marker = cloud.find(&Marker::Ended.object(request)).await?;
    if !marker.is_some_and(|marker| round::is_of_deleted(&marker)) {
        publish(cloud, &ended.row, round).instrument(span).await?;
    }
    cloud.storage.delete(&names::waiting_end(request, round)).await?;
    Ok(())
}

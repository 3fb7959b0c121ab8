//! Loading by window over the local store and a warehouse that knows jobs by what they load, as BigQuery does: whatever is called twice, at once,
//! or dies in the middle, each row is there once.

#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinSet};
use trackdrop_cloud::{Content, LoadOutcome, PutOptions, TracksFile, Warehouse, WarehouseError, local::LocalCloud};
use trackdrop_flow::{
    Cloud, delete, end, manifest,
    stage::Staged,
    sweep::{Patience, sweep},
};
use trackdrop_load::{Load, LoadService};
use trackdrop_pipeline::{
    Bucket, Delivery, Event, Failure, FailureKind, Handler, NamePatterns, ObjectFinalized, RequestId, RequestSettings,
    RequestState, Stage, Timestamp,
    names::{self, Marker, ObjectName, ResultFile},
};
use trackdrop_tables::requests::RequestRow;

/// A job's id is made of what it loads: the same list is one job, any other list another one, which adds its rows again.
#[derive(Debug, Default)]
struct Jobs {
    /// By the files of a job: whether it is done, or refused.
    jobs: Mutex<BTreeMap<Vec<TracksFile>, bool>>,
    /// The ends of each job, and the table that they made.
    ends: Mutex<BTreeSet<Vec<(RequestId, Timestamp)>>>,
    requests: Mutex<Vec<RequestRow>>,
    bad: Mutex<Vec<RequestId>>,
    /// Requests whose rows in `requests` are refused.
    refused: Mutex<Vec<RequestId>>,
    /// Whether the next job of several files is refused without a trace, as a call is that the service does not like.
    is_refusing: Mutex<bool>,
    /// The next job of this request alone can't be made just now.
    unavailable: Mutex<Option<RequestId>>,
    dies: Mutex<Option<Dies>>,
    /// The delivery that is asked to stop while a job runs.
    stops: Mutex<Option<Delivery>>,
    died: Notify,
}

/// At which call the caller's process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    BeforeTheJob(usize),
    AfterTheJob(usize),
    BeforeTheRows,
    AfterTheRows,
}

impl Jobs {
    /// Counts a call down; whether this is the one.
    fn is_now(&self, which: fn(usize) -> Dies) -> bool {
        let mut dies = self.dies.lock().unwrap();
        let Some(Dies::BeforeTheJob(calls) | Dies::AfterTheJob(calls)) = *dies else { return false };
        if *dies != Some(which(calls)) {
            return false;
        }
        *dies = calls.checked_sub(1).map(which);
        calls == 0
    }

    async fn dies_at(&self, at: Dies) {
        if *self.dies.lock().unwrap() == Some(at) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// How many ends each job had.
    fn jobs_of_ends(&self) -> Vec<usize> {
        self.ends.lock().unwrap().iter().map(Vec::len).collect()
    }

    /// States of the rows of a request, in the table `requests`.
    fn rows_of(&self, request: &RequestId) -> Vec<RequestState> {
        let rows = self.requests.lock().unwrap();
        rows.iter().filter(|row| row.request_id == *request).map(|row| row.state).collect()
    }

    /// How often each file's rows were added.
    fn rows(&self) -> BTreeMap<RequestId, usize> {
        let mut rows = BTreeMap::new();
        for (files, is_done) in &*self.jobs.lock().unwrap() {
            for file in files.iter().filter(|_| *is_done) {
                *rows.entry(file.request_id.clone()).or_default() += 1;
            }
        }
        rows
    }

    fn done(&self) -> Vec<usize> {
        self.jobs.lock().unwrap().iter().filter(|(_, is_done)| **is_done).map(|(files, _)| files.len()).collect()
    }
}

#[async_trait]
impl Warehouse for Jobs {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        if self.is_now(Dies::BeforeTheJob) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        if let Some(delivery) = self.stops.lock().unwrap().take() {
            delivery.cancel();
        }
        if files.len() > 1 && std::mem::take(&mut *self.is_refusing.lock().unwrap()) {
            return Err(WarehouseError::Refused { doing: "loading".into(), reason: "a bad call".into() });
        }
        if let [file] = files
            && self.unavailable.lock().unwrap().take_if(|request| *request == file.request_id).is_some()
        {
            return Err(WarehouseError::Unavailable { doing: "loading".into(), reason: "not now".into() });
        }
        let is_bad = files.iter().any(|file| self.bad.lock().unwrap().contains(&file.request_id));
        let before = self.jobs.lock().unwrap().insert(files.to_vec(), !is_bad);
        if self.is_now(Dies::AfterTheJob) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        match (is_bad, before) {
            (true, _) => Err(WarehouseError::Refused { doing: "loading".into(), reason: "bad rows".into() }),
            (false, Some(true)) => Ok(LoadOutcome::AlreadyLoaded),
            (false, _) => Ok(LoadOutcome::Loaded),
        }
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        self.dies_at(Dies::BeforeTheRows).await;
        if rows.iter().any(|row| self.refused.lock().unwrap().contains(&row.request_id)) {
            return Err(WarehouseError::Refused { doing: "recording".into(), reason: "a bad row".into() });
        }
        let ends = rows.iter().map(|row| (row.request_id.clone(), row.finished_at)).collect();
        let is_new = self.ends.lock().unwrap().insert(ends);
        if is_new {
            self.requests.lock().unwrap().extend_from_slice(rows);
        }
        self.dies_at(Dies::AfterTheRows).await;
        Ok(if is_new { LoadOutcome::Loaded } else { LoadOutcome::AlreadyLoaded })
    }

    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        let mut requests = self.requests.lock().unwrap();
        requests
            .retain(|row| row.request_id != *request || row.state == RequestState::Done || row.finished_at >= before);
        Ok(())
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        self.requests.lock().unwrap().retain(|row| row.request_id != *request);
        self.jobs.lock().unwrap().retain(|files, _| files.iter().all(|file| file.request_id != *request));
        Ok(())
    }
}

struct World {
    cloud: Cloud,
    jobs: Arc<Jobs>,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let jobs = Arc::new(Jobs::default());
        let cloud = Cloud::new(local.clone(), local, jobs.clone()).by_window(true);
        Self { cloud, jobs, _folder: folder }
    }

    fn service(&self) -> LoadService {
        LoadService::new(Load::new(self.cloud.clone()))
    }

    /// A request whose tracks exist, and the event that says so.
    async fn merged(&self, number: u32) -> (RequestId, Event) {
        let created = Timestamp::from_micros(1_700_000_000_000_000);
        let object = ObjectName::new(Bucket::Uploads, format!("{number}.mp4"));
        let upload = ObjectFinalized { object, generation: i64::from(number), created };
        let request = upload.request().unwrap();
        let settings = RequestSettings { video: false, ..Default::default() };
        manifest::create(&self.cloud, &manifest::unplanned(&request, &upload, None, settings)).await.unwrap();
        let put = async |object: &ObjectName| {
            self.cloud.storage.put(object, Content::Bytes("x".into()), PutOptions::default()).await.unwrap()
        };
        put(&ResultFile::Tracks.object(&request)).await;
        let marker = put(&Marker::Merged.object(&request)).await;
        let event = ObjectFinalized { object: marker.object, generation: marker.generation, created: marker.created };
        (request, Event::ObjectFinalized(event))
    }

    async fn merge_and_wait(&self, numbers: std::ops::Range<u32>) -> Vec<RequestId> {
        let mut requests = Vec::new();
        for number in numbers {
            let (request, event) = self.merged(number).await;
            self.service().handle(&event, &Delivery::new()).await.unwrap();
            requests.push(request);
        }
        requests.sort();
        requests
    }

    async fn tick(&self) -> Result<(), Failure> {
        self.service().handle(&Event::LoadWindow {}, &Delivery::new()).await
    }

    /// The clock calls, and the process dies at the point that the test set in the warehouse.
    async fn tick_that_dies(&self, at: Dies) {
        *self.jobs.dies.lock().unwrap() = Some(at);
        tokio::select! {
            outcome = self.tick() => panic!("it did not die: {outcome:?}"),
            () = self.jobs.died.notified() => {}
        }
        *self.jobs.dies.lock().unwrap() = None;
    }

    async fn nothing_waits(&self) {
        for waiting in [ObjectName::new(Bucket::Work, "loads/waiting/"), names::waiting_ends()] {
            let waiting = self.cloud.storage.list(&waiting).await.unwrap();
            assert!(waiting.is_empty(), "{waiting:?}");
        }
    }

    /// Each request's rows exist once, and its end is published.
    async fn all_are_loaded_once(&self, requests: &[RequestId]) {
        let once: BTreeMap<_, _> = requests.iter().map(|request| (request.clone(), 1)).collect();
        assert_eq!(self.jobs.rows(), once);
        for request in requests {
            assert_eq!(manifest::state(&self.cloud, request).await.unwrap(), Some(RequestState::Done));
            assert!(self.cloud.find(&Marker::Ended.object(request)).await.unwrap().is_some());
            assert_eq!(self.jobs.rows_of(request), [RequestState::Done]);
        }
        self.nothing_waits().await;
    }
}

#[tokio::test]
async fn what_waits_is_loaded_by_one_job_and_every_request_ends() {
    let world = World::new();
    let requests = world.merge_and_wait(0..5).await;
    assert!(world.jobs.done().is_empty(), "nothing is loaded before the clock calls");
    world.tick().await.unwrap();
    world.all_are_loaded_once(&requests).await;
    assert_eq!((world.jobs.done(), world.jobs.jobs_of_ends()), (vec![5], vec![5]));
    // Events that come again, and a clock that calls for nothing, change nothing.
    world.merge_and_wait(0..5).await;
    world.tick().await.unwrap();
    world.tick().await.unwrap();
    world.all_are_loaded_once(&requests).await;
    assert_eq!((world.jobs.done(), world.jobs.jobs_of_ends()), (vec![5], vec![5]));
}

#[tokio::test]
async fn whoever_dies_after_the_freeze_leaves_the_very_list_to_the_next() {
    for at in [Dies::BeforeTheJob(0), Dies::AfterTheJob(0)] {
        let world = World::new();
        world.merge_and_wait(0..3).await;
        world.tick_that_dies(at).await;
        // What comes after the freeze must not get into the frozen list: it would be another job.
        let requests = world.merge_and_wait(0..5).await;
        world.tick().await.unwrap();
        world.all_are_loaded_once(&requests).await;
        let mut jobs = world.jobs.done();
        jobs.sort_unstable();
        assert_eq!(jobs, [2, 3], "{at:?}");
    }
}

#[tokio::test]
async fn a_window_that_is_asked_to_stop_does_so_and_the_next_goes_on_with_its_list() {
    let world = World::new();
    let requests = world.merge_and_wait(0..3).await;
    let delivery = Delivery::new();
    world.jobs.stops.lock().unwrap().replace(delivery.clone());
    let failure = world.service().handle(&Event::LoadWindow {}, &delivery).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Cancelled);
    for request in &requests {
        assert!(world.cloud.find(&Marker::Loaded.object(request)).await.unwrap().is_none());
    }
    world.tick().await.unwrap();
    world.all_are_loaded_once(&requests).await;
    assert_eq!(world.jobs.done(), [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clocks_that_call_at_once_while_events_arrive_double_nothing() {
    let world = Arc::new(World::new());
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let events = world.clone();
        tasks.spawn(async move {
            let (_, event) = events.merged(number).await;
            events.service().handle(&event, &Delivery::new()).await
        });
        for _ in 0..if number % 4 == 3 { 2 } else { 0 } {
            let world = world.clone();
            tasks.spawn(async move { world.tick().await });
        }
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
    world.tick().await.unwrap();
    let requests: Vec<_> = world.jobs.rows().into_keys().collect();
    assert_eq!(requests.len(), 40);
    world.all_are_loaded_once(&requests).await;
}

#[tokio::test]
async fn a_file_that_is_refused_ends_its_request_and_holds_up_no_other() {
    // It dies at the window's job, and then at that of each file that is loaded alone.
    for dies in [None, Some(Dies::AfterTheJob(0)), Some(Dies::AfterTheJob(1)), Some(Dies::BeforeTheJob(3))] {
        let world = World::new();
        let requests = world.merge_and_wait(0..4).await;
        *world.jobs.bad.lock().unwrap() = vec![requests[1].clone()];
        if let Some(at) = dies {
            world.tick_that_dies(at).await;
        }
        world.tick().await.unwrap();
        let good = [requests[0].clone(), requests[2].clone(), requests[3].clone()];
        world.all_are_loaded_once(&good).await;
        let manifest = manifest::read(&world.cloud, &requests[1]).await.unwrap().unwrap();
        assert_eq!(
            (manifest.state, manifest.error.unwrap().message),
            (RequestState::Failed, "loading: bad rows".into())
        );
    }
}

#[tokio::test]
async fn files_that_were_refused_together_are_loaded_alone_whoever_goes_on() {
    let world = World::new();
    let requests = world.merge_and_wait(0..3).await;
    *world.jobs.is_refusing.lock().unwrap() = true;
    world.jobs.unavailable.lock().unwrap().replace(requests[1].clone());
    assert_eq!(world.tick().await.unwrap_err().kind(), FailureKind::Transient);
    // By now the warehouse would take all of them together, and with them the two that are loaded.
    world.tick().await.unwrap();
    world.all_are_loaded_once(&requests).await;
    assert_eq!(world.jobs.done(), [1, 1, 1]);
}

#[tokio::test]
async fn rows_of_a_request_that_failed_meanwhile_are_not_loaded_again_when_it_goes_on() {
    let world = World::new();
    let requests = world.merge_and_wait(0..2).await;
    world.tick_that_dies(Dies::AfterTheJob(0)).await;
    end::fail(&world.cloud, &requests[0], Stage::Join, "the disk is full", None, || None).await.unwrap();
    world.tick().await.unwrap();
    end::reopen(&world.cloud, &requests[0], None).await.unwrap();
    // Its event is published again, and it would wait for a window with other companions.
    let all = world.merge_and_wait(0..3).await;
    world.tick().await.unwrap();
    world.all_are_loaded_once(&all).await;
}

#[tokio::test]
async fn what_waits_is_loaded_though_windows_were_turned_off() {
    let world = World::new();
    let requests = world.merge_and_wait(0..2).await;
    let (_, event) = world.merged(0).await;
    let cloud = world.cloud.clone().by_window(false);
    Staged(Load::new(cloud)).handle(&event, &Delivery::new()).await.unwrap();
    world.all_are_loaded_once(&requests).await;
}

#[tokio::test]
async fn whoever_dies_at_the_rows_of_ends_leaves_the_very_rows_to_the_next() {
    for at in [Dies::BeforeTheRows, Dies::AfterTheRows] {
        let world = World::new();
        world.merge_and_wait(0..3).await;
        world.tick_that_dies(at).await;
        let requests = world.merge_and_wait(0..5).await;
        world.tick().await.unwrap();
        world.all_are_loaded_once(&requests).await;
        let mut jobs = world.jobs.jobs_of_ends();
        jobs.sort_unstable();
        assert_eq!(jobs, [2, 3], "{at:?}");
    }
}

#[tokio::test]
async fn a_row_that_is_refused_holds_up_no_other_end() {
    let world = World::new();
    let requests = world.merge_and_wait(0..3).await;
    *world.jobs.refused.lock().unwrap() = vec![requests[1].clone()];
    world.tick().await.unwrap();
    assert!(world.jobs.rows_of(&requests[1]).is_empty());
    assert!(world.cloud.find(&Marker::Ended.object(&requests[1])).await.unwrap().is_none());
    for request in [&requests[0], &requests[2]] {
        assert_eq!(world.jobs.rows_of(request), [RequestState::Done]);
    }
    world.nothing_waits().await;
    // Somebody repairs the table, and the sweeper finds that its end was not published.
    world.jobs.refused.lock().unwrap().clear();
    end::finish_if_complete(&world.cloud, &requests[1]).await.unwrap();
    world.tick().await.unwrap();
    world.all_are_loaded_once(&requests).await;
}

#[tokio::test]
async fn an_end_that_waits_is_told_before_its_request_is_opened_again() {
    for dies in [None, Some(Dies::BeforeTheRows), Some(Dies::AfterTheRows)] {
        let world = World::new();
        let requests = world.merge_and_wait(0..2).await;
        end::fail(&world.cloud, &requests[0], Stage::Load, "the table is gone", None, || None).await.unwrap();
        assert!(world.jobs.rows_of(&requests[0]).is_empty(), "it waits");
        if let Some(at) = dies {
            world.tick_that_dies(at).await;
        }
        end::reopen(&world.cloud, &requests[0], None).await.unwrap();
        assert!(world.jobs.rows_of(&requests[0]).is_empty(), "its failure was recorded and is taken back: {dies:?}");
        world.merge_and_wait(0..2).await;
        world.tick().await.unwrap();
        world.tick().await.unwrap();
        world.all_are_loaded_once(&requests).await;
    }
}

#[tokio::test]
async fn the_sweeper_tells_ends_that_wait_where_no_clock_calls() {
    let world = World::new();
    let requests = world.merge_and_wait(0..2).await;
    for request in &requests {
        end::fail(&world.cloud, request, Stage::Load, "the table is gone", None, || None).await.unwrap();
    }
    // Windows were turned off, but the way in which an end is published was decided when its summary was written.
    let cloud = world.cloud.clone().by_window(false);
    end::tell_failed(&cloud, &requests[0], None).await.unwrap();
    assert!(world.jobs.rows_of(&requests[0]).is_empty(), "it waits");
    let patience = Patience { stalled_s: 0.0, ..Patience::default() };
    sweep(&cloud, patience, &NamePatterns::default(), &BTreeSet::new(), &Delivery::new()).await.unwrap();
    for request in &requests {
        assert_eq!(world.jobs.rows_of(request), [RequestState::Failed]);
    }
    assert_eq!(world.jobs.jobs_of_ends(), [2]);
}

#[tokio::test]
async fn a_request_that_is_deleted_while_its_end_waits_leaves_no_row() {
    for dies in [None, Some(Dies::BeforeTheRows), Some(Dies::AfterTheRows)] {
        let world = World::new();
        let requests = world.merge_and_wait(0..2).await;
        end::fail(&world.cloud, &requests[0], Stage::Load, "the table is gone", None, || None).await.unwrap();
        if let Some(at) = dies {
            world.tick_that_dies(at).await;
        }
        let deletion = delete::find(&world.cloud, &requests[0]).await.unwrap().unwrap();
        delete::carry_out(&world.cloud, &deletion, false, |_| {}).await.unwrap();
        world.tick().await.unwrap();
        assert!(world.jobs.rows_of(&requests[0]).is_empty(), "{dies:?}");
        assert!(delete::is_deleted(&world.cloud, &requests[0]).await.unwrap());
        world.all_are_loaded_once(&requests[1..]).await;
    }
}

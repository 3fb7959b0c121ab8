//! A request that failed is reopened and ends another time, while other processes still publish its earlier end, or die while they do.
#![allow(clippy::unwrap_used)]

mod late;
mod published;
#[path = "../stand_ins/mod.rs"]
mod stand_ins;

use bytes::Bytes;
use late::Late;
use published::{Heard, Jobs, Table};
use stand_ins::{Trouble, World, seconds};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use trackdrop_cloud::{Content, PutOptions, Storage, local::Redrive};
use trackdrop_fail::Fail;
use trackdrop_flow::{
    Cloud,
    end::{self, Summary},
    manifest, round,
    sweep::{self, Patience, Treatment},
};
use trackdrop_pipeline::{
    Bucket, DeadLetter, Delivery, Event, Failure, Handler, NamePatterns, ObjectFinalized, RequestId, RequestState,
    SegmentNumber, Stage, Timestamp,
    names::{Marker, ObjectName, PerSegment, ResultFile},
};
use trackdrop_tables::requests::RequestRow;

struct Scene {
    world: World,
    request: RequestId,
    upload: ObjectFinalized,
    heard: Arc<Mutex<Vec<RequestState>>>,
    /// None where the warehouse is the local one.
    jobs: Option<Arc<Jobs>>,
}

impl Scene {
    /// An upload whose event is lost, so that nobody is at work but whom the test calls.
    async fn new() -> Self {
        Self::with(None).await
    }

    /// The same, for the local warehouse and for one like BigQuery.
    async fn of_each_warehouse() -> [Self; 2] {
        [Self::new().await, Self::with(Some(Arc::default())).await]
    }

    async fn with(jobs: Option<Arc<Jobs>>) -> Self {
        let mut world = World::new(Trouble::default());
        let heard = Arc::default();
        world.hosted.cloud.publisher = Arc::new(Heard(world.local.clone(), Arc::clone(&heard)));
        if let Some(jobs) = &jobs {
            world.hosted.cloud.warehouse = jobs.clone();
        }
        let (request, object) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
        let info = world.local.stat(&object).await.unwrap();
        let upload = info.finalized();
        let scene = Self { world, request, upload, heard, jobs };
        scene.lose_messages();
        scene
    }

    fn catalog(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.world.folder.path().join(".store/catalog.db")).unwrap()
    }

    fn lose_messages(&self) {
        self.catalog().execute("DELETE FROM messages", []).unwrap();
    }

    /// It fails, and its end is not published: the process that was to publish it died.
    async fn fails_untold(&self) {
        let (cloud, request) = (&self.world.cloud, &self.request);
        manifest::create(cloud, &manifest::unplanned(request, &self.upload, None, seconds(1.0))).await.unwrap();
        manifest::update(cloud, request, |manifest| {
            manifest.state = RequestState::Failed;
            manifest.error = Some(trackdrop_pipeline::manifest::RequestError {
                stage: Stage::Split,
                message: "the disk was full".into(),
            });
            true
        })
        .await
        .unwrap();
    }

    async fn fails(&self) {
        self.fails_untold().await;
        self.tell_failed(&self.world.cloud).await.unwrap();
    }

    async fn rows(&self) -> Vec<serde_json::Value> {
        match &self.jobs {
            None => self.world.rows().await,
            Some(jobs) => jobs.0.lock().unwrap().rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect(),
        }
    }

    fn has_only(&self, row: &RequestRow) {
        match &self.jobs {
            None => {
                let row = serde_json::to_string(row).unwrap();
                self.catalog().execute("UPDATE request_rows SET row = ?1", [&row]).unwrap();
            }
            Some(jobs) => {
                let (jobs_before, rows) = (BTreeSet::from([vec![row.finished_at]]), vec![row.clone()]);
                *jobs.0.lock().unwrap() = Table { jobs: jobs_before, rows };
            }
        }
    }

    async fn round(&self) -> Option<Timestamp> {
        manifest::state_and_round(&self.world.cloud, &self.request).await.unwrap().unwrap().1
    }

    async fn tell_failed(&self, cloud: &Cloud) -> Result<(), Failure> {
        end::tell_failed(cloud, &self.request, self.round().await).await
    }

    async fn is_opened_again_and_done(&self) {
        let (cloud, request) = (&self.world.cloud, &self.request);
        end::reopen(cloud, request, None).await.unwrap();
        assert_eq!(sweep::go_on(cloud, request).await.unwrap(), Treatment::ToldAgain(1));
        self.world.settle(std::slice::from_ref(request)).await;
        self.was_told_as_done("at its end").await;
    }

    /// Manifest, summary, marker, row and message say `done`, and of the same round.
    async fn was_told_as_done(&self, when: &str) {
        let (cloud, request) = (&self.world.cloud, &self.request);
        let manifest = self.world.manifest(request).await;
        assert_eq!((manifest.state, &manifest.error), (RequestState::Done, &None), "{when}");
        let rows = self.rows().await;
        assert_eq!(rows.len(), 1, "{when}: {rows:?}");
        assert_eq!(rows[0]["state"], "done", "{when}: {rows:?}");
        let summary: Summary = serde_json::from_slice(&self.world.bytes(request, ResultFile::Summary).await).unwrap();
        assert_eq!(rows[0]["finished_at"], summary.finished_at.to_string(), "{when}");
        assert_eq!(summary.ledger.frames, 30, "{when}");
        for told in [ResultFile::Summary.object(request), Marker::Ended.object(request)] {
            let told = cloud.storage.stat(&told).await.unwrap();
            assert_eq!(round::of(&told), manifest.reopened_at, "{when}: {}", told.object);
        }
        assert!(self.heard.lock().unwrap().contains(&RequestState::Done), "{when}");
    }

    fn letter(&self, published: Option<Timestamp>) -> Event {
        let event = Box::new(Event::ObjectFinalized(self.upload.clone()));
        let (function, reason) = ("split".to_owned(), "no space".to_owned());
        Event::DeadLetter(DeadLetter { function, event, attempts: 5, reason, published })
    }
}

/// Does it with someone held at each operation in turn, until there are no more.
async fn at_every_operation(least: usize, one: impl AsyncFn(usize) -> bool) {
    let mut hold = 0;
    while one(hold).await {
        hold += 1;
    }
    assert!(hold >= least, "only {hold} operations");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tells_an_earlier_end_too_late_changes_nothing() {
    for (rounds_before, goes_on_while_it_runs) in [(0, false), (0, true), (1, false), (1, true)] {
        at_every_operation(10, async |hold| {
            for scene in Scene::of_each_warehouse().await {
                let cloud = &scene.world.cloud;
                scene.fails_untold().await;
                for _ in 0..rounds_before {
                    end::reopen(cloud, &scene.request, None).await.unwrap();
                    scene.fails_untold().await;
                }
                let (request, round) = (scene.request.clone(), scene.round().await);
                assert_eq!(round.is_some(), rounds_before > 0);
                let late = Late::held(&scene.world.cloud, hold, async move |cloud| {
                    end::tell_failed(&cloud, &request, round).await
                })
                .await;
                let Some(late) = late else { return false };
                if goes_on_while_it_runs {
                    end::reopen(cloud, &scene.request, None).await.unwrap();
                    late.goes_on().await.unwrap();
                    scene.is_opened_again_and_done().await;
                } else {
                    scene.is_opened_again_and_done().await;
                    late.goes_on().await.unwrap();
                }
                scene.was_told_as_done(&format!("with a late one held at its operation {hold}")).await;
            }
            true
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_it_again_too_late_changes_nothing_and_who_dies_over_it_is_repeated() {
    for dies in [false, true] {
        at_every_operation(5, async |hold| {
            for scene in Scene::of_each_warehouse().await {
                scene.fails().await;
                let request = scene.request.clone();
                let late =
                    Late::held(&scene.world.cloud, hold, async move |cloud| end::reopen(&cloud, &request, None).await)
                        .await;
                let Some(late) = late else { return false };
                if dies {
                    late.dies().await;
                    scene.is_opened_again_and_done().await;
                } else {
                    scene.is_opened_again_and_done().await;
                    late.goes_on().await.unwrap();
                }
                scene.was_told_as_done(&format!("operation {hold}, {dies}")).await;
            }
            true
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_later_round_that_nobody_told_is_found_by_the_sweeper() {
    for scene in Scene::of_each_warehouse().await {
        let (cloud, request) = (&scene.world.cloud, &scene.request);
        scene.fails().await;
        let told = scene.world.bytes(request, ResultFile::Summary).await;
        let row: RequestRow = serde_json::from_value(scene.rows().await.remove(0)).unwrap();
        scene.is_opened_again_and_done().await;
        at_every_operation(10, async |hold| {
            // Back to the moment at which all results exist, but the published end is the failure: the process that reopened the request died before
            // it removed the row.
            let summary = (ResultFile::Summary.object(request), told.clone());
            for (object, content) in [summary, (Marker::Ended.object(request), Bytes::new())] {
                cloud.storage.put(&object, Content::Bytes(content), PutOptions::default()).await.unwrap();
            }
            scene.has_only(&row);
            scene.heard.lock().unwrap().clear();
            let completed = request.clone();
            let late = Late::held(&scene.world.cloud, hold, async move |cloud| {
                end::finish_if_complete(&cloud, &completed).await
            })
            .await;
            let Some(late) = late else { return false };
            late.dies().await;
            let swept =
                sweep::sweep(cloud, Patience::NONE, &NamePatterns::default(), &BTreeSet::new(), &Delivery::new())
                    .await
                    .unwrap();
            assert!(swept.failed.is_empty(), "{:?}", swept.failed);
            let done: Vec<_> = swept.found.iter().map(|found| &found.done).collect();
            assert_eq!(done, [&Treatment::Healed], "{hold}");
            scene.was_told_as_done(&format!("after a crash at operation {hold}")).await;
            true
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_before_a_reopening_fails_nothing_whenever_it_is_handled() {
    at_every_operation(1, async |hold| {
        let scene = Scene::new().await;
        scene.fails().await;
        let published = Timestamp::now();
        let letter = scene.letter(Some(published));
        let late = Late::held(&scene.world.cloud, hold, async move |cloud| {
            Fail::new(cloud).handle(&letter, &Delivery::new()).await
        })
        .await;
        let Some(late) = late else { return false };
        end::reopen(&scene.world.cloud, &scene.request, Some(published)).await.unwrap();
        late.goes_on().await.unwrap();
        assert_eq!(scene.world.manifest(&scene.request).await.state, RequestState::Splitting, "{hold}");
        true
    })
    .await;
    let scene = Scene::new().await;
    scene.fails().await;
    // By the clock of the publisher, which is ahead.
    let published = Timestamp::from_micros(Timestamp::now().micros() + 5_000_000);
    end::reopen(&scene.world.cloud, &scene.request, Some(published)).await.unwrap();
    let fail = Fail::new(scene.world.cloud.clone());
    let state = async || scene.world.manifest(&scene.request).await.state;
    fail.handle(&scene.letter(Some(published)), &Delivery::new()).await.unwrap();
    assert_eq!(state().await, RequestState::Splitting, "it was known when the request was opened again");
    let later = Timestamp::from_micros(published.micros() + 2);
    fail.handle(&scene.letter(Some(later)), &Delivery::new()).await.unwrap();
    assert_eq!(state().await, RequestState::Failed, "this one is of the current round");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_a_worker_met_before_it_was_opened_again_fails_nothing() {
    let scene = Scene::new().await;
    let cloud = &scene.world.cloud;
    scene.fails().await;
    end::reopen(cloud, &scene.request, None).await.unwrap();
    end::fail(cloud, &scene.request, Stage::Split, "a wrong model file", None, || None).await.unwrap();
    assert_eq!(scene.world.manifest(&scene.request).await.state, RequestState::Splitting);
    end::fail(cloud, &scene.request, Stage::Split, "still wrong", scene.round().await, || None).await.unwrap();
    assert_eq!(scene.world.manifest(&scene.request).await.error.unwrap().message, "still wrong");
    assert_eq!(scene.rows().await[0]["error"], "still wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_request_keeps_its_plan_and_what_can_not_go_on_says_why() {
    let scene = Scene::new().await;
    let (cloud, request) = (&scene.world.cloud, &scene.request);
    scene
        .world
        .local
        .redrive(request, Some((scene.upload.object.clone(), BTreeMap::new())), Redrive::Resume)
        .await
        .unwrap();
    scene.world.settle(std::slice::from_ref(request)).await;
    let plan = scene.world.manifest(request).await.segments;
    let segment = SegmentNumber::new(0).unwrap();
    for object in [
        Marker::Ended.object(request),
        ResultFile::Summary.object(request),
        Marker::Loaded.object(request),
        Marker::Merged.object(request),
        Marker::Tracked.object(request),
        PerSegment::Detections.object(request, segment),
        PerSegment::Chunk.object(request, segment),
    ] {
        cloud.storage.delete(&object).await.unwrap();
    }
    scene.catalog().execute("DELETE FROM request_rows", []).unwrap();
    scene.fails_untold().await;
    end::reopen(cloud, request, None).await.unwrap();
    assert_eq!(scene.world.manifest(request).await.segments, plan);
    assert!(scene.rows().await.is_empty(), "the failure is taken back");
    let Treatment::Failed(reason) = sweep::go_on(cloud, request).await.unwrap() else { panic!() };
    assert!(reason.contains("gone: upload the video again"), "{reason}");
    let rows = scene.rows().await;
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &"failed".into()));
    let swept = cloud.storage.list(&ObjectName::new(Bucket::Work, "swept/")).await.unwrap();
    assert!(swept.is_empty(), "nothing was told again");
}

//! `track --pull` as processes of their own. Nothing is lost and nothing doubled when a worker is asked to stop in the middle, when every event
//! arrives twice and two workers share them, and when work fails permanently. The events come from Google's Pub/Sub emulator. The streams are those
//! of a server of ours, because the emulator leases events to streams that are closed, and leases to one worker what another would have a place for.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trackdrop_e2e::{
    deployment::{Deployment, Finished, Setup},
    local::{LocalRun, clip},
    service::ServiceProcess,
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::TRACKS;

const SEGMENTS: usize = 4;
/// How long events may be on their way after the end of a request was published.
const ANSWERED_WITHIN: Duration = Duration::from_secs(240);

struct Scene {
    deployment: Deployment,
    clip: Vec<u8>,
    settings: Value,
    local: LocalRun,
}

impl Scene {
    async fn upload(&self, settings: &Value) -> RequestId {
        self.deployment.upload("people walking.mp4", &self.clip, Some(settings)).await
    }

    async fn ends_like_the_local_run(&self, request: &RequestId) {
        let finished = self.deployment.finished(request).await;
        assert_eq!(finished, Finished { state: "done".into(), error: None });
        let (rows, expected) = (self.deployment.rows(&TRACKS, request).await, self.local.rows());
        assert_eq!(rows.len(), expected.len());
        assert!(rows == expected, "{request}: other rows");
        let detections = self.deployment.list(Bucket::Work, &format!("detections/{request}/")).await;
        assert_eq!(detections.len(), SEGMENTS);
    }

    /// Waits until every event is acknowledged, and has the workers stop.
    async fn nothing_is_left(&self, workers: &mut [ServiceProcess]) {
        let until = Instant::now() + ANSWERED_WITHIN;
        while self.deployment.pull_server().left() > 0 {
            let logs: String = workers.iter().map(ServiceProcess::log_text).collect();
            assert!(Instant::now() < until, "events are left:\n{logs}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for worker in workers {
            worker.signal("TERM");
            assert!(worker.ended().await, "{}", worker.log_text());
        }
        assert_eq!(self.deployment.pull_server().left(), 0);
        assert!(self.deployment.pull("trackdrop-dead-letters").await.is_empty(), "there are dead letters");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_pull_lose_nothing_and_double_nothing() {
    let Some(deployment) = Deployment::start_with(Setup { is_track_pulled: true, ..Setup::default() }).await else {
        return;
    };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let options = ["--segment-seconds", "1", "--no-video"];
    let local = LocalRun::of(&video, &deployment.folder.path().join("local"), &options);
    let clip = std::fs::read(&video).unwrap();
    let manifest: Value = serde_json::from_slice(&local.result("manifest.json")).unwrap();
    let scene = Scene { deployment, clip, settings: manifest["settings"].clone(), local };

    told_to_stop_in_the_middle_it_leaves_the_rest_to_the_next(&scene).await;
    every_event_comes_twice_and_is_shared_by_two(&scene).await;
    what_fails_for_good_is_recorded_and_does_not_come_again(&scene).await;
    scene.deployment.check_rights("pull");
}

async fn told_to_stop_in_the_middle_it_leaves_the_rest_to_the_next(scene: &Scene) {
    let deployment = &scene.deployment;
    let mut worker = deployment.worker("stopped", &[("TRACKDROP_CONCURRENCY", "1")]);
    let request = scene.upload(&scene.settings).await;
    let detections = format!("detections/{request}/");
    deployment.until_listed(Bucket::Work, &detections, 1).await;
    worker.signal("TERM");
    assert!(worker.ended().await, "{}", worker.log_text());
    let done = deployment.list(Bucket::Work, &detections).await.len();
    assert!((1..SEGMENTS).contains(&done), "it was not stopped in the middle: {done} of {SEGMENTS} are done");
    assert!(worker.log_text().contains("pulling no more"), "{}", worker.log_text());
    let server = deployment.pull_server();
    assert_eq!(
        server.waiting(),
        server.left(),
        "it has gone with events that others could work on ({} handed back):\n{}",
        server.handed_back(),
        worker.log_text()
    );

    let next = deployment.worker("next", &[]);
    scene.ends_like_the_local_run(&request).await;
    scene.nothing_is_left(&mut [next]).await;
}

async fn every_event_comes_twice_and_is_shared_by_two(scene: &Scene) {
    let deployment = &scene.deployment;
    let request = scene.upload(&scene.settings).await;
    let chunks = deployment.until_listed(Bucket::Work, &format!("split_chunks/{request}/"), SEGMENTS).await;
    for (name, generation) in &chunks {
        deployment.publish_again(Bucket::Work, name, generation).await;
    }
    // One place each: what the one works on, the other goes past.
    deployment.pull_server().wait_for_streams(2);
    let one_place = [("TRACKDROP_CONCURRENCY", "1")];
    let mut workers = ["one", "other"].map(|name| deployment.worker(name, &one_place));
    scene.ends_like_the_local_run(&request).await;
    // Those that come after the end, too, are answered well.
    scene.nothing_is_left(&mut workers).await;
    deployment.pull_server().wait_for_streams(0);
    let done = workers.each_ref().map(|worker| worker.log_text().matches("delivery done").count());
    assert_eq!(done.iter().sum::<usize>(), 2 * SEGMENTS, "{done:?}");
    assert!(done.iter().all(|&done| done > 0), "one did nothing: {done:?}");
}

async fn what_fails_for_good_is_recorded_and_does_not_come_again(scene: &Scene) {
    let deployment = &scene.deployment;
    let handed_back = deployment.pull_server().handed_back();
    // One place: two that fail at the same moment may write into each other's way, and one of them is then tried again.
    let worker = deployment.worker("permanent", &[("TRACKDROP_CONCURRENCY", "1")]);
    let mut settings = scene.settings.clone();
    settings["classes"] = json!(["persn"]);
    let request = scene.upload(&settings).await;
    let finished = deployment.finished(&request).await;
    assert_eq!(finished.state, "failed");
    assert!(finished.error.unwrap().contains("\"persn\""));
    scene.nothing_is_left(&mut [worker]).await;
    let row = deployment.request_row(&request).await;
    assert_eq!((row["state"].as_str(), row["error_stage"].as_str()), ("failed", "track"));
    assert_eq!(deployment.pull_server().handed_back(), handed_back, "a permanent failure was handed back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_subscription_ends_and_says_which() {
    let Some(deployment) = Deployment::start_with(Setup { is_track_pulled: true, ..Setup::default() }).await else {
        return;
    };
    let missing = [("TRACKDROP_SUBSCRIPTION", "projects/demo/subscriptions/nowhere")];
    let mut worker = deployment.worker("lost", &missing);
    assert!(!worker.ended().await);
    assert!(worker.log_text().contains("projects/demo/subscriptions/nowhere can't be pulled from"));
}

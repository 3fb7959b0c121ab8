//! `track --pull` as processes of their own, over Google's Pub/Sub emulator: nothing is lost and nothing doubled when a worker is told to stop in
//! the middle.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use trackdrop_e2e::{
    deployment::{Deployment, Finished, Setup},
    local::{LocalRun, clip},
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::TRACKS;

const SEGMENTS: usize = 4;

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

    /// A worker that was told to stop has ended well, and has left nothing to be delivered again. (Events of other objects, which a filter would
    /// keep out, may have come since.)
    async fn nothing_is_left(&self) {
        let mut left = self.deployment.pull("trackdrop-track").await;
        left.retain(|message| message.attributes["objectId"].starts_with("split_chunks/"));
        assert!(left.is_empty(), "{left:?}");
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

    let mut next = deployment.worker("next", &[]);
    scene.ends_like_the_local_run(&request).await;
    next.signal("TERM");
    assert!(next.ended().await, "{}", next.log_text());
    scene.nothing_is_left().await;
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

//! Stalled requests resume, over the emulators: after a lost event, by the sweeper; after dead letters, by `trackdrop dead-letters`.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::time::Duration;
use trackdrop_e2e::{
    deployment::{Deployment, Finished},
    gateway::Fault,
    local::{LocalRun, clip},
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::{REQUESTS, TRACKS};

const SETTLES_WITHIN: Duration = Duration::from_secs(120);

struct Scene {
    deployment: Deployment,
    clip: Vec<u8>,
    settings: Value,
    local: LocalRun,
}

impl Scene {
    async fn upload(&self, name: &str) -> RequestId {
        self.deployment.upload(name, &self.clip, Some(&self.settings)).await
    }

    async fn ends_like_the_local_run(&self, request: &RequestId) {
        let finished = self.deployment.finished(request).await;
        assert_eq!(finished, Finished { state: "done".into(), error: None });
        let (rows, expected) = (self.deployment.rows(&TRACKS, request).await, self.local.rows());
        assert_eq!(rows.len(), expected.len());
        assert!(rows == expected, "{request}: other rows");
        assert_eq!(self.deployment.request_row(request).await["state"], "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_goes_on_and_comes_to_the_same() {
    let Some(deployment) = Deployment::start().await else { return };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let options = ["--segment-seconds", "1", "--no-video"];
    let local = LocalRun::of(&video, &deployment.folder.path().join("local"), &options);
    let clip = std::fs::read(&video).unwrap();
    let manifest: Value = serde_json::from_slice(&local.result("manifest.json")).unwrap();
    let scene = Scene { deployment, clip, settings: manifest["settings"].clone(), local };

    for (function, existing) in [("split", None), ("track", Some("split_chunks")), ("merge", Some("tracked"))] {
        lost_events_are_told_again(&scene, function, existing).await;
    }
    dead_letters_are_listed_replayed_and_discarded(&scene).await;
    a_letter_is_not_replayed_before_its_request_has_failed(&scene).await;
    a_deleted_request_is_gone_and_nothing_makes_it_again(&scene).await;
    scene.deployment.check_rights("set_going_again");
}

async fn a_deleted_request_is_gone_and_nothing_makes_it_again(scene: &Scene) {
    let deployment = &scene.deployment;
    deployment.gateway.begin(Fault::None);
    let (gone, stays) = (scene.upload("people walking.mp4").await, scene.upload("others.mp4").await);
    scene.ends_like_the_local_run(&gone).await;
    assert_eq!(deployment.finished(&stays).await.state, "done");
    deployment.gateway.settled(0, SETTLES_WITHIN).await;
    let of_other = deployment.rows(&TRACKS, &stays).await.len();
    let said = deployment.trackdrop(&["delete", gone.as_str(), "--google", "--dry-run"]);
    assert!(said.contains("would be deleted"), "{said}");
    assert!(deployment.object(Bucket::Results, &format!("{gone}/manifest.json")).await.is_some());
    assert_eq!(deployment.rows(&TRACKS, &gone).await.len(), of_other, "a dry run took rows away");

    deployment.trackdrop(&["delete", gone.as_str(), "--google"]);
    assert_eq!(deployment.clock("fail", "trackdrop.requests.sweep").await, 204);
    deployment.gateway.settled(0, SETTLES_WITHIN).await;
    assert!(deployment.object(Bucket::Results, &format!("{gone}/manifest.json")).await.is_none());
    for table in [&TRACKS, &REQUESTS] {
        assert!(deployment.rows(table, &gone).await.is_empty(), "{}", table.name);
    }
    assert_eq!(deployment.rows(&TRACKS, &stays).await.len(), of_other);
    assert!(deployment.object(Bucket::Uploads, "people walking.mp4").await.is_some());
}

async fn lost_events_are_told_again(scene: &Scene, function: &'static str, existing: Option<&str>) {
    let deployment = &scene.deployment;
    deployment.gateway.begin(Fault::Lost { function });
    let request = scene.upload("people walking.mp4").await;
    if let Some(folder) = existing {
        let objects = if folder == "split_chunks" { 4 } else { 1 };
        deployment.until_listed(Bucket::Work, &format!("{folder}/{request}"), objects).await;
    }
    // The upload's event, and each one after it up to the function that never saw its own.
    let events = match function {
        "split" => 1,
        "track" => 1 + 4,
        _ => 1 + 4 + 1,
    };
    deployment.gateway.seen(events, SETTLES_WITHIN).await;
    deployment.gateway.settled(0, SETTLES_WITHIN).await;
    deployment.gateway.begin(Fault::None);
    assert_eq!(deployment.clock("fail", "trackdrop.requests.sweep").await, 204);
    scene.ends_like_the_local_run(&request).await;
    deployment.gateway.settled(0, SETTLES_WITHIN).await;
}

fn letters(deployment: &Deployment) -> Vec<Value> {
    let lines = deployment.trackdrop(&["dead-letters", "list", "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn dead_letters_are_listed_replayed_and_discarded(scene: &Scene) {
    let deployment = &scene.deployment;
    let list = || letters(deployment);
    assert!(list().is_empty());
    deployment.gateway.begin(Fault::AlwaysDies { function: "merge" });
    let (one, other) = (scene.upload("people walking.mp4").await, scene.upload("others.mp4").await);
    for request in [&one, &other] {
        assert_eq!(deployment.finished(request).await.state, "failed");
        assert_eq!(deployment.request_row(request).await["state"], "failed");
    }
    deployment.gateway.settled(2, SETTLES_WITHIN).await;
    let letters = list();
    assert_eq!(letters, list(), "looking takes nothing away");
    let letter_of = |request: &RequestId| {
        let of_request = |letter: &&Value| letter["object"] == format!("tracked/{request}");
        letters.iter().find(of_request).unwrap_or_else(|| panic!("{request}: {letters:?}"))["id"].as_str().unwrap()
    };
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter["subscription"] == "trackdrop-merge"), "{letters:?}");

    deployment.gateway.begin(Fault::None);
    let said = deployment.trackdrop(&["dead-letters", "replay", letter_of(&one)]);
    assert!(said.contains(&format!("{one} resumes: 1 events")), "{said}");
    scene.ends_like_the_local_run(&one).await;
    deployment.trackdrop(&["dead-letters", "discard", letter_of(&other)]);
    assert!(list().is_empty());
    assert_eq!(deployment.request_row(&other).await["state"], "failed");
    what_can_not_go_on_keeps_its_letter(scene, &other).await;
}

/// Of a request that failed in `merge`, a chunk and all that was made of it is gone.
async fn what_can_not_go_on_keeps_its_letter(scene: &Scene, request: &RequestId) {
    let deployment = &scene.deployment;
    let gone = ["tracked/REQUEST", "detections/REQUEST/000000.parquet", "split_chunks/REQUEST/000000.mkv"];
    for name in gone {
        deployment.delete(Bucket::Work, &name.replace("REQUEST", request.as_str())).await;
    }
    deployment.gateway.begin(Fault::Lost { function: "fail" });
    deployment.publish_dead_letter("track", Bucket::Work, &format!("split_chunks/{request}/000001.mkv")).await;
    deployment.gateway.seen(1, SETTLES_WITHIN).await;
    let said = deployment.trackdrop_fails(&["dead-letters", "replay", "--all"]);
    assert!(said.contains("remains failed: chunks were cut, but are gone: upload the video again"), "{said}");
    assert_eq!(letters(deployment).len(), 1);
    let row = deployment.request_row(request).await;
    assert_eq!((row["state"].as_str(), row["error_stage"].as_str()), ("failed", "split"), "{row:?}");
    deployment.trackdrop(&["dead-letters", "discard", "--all"]);
}

/// `fail` gets a letter late, and one more of the same request.
async fn a_letter_is_not_replayed_before_its_request_has_failed(scene: &Scene) {
    let deployment = &scene.deployment;
    deployment.gateway.begin(Fault::Lost { function: "merge" });
    let request = scene.upload("people walking.mp4").await;
    let tracked = format!("tracked/{request}");
    deployment.until_listed(Bucket::Work, &tracked, 1).await;
    deployment.gateway.seen(1 + 4 + 1, SETTLES_WITHIN).await;
    deployment.gateway.settled(0, SETTLES_WITHIN).await;

    deployment.gateway.begin(Fault::Lost { function: "fail" });
    deployment.publish_dead_letter("merge", Bucket::Work, &tracked).await;
    deployment.gateway.seen(1, SETTLES_WITHIN).await;
    let said = deployment.trackdrop_fails(&["dead-letters", "replay", "--all"]);
    assert!(said.contains(&format!("{request} has not failed")), "{said}");
    assert_eq!(letters(deployment).len(), 1);

    deployment.gateway.begin(Fault::None);
    deployment.publish_dead_letter("merge", Bucket::Work, &tracked).await;
    assert_eq!(deployment.finished(&request).await.state, "failed");
    let said = deployment.trackdrop(&["dead-letters", "replay", "--all"]);
    assert!(said.contains("resumes: 1 events") && said.contains("is resumed already"), "{said}");
    scene.ends_like_the_local_run(&request).await;
    assert!(letters(deployment).is_empty());
}

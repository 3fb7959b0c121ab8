//! `trackdrop delete` removes exactly the named requests, everywhere.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use support::{Data, Running, Scene, clip, codec};

fn id(summary: &serde_json::Value) -> String {
    summary["request_id"].as_str().unwrap().to_owned()
}

/// All objects whose names have this in them.
fn with(data: &Data, part: &str) -> BTreeMap<String, i64> {
    data.objects("").into_iter().filter(|(name, _)| name.contains(part)).collect()
}

/// A data directory with two requests of two videos.
fn two() -> (Scene, String, String) {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let other = scene.path("other.mp4");
    clip(&other, 2, codec::H264);
    let ids: Vec<_> = scene.data().run_json(&[&video, &other], &["--segment-seconds", "0.4"]).iter().map(id).collect();
    (scene, ids[0].clone(), ids[1].clone())
}

#[test]
fn a_deleted_request_is_gone_everywhere_and_nothing_else_is() {
    let (scene, gone, stays) = two();
    let data = scene.data();
    let before = data.objects("");
    let rows = data.query(&format!("SELECT COUNT(*) FROM tracks WHERE request_id = '{stays}'"));

    let dry = data.trackdrop(["delete", &gone, "--dry-run"]).expect_success();
    assert!(dry.stdout.contains("would be deleted") && dry.stdout.contains("clip.mp4 remains"), "{}", dry.stdout);
    assert_eq!(data.objects(""), before, "a dry run changes nothing");

    data.trackdrop(["delete", &gone]).expect_success();
    let mut expected: BTreeMap<_, _> = before.into_iter().filter(|(name, _)| !name.contains(&gone)).collect();
    // The claim of its content, whose name does not tell.
    expected.retain(|name, _| !name.starts_with("work/uploaded/"));
    let marker = format!("work/ended/{gone}");
    let mut after = data.objects("");
    assert!(after.remove(&marker).is_some(), "what is still told of it must have no effect");
    assert_eq!(with(&data, "work/uploaded/").len(), 1, "the other's claim");
    after.retain(|name, _| !name.starts_with("work/uploaded/"));
    assert_eq!(after, expected);
    assert!(!data.0.join("results").join(&gone).exists() && data.result(&stays, "tracks.parquet").exists());
    for table in ["tracks", "requests"] {
        assert_eq!(data.query(&format!("SELECT COUNT(*) FROM {table} WHERE request_id = '{gone}'")), ["0"]);
    }
    assert_eq!(data.query(&format!("SELECT COUNT(*) FROM tracks WHERE request_id = '{stays}'")), rows);
    assert_eq!(data.requests().len(), 1);

    data.trackdrop(["requests", "--sweep"]).expect_success();
    assert_eq!(data.requests().len(), 1, "nothing makes it again");
    let again = data.trackdrop(["delete", &gone]).expect_success().stdout;
    assert!(again.contains("0 objects"), "who repeats it is told that it is done: {again}");
}

#[test]
fn a_deleted_video_can_be_tracked_again() {
    let (scene, gone, _) = two();
    let data = scene.data();
    let tracks = std::fs::read(data.result(&gone, "tracks.parquet")).unwrap();
    data.trackdrop(["delete", &gone]).expect_success();
    let again = data.run_json(&[&scene.path("clip.mp4")], &["--min-score", "0.01"]).remove(0);
    assert_eq!((id(&again), again["state"].as_str()), (gone.clone(), Some("done")));
    assert_eq!(std::fs::read(data.result(&gone, "tracks.parquet")).unwrap(), tracks);
}

#[test]
fn with_upload_the_video_goes_too_unless_another_request_has_it() {
    let (scene, root, stays) = two();
    let data = scene.data();
    let retracked =
        data.trackdrop(["retrack", &root, "--min-score", "0.5", "--json"]).expect_success().json().remove(0);
    let version = id(&retracked);
    let refused = data.trackdrop(["delete", &root, "--upload"]).expect_code(1);
    assert!(refused.errors()[0].contains(&version), "{}", refused.stderr);
    assert!(data.result(&root, "manifest.json").exists());

    let said = data.trackdrop(["delete", &version]).expect_success().stdout;
    assert!(said.contains(&format!("version of  {root}")), "{said}");
    assert!(data.result(&root, "tracks.parquet").exists() && !data.result(&version, "tracks.parquet").exists());
    data.trackdrop(["delete", &root, "--upload"]).expect_success();
    assert!(with(&data, "uploads/clip.mp4").is_empty());
    assert_eq!(with(&data, "uploads/other.mp4").len(), 1);
    assert_eq!(data.only_request(), stays);
}

#[test]
fn a_mistyped_id_deletes_none_of_the_others() {
    let (scene, first, second) = two();
    let data = scene.data();
    let unknown = "req_00000000_20200101T000000";
    let refused = data.trackdrop(["delete", &first, unknown, &second]).expect_code(1);
    assert!(refused.errors()[0].contains(unknown), "{}", refused.stderr);
    data.trackdrop(["delete", &first, "clip.mp4"]).expect_code(1);
    assert_eq!(data.requests().len(), 2);
}

#[test]
fn a_request_in_progress_is_deleted_by_force_only() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    let mut run = Running::start(&mut data.run_command(&[&video], &["--segment-seconds", "0.4"]));
    assert!(run.until(|| !data.objects("work/detections/").is_empty()));
    run.kill();
    let request = data.only_request();
    let refused = data.trackdrop(["delete", &request]).expect_code(1);
    assert!(refused.errors()[0].contains("--force"), "{}", refused.stderr);
    data.trackdrop(["delete", &request, "--force"]).expect_success();
    assert_eq!(with(&data, &request).into_keys().collect::<Vec<_>>(), [format!("work/ended/{request}")]);
    assert!(data.requests().is_empty());
    assert_eq!(data.run_json(&[&video], &["--no-video"]).remove(0)["state"], "done");
}

#[test]
fn a_deletion_that_was_killed_goes_on_when_it_is_repeated() {
    for objects_left in [12, 6, 1] {
        let (scene, gone, stays) = two();
        let data = scene.data();
        let all = with(&data, &gone).len();
        let mut deletion = Running::start(data.command().args(["delete", &gone, "--upload"]));
        // Wherever it is by then; it may have been faster.
        deletion.until(|| with(&data, &gone).len() <= all.min(objects_left));
        deletion.kill();
        let again = data.trackdrop(["delete", &gone, "--upload"]).expect_success();
        let left: Vec<_> = with(&data, &gone).into_keys().collect();
        assert_eq!(left, [format!("work/ended/{gone}")], "{}", again.stderr);
        assert!(with(&data, "uploads/clip.mp4").is_empty());
        assert_eq!(data.only_request(), stays);
    }
}

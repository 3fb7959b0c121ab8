//! Several videos in one run: each has its own results, and a bad one fails alone.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use support::{Scene, clip, codec};

#[test]
fn three_videos_in_one_run_have_results_of_their_own() {
    let scene = Scene::new();
    let data = scene.data();
    let videos = [("a.mp4", 1, codec::H264), ("b.mp4", 2, codec::OPEN_GOP), ("c.avi", 3, codec::MPEG4)];
    let paths = videos.map(|(name, seconds, encode)| {
        clip(&scene.path(name), seconds, encode);
        scene.path(name)
    });
    let summaries = data.run_json(&paths.each_ref().map(|path| path.as_path()), &["--segment-seconds", "0.5"]);
    for (summary, (name, seconds, _)) in summaries.iter().zip(videos) {
        assert_eq!((summary["video"].as_str(), summary["state"].as_str()), (Some(name), Some("done")));
        assert_eq!(summary["ledger"]["frames"], seconds * 25, "{name}");
        for file in ["manifest", "tracks", "annotated"] {
            let path = Path::new(summary[file].as_str().unwrap());
            assert!(path.is_file() && path.starts_with(data.0.canonicalize().unwrap()), "{name}: {path:?}");
        }
        let request = summary["request_id"].as_str().unwrap();
        let rows =
            data.query(&format!("SELECT COUNT(*) FROM tracks WHERE request_id = '{request}' AND video = '{name}'"));
        assert_eq!(rows, [summary["track_rows"].to_string()]);
    }
    assert_eq!(summaries.len(), 3);
    assert_eq!(data.query("SELECT COUNT(DISTINCT request_id) FROM tracks"), ["3"]);
}

#[test]
fn a_bad_video_fails_alone() {
    let scene = Scene::new();
    let data = scene.data();
    let paths = ["a.mp4", "bad.mp4", "c.mp4"].map(|name| scene.path(name));
    clip(&paths[0], 1, codec::H264);
    std::fs::write(&paths[1], "no video at all").unwrap();
    clip(&paths[2], 2, codec::H264);
    let ended = data.run(&paths.each_ref().map(|path| path.as_path()), &["--json"]).expect_code(1);
    let states: Vec<_> = ended.json().iter().map(|summary| summary["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["done", "failed", "done"]);
    let [error] = ended.errors()[..] else { panic!("{ended:?}") };
    assert!(error.contains("bad.mp4") && !error.contains("a.mp4\""), "{error}");
    assert_eq!(data.query("SELECT video FROM requests WHERE state = 'done' ORDER BY video"), ["a.mp4", "c.mp4"]);
}

#[test]
fn a_file_that_is_missing_leaves_nothing_half_way() {
    let (scene, video) = Scene::with_clip("a.mp4", 1, codec::H264);
    let data = scene.data();
    let ended = data.run(&[&video, &scene.path("nowhere.mp4")], &[]).expect_code(1);
    assert!(ended.stderr.contains("nowhere.mp4"), "{}", ended.stderr);
    // Refused before anything was started, or done: never left half-way.
    let states: Vec<_> = data.requests().iter().map(|request| request["state"].as_str().unwrap().to_owned()).collect();
    assert!(states.is_empty() || states == ["done"], "{states:?}");
}

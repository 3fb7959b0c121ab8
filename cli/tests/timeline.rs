//! `trackdrop show REQUEST --timeline` says where the time of a request went.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Scene, codec};

#[test]
fn a_timeline_counts_every_moment_once_and_names_the_bottleneck() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    let run = data.run_json(&[&video], &["--segment-seconds", "1"]);
    let request = run[0]["request_id"].as_str().unwrap();
    let shown = data.trackdrop(["show", request, "--timeline", "--json"]).expect_success();
    let timeline: Value = serde_json::from_str(&shown.stdout).unwrap();
    let stages = timeline["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["split", "track", "merge", "load", "annotate", "join"]);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{timeline:#}"));
    let counted: f64 = stages.iter().map(|stage| number(&stage["clock_s"])).sum();
    let seconds = number(&timeline["seconds"]);
    assert!((counted + number(&timeline["waiting_s"]) - seconds).abs() < 1e-3, "{timeline:#}");
    assert!(seconds <= number(&run[0]["wall_seconds"]), "{timeline:#}");
    for (stage, activities) in [
        ("split", vec!["cut", "index", "upload"]),
        ("track", vec!["decode", "inference"]),
        ("merge", vec!["association"]),
        ("load", vec!["load"]),
        ("annotate", vec!["decode", "drawing", "encoding"]),
        ("join", vec!["join"]),
    ] {
        let stage = stages.iter().find(|of| of["stage"] == stage).unwrap();
        for activity in activities {
            assert!(number(&stage["activities"][activity]) >= 0.0, "{stage:#}");
        }
    }
    let pieces = |stage: &str| stages.iter().find(|of| of["stage"] == stage).unwrap()["pieces"].as_u64();
    assert_eq!((pieces("split"), pieces("track"), pieces("join")), (pieces("annotate"), pieces("annotate"), Some(1)));

    let text = data.trackdrop(["show", request, "--timeline"]).expect_success().stdout;
    let named = timeline["bottleneck"]["stage"].as_str().unwrap_or("waiting");
    assert!(text.contains(&format!("bottleneck: {named}")), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn a_version_has_only_its_own_work_and_a_request_without_work_has_no_timeline() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &[])[0]["request_id"].as_str().unwrap().to_owned();
    let version = data.trackdrop(["retrack", &first, "--track-thresh", "0.3", "--no-video", "--json"]).expect_success();
    let version = version.json()[0]["request_id"].as_str().unwrap().to_owned();
    let shown = data.trackdrop(["show", &version, "--timeline", "--json"]).expect_success();
    let timeline: Value = serde_json::from_str(&shown.stdout).unwrap();
    let names: Vec<_> = timeline["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].clone()).collect();
    assert_eq!(names, ["merge", "load"]);

    let nothing = scene.path("notes.mp4");
    std::fs::write(&nothing, "this is no video").unwrap();
    data.run(&[&nothing], &[]).expect_code(1);
    let failed = data.requests().into_iter().find(|request| request["state"] == "failed").unwrap();
    let shown = data.trackdrop(["show", failed["request_id"].as_str().unwrap(), "--timeline"]).expect_code(1);
    assert!(shown.errors()[0].contains("no finished work"), "{:?}", shown.errors());
}

//! The best crop of each object, in the pass that draws.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::{collections::BTreeSet, path::Path};
use support::{Data, Scene, codec, ffprobe};

fn id(summary: &Value) -> String {
    summary["request_id"].as_str().unwrap().to_owned()
}

fn crops(data: &Data, request: &str, more: &[&str]) -> Vec<Value> {
    data.trackdrop([&["crops", request, "--json"], more].concat()).expect_success().json()
}

#[test]
fn each_object_has_one_crop_however_the_video_is_cut() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let mut files = Vec::new();
    for (name, seconds) in [("short", "0.4"), ("long", "10")] {
        let data = scene.other(name);
        let request = id(&data.run_json(&[&video], &["--segment-seconds", seconds, "--crops"]).remove(0));
        files.push(std::fs::read(data.result(&request, "crops.parquet")).unwrap());
        let all = crops(&data, &request, &[]);
        let of_crops: BTreeSet<_> = all.iter().map(|crop| crop["track_id"].as_i64().unwrap().to_string()).collect();
        let tracks: BTreeSet<_> = data.query("SELECT DISTINCT track_id FROM tracks").into_iter().collect();
        assert!(of_crops == tracks && all.len() == tracks.len() && all.len() > 1, "{all:?}");
        assert!(all.iter().all(|crop| crop["bytes"].as_u64().unwrap() <= 40_000));
    }
    assert!(files[0] == files[1], "other crops for another cut");
}

#[test]
fn crops_are_taken_out_as_files_and_as_one_sheet() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let request = id(&data.run_json(&[&video], &["--crops"]).remove(0));
    let (folder, sheet) = (scene.path("crops"), scene.path("sheet.jpg"));
    let all = crops(&data, &request, &["--out", folder.to_str().unwrap(), "--sheet", sheet.to_str().unwrap()]);
    let size = |file: &Path| ffprobe("-show_entries stream=width,height", file).trim().to_owned();
    for crop in &all {
        let file = folder.join(crop["file"].as_str().unwrap());
        assert_eq!(size(&file), format!("{},{}", crop["width"], crop["height"]));
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), all.len());
    let sheet_size = size(&sheet);
    let (width, height) = sheet_size.split_once(',').unwrap();
    assert!(width.parse::<u32>().unwrap() > 160 && height.parse::<u32>().unwrap() > 160, "{sheet_size}");
}

#[test]
fn an_ordinary_request_has_none_and_a_version_of_it_may() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let request = id(&data.run_json(&[&video], &["--segment-seconds", "0.4"]).remove(0));
    assert!(data.objects("work/crops/").is_empty() && !data.result(&request, "crops.parquet").exists());
    let none = data.trackdrop(["crops", &request]).expect_code(1);
    assert!(none.errors()[0].contains("retrack"), "{}", none.stderr);
    let retracked = data.trackdrop(["retrack", &request, "--crops", "--json"]).expect_success().json().remove(0);
    let version = id(&retracked);
    assert!(crops(&data, &version, &[]).len() > 1);
    let refused = data.run(&[&scene.path("clip.mp4")], &["--crops", "--no-video"]).expect_code(1);
    assert!(refused.errors()[0].contains("set `video` to true"), "{}", refused.stderr);
}

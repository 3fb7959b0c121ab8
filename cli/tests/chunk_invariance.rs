//! The results do not depend on how a video was cut, nor on how many processes worked on it.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Data, Running, Scene, codec, sha256};

/// The checksums of both tables.
fn checksums(data: &Data, summary: &serde_json::Value) -> [String; 2] {
    let request = summary["request_id"].as_str().unwrap();
    ["detections.parquet", "tracks.parquet"].map(|file| sha256(&data.result(request, file)))
}

fn results_are_the_same_however_it_is_cut(name: &str, encode: &str) {
    let (scene, video) = Scene::with_clip(name, 6, encode);
    let data = scene.data();
    let mut seen = Vec::new();
    for seconds in ["1000", "2", "1", "0.5"] {
        let summary = data.run_json(&[&video], &["--force", "--no-video", "--segment-seconds", seconds]).remove(0);
        assert!(summary["tracks_by_class"]["person"].as_u64() > Some(0), "nothing to compare: {summary}");
        seen.push((
            seconds,
            summary["segments"].as_u64().unwrap(),
            summary["ledger"].clone(),
            checksums(&data, &summary),
        ));
    }
    assert_eq!(seen[0].1, 1);
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1), "cut the same way each time: {seen:#?}");
    assert!(seen.windows(2).all(|pair| pair[0].2 == pair[1].2), "other frames: {seen:#?}");
    assert!(seen.windows(2).all(|pair| pair[0].3 == pair[1].3), "other results: {seen:#?}");
}

#[test]
fn one_segment_or_many_give_the_same_bytes_for_open_gop_h264_with_b_frames() {
    results_are_the_same_however_it_is_cut("open-gop.mp4", codec::OPEN_GOP);
}

#[test]
fn one_segment_or_many_give_the_same_bytes_for_closed_gop_h264() {
    results_are_the_same_however_it_is_cut("closed-gop.mp4", codec::H264);
}

#[test]
fn one_segment_or_many_give_the_same_bytes_for_an_avi_whose_packets_have_no_pts() {
    results_are_the_same_however_it_is_cut("mpeg4.avi", codec::MPEG4);
}

#[test]
fn a_clean_clip_has_no_damaged_frame_however_it_is_cut() {
    for seconds in ["0.5", "1", "2", "1000"] {
        let (scene, video) = Scene::with_clip("clean.mp4", 6, codec::OPEN_GOP);
        let summary = scene.data().run_json(&[&video], &["--no-video", "--segment-seconds", seconds]).remove(0);
        let ledger = &summary["ledger"];
        assert_eq!((ledger["frames"].as_u64(), ledger["frames_damaged"].as_u64()), (Some(150), Some(0)), "{seconds} s");
    }
}

#[test]
fn two_processes_on_one_data_directory_give_what_one_gives() {
    let (scene, video) = Scene::with_clip("shared.mp4", 6, codec::H264);
    let data = scene.data();
    let options = ["--json", "--segment-seconds", "0.5"];
    let running = [(); 2].map(|()| Running::start(&mut data.run_command(&[&video], &options)));
    let [a, b] = running.map(|running| running.end().expect_success().json().remove(0));
    assert_eq!(a["request_id"], b["request_id"], "both gave the same file");
    assert_eq!(a["track_rows"], b["track_rows"]);
    assert_eq!(data.requests().len(), 1);
    let together = checksums(&data, &a);
    let alone = data.run_json(&[&video], &["--force", "--segment-seconds", "1000"]).remove(0);
    assert_eq!(together, checksums(&data, &alone));
}

#[test]
fn the_default_detector_gives_the_same_bytes_however_the_video_is_cut() {
    let (scene, video) = Scene::with_clip("default.mp4", 2, codec::H264);
    let data = scene.data();
    let run = |seconds: &str| {
        let arguments = ["run", "--json", "--no-video", "--force", "--segment-seconds", seconds];
        let arguments = arguments.into_iter().map(std::ffi::OsStr::new).chain([video.as_os_str()]);
        data.trackdrop(arguments).expect_success().json().remove(0)
    };
    let whole = run("1000");
    assert_eq!(data.manifest(whole["request_id"].as_str().unwrap())["model"]["name"], "nanodet-g-416");
    let of_whole = checksums(&data, &whole);
    let cut = run("0.5");
    assert!(cut["segments"].as_u64() > whole["segments"].as_u64());
    assert_eq!(checksums(&data, &cut), of_whole);
}

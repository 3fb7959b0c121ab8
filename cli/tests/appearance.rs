//! `--appearance MODEL.onnx` as a user meets it: two objects cross where nobody sees them, and only their looks tell who is who.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use support::{Data, Scene, sha256};

const SIZE: (usize, usize) = (640, 480);
const FRAMES: usize = 60;
/// Nobody sees the two from the first of these frames to the one before the last.
const HIDDEN: std::ops::Range<usize> = 20..42;
const LANE_Y: usize = 12;
const RED: [u8; 3] = [230, 20, 20];
const BLUE: [u8; 3] = [20, 20, 230];

/// Finds bright boxes of 16 x 24 px: see `fixtures/make_blobs.py`.
fn detector() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/blobs.onnx")
}

/// Gives the mean colours of a crop's four parts: see `make_appearance.py` beside it.
fn network(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detector/tests/fixtures").join(name)
}

/// Left and top edge, and colour, of what is seen in a frame.
fn seen(frame: usize) -> Vec<(usize, usize, [u8; 3])> {
    let mut seen = Vec::new();
    if !HIDDEN.contains(&frame) {
        // The blue one is behind, and ahead once they come out.
        let (behind, ahead) = (40 + 6 * frame, 64 + 6 * frame);
        let (red, blue) = if frame < HIDDEN.start { (ahead, behind) } else { (behind, ahead) };
        seen.extend([(red, LANE_Y, RED), (blue, LANE_Y, BLUE)]);
    }
    // Passers-by in lanes of their own, of many colours: enough for the video to say what looks mean.
    for person in 0..30 {
        let (lane, place) = (person / 3, person % 3);
        let shaken = (frame * 7 + person * 13) % 3;
        let y = LANE_Y + 40 + 40 * lane + (frame * 5 + person) % 3;
        seen.push((30 + 170 * place + 4 * frame + shaken, y, COLORS[person * 5 % COLORS.len()]));
    }
    seen
}

/// One of each has the brightness that the detector goes by.
const COLORS: [[u8; 3]; 9] = [
    [230, 20, 20],
    [230, 230, 20],
    [20, 230, 20],
    [20, 230, 230],
    [20, 20, 230],
    [230, 20, 230],
    [230, 230, 230],
    [230, 120, 20],
    [120, 20, 230],
];

/// The clip, without loss.
fn clip(path: &Path) {
    let mut ffmpeg = Command::new("ffmpeg")
        .args([
            "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "640x480", "-r", "10", "-i",
            "-",
        ])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-qp", "8", "-g", "10", "-pix_fmt", "yuv444p"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = ffmpeg.stdin.take().unwrap();
    for frame in 0..FRAMES {
        let mut picture = vec![0_u8; SIZE.0 * SIZE.1 * 3];
        for (left, top, color) in seen(frame) {
            for y in top..top + 24 {
                let start = (y * SIZE.0 + left) * 3;
                picture[start..start + 16 * 3].copy_from_slice(&color.repeat(16));
            }
        }
        pipe.write_all(&picture).unwrap();
    }
    drop(pipe);
    assert!(ffmpeg.wait().unwrap().success());
}

/// The ids in the lane of the two, from left to right.
fn ids(data: &Data, request: &str, frame: usize) -> Vec<String> {
    data.query(&format!(
        "SELECT track_id FROM tracks WHERE request_id = '{request}' AND frame_index = {frame} AND y1 < 24 ORDER BY x1"
    ))
}

fn run(data: &Data, video: &Path, options: &[&str]) -> serde_json::Value {
    let model = detector();
    let fixed = ["run", "--json", "--no-video", "--model", model.to_str().unwrap()];
    let arguments = fixed.iter().chain(options).copied().chain(video.to_str());
    data.trackdrop(arguments).expect_success().json().remove(0)
}

#[test]
fn a_network_tells_hidden_crossing_objects_apart_for_any_segment_length() {
    let scene = Scene::new();
    let (data, video, parts) = (scene.data(), scene.path("crossing.mp4"), network("parts.onnx"));
    clip(&video);
    let mut of_cut = Vec::new();
    for seconds in ["1000", "2", "1"] {
        let options = ["--force", "--segment-seconds", seconds, "--link", "--appearance", parts.to_str().unwrap()];
        let summary = run(&data, &video, &options);
        let request = summary["request_id"].as_str().unwrap().to_owned();
        let [before, after] = [10, 50].map(|frame| ids(&data, &request, frame));
        assert_eq!(before.len(), 2);
        assert_eq!(after, [before[1].clone(), before[0].clone()], "they crossed");
        let files = ["detections.parquet", "tracks.parquet"].map(|file| sha256(&data.result(&request, file)));
        of_cut.push((summary["segments"].as_u64().unwrap(), files, request));
    }
    assert_eq!(of_cut.iter().map(|(segments, ..)| *segments).collect::<Vec<_>>(), [1, 3, 6]);
    assert!(of_cut.windows(2).all(|pair| pair[0].1 == pair[1].1), "{of_cut:#?}");

    let request = &of_cut[2].2;
    let manifest = data.manifest(request);
    assert_eq!(manifest["appearance_network"]["sha256"].as_str().unwrap(), sha256(&parts));
    assert_eq!(manifest["settings"]["appearance"]["network_sha256"].as_str().unwrap(), sha256(&parts));
    let rows = trackdrop_tables::detections::read_rows(&data.result(request, "detections.parquet")).unwrap();
    assert!(rows.len() > 28 * FRAMES, "{} rows are read", rows.len());

    // Both objects were linked over the gap, and each link says how sure it is.
    let links = |options: &[&str]| {
        let arguments = ["links", request, "--json"].into_iter().chain(options.iter().copied());
        data.trackdrop(arguments).expect_success().json()
    };
    let [weakest, other] = &links(&[])[..] else { panic!("{:?}", links(&[])) };
    assert_eq!(links(&["--weakest", "1"]), std::slice::from_ref(weakest));
    for link in [weakest, other] {
        assert_eq!((&link["request_id"], &link["video"]), (&json!(request), &json!("crossing.mp4")));
        let [last, first] = ["last_frame_index", "first_frame_index"].map(|key| link[key].as_u64().unwrap());
        assert!(10 < last && last < first && first < 50, "{link}");
        assert!(link["last_time_s"].as_f64() < link["first_time_s"].as_f64(), "{link}");
    }
    assert_ne!(weakest["track_id"], other["track_id"]);
    assert!(weakest["identity_margin"].as_f64() <= other["identity_margin"].as_f64());

    // A version goes by it as well, and one that leaves it out goes by motion, which tells nothing here.
    let version = |options: &[&str]| {
        let arguments = ["retrack", request, "--json", "--no-video"].into_iter().chain(options.iter().copied());
        let summary = data.trackdrop(arguments).expect_success().json().remove(0);
        let version = summary["request_id"].as_str().unwrap().to_owned();
        [10, 50].map(|frame| ids(&data, &version, frame))
    };
    let [before, after] = version(&["--appearance", "none"]);
    assert_eq!(after, before, "by motion alone nobody crosses");
    let [before, after] = version(&["--refine"]);
    assert_eq!(after, [before[1].clone(), before[0].clone()]);
    let refused = data.trackdrop(["retrack", request, "--appearance", "color"]).expect_code(1);
    assert!(refused.errors().join(" ").contains("was detected without --appearance color"), "{refused:?}");
}

#[test]
fn a_network_that_gives_no_vectors_is_refused_before_anything_is_uploaded() {
    let scene = Scene::new();
    let (data, video) = (scene.data(), scene.path("crossing.mp4"));
    clip(&video);
    let no_card = scene.path("bare.onnx");
    std::fs::copy(network("parts.onnx"), &no_card).unwrap();
    let missing = scene.path("nowhere.onnx");
    let map = network("parts_as_map.onnx");
    for (given, told) in
        [(&map, "not one vector per crop"), (&no_card, "bare.json"), (&missing, "there is no such network")]
    {
        let model = detector();
        let arguments = [Path::new("run"), Path::new("--model"), &model, Path::new("--appearance"), given, &video];
        let refused = data.trackdrop(arguments).expect_code(1);
        assert!(refused.errors().join(" ").contains(told), "{refused:?}");
        assert!(data.requests().is_empty());
    }
}

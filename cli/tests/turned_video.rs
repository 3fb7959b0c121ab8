//! However a video is stored turned or mirrored, its tracks are those of the upright video, in pixels of the upright picture.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use support::{
    Scene, ffmpeg, ffprobe,
    turned::{ORIENTATIONS, SCENE, moments, set_matrix},
};

/// The things have to be where they are in the upright video, to a part of a pixel.
const LEAST_IOU: f64 = 0.98;

/// Makes the scene as it is stored in each orientation.
fn videos(scene: &Scene, format: &str, size: &str, encode: &str, ending: &str) -> Vec<PathBuf> {
    ORIENTATIONS
        .iter()
        .map(|(name, turn, matrix)| {
            let video = scene.path(&format!("{name}.{ending}"));
            let picture = SCENE.replace("SIZE", size).replace("FORMAT", format).replace("TURN", turn);
            ffmpeg(&format!("{picture} {encode}"), &video);
            set_matrix(&video, *matrix);
            video
        })
        .collect()
}

struct Row {
    frame: i64,
    track: i64,
    bbox: [f64; 4],
}

fn rows(scene: &Scene, request: &str) -> Vec<Row> {
    let sql =
        format!("SELECT frame_index, track_id, x1, y1, x2, y2 FROM tracks WHERE request_id = '{request}' ORDER BY ALL");
    let row = |line: String| {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        Row { frame: fields[0] as i64, track: fields[1] as i64, bbox: [fields[2], fields[3], fields[4], fields[5]] }
    };
    scene.data().query(&sql).into_iter().map(row).collect()
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |n: usize| (a[n + 2].min(b[n + 2]) - a[n].max(b[n])).max(0.0);
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

/// Tracks the scene in all orientations and compares with the upright one.
fn all_have_the_tracks_of_the_upright_one(format: &str, size: &str, encode: &str, ending: &str) {
    let scene = Scene::new();
    let videos = videos(&scene, format, size, encode, ending);
    let mut run = scene.data().command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video", "--segment-seconds", "0.5"]);
    let summaries = support::Running::start(run.args(&videos)).end().expect_success().json();
    let request = |video: &Path| {
        let name = video.file_name().unwrap().to_str().unwrap();
        let summary = summaries.iter().find(|summary| summary["video"] == name).unwrap();
        summary["request_id"].as_str().unwrap().to_owned()
    };
    let upright = rows(&scene, &request(&videos[0]));
    assert_eq!(upright.len(), 60, "three things in twenty frames");
    let (width, height) = size.split_once('x').unwrap();
    for (video, (name, _, _)) in videos.iter().zip(ORIENTATIONS) {
        let request = request(video);
        let turned = rows(&scene, &request);
        assert_eq!(turned.len(), upright.len(), "{name}");
        for (ours, theirs) in turned.iter().zip(&upright) {
            assert_eq!((ours.frame, ours.track), (theirs.frame, theirs.track), "{name}");
            let iou = iou(&ours.bbox, &theirs.bbox);
            assert!(iou >= LEAST_IOU, "{name}, frame {}: {iou}, {:?} for {:?}", ours.frame, ours.bbox, theirs.bbox);
        }
        let manifest = scene.data().manifest(&request);
        let said = &manifest["source"]["video"];
        let [degrees, mirrored] = [name.trim_end_matches("-mirrored"), name].map(str::to_owned);
        assert_eq!(said["rotation_degrees"].to_string(), degrees, "{name}");
        assert_eq!(said["mirrored"], mirrored.ends_with("mirrored"), "{name}");
        assert_eq!([&said["width_px"], &said["height_px"]].map(ToString::to_string), [width, height], "{name}");
        let is_swapped = ["90", "270"].contains(&degrees.as_str());
        let stored = if is_swapped { [height, width] } else { [width, height] };
        assert_eq!([&said["stored_width_px"], &said["stored_height_px"]].map(ToString::to_string), stored, "{name}");
        // The table says the same.
        let columns =
            "stored_width_px, stored_height_px, mirrored, rotation_degrees, width_px, height_px, sample_aspect_ratio";
        let row = scene.data().query(&format!("SELECT {columns} FROM requests WHERE request_id = '{request}'"));
        let [mirrored, degrees] = [&said["mirrored"], &said["rotation_degrees"]];
        assert_eq!(row, [format!("{},{},{mirrored},{degrees},{width},{height},1/1", stored[0], stored[1])], "{name}");
    }
}

#[test]
fn of_8_bits_in_4_2_0() {
    all_have_the_tracks_of_the_upright_one("yuv420p", "160x120", "-c:v libx264 -qp 4 -g 5", "mp4");
}

#[test]
fn of_10_bits() {
    let encode = "-c:v libx265 -preset ultrafast -x265-params log-level=none:crf=8:keyint=5 -tag:v hvc1";
    all_have_the_tracks_of_the_upright_one("yuv420p10le", "160x120", encode, "mov");
}

#[test]
fn of_odd_sides() {
    all_have_the_tracks_of_the_upright_one("yuv420p", "161x117", "-c:v mpeg4 -q:v 1 -g 5", "mp4");
}

#[test]
fn of_interlaced_pictures() {
    let encode = "-c:v libx264 -qp 4 -g 5 -flags +ildct+ilme -x264-params tff=1";
    all_have_the_tracks_of_the_upright_one("yuv420p", "160x128", encode, "mov");
}

/// The segments of a stretch without key frames are re-encoded: nothing of a display matrix is in them.
#[test]
fn of_a_stretch_that_is_coded_anew_without_loss() {
    all_have_the_tracks_of_the_upright_one(
        "yuv420p",
        "160x120",
        "-c:v libx264 -qp 4 -g 999 -x264-params scenecut=0",
        "mp4",
    );
}

#[test]
fn the_annotated_video_and_another_version_of_the_tracks_are_upright() {
    let scene = Scene::new();
    let videos = videos(&scene, "yuv420p", "160x120", "-c:v libx264 -qp 4 -g 5", "mp4");
    let turned = &videos[1];
    let mut run = scene.data().command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--segment-seconds", "0.5"]).arg(turned);
    let summary = support::Running::start(&mut run).end().expect_success().json().remove(0);
    let request = summary["request_id"].as_str().unwrap();
    let retracked = scene.data().trackdrop(["retrack", request, "--track-thresh", "0.3", "--json"]);
    let version = retracked.expect_success().json().remove(0);
    for summary in [&summary, &version] {
        let annotated = PathBuf::from(summary["annotated"].as_str().unwrap());
        let said = ffprobe("-show_entries stream=width,height:stream_side_data=rotation", &annotated);
        assert_eq!(said.trim().trim_end_matches(','), "160,120", "no display matrix, the upright size");
    }
    let boxes = |request: &str| rows(&scene, request).into_iter().map(|row| row.bbox).collect::<Vec<_>>();
    assert_eq!(boxes(request), boxes(version["request_id"].as_str().unwrap()));
    // An exporter states the size that its boxes are in.
    let coco = scene.data().trackdrop(["export", request, "--format", "coco"]).expect_success();
    let coco: serde_json::Value = serde_json::from_str(&coco.stdout).unwrap();
    assert_eq!((&coco["images"][0]["width"], &coco["images"][0]["height"]), (&160.into(), &120.into()));
}

#[test]
fn a_turn_that_is_none_of_the_four_is_told_and_not_made() {
    let scene = Scene::new();
    let video = scene.path("oblique.mp4");
    let picture = SCENE.replace("SIZE", "160x120").replace("FORMAT", "yuv420p").replace("TURN", "");
    ffmpeg(&format!("{picture} -c:v libx264 -g 5"), &video);
    set_matrix(&video, [1, 1, -1, 1]);
    let mut run = scene.data().command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video"]).arg(&video);
    let summary = support::Running::start(&mut run).end().expect_success().json().remove(0);
    let manifest = scene.data().manifest(summary["request_id"].as_str().unwrap());
    let said = &manifest["source"]["video"];
    assert_eq!((&said["rotation_degrees"], &said["mirrored"]), (&0.into(), &false.into()));
    assert!(said["warnings"][0].as_str().unwrap().contains("by 45 degrees"), "{said}");
}

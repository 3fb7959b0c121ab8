//! From a video to its crossings and visits, against what was drawn into it: however the video is turned, and whichever frames it lacks.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use support::{
    Scene, ffmpeg, frame_times,
    turned::{ORIENTATIONS, SCENE, moments, set_matrix},
};

/// Frames that a video of variable rate lacks: one thing meets a line, and another leaves a zone, where nobody looks.
const LACKS: &str = "select=not(between(n\\,6\\,8)+eq(n\\,11)+eq(n\\,13))";

/// Drawn in the upright picture. The red thing's middle is at (28 + 20 t, 23 + 6 t), the green one's at (129 - 12 t, 45 + 20 t), the blue one's at
/// (33 + 30 t, 93 - 4 t), in seconds.
const LINES: &str = "name: lines
videos: ['*.mp4']
picture: {width_px: 160, height_px: 120}
reference: [0.5, 0.5]
lines:
  - {name: across, points: [[50, 120], [50, 0]], in: east, out: west}
  - {name: down, points: [[0, 60], [160, 60]]}
  - {name: short, points: [[60, 60], [60, 120]]}
zones: [{name: upper, points: [[0, 0], [160, 0], [160, 70], [0, 70]]}]
";

/// Line, direction, time, x, y.
type Crossing = (&'static str, &'static str, f64, f64, f64);

/// When each middle meets a line, in the order of time. The red one passes beyond the end of the short line.
const CROSSINGS: [Crossing; 4] = [
    ("across", "east", 17.0 / 30.0, 50.0, 93.0 - 4.0 * 17.0 / 30.0),
    ("down", "in", 0.75, 120.0, 60.0),
    ("short", "out", 0.9, 60.0, 89.4),
    ("across", "east", 1.1, 50.0, 29.6),
];
/// The things are drawn at whole pixels, and the detector looks at a smaller picture.
const NEAR_PX: f64 = 1.5;
/// The slowest thing needs so long for that.
const NEAR_S: f64 = 0.08;
/// When the green thing leaves the upper zone.
const LEAVES_S: f64 = 1.25;

fn videos(scene: &Scene, rate: &str, filter: &str, output: &str) -> Vec<PathBuf> {
    let one = |(name, turn, matrix): &(&str, &str, [i32; 4])| {
        let video = scene.path(&format!("{rate}-{name}.mp4"));
        let picture = SCENE.replace("SIZE", "160x120").replace("FORMAT", "yuv420p").replace("TURN", turn);
        ffmpeg(&format!("{picture}{filter} {output} -c:v libx264 -qp 4 -g 5"), &video);
        set_matrix(&video, *matrix);
        video
    };
    ORIENTATIONS.iter().map(one).collect()
}

#[test]
fn every_crossing_and_visit_is_the_one_that_was_drawn() {
    let scene = Scene::new();
    let file = scene.path("lines.yaml");
    std::fs::write(&file, LINES).unwrap();
    let all = [
        videos(&scene, "constant", "", ""),
        videos(&scene, "variable", &format!(",{LACKS}"), "-fps_mode vfr -video_track_timescale 90000"),
    ]
    .concat();
    let mut run = scene.data().command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video", "--segment-seconds", "0.5"]);
    let summaries = support::Running::start(run.args(&all)).end().expect_success().json();
    scene.data().trackdrop(["scene", "add", file.to_str().unwrap()]).expect_success();
    assert_eq!(summaries.len(), all.len());
    for video in &all {
        let name = video.file_name().unwrap().to_str().unwrap();
        let times: Vec<f64> = frame_times(video).iter().map(|time| time.parse().unwrap()).collect();
        assert_eq!(times.len(), if name.starts_with("constant") { 20 } else { 15 }, "{name}");
        crossings_are_as_drawn(&scene, name);
        visits_are_as_drawn(&scene, name, &times);
    }
}

fn crossings_are_as_drawn(scene: &Scene, name: &str) {
    let columns = "line, direction, time_s, x, y, observed";
    let found =
        scene.data().query(&format!("SELECT {columns} FROM line_crossings WHERE video = '{name}' ORDER BY time_s"));
    assert_eq!(found.len(), CROSSINGS.len(), "{name}: {found:?}");
    for (row, (line, direction, at_s, x, y)) in found.iter().zip(CROSSINGS) {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!((fields[0], fields[1]), (line, direction), "{name}: {row}");
        let numbers: Vec<f64> = fields[2..5].iter().map(|field| field.parse().unwrap()).collect();
        assert!((numbers[0] - at_s).abs() < NEAR_S, "{name}: {row} is to be at {at_s} s");
        assert!(
            (numbers[1] - x).abs() < NEAR_PX && (numbers[2] - y).abs() < NEAR_PX,
            "{name}: {row} is to be at {x}, {y}"
        );
        // A frame that the file does not have does not count as missed.
        assert_eq!(fields[5], "true", "{name}: {row}");
    }
}

fn visits_are_as_drawn(scene: &Scene, name: &str, times: &[f64]) {
    let columns = "enter_s, exit_s, frames_inside, left_scene";
    let found =
        scene.data().query(&format!("SELECT {columns} FROM zone_visits WHERE video = '{name}' ORDER BY exit_s"));
    let inside: Vec<f64> = times.iter().copied().filter(|time| *time < LEAVES_S).collect();
    let visit = |times: &[f64], left: bool| format!("0.0,{:?},{},{left}", times.last().unwrap(), times.len());
    // The green thing leaves, the red one stays, the blue one is never there.
    assert_eq!(found, [visit(&inside, false), visit(times, true)], "{name}");
}

#[test]
fn the_fault_would_be_seen() {
    // The same things against lines for the stored picture and not the upright one: other counts.
    let scene = Scene::new();
    let turned = &videos(&scene, "constant", "", "")[1];
    let file = scene.path("stored.yaml");
    std::fs::write(&file, LINES.replace("[[50, 120], [50, 0]]", "[[0, 70], [120, 70]]")).unwrap();
    let mut run = scene.data().command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video"]).arg(Path::new(turned));
    support::Running::start(&mut run).end().expect_success();
    scene.data().trackdrop(["scene", "add", file.to_str().unwrap()]).expect_success();
    let found = scene.data().query("SELECT line, direction FROM line_crossings ORDER BY time_s");
    assert_ne!(found.len(), CROSSINGS.len(), "{found:?}");
}

//! Scenes from the file to the answer, as a user does it.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Data, Scene, codec};

const GATE: &str = "name: gate
videos: ['*.mp4']
picture: {width_px: 160, height_px: 120}
reference: [0.5, 0.5]
lines: [{name: up, points: [[80, 120], [80, 0]]}, {name: flat, points: [[0, 60], [160, 60]]}]
zones: [{name: all, points: [[0, 0], [160, 0], [160, 120], [0, 120]]}]
";

fn add(scene: &Scene, data: &Data, name: &str, text: &str) -> support::Ended {
    let file = scene.path(name);
    std::fs::write(&file, text).unwrap();
    data.trackdrop(["scene", "add", file.to_str().unwrap()])
}

#[test]
fn stored_tracks_are_asked_about_lines_and_zones_drawn_afterwards() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &[]);
    for view in trackdrop_scenes_views() {
        assert_eq!(data.query(&format!("SELECT COUNT(*) FROM {view}")), ["0"], "{view}: there is no scene yet");
    }
    add(&scene, &data, "gate.yaml", GATE).expect_success();
    assert_eq!(data.query("SELECT DISTINCT scene FROM zone_visits"), ["gate"]);
    assert_eq!(
        data.query("SELECT COUNT(DISTINCT track_id) FROM zone_visits"),
        data.query("SELECT COUNT(DISTINCT track_id) FROM tracks"),
        "every object is somewhere in the picture"
    );
    for view in trackdrop_scenes_views() {
        let said = data.trackdrop(["query", &format!("SELECT * FROM {view}")]).expect_success();
        // What depends on the tracker is said once, for the views of crossings.
        let crossings: usize = data.query("SELECT COUNT(*) FROM line_crossings")[0].parse().unwrap();
        let is_said = crossings > 0 && ["line_crossings", "line_counts"].contains(view);
        assert_eq!(said.stderr.lines().count(), usize::from(is_said), "{view}: {}", said.stderr);
    }
    // A day on which nothing was uploaded.
    let ended =
        data.trackdrop(["query", "--format", "csv", "--until", "2001-01-01", "SELECT COUNT(*) FROM zone_visits"]);
    assert_eq!(ended.expect_success().stdout, "count_star()\n0\n");
    let ended = data.trackdrop(["query", "--since", "soon", "SELECT 1"]).expect_code(1);
    assert!(ended.stderr.contains("--since \"soon\" is no time"), "{}", ended.stderr);
}

fn trackdrop_scenes_views() -> &'static [&'static str] {
    &[
        "line_crossings",
        "line_counts",
        "zone_visits",
        "zone_occupancy",
        "flows",
        "track_speeds",
        "heatmap",
        "encounters",
    ]
}

#[test]
fn a_video_of_another_shape_is_not_asked_and_that_is_said() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let square = scene.path("square.mp4");
    support::ffmpeg("-f lavfi -i testsrc2=s=120x120:r=25:d=1", &square);
    let data = scene.data();
    data.run_json(&[&video, &square], &[]);
    add(&scene, &data, "gate.yaml", GATE).expect_success();
    let ended = data.trackdrop(["query", "SELECT DISTINCT video FROM zone_visits", "--format", "csv"]).expect_success();
    assert_eq!(ended.stdout, "video\nclip.mp4\n");
    let said = &ended.stderr;
    assert!(
        said.contains("gate was drawn on 160x120 and is not applied to req_") && said.contains("120x120"),
        "{said}"
    );
    assert_eq!(data.trackdrop(["query", "SELECT COUNT(*) FROM tracks"]).expect_success().stderr, "");
}

#[test]
fn scenes_are_checked_added_listed_shown_and_removed() {
    let scene = Scene::new();
    let data = scene.data();
    let added = add(&scene, &data, "gate.yaml", GATE).expect_success();
    assert_eq!(added.stdout, "gate: 160x120, videos *.mp4; lines up, flat; zones all\n");
    assert_eq!(data.trackdrop(["scene", "list"]).expect_success().stdout, added.stdout);
    let shown = data.trackdrop(["scene", "show", "gate"]).expect_success().stdout;
    add(&scene, &data, "again.json", &shown).expect_success();
    assert_eq!(data.trackdrop(["scene", "list", "--json"]).expect_success().stdout.lines().count(), 1);
    let missing = data.trackdrop(["scene", "show", "yard"]).expect_code(1);
    assert!(missing.stderr.contains("there is no scene \"yard\""), "{}", missing.stderr);
    let bad = add(&scene, &data, "bad.yaml", &GATE.replace("[80, 0]", "[80, 121]").replace("name: gate", "name: bad"))
        .expect_code(1);
    assert!(bad.stderr.contains("bad.yaml: line \"up\", point 2: [80, 121] is outside"), "{}", bad.stderr);
    data.trackdrop(["scene", "remove", "gate"]).expect_success();
    assert_eq!(data.trackdrop(["scene", "list"]).expect_success().stdout, "");
    data.trackdrop(["scene", "remove", "gate"]).expect_code(1);
}

#[test]
fn a_preview_shows_the_scene_over_a_frame_of_the_video() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let (file, out) = (scene.path("gate.yaml"), scene.path("gate.svg"));
    std::fs::write(&file, GATE).unwrap();
    let preview = |video: &std::path::Path| {
        let [file, video, out] = [file.as_path(), video, out.as_path()].map(|path| path.to_str().unwrap());
        data.trackdrop(["scene", "preview", file, video, "--at", "1.5", "--out", out])
    };
    preview(&video).expect_success();
    let svg = std::fs::read_to_string(&out).unwrap();
    assert!(svg.contains("data:image/jpeg;base64,/9j/") && svg.contains(">flat</text>") && svg.contains(">all</text>"));
    let square = scene.path("square.mp4");
    support::ffmpeg("-f lavfi -i testsrc2=s=120x120:r=25:d=2", &square);
    let refused = preview(&square).expect_code(1);
    assert!(refused.stderr.contains("120x120") && refused.stderr.contains("another shape"), "{}", refused.stderr);
}

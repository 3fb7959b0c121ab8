//! Scenes from the file to the answer, as a user does it.

#![allow(clippy::unwrap_used)]

mod support;

use support::{
    Data, Scene, codec,
    turned::{self, moments},
};

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
    assert!(ended.stderr.contains("--since \"soon\" is not a time"), "{}", ended.stderr);
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

/// Lines and zones in the way of the three things of `turned::SCENE`, two of which meet.
const IN_THE_WAY: &str = "name: way
videos: ['*.mp4']
picture: {width_px: 160, height_px: 120}
reference: [0.5, 0.5]
lines: [{name: across, points: [[50, 120], [50, 0]]}, {name: down, points: [[0, 60], [160, 60]]}]
zones: [{name: upper, points: [[0, 0], [160, 0], [160, 70], [0, 70]]}]
encounter: {distance: 70, seconds: 0.2}
";

#[test]
fn the_views_of_a_video_are_the_same_however_it_was_cut() {
    let scene = Scene::new();
    let video = scene.path("things.mp4");
    let picture = turned::SCENE.replace("SIZE", "160x120").replace("FORMAT", "yuv420p").replace("TURN", "");
    support::ffmpeg(&format!("{picture} -c:v libx264 -qp 4 -g 5"), &video);
    let answers = |seconds: &str| -> (Option<u64>, Vec<Vec<String>>) {
        let data = scene.other(seconds);
        let mut run = data.command();
        run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video", "--segment-seconds", seconds]);
        let summary = support::Running::start(run.arg(&video)).end().expect_success().json().remove(0);
        add(&scene, &data, "way.yaml", IN_THE_WAY).expect_success();
        // A data directory of its own is an upload of its own.
        let ask =
            |view: &&str| data.query(&format!("SELECT * EXCLUDE (request_id, uploaded_at) FROM {view} ORDER BY ALL"));
        (summary["segments"].as_u64(), trackdrop_scenes_views().iter().map(ask).collect())
    };
    let (whole, cut) = (answers("1000"), answers("0.5"));
    assert_eq!((whole.0, cut.0), (Some(1), Some(4)), "cut in two ways");
    for ((view, whole), cut) in trackdrop_scenes_views().iter().zip(whole.1).zip(cut.1) {
        assert!(!whole.is_empty(), "{view} has no rows to compare");
        assert_eq!(whole, cut, "{view}");
    }
}

#[test]
fn a_query_of_crossings_says_how_many_of_them_depend_on_the_tracker() {
    let scene = Scene::new();
    let video = scene.path("things.mp4");
    let picture = turned::SCENE.replace("SIZE", "160x120").replace("FORMAT", "yuv420p").replace("TURN", "");
    support::ffmpeg(&format!("{picture} -c:v libx264 -qp 4 -g 5"), &video);
    let data = scene.data();
    let mut run = data.command();
    run.arg("run").arg("--model").arg(moments()).args(["--json", "--no-video"]);
    support::Running::start(run.arg(&video)).end().expect_success();
    add(&scene, &data, "way.yaml", IN_THE_WAY).expect_success();
    let marked = data.query("SELECT COUNT(*), COUNT(*) FILTER (near_birth_or_end) FROM line_crossings");
    // The video has two seconds, so each moment of it is within a second of the first or of the last position.
    assert_eq!(marked, ["3,3"]);
    let note =
        "trackdrop: of 3 crossings of lines, 3 (100 %) are within a second of their track's first or last position\n";
    for (statement, said) in [
        ("SELECT line, SUM(crossings) FROM line_counts GROUP BY ALL", note),
        ("SELECT * FROM line_crossings WHERE line = 'none'", note),
        ("SELECT * FROM zone_visits", ""),
        ("SELECT * FROM line_crossings", note),
    ] {
        assert_eq!(data.trackdrop(["query", statement]).expect_success().stderr, said, "{statement}");
    }
    add(&scene, &data, "way.yaml", &IN_THE_WAY.replace("*.mp4", "none.mp4")).expect_success();
    assert_eq!(data.trackdrop(["query", "SELECT * FROM line_crossings"]).expect_success().stderr, "", "no crossing");
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

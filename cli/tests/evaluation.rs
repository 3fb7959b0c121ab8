//! `retrack`, `eval` and `export`: anyone's detections in, metrics and anyone's formats out.

#![allow(clippy::unwrap_used)]

mod support;

use flate2::read::GzDecoder;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use support::{Scene, codec, frame_times};

/// A fixture of the tracker, unpacked into a file of the scene.
fn unpacked(scene: &Scene, name: &str, to: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tracker/tests/fixtures");
    let mut text = String::new();
    GzDecoder::new(File::open(format!("{fixtures}/{name}")).unwrap()).read_to_string(&mut text).unwrap();
    let path = scene.path(to);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn retracking_detections_gives_the_references_tracks() {
    let scene = Scene::new();
    let detections = unpacked(&scene, "synth10.in.csv.gz", "detections.csv");
    let golden = unpacked(&scene, "synth10.eval.csv.gz", "golden.csv");
    let (detections, golden) = (detections.to_str().unwrap(), golden.to_str().unwrap());
    for name in ["ours.csv", "ours.txt", "ours.parquet"] {
        let ours = scene.path(name);
        let ours = ours.to_str().unwrap();
        scene.data().trackdrop(["retrack", "--detections", detections, "--out", ours]).expect_success();
        let compare = ["eval", "--compare", ours, golden, "--json"];
        let compared = scene.data().trackdrop(compare).expect_success().json().remove(0);
        assert_eq!((compared["IDF1"].as_f64(), compared["IDSW"].as_u64()), (Some(100.0), Some(0)), "{compared}");
        assert!(compared["first_difference"].is_null(), "{compared}");
    }
    let other = scene.path("other.csv");
    let other = other.to_str().unwrap();
    let options = ["retrack", "--detections", detections, "--out", other, "--track-thresh", "0.8"];
    scene.data().trackdrop(options).expect_success();
    let compared =
        scene.data().trackdrop(["eval", "--compare", other, golden, "--json"]).expect_success().json().remove(0);
    assert!(!compared["first_difference"].is_null(), "another threshold gives other tracks");
}

#[test]
fn a_finished_request_is_tracked_anew_without_a_detector() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &["--segment-seconds", "1"]).remove(0);
    let request = first["request_id"].as_str().unwrap();
    let before = data.objects("");

    let retrack = ["retrack", request, "--track-thresh", "0.2", "--refine", "--fill-gaps", "8", "--json"];
    let version = data.trackdrop(retrack).expect_success().json().remove(0);
    assert_eq!(version["retrack_of"], first["request_id"]);
    assert_eq!(version["ledger"], first["ledger"]);
    assert!(version["seconds_by_stage"]["track"].is_null(), "{version}");
    let (ours, theirs) = (version["annotated"].as_str().unwrap(), first["annotated"].as_str().unwrap());
    assert_eq!(frame_times(ours.as_ref()), frame_times(theirs.as_ref()));
    let id = version["request_id"].as_str().unwrap();
    let rows = |request: &str| data.query(&format!("SELECT COUNT(*) FROM tracks WHERE request_id = '{request}'"));
    assert_eq!(rows(id), [version["track_rows"].to_string()]);
    let of = data.query(&format!("SELECT retrack_of FROM requests WHERE request_id = '{id}'"));
    assert_eq!(of, [request]);
    let now = data.objects("");
    assert!(before.iter().all(|(object, generation)| now.get(object) == Some(generation)), "the first one stays");

    assert!(data.trackdrop(["links", id]).expect_success().stdout.contains("identity_margin"));
    let without = data.trackdrop(["links", request]).expect_code(1);
    assert!(without.stderr.contains(&format!("retrack {request} --refine")), "{}", without.stderr);

    let again = data.trackdrop(retrack).expect_success().json().remove(0);
    assert_eq!((&again["request_id"], again["wall_seconds"].is_null()), (&version["request_id"], true));
    assert_eq!(data.objects(""), now);
    let listed: Vec<_> = data.requests().iter().map(|listed| listed["retrack_of"].clone()).collect();
    assert_eq!(listed.iter().filter(|of| **of == first["request_id"]).count(), 1, "{listed:?}");

    let quiet = data.trackdrop(["retrack", id, "--no-video", "--backfill", "--json"]).expect_success().json().remove(0);
    assert_eq!((&quiet["retrack_of"], quiet["annotated"].is_null()), (&first["request_id"], true));
    let refine = data.manifest(quiet["request_id"].as_str().unwrap())["settings"]["refine"].clone();
    assert_eq!(
        refine,
        serde_json::json!({ "fill_gaps": 8, "smooth": "rts", "backfill": true, "link": 3.0, "recover": true })
    );
}

#[test]
fn tracks_measured_against_themselves_are_perfect_and_an_off_by_one_is_told() {
    let scene = Scene::new();
    let golden = unpacked(&scene, "synth10.eval.csv.gz", "golden.csv");
    let path = golden.to_str().unwrap();
    let perfect =
        scene.data().trackdrop(["eval", "--gt", path, "--tracks", path, "--json"]).expect_success().json().remove(0);
    assert_eq!((perfect["HOTA"].as_f64(), perfect["IDSW"].as_u64()), (Some(100.0), Some(0)), "{perfect}");
    let text = std::fs::read_to_string(&golden).unwrap();
    let shifted: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, line)| match line.split_once(',') {
            Some((frame, rest)) if i > 0 => format!("{},{rest}", frame.parse::<u32>().unwrap() + 1),
            _ => line.to_owned(),
        })
        .collect();
    let late = scene.path("late.csv");
    std::fs::write(&late, shifted.join("\n")).unwrap();
    let ended =
        scene.data().trackdrop(["eval", "--gt", path, "--tracks", late.to_str().unwrap(), "--json"]).expect_success();
    assert_eq!(ended.json()[0]["frame_shift"]["add_to_frames"].as_i64(), Some(-1), "{}", ended.stdout);
}

#[test]
fn a_finished_request_is_exported_in_every_format() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let summary = data.run_json(&[&video], &["--no-video"]).remove(0);
    let request = summary["request_id"].as_str().unwrap();
    let rows = summary["track_rows"].as_u64().unwrap() as usize;
    assert!(rows > 0);
    for (format, lines) in
        [("mot", Some(rows)), ("csv", Some(rows + 1)), ("ndjson", Some(rows)), ("coco", None), ("cvat", None)]
    {
        let ended = data.trackdrop(["export", request, "--format", format]).expect_success();
        assert!(lines.is_none_or(|lines| ended.stdout.lines().count() == lines), "{format}");
        let file = scene.path(format);
        data.trackdrop(["export", request, "--format", format, "--out", file.to_str().unwrap()]).expect_success();
        assert_eq!(std::fs::read_to_string(file).unwrap(), ended.stdout, "{format}");
    }
    let mot = data.trackdrop(["export", request, "--format", "mot"]).expect_success().stdout;
    let first_seen: u64 = data.query("SELECT MIN(frame_index) FROM tracks").remove(0).parse().unwrap();
    let first_frame: u64 = mot.split(',').next().unwrap().parse().unwrap();
    assert_eq!(first_frame, first_seen + 1, "MOTChallenge counts frames from 1");
    let tracks = data.result(request, "tracks.parquet");
    let exported = scene.path("tracks.txt");
    std::fs::write(&exported, mot).unwrap();
    let (a, b) = (tracks.to_str().unwrap(), exported.to_str().unwrap());
    let compared = data.trackdrop(["eval", "--compare", a, b, "--json"]).expect_success().json().remove(0);
    assert_eq!((compared["IDF1"].as_f64(), compared["IDSW"].as_u64()), (Some(100.0), Some(0)), "{compared}");
    assert!(compared["first_difference"].is_null(), "{compared}");

    // The request's detections as anyone's: the same tracks, but for the rounding of boxes to f32.
    let detections = data.result(request, "detections.parquet");
    let again = scene.path("again.parquet");
    let (detections, again) = (detections.to_str().unwrap(), again.to_str().unwrap());
    let threshold = ["--track-thresh", "0.6"];
    data.trackdrop([&["retrack", "--detections", detections, "--out", again], &threshold[..]].concat())
        .expect_success();
    let compared = data.trackdrop(["eval", "--compare", a, again, "--json"]).expect_success().json().remove(0);
    assert!(compared["first_difference"].is_null(), "{compared}");
}

#[test]
fn the_mistakes_are_listed_with_the_frames_in_which_to_look() {
    let scene = Scene::new();
    let file = |name: &str, rows: &[&str]| {
        let path = scene.path(name);
        std::fs::write(&path, rows.join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let truth =
        file("gt.txt", &["1,7,0,0,10,20", "2,7,1,0,10,20", "3,7,2,0,10,20", "1,8,50,0,10,20", "3,8,50,0,10,20"]);
    let tracks = file("tracks.txt", &["1,1,0,0,10,20", "2,4,90,0,10,20", "3,2,2,0,10,20"]);
    let eval = |more: &[&str]| {
        let arguments = [&["eval", "--gt", &truth, "--tracks", &tracks], more].concat();
        scene.data().trackdrop(arguments).expect_success()
    };
    let text = eval(&["--mistakes"]).stdout;
    let listed = text.split("tracks\n").last().unwrap().lines().skip(1).collect::<Vec<_>>();
    let expected = [
        "switches: 1",
        "  object 7: track 1 until frame 1, track 2 from frame 3",
        "missed: 2",
        "  object 8: frames 1 to 3, 2 boxes",
        "  object 7: frames 2 to 2, 1 boxes",
        "false alarms: 1",
        "  track 4: frames 2 to 2, 1 boxes",
    ];
    assert_eq!(listed, expected, "{text}");
    assert!(eval(&["--mistakes", "1"]).stdout.contains("missed: 1 of 2\n  object 8"));
    let json = eval(&["--mistakes", "1", "--json"]).json().remove(0);
    assert_eq!((json["FN"].as_u64(), json["mistakes"]["missed"].as_array().unwrap().len()), (Some(3), 1), "{json}");
    assert_eq!(json["mistakes"]["switches"][0]["old_track"], 1);
    assert!(eval(&["--json"]).json().remove(0)["mistakes"].is_null());
}

#[test]
fn only_tracks_of_the_wanted_classes_are_evaluated() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    let made = data.run_json(&[&video], &["--no-video"]).remove(0);
    let request = made["request_id"].as_str().unwrap();
    let tracks = data.result(request, "tracks.parquet");
    let tracks = tracks.to_str().unwrap();
    let eval = |more: &[&str]| data.trackdrop([&["eval", "--gt", tracks, "--tracks", tracks, "--json"], more].concat());
    let names = data.query("SELECT DISTINCT class_name FROM tracks ORDER BY ALL");
    let all = eval(&[]).expect_success().json().remove(0);
    let rows = |sql: &str| data.query(&format!("SELECT COUNT(*) FROM tracks WHERE {sql}"))[0].parse::<u64>().unwrap();
    assert_eq!((all["FN"].as_u64(), all["TP"].as_u64()), (Some(0), Some(rows("true"))));
    let shout = names[0].to_uppercase();
    let one = eval(&["--classes", &shout]).expect_success().json().remove(0);
    let of_one = rows(&format!("class_name = '{}'", names[0]));
    assert_eq!((one["TP"].as_u64(), one["FN"].as_u64()), (Some(of_one), Some(rows("true") - of_one)), "{one}");
    let unknown = eval(&["--classes", "persn"]).expect_code(1);
    assert!(unknown.stderr.contains("no row has the class \"persn\"; it has "), "{}", unknown.stderr);
    let text = scene.path("tracks.txt");
    std::fs::write(&text, "1,1,0,0,9,9,1\n").unwrap();
    let nameless = data.trackdrop(["eval", "--gt", tracks, "--tracks", text.to_str().unwrap(), "--classes", "person"]);
    assert!(nameless.expect_code(1).stderr.contains("it has no names of classes"));
    let refined = eval(&["--classes", &names[0], "--link"]).expect_code(1);
    assert!(refined.stderr.contains("--classes and refinements"), "{}", refined.stderr);
}

#[test]
fn refining_detections_and_refining_tracks_gives_the_same_also_in_eval() {
    let scene = Scene::new();
    unpacked(&scene, "synth10.in.csv.gz", "detections.csv");
    let [detections, refined, tracked, text, shuffled, again] =
        ["detections.csv", "refined.csv", "tracked.csv", "refined.txt", "shuffled.csv", "again.csv"]
            .map(|name| scene.path(name).to_str().unwrap().to_owned());
    let run = |arguments: &[&str]| scene.data().trackdrop(arguments.to_vec()).expect_success();
    run(&["retrack", "--detections", &detections, "--out", &tracked]);
    run(&["retrack", "--detections", &detections, "--out", &refined, "--refine", "--frame-rate", "25"]);
    let written = std::fs::read_to_string(&refined).unwrap();
    assert!(written.starts_with("frame,id,x,y,w,h,score,observed\n") && written.contains(",0\n"));
    // From tracks alone, in any order of rows.
    let link = ["--link=2", "--smooth", "rts", "--frame-rate", "25"];
    let refine_tracks = |from: &str, to: &str| run(&[&["retrack", "--tracks", from, "--out", to], &link[..]].concat());
    refine_tracks(&tracked, &text);
    assert!(std::fs::read_to_string(&text).unwrap().lines().any(|line| line.ends_with(",-1,-1,-1,-1")));
    let lines = std::fs::read_to_string(&tracked).unwrap();
    let (header, rows) = lines.split_once('\n').unwrap();
    let reversed: Vec<&str> = rows.lines().rev().collect();
    std::fs::write(&shuffled, format!("{header}\n{}\n", reversed.join("\n"))).unwrap();
    let straight = scene.path("straight.csv");
    refine_tracks(&tracked, straight.to_str().unwrap());
    refine_tracks(&shuffled, &again);
    assert_eq!(std::fs::read(&straight).unwrap(), std::fs::read(&again).unwrap(), "permuted rows give the same bytes");
    // `eval` refines on the way, and pools several sequences.
    let eval = |more: &[&str]| {
        let arguments = [&["eval", "--json", "--gt", &tracked, &tracked], more].concat();
        run(&arguments).json().remove(0)
    };
    let as_they_are = eval(&["--tracks", &tracked, &tracked]);
    assert_eq!(as_they_are["pooled"]["HOTA"], 100.0);
    assert_eq!(
        as_they_are["pooled"]["IDTP"].as_u64().unwrap(),
        2 * as_they_are["sequences"][0]["metrics"]["IDTP"].as_u64().unwrap()
    );
    let on_the_way = eval(&[&["--tracks", &tracked, &tracked], &link[..]].concat());
    let from_file = eval(&["--tracks", &text, &text]);
    assert_eq!(on_the_way["pooled"]["IDTP"], from_file["pooled"]["IDTP"]);
    assert_ne!(on_the_way["pooled"]["HOTA"], 100.0);
}

#[test]
fn each_class_of_a_file_is_tracked_by_itself_where_that_is_asked_for() {
    let scene = Scene::new();
    // At one place a person and a car in turns of two frames: together one track, each by itself two.
    let line = |frame: u32| format!("{frame},{},50,{},130,0.9,{}\n", 100 + frame, 150 + frame, 1 + (frame - 1) / 2 % 2);
    let text = (1..=12).map(line).collect::<String>();
    std::fs::write(scene.path("classes.csv"), format!("frame,x1,y1,x2,y2,score,class_id\n{text}")).unwrap();
    let tracked = |options: &[&str]| {
        let (detections, out) = (scene.path("classes.csv"), scene.path("out.csv"));
        let given = [Path::new("retrack"), "--detections".as_ref(), &detections, "--out".as_ref(), &out];
        let options = options.iter().map(Path::new);
        scene.data().trackdrop(given.into_iter().chain(options)).expect_success().stdout
    };
    assert!(tracked(&[]).contains("12 frames, 1 tracks, 12 rows"), "{}", tracked(&[]));
    let each = tracked(&["--per-class"]);
    assert!(each.contains("12 frames, 2 tracks"), "{each}");

    let tracks = scene.path("theirs.txt");
    let row = |frame: u32, class: u32| format!("{frame},{class},{},50,50,80,0.9,{class},1\n", 100 + frame);
    let two = (1..=10).map(|frame| row(frame, 1)).chain((13..=22).map(|frame| row(frame, 2)));
    let elsewhere = (1..=22).map(|frame| format!("{frame},9,1200,700,50,80,0.9,1,1\n"));
    std::fs::write(&tracks, two.chain(elsewhere).collect::<String>()).unwrap();
    let refined = |options: &[&str]| {
        let out = scene.path("refined.csv");
        let given = ["retrack", "--tracks", tracks.to_str().unwrap(), "--out", out.to_str().unwrap(), "--link"];
        scene.data().trackdrop(given.iter().chain(options)).expect_success().stdout
    };
    assert!(refined(&[]).contains("2 tracks, 42 rows"), "{}", refined(&[]));
    assert!(refined(&["--per-class"]).contains("3 tracks, 42 rows"), "{}", refined(&["--per-class"]));
}

#[test]
fn what_can_t_be_honoured_is_refused_with_the_reason() {
    let scene = Scene::new();
    let detections = unpacked(&scene, "synth10.in.csv.gz", "detections.csv");
    let detections = detections.to_str().unwrap();
    let out = scene.path("out.csv");
    let out = out.to_str().unwrap();
    let classless = scene.path("classless.txt");
    std::fs::write(&classless, "1,1,0,0,9,9,0.9\n").unwrap();
    let classless = classless.to_str().unwrap();
    for (arguments, reason) in [
        (vec!["retrack", "--detections", detections, "--out", out, "--track-thresh", "1.5"], "1.5"),
        (vec!["retrack", "--detections", detections, "--out", "tracks.xlsx"], "xlsx"),
        (vec!["retrack", "--detections", "missing.csv", "--out", out], "missing.csv"),
        (vec!["retrack", "--detections", detections, "--out", out, "--per-class"], "it has no classes"),
        (vec!["retrack", "--tracks", classless, "--out", out, "--link", "--per-class"], "a row without a class"),
        (vec!["retrack", "--detections", detections, "--out", out, "--link=-1"], "linking over -1 s"),
        (vec!["retrack", "--detections", detections, "--out", out, "--appearance", "color"], "a file has no pictures"),
        (vec!["retrack", "--detections", detections, "--out", out, "--smooth", "0"], "smoothing over 0 frames"),
        (vec!["retrack", "--detections", detections, "--out", out, "--refine", "--frame-rate", "0"], "--frame-rate 0"),
        (vec!["retrack", "--tracks", detections, "--out", out], "--tracks are refined"),
        (vec!["retrack", "--tracks", detections, "--out", out, "--refine"], "give them by --detections"),
        (vec!["retrack", "req_00000000_20260101T000000"], "there is no request \"req_00000000_20260101T000000\""),
        (vec!["retrack", "clip.mp4"], "there is no request \"clip.mp4\""),
        (vec!["eval", "--gt", detections, "--tracks", detections, "--iou", "2"], "2"),
    ] {
        let ended = scene.data().trackdrop(&arguments).expect_code(1);
        assert!(ended.stderr.contains(reason), "{arguments:?}: {}", ended.stderr);
    }
    // Options must not be taken and ignored: a video knows its own rate, a file has no video and no edits, and so on.
    let of_files = ["retrack", "--detections", detections, "--out", out];
    let compare = ["eval", "--compare", detections, detections];
    for (command, ignored) in [
        (&["retrack", "req_00000000_20260101T000000"][..], vec!["--frame-rate", "25"]),
        (&of_files, vec!["--no-video"]),
        (&of_files, vec!["--json"]),
        (&of_files, vec!["--edit", "merge 1 2"]),
        (&of_files, vec!["--undo", "1"]),
        (&compare, vec!["--tracks", detections]),
        (&compare, vec!["--detections", detections]),
        (&compare, vec!["--frame-rate", "25"]),
        (&compare, vec!["--mistakes"]),
        (&["simulate", "--runs", "1"], vec!["--gpus", "3"]),
        (&["simulate", "--counter"], vec!["--set", "deployment.gpus=3"]),
        (&["simulate", "--runs", "1"], vec!["--format", "json"]),
    ] {
        let arguments = [command, &ignored].concat();
        let ended = scene.data().trackdrop(&arguments).expect_code(2);
        assert!(ended.stderr.contains(ignored[0]), "{arguments:?}: {}", ended.stderr);
    }
    let refined = scene.data().trackdrop([&compare[..], &["--refine"]].concat()).expect_code(1);
    assert!(refined.stderr.contains("refinements are for --gt and --tracks"), "{}", refined.stderr);
    assert!(!scene.path("out.csv").exists(), "nothing is half written");
}

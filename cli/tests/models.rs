//! `trackdrop model`, `plan` and `--device`, as a user meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;
#[path = "../../shared/exchange/tests/readers/venv.rs"]
mod venv;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{Scene, codec, ffmpeg, model};

/// Detections agree to so many pixels and so much score.
const PX: f64 = 0.5;
const SCORE: f64 = 0.005;
/// Both leave out what scores less.
const MIN_SCORE: f64 = 0.3;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// Runs `reference/detect.py`.
fn python(arguments: &[PathBuf]) -> String {
    let python = venv::python("detect", "tests/reference/requirements.txt");
    let output = Command::new(python).arg("-B").arg(reference("detect.py")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `[x1, y1, x2, y2, score, class]`.
type Row = [f64; 6];

fn row(value: &Value) -> Row {
    std::array::from_fn(|i| value[i].as_f64().unwrap())
}

fn same(a: &Row, b: &Row) -> bool {
    a[5] == b[5] && (a[4] - b[4]).abs() <= SCORE && (0..4).all(|i| (a[i] - b[i]).abs() <= PX)
}

/// Suppression is a yes or no, and the last digits may decide it. So a box may be in one list only where its overlap with a better one, which
/// both lists have, is the threshold (0.45, 0.6 or 0.7, by family), or where the other list has one of the same score in its place.
fn is_on_the_verge(one: &Row, some: &[Row], others: &[Row]) -> bool {
    let at_the_threshold = |list: &[Row]| {
        list.iter().any(|other| {
            other[5] == one[5]
                && other[4] > one[4]
                && [0.45, 0.6, 0.7].iter().any(|threshold| (overlap(one, other) - threshold).abs() < 0.005)
        })
    };
    let in_its_place = |other: &Row| {
        other[5] == one[5] && (other[4] - one[4]).abs() <= SCORE && overlap(one, other) > 0.6 && !some.contains(other)
    };
    at_the_threshold(some) && at_the_threshold(others) || others.iter().any(in_its_place)
}

/// Intersection over union.
fn overlap(a: &Row, b: &Row) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |row: &Row| (row[2] - row[0]) * (row[3] - row[1]);
    let common = side(0) * side(1);
    common / (area(a) + area(b) - common)
}

#[test]
fn every_family_detects_what_its_own_code_detects() {
    let scene = Scene::new();
    let (picture, out) = (scene.path("picture.png"), scene.path("out.png"));
    python(&["picture".into(), picture.clone()]);
    let families = ["yolov5", "yolov8", "yolox", "nanodet", "nanodet_plus", "rt_detr", "rf_detr", "end_to_end"];
    let models = families.map(|family| reference(&format!("{family}.onnx")));
    let theirs: Value = serde_json::from_str(&python(&[&models[..], std::slice::from_ref(&picture)].concat())).unwrap();
    for (family, model) in families.iter().zip(&models) {
        let arguments = [Path::new("model"), Path::new("check"), model, &picture, Path::new("--out"), &out];
        let arguments = arguments.map(Path::as_os_str).into_iter().chain(["--json".as_ref()]);
        let found = scene.data().trackdrop(arguments).expect_success().json().remove(0);
        let ours: Vec<Row> = found["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| {
                let corner = |i: usize| d["box"][i].as_f64().unwrap();
                [
                    corner(0),
                    corner(1),
                    corner(2),
                    corner(3),
                    d["score"].as_f64().unwrap(),
                    d["class_id"].as_f64().unwrap(),
                ]
            })
            .collect();
        let theirs: Vec<Row> = theirs[family].as_array().unwrap().iter().map(row).collect();
        assert!(theirs.len() >= 10, "{family}: a test of {} detections", theirs.len());
        let mut on_the_verge = 0;
        for (name, some, others) in [("ours", &ours, &theirs), ("theirs", &theirs, &ours)] {
            for one in some.iter().filter(|one| one[4] > MIN_SCORE + SCORE) {
                let is_in_both = others.iter().any(|other| same(one, other));
                on_the_verge += u32::from(!is_in_both);
                assert!(is_in_both || is_on_the_verge(one, some, others), "{family}, only {name}: {one:?}");
            }
        }
        assert!(on_the_verge <= 2, "{family}: {on_the_verge} boxes are in one list only");
    }
}

#[test]
fn inspect_tells_what_a_model_is_and_what_says_so() {
    let data = Scene::new().data();
    let inspect = |name: &str, options: &[&str]| {
        let file = reference(name);
        data.trackdrop([&["model", "inspect", file.to_str().unwrap()], options].concat()).expect_success().stdout
    };
    let text = inspect("yolox.onnx", &[]);
    for part in
        ["family        yolox  [model]", "because: 8 numbers", "raw: for a grey picture", "[card]", "Bgr  [family]"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json: Value = serde_json::from_str(&inspect("yolov8.onnx", &["--json"])).unwrap();
    assert_eq!((&json["family"], &json["input_width"]), (&"yolov8".into(), &128.into()));
    assert_eq!(json["class_names"].as_array().unwrap().len(), 3);
    let names = json["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == "class names").unwrap();
    assert_eq!(names["origin"], "metadata");
}

#[test]
fn inspect_tells_what_a_model_lacks() {
    let scene = Scene::new();
    let classifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detector/tests/fixtures/classifier.onnx");
    let text = scene.path("text.onnx");
    fs::write(&text, "not a model").unwrap();
    for (file, part) in
        [(classifier, "yolox [B, N, 5 + C]"), (text, "not an ONNX model"), (scene.path("none"), "no model at")]
    {
        let ended = scene.data().trackdrop(["model", "inspect", file.to_str().unwrap()]).expect_code(1);
        assert!(ended.errors().join("\n").contains(part), "{}", ended.stderr);
    }
}

#[test]
fn check_draws_what_it_lists() {
    let scene = Scene::new();
    let (picture, out) = (scene.path("in.png"), scene.path("out.jpg"));
    ffmpeg("-f lavfi -i color=0x808080:s=320x240:r=1:d=1 -frames:v 1", &picture);
    let model = model();
    let paths = [model.to_str().unwrap(), picture.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let check = |options: &[&str]| scene.data().trackdrop([&["model", "check"], &paths[..], options].concat());
    let ended = check(&["--min-score", "0.1"]).expect_success();
    assert!(ended.stdout.contains("#1 ") && ended.stdout.contains(" detections of "), "{}", ended.stdout);
    let drawn = fs::read(&out).unwrap();
    fs::remove_file(&out).unwrap();
    check(&["--min-score", "1"]).expect_success();
    assert_ne!(fs::read(&out).unwrap(), drawn, "without detections nothing is drawn");

    let ended = scene.data().trackdrop(["model", "check", paths[0], paths[0], "--out", paths[3]]).expect_code(1);
    assert!(ended.errors()[0].contains("give a PNG"), "{}", ended.stderr);
}

#[test]
fn a_device_that_is_not_there_ends_the_run_before_anything_is_uploaded() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    for device in ["cuda", "tensorrt:0"] {
        let ended = scene.data().run(&[&video], &["--device", device]).expect_code(1);
        assert!(ended.errors()[0].contains("can't be used") && ended.errors()[0].contains(device), "{}", ended.stderr);
        assert!(!scene.data.join("results").exists(), "nothing was begun");
    }
    scene.data().run(&[&video], &["--device", "gpu"]).expect_code(2);
    let summary = scene.data().run_json(&[&video], &["--device", "auto"]).remove(0);
    assert_eq!(summary["device"], "cpu", "it says what auto took");
    let cost = &summary["cost"];
    assert!(cost["usd"].as_f64().unwrap() > 0.0 && cost["formula"].as_str().unwrap().contains("1 L4 x $"), "{summary}");
    let build = scene.data().trackdrop(["model", "build", model().to_str().unwrap()]).expect_code(1);
    assert!(build.errors()[0].contains("onnxruntime-gpu"), "{}", build.stderr);
}

#[test]
fn int8_takes_the_quantised_model_beside_the_detector_or_says_that_there_is_none() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let (detector, quantised) = (scene.path("m.onnx"), scene.path("m-int8.onnx"));
    fs::copy(reference("yolov8.onnx"), &detector).unwrap();
    let paths = [video.to_str().unwrap(), "--model", detector.to_str().unwrap()];
    let options = [&["run"], &paths[..], &["--precision", "int8", "--no-video", "--json"]].concat();
    let ended = scene.data().trackdrop(&options).expect_code(1);
    assert!(
        ended.errors()[0].contains("m-int8.onnx") && ended.errors()[0].contains("scripts/int8"),
        "{}",
        ended.stderr
    );
    assert!(!scene.data.join("results").exists(), "nothing was begun");
    fs::copy(reference("end_to_end.onnx"), &quantised).unwrap();
    let summary = scene.data().trackdrop(&options).expect_success().json().remove(0);
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(summary["manifest"].as_str().unwrap()).unwrap()).unwrap();
    assert!(manifest["settings"]["model"].as_str().unwrap().ends_with("m-int8.onnx"), "{manifest}");
}

#[test]
fn plan_predicts_time_and_cost_of_a_video() {
    let (scene, video) = Scene::with_clip("clip.mp4", 8, codec::H264);
    let plan = |instances: &str| {
        let fixed = ["plan", video.to_str().unwrap(), "--fps-per-gpu", "10", "--start-seconds", "5", "--json"];
        let rest = ["--segment-seconds", "2", "--max-instances", instances];
        scene.data().trackdrop([&fixed[..], &rest].concat()).expect_success().json().remove(0)
    };
    let one = plan("1");
    assert_eq!(
        (&one["frames"], &one["wall_seconds"]),
        (&200.into(), &25.0.into()),
        "200 frames at 10 a second, and 5 s"
    );
    let four = plan("4");
    assert!(four["wall_seconds"].as_f64().unwrap() < 13.0, "{four}");
    assert!(four["cost"]["usd"].as_f64() > one["cost"]["usd"].as_f64(), "each instance has to start");
    let video = video.to_str().unwrap();
    for bad in ["0", "-1", "nan"] {
        let ended = scene.data().trackdrop(["plan", video, "--max-instances", "1", &format!("--fps-per-gpu={bad}")]);
        assert!(ended.expect_code(1).errors()[0].contains("--fps-per-gpu"));
    }
}

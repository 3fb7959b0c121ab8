//! `trackdrop model`, `plan` and `--device`, as a user meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;
#[path = "../../shared/exchange/tests/readers/venv.rs"]
mod venv;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use serde_json::Value;
use support::{Running, Scene, codec, ffmpeg, model};
use trackdrop_detector::{default_model_path, find_runtime};

/// Detections agree within this many pixels and this much score.
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

/// How far pixels that differ in their last digits may move an overlap.
const OVERLAP: f64 = 0.005;

/// Suppression is a yes or no, and the last digits may decide it. `one` is a box that only one side has. It is no error if the other side must have
/// weighed it against a box that both have or would have, and the family's threshold lies between the two outcomes:
/// - a box that both sides have, of a better score, overlaps it by the threshold, give or take what digits do; or
/// - two boxes of one object score the same to the tolerance, so that each side retained another of the two: `one`, and one that `one`'s side lacks.
fn is_on_the_verge(one: &Row, some: &[Row], others: &[Row], threshold: f64) -> bool {
    let rivals = |list: &[Row], least: f64| -> Vec<Row> {
        list.iter().filter(|other| other[5] == one[5] && other[4] >= least && *other != one).copied().collect()
    };
    let at_the_threshold = rivals(others, one[4] - SCORE)
        .iter()
        .any(|winner| some.iter().any(|own| same(own, winner)) && (overlap(one, winner) - threshold).abs() < OVERLAP);
    let in_its_place = rivals(others, one[4] - SCORE).iter().any(|winner| {
        (winner[4] - one[4]).abs() <= SCORE
            && overlap(one, winner) > threshold - OVERLAP
            && !some.iter().any(|own| same(own, winner))
    });
    at_the_threshold || in_its_place
}

/// Intersection over union.
fn overlap(a: &Row, b: &Row) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |row: &Row| (row[2] - row[0]) * (row[3] - row[1]);
    let common = side(0) * side(1);
    common / (area(a) + area(b) - common)
}

/// What `trackdrop model check` finds.
fn found(scene: &Scene, model: &Path, picture: &Path) -> Vec<Row> {
    let out = scene.path("out.png");
    let arguments = [Path::new("model"), Path::new("check"), model, picture, Path::new("--out"), &out];
    let arguments = arguments.map(Path::as_os_str).into_iter().chain(["--json".as_ref()]);
    let found = scene.data().trackdrop(arguments).expect_success().json().remove(0);
    let row = |d: &Value| {
        let corner = |i: usize| d["box"][i].as_f64().unwrap();
        [corner(0), corner(1), corner(2), corner(3), d["score"].as_f64().unwrap(), d["class_id"].as_f64().unwrap()]
    };
    found["detections"].as_array().unwrap().iter().map(row).collect()
}

/// Compares lists; gives how many boxes are in one of them only, on the verge of suppression.
fn agree(what: &str, ours: &[Row], theirs: &[Row], threshold: Option<f64>) -> u32 {
    let mut on_the_verge = 0;
    for (name, some, others) in [("ours", ours, theirs), ("theirs", theirs, ours)] {
        for one in some.iter().filter(|one| one[4] > MIN_SCORE + SCORE) {
            let is_in_both = others.iter().any(|other| same(one, other));
            on_the_verge += u32::from(!is_in_both);
            let may_differ = || threshold.is_some_and(|threshold| is_on_the_verge(one, some, others, threshold));
            assert!(is_in_both || may_differ(), "{what}, only {name}: {one:?}");
        }
    }
    println!("{what}: {} and {} boxes, {on_the_verge} on the verge", ours.len(), theirs.len());
    on_the_verge
}

#[test]
fn every_family_detects_what_its_own_code_detects() {
    let scene = Scene::new();
    // Each with the threshold of its suppression; the last five have none, so nothing is on a verge there.
    let families = [
        ("yolov5", Some(0.45)),
        ("yolov8", Some(0.7)),
        ("yolox", Some(0.45)),
        ("yolox_decoded", Some(0.45)),
        ("nanodet", Some(0.6)),
        ("nanodet_plus", Some(0.6)),
        ("rt_detr", None),
        ("ultralytics_rtdetr", None),
        ("d_fine", None),
        ("rf_detr", None),
        ("end_to_end", None),
    ];
    let models = families.map(|(family, _)| reference(&format!("{family}.onnx")));
    // The second is scaled to 93.7 rows, which some families count as 94 and YOLOX as 93.
    for height in ["360", "366"] {
        let picture = scene.path(&format!("{height}.png"));
        python(&["picture".into(), height.into(), picture.clone()]);
        let theirs = python(&[&models[..], std::slice::from_ref(&picture)].concat());
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        for ((family, threshold), model) in families.iter().zip(&models) {
            let ours = found(&scene, model, &picture);
            let theirs: Vec<Row> = theirs[family].as_array().unwrap().iter().map(row).collect();
            assert!(theirs.len() >= 10, "{family}: a test of {} detections", theirs.len());
            let on_the_verge = agree(&format!("{family}, {height} rows"), &ours, &theirs, *threshold);
            assert!(on_the_verge <= 2, "{family}: {on_the_verge} boxes are in one list only");
        }
    }
}

#[test]
fn the_default_model_detects_people_as_its_own_code_does() {
    let scene = Scene::new();
    let clip = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/clip")).output().unwrap();
    assert!(clip.status.success(), "{}", String::from_utf8_lossy(&clip.stderr));
    let clip = String::from_utf8(clip.stdout).unwrap();
    // A frame that has the input's size: both see the same pixels, and only the model and what follows is compared.
    let frame = scene.path("frame.png");
    let size = "scale=416:312:flags=bilinear,pad=416:416:0:52";
    ffmpeg(&format!("-i {} -vf select=eq(n\\,200),{size} -frames:v 1", clip.trim()), &frame);
    let model = default_model_path();
    let theirs: Value = serde_json::from_str(&python(&[model.clone(), frame.clone()])).unwrap();
    let theirs: Vec<Row> = theirs["nanodet-g-416"].as_array().unwrap().iter().map(row).collect();
    assert!(theirs.iter().filter(|row| row[5] == 0.0).count() >= 5, "people walk there: {theirs:?}");
    let on_the_verge = agree("the default model", &found(&scene, &model, &frame), &theirs, Some(0.6));
    assert_eq!(on_the_verge, 0);
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
        ["family        yolox  [trial picture]", "because: 8 numbers", "raw: in a trial", "[card]", "Bgr  [family]"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json: Value = serde_json::from_str(&inspect("yolov8.onnx", &["--json"])).unwrap();
    assert_eq!((&json["family"], &json["input_width"]), (&"yolov8".into(), &128.into()));
    assert_eq!(json["class_names"].as_array().unwrap().len(), 3);
    let names = json["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == "class names").unwrap();
    assert_eq!(names["origin"], "metadata");
}

/// A model as an exporter writes it, small; `shared/detector/tests/exporters.rs` has the right answers.
fn exported(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../shared/detector/tests/fixtures/exporters/{name}.onnx"))
}

#[test]
fn inspect_prints_kind_evidence_doubts_and_remedies_in_four_lines() {
    let data = Scene::new().data();
    let first_lines = |name: &str| {
        let file = exported(name);
        let told = data.trackdrop(["model", "inspect", file.to_str().unwrap()]).expect_success().stdout;
        told.lines().take(4).map(str::to_owned).collect::<Vec<_>>()
    };
    let sure = first_lines("libre_yolo9");
    let parts =
        ["what          yolov8 with 3 classes, 64 x 64 px", "LibreYOLO's yolo9", "doubt         none", "trackdrop run"];
    for (line, part) in sure.iter().zip(parts) {
        assert!(line.contains(part), "{sure:?}");
    }
    assert!(first_lines("ultralytics_segment")[0].contains("its masks are not used"));
    let doubted = first_lines("mmdeploy");
    assert!(doubted[2].contains("pipeline.json") && doubted[3].contains("model check"), "{doubted:?}");
}

#[test]
fn inspect_tells_what_a_model_lacks_without_words_of_its_machinery() {
    let scene = Scene::new();
    let classifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detector/tests/fixtures/classifier.onnx");
    let write = |name: &str, text: &str| {
        let path = scene.path(name);
        fs::write(&path, text).unwrap();
        path
    };
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    for (file, part) in [
        (classifier, "as a classifier or an embedding does"),
        (write("text.onnx", "not a model"), "not an ONNX model"),
        (write("empty.onnx", ""), "the file is empty"),
        (write("pointer.onnx", pointer), "git lfs pull"),
        (scene.data.clone(), "it is a directory"),
        (scene.path("none"), "no model at"),
        (exported("nothing_found"), "class_score_box"),
        (exported("whole_int8"), "every score is 0"),
    ] {
        fs::create_dir_all(&scene.data).unwrap();
        let ended = scene.data().trackdrop(["model", "inspect", file.to_str().unwrap()]).expect_code(1);
        let told = ended.errors().join("\n");
        assert!(told.contains(part), "{}", ended.stderr);
        assert!(!told.contains("::") && !told.contains("Tensor {"), "{told}");
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
    let told = scene.other("told").run(&[&video], &[]).expect_success().stdout;
    let why = "device      cpu\n              not tensorrt:0, cuda:0: this ONNX Runtime was built without it; set ORT_DYLIB_PATH";
    assert!(told.contains(why), "it says why not another: {told}");
    let others: Vec<_> = summary["passed_over"].as_array().unwrap().iter().map(|other| &other["device"]).collect();
    assert_eq!(others, ["tensorrt:0", "cuda:0"]);
    let (cost, rate) = (&summary["cost"], summary["fps_per_instance"].as_f64().unwrap());
    let formula = format!("track {:.1} s x (", summary["ledger"]["frames"].as_f64().unwrap() / rate);
    assert!(cost["formula"].as_str().unwrap().starts_with(&formula), "the rate is that of the cost: {summary}");
    assert!(cost["usd"].as_f64().unwrap() > 0.0 && cost["formula"].as_str().unwrap().contains("1 L4 x $"), "{summary}");
    let build = scene.data().trackdrop(["model", "build", model().to_str().unwrap()]).expect_code(1);
    assert!(build.errors()[0].contains("onnxruntime-gpu"), "{}", build.stderr);
}

#[test]
fn build_makes_what_the_next_start_takes_and_tells_what_it_can_not_make() {
    let scene = Scene::new();
    let (cache, text) = (scene.path("cache"), scene.path("text.onnx"));
    fs::write(&text, "not a model").unwrap();
    let build = |model: &Path, options: &[&str]| {
        let mut command = scene.data().command();
        command.env("TRACKDROP_CACHE", &cache).env("ORT_DYLIB_PATH", find_runtime().unwrap());
        Running::start(command.args(["model", "build"]).arg(model).args(options)).end()
    };
    let model = reference("yolov8.onnx");
    let graphs = || -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
        let paths = fs::read_dir(cache.join("graphs")).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|p| (p.clone(), fs::read(&p).unwrap(), fs::metadata(&p).unwrap().modified().unwrap())).collect()
    };
    let ready = build(&model, &["--device", "cpu"]).expect_success().stdout;
    assert!(ready.contains("is ready for cpu in batches of 1: "), "{ready}");
    let made = graphs();
    assert_eq!(made.len(), 1);
    build(&model, &["--device", "cpu"]).expect_success();
    assert_eq!(graphs(), made, "the second start takes what the first one made");
    fs::write(&made[0].0, "damaged").unwrap();
    build(&model, &["--device", "cpu"]).expect_success();
    assert_eq!(graphs()[0].1, made[0].1, "made anew");

    for (model, device, part) in [
        (&scene.path("none.onnx"), "cpu", "no model at"),
        (&text, "cpu", "not an ONNX model"),
        (&model, "cuda:7", "the device cuda:7 can't be used"),
        (&model, "tensorrt:1", "onnxruntime-gpu"),
    ] {
        let ended = build(model, &["--device", device]).expect_code(1);
        assert!(ended.errors()[0].contains(part), "{}", ended.stderr);
    }
    for wrong in [["--device", "gpu"], ["--device", "cuda:x"], ["--device", "cpu:0"], ["--batch", "0"]] {
        build(&model, &wrong).expect_code(2);
    }
    assert_eq!(graphs().len(), 1, "what fails leaves nothing");
}

#[test]
fn a_video_engine_that_is_not_there_is_replaced_by_software_and_the_log_says_so() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let run = |data: &str, engine: &str| {
        let mut command = scene.other(data).run_command(&[&video], &["--json", "--segment-seconds", "0.5"]);
        // No GPU is seen, whatever the machine has.
        command.env("TRACKDROP_VIDEO_ENGINE", engine).env("CUDA_VISIBLE_DEVICES", "").env("RUST_LOG", "warn");
        Running::start(&mut command).end()
    };
    let (plain, asked) = (run("plain", "software").expect_success(), run("asked", "nvidia").expect_success());
    for task in ["software decodes", "software encodes"] {
        assert!(!plain.stderr.contains(task), "{}", plain.stderr);
        assert_eq!(asked.stderr.matches(task).count(), 1, "once a process, not once a segment: {}", asked.stderr);
    }
    assert_eq!(scene.other("plain").tracks_without_upload(), scene.other("asked").tracks_without_upload());
    let annotated = |ended: &support::Ended| fs::read(ended.json()[0]["annotated"].as_str().unwrap()).unwrap();
    assert!(annotated(&plain) == annotated(&asked), "the annotated videos are the same");
    let wrong = run("wrong", "gpu").expect_code(1);
    assert!(wrong.errors()[0].contains("TRACKDROP_VIDEO_ENGINE"), "{}", wrong.stderr);
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

#[test]
fn plan_with_probe_finds_the_stride_that_a_run_chooses() {
    let (scene, video) = Scene::with_clip("clip.mp4", 100, codec::H264);
    let (path, model) = (video.to_str().unwrap(), model());
    let plan = ["plan", path, "--fps-per-gpu", "10", "--max-instances", "1", "--detect-every", "auto:50"];
    let ended = scene.data().trackdrop(plan).expect_code(1);
    assert!(ended.errors()[0].contains("--detect-every auto:50 is chosen from the video itself"), "{}", ended.stderr);
    let probing = [&plan[..], &["--probe", "--model", model.to_str().unwrap()]].concat();
    let planned = scene.data().trackdrop([&probing[..], &["--json"]].concat()).expect_success().json().remove(0);
    let stride = &planned["probe"]["stride"];
    // A twentieth of 2,500 frames, in two stretches.
    assert_eq!(
        (&stride["frames_looked_at"], stride["stretches"].as_array().unwrap().len()),
        (&124.into(), 2),
        "{stride}"
    );
    assert_eq!(stride["detect_every"], planned["detect_every"]);
    let looks: Vec<u64> =
        planned["probe"]["strides"].as_array().unwrap().iter().map(|line| line["looks"].as_u64().unwrap()).collect();
    assert_eq!((looks.len(), looks[0]), (8, 2_500));
    assert!(looks.is_sorted_by(|fewer, more| fewer > more), "{looks:?}");
    let text = scene.data().trackdrop(probing).expect_success().stdout;
    assert_eq!(text.matches("<- auto").count(), 1, "{text}");
    let options = ["--no-video", "--detect-every", "auto:50", "--segment-seconds", "3"];
    let summary = scene.data().run_json(&[&video], &options).remove(0);
    assert_eq!((&summary["stride"], &summary["detect_every"]), (stride, &stride["detect_every"]));
}

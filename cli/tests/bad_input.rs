//! What can't be processed is refused with a reason that a person can act on. The reason is the same everywhere, and nothing hangs.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};
use support::{Data, Ended, Running, Scene, clip, codec, ffmpeg, ffprobe};
use trackdrop_pipeline::{RequestSettings, settings::METADATA_KEY};

/// The one error of a command that failed: one line that says no word of the program's inside.
#[track_caller]
fn only_error(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    let [error] = ended.errors()[..] else { panic!("not one error: {ended:?}") };
    for inside in ["panicked", ".store", "Os {", "src/"] {
        assert!(!ended.stderr.contains(inside), "{inside:?} in {}", ended.stderr);
    }
    assert!(error.len() < 500, "{} bytes: {error}", error.len());
    error.to_owned()
}

/// Runs a video that must fail in `stage`, checks that the reason is the same everywhere, and returns it.
#[track_caller]
fn fails_everywhere_alike(data: &Data, video: &Path, stage: &str) -> String {
    let error = only_error(&data.run(&[video], &[]));
    let request = data.only_request();
    let manifest = data.manifest(&request);
    assert_eq!((&manifest["state"], &manifest["error"]["stage"]), (&"failed".into(), &stage.into()));
    let reason = manifest["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.ends_with(&format!(" failed in {stage}: {reason}")), "{error:?} is not {reason:?}");
    let told = data.trackdrop(["requests"]).expect_success().stdout;
    assert!(told.contains(&format!("failed in {stage}: {reason}")), "{told}");
    let shown = data.trackdrop(["show", &request]).expect_success().stdout;
    assert!(shown.contains(&format!("error     in {stage}: {reason}")), "{shown}");
    assert_eq!(data.requests()[0]["error"]["message"], reason);
    let ended = data.trackdrop(["query", "--format", "json", "SELECT state, error_stage, error FROM requests"]);
    let row = ended.expect_success().json().remove(0);
    assert_eq!(row, serde_json::json!({ "state": "failed", "error_stage": stage, "error": reason }));
    reason
}

fn refused_by_the_splitter(name: &str, make: impl FnOnce(&Path)) -> String {
    let scene = Scene::new();
    let video = scene.path(name);
    make(&video);
    let reason = fails_everywhere_alike(&scene.data(), &video, "split");
    assert!(reason.contains(name), "which file? {reason}");
    reason
}

#[test]
fn a_text_that_is_called_a_video() {
    refused_by_the_splitter("text.mp4", |path| std::fs::write(path, "Dear diary,\n".repeat(500)).unwrap());
}

#[test]
fn an_empty_file() {
    let reason = refused_by_the_splitter("empty.mp4", |path| std::fs::write(path, "").unwrap());
    assert!(reason.contains("empty"), "{reason}");
}

#[test]
fn sound_without_pictures() {
    let reason = refused_by_the_splitter("song.mp4", |path| ffmpeg("-f lavfi -i sine=d=2 -c:a aac", path));
    assert!(reason.contains("no video"), "{reason}");
}

#[test]
fn a_recording_that_was_never_finished() {
    refused_by_the_splitter("no-moov.mp4", |path| {
        clip(path, 2, codec::H264);
        let bytes = std::fs::read(path).unwrap();
        let moov = bytes.windows(4).position(|four| four == b"moov").unwrap();
        std::fs::write(path, &bytes[..moov - 4]).unwrap();
    });
}

#[test]
fn a_playlist_that_names_another_file_is_not_followed() {
    let scene = Scene::new();
    let (secret, list) = (scene.path("secret.mp4"), scene.path("list.mp4"));
    clip(&secret, 1, codec::H264);
    std::fs::write(&list, format!("ffconcat version 1.0\nfile '{}'\n", secret.display())).unwrap();
    fails_everywhere_alike(&scene.data(), &list, "split");
}

/// A clip of 100 frames whose index comes first, as in a download that plays while it loads.
fn download(scene: &Scene) -> (PathBuf, Vec<u8>) {
    let whole = scene.path("whole.mp4");
    clip(&whole, 4, &format!("{} -movflags +faststart", codec::H264));
    let bytes = std::fs::read(&whole).unwrap();
    (whole, bytes)
}

#[test]
fn a_download_that_broke_off_in_a_frame_is_tracked_as_far_as_it_goes_and_says_so() {
    let scene = Scene::new();
    let (data, (_, bytes)) = (scene.data(), download(&scene));
    let video = scene.path("part.mp4");
    std::fs::write(&video, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let summary = data.run_json(&[&video], &["--segment-seconds", "0.5"]).remove(0);
    assert_eq!(summary["ledger"]["frames_damaged"], 1, "{summary}");
    says_that_it_is_cut_off(&data, &summary);
}

#[test]
fn a_file_cut_off_between_two_frames_is_tracked_up_to_there_with_a_warning() {
    let scene = Scene::new();
    let (data, (whole, bytes)) = (scene.data(), download(&scene));
    let places = ffprobe("-select_streams v -show_entries packet=pos", &whole);
    let places: BTreeSet<usize> = places.lines().map(|place| place.trim_matches(',').parse().unwrap()).collect();
    let video = scene.path("part.mp4");
    std::fs::write(&video, &bytes[..*places.iter().nth(60).unwrap()]).unwrap();
    let summary = data.run_json(&[&video], &["--segment-seconds", "0.5"]).remove(0);
    says_that_it_is_cut_off(&data, &summary);
}

#[test]
fn a_matroska_file_that_broke_off_says_so_by_its_duration() {
    let scene = Scene::new();
    let (data, (whole, _)) = (scene.data(), download(&scene));
    let (recorded, video) = (scene.path("whole.mkv"), scene.path("part.mkv"));
    ffmpeg(&format!("-i {} -c copy", whole.display()), &recorded);
    let bytes = std::fs::read(&recorded).unwrap();
    std::fs::write(&video, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let summary = data.run_json(&[&video], &[]).remove(0);
    assert!(summary["ledger"]["frames"].as_u64() < Some(70), "the clip is not cut off: {summary}");
    let manifest = data.manifest(summary["request_id"].as_str().unwrap());
    assert_ne!(manifest["source"]["video"]["warnings"], serde_json::Value::Null, "40 frames are lost in silence");
}

#[track_caller]
fn says_that_it_is_cut_off(data: &Data, summary: &serde_json::Value) {
    let request = summary["request_id"].as_str().unwrap();
    let frames = &summary["ledger"]["frames"];
    let warnings = &data.manifest(request)["source"]["video"]["warnings"];
    let warning = warnings[0].as_str().unwrap_or_default();
    assert!(warning.contains("100") && warning.contains(&frames.to_string()), "{frames} frames, {warnings}");
    let shown = data.trackdrop(["show", request]).expect_success().stdout;
    assert!(shown.contains(warning), "{shown}");
    assert!(summary.to_string().contains("cut off"), "whoever reads the JSON is not told: {summary}");
}

#[test]
fn names_are_data() {
    let scene = Scene::new();
    let data = scene.data();
    std::fs::create_dir(scene.path("sub")).unwrap();
    let video = scene.path("plain.mp4");
    clip(&video, 1, codec::H264);
    let names = [
        "two words.mp4",
        "it's \"quoted\".mp4",
        "Überfahrt 渡し船 🚗.mp4",
        "new\nline.mp4",
        "-x.mp4",
        "%s{}$(id)`id`.mp4",
        "no_ending",
    ];
    for name in names {
        std::fs::copy(&video, scene.path(name)).unwrap();
        // As a user in that folder would give it; a leading dash needs the ./
        let given = if name.starts_with('-') { PathBuf::from("./").join(name) } else { PathBuf::from(name) };
        let mut command = data.run_command(&[&given], &["--json"]);
        let summary = Running::start(command.current_dir(scene.folder.path())).end().expect_success().json().remove(0);
        assert_eq!(summary["video"], name);
        let rows = data.trackdrop(["query", "--format", "json", "SELECT DISTINCT video FROM tracks"]).expect_success();
        assert!(rows.json().contains(&serde_json::json!({ "video": name })), "{}", rows.stdout);
    }
    let mut command = data.run_command(&[Path::new("sub/../plain.mp4")], &["--json"]);
    let summary = Running::start(command.current_dir(scene.folder.path())).end().expect_success().json().remove(0);
    assert_eq!(summary["video"], "plain.mp4");
    let listed = data.trackdrop(["requests"]).expect_success().stdout;
    assert_eq!(listed.lines().count(), names.len() + 1, "one line a request: {listed}");
}

#[test]
fn a_name_that_is_no_text_does_no_harm() {
    let (scene, video) = Scene::with_clip("plain.mp4", 1, codec::H264);
    let strange = scene.folder.path().join(OsString::from_vec(b"caf\xe9.mp4".to_vec()));
    std::fs::rename(&video, &strange).unwrap();
    let ended = scene.data().run(&[&strange], &["--json"]);
    assert!(ended.code == Some(0) || only_error(&ended).contains("caf"), "{ended:?}");
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_made() {
    let scene = Scene::new();
    let data = scene.data();
    let error = only_error(&data.run(&[&scene.path("nowhere.mp4")], &[]));
    assert!(error.contains("nowhere.mp4") && error.contains("No such file"), "{error}");
    let error = only_error(&data.run(&[scene.folder.path()], &[]));
    assert!(error.contains("there is no video in"), "{error}");
    let error = only_error(&data.run(&[Path::new("/dev/null")], &[]));
    assert!(error.contains("is not a file"), "{error}");
    assert!(data.requests().is_empty());
}

#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let (scene, video) = Scene::with_clip("private.mp4", 1, codec::H264);
    std::fs::set_permissions(&video, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&video).is_ok() {
        eprintln!("skipped: root reads everything");
        return;
    }
    let error = only_error(&scene.data().run(&[&video], &[]));
    assert!(error.contains("private.mp4") && error.contains("Permission denied"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_made() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    for option in [
        "--min-score=7",
        "--min-score=-0.1",
        "--min-score=nan",
        "--min-score=high",
        "--segment-seconds=0",
        "--segment-seconds=-1",
        "--segment-seconds=nan",
        "--segment-seconds=inf",
        "--classes=",
        "--classes=car,,person",
        "--model=nowhere.onnx",
        "--format=xml",
    ] {
        let ended = data.trackdrop(["run".as_ref(), option.as_ref(), video.as_os_str()]);
        assert!(matches!(ended.code, Some(1 | 2)), "{option}: {ended:?}");
        assert!((1..=8).contains(&ended.stderr.lines().count()), "{option}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{option}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{option}");
        assert!(!data.0.exists(), "{option} left something behind");
    }
}

#[test]
fn a_bad_threshold_is_refused_in_the_same_words_by_flags_uploads_and_cards() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let words = "track_thresh must be between 0 and 1, got -0.1";
    let model = scene.path("carded.onnx");
    std::fs::copy(support::model(), &model).unwrap();
    std::fs::write(scene.path("carded.json"), r#"{ "track_thresh": -0.1 }"#).unwrap();
    let flag = "--track-thresh=-0.1".as_ref();
    let detections = scene.path("detections.csv");
    let (detections, out) = (option("--detections", &detections), option("--out", &scene.path("tracks.csv")));
    for arguments in [
        vec!["run".as_ref(), video.as_os_str(), flag],
        vec!["run".as_ref(), video.as_os_str(), &option("--model", &model)],
        vec!["retrack".as_ref(), &detections, &out, flag],
    ] {
        let error = only_error(&scene.data().trackdrop(&arguments));
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    let upload = BTreeMap::from([(METADATA_KEY.to_owned(), r#"{"tracker": {"track_thresh": -0.1}}"#.to_owned())]);
    assert_eq!(RequestSettings::of_upload(&upload).unwrap_err().to_string(), words);
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("{name}="));
    option.push(path);
    option
}

#[test]
fn a_file_that_is_no_model_is_refused_before_the_upload_and_a_model_then_works() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let model = |name: &str, content: &[u8]| {
        std::fs::write(scene.path(name), content).unwrap();
        scene.path(name)
    };
    let of_no_family = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detector/tests/fixtures/classifier.onnx");
    let bad_card = model("carded.onnx", &std::fs::read(support::model()).unwrap());
    model("carded.json", b"{ \"familly\": \"yolov8\" }");
    for (model, reason) in [
        (model("text.onnx", b"not a model"), "not an ONNX model"),
        (model("empty.onnx", b""), "not an ONNX model"),
        (of_no_family, "as a classifier or an embedding does"),
        (bad_card, "familly"),
    ] {
        let ended = data.trackdrop(["run".as_ref(), "--model".as_ref(), model.as_os_str(), video.as_os_str()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        let [error] = ended.errors()[..] else { panic!("not one error: {ended:?}") };
        assert!(error.contains(reason), "{error}");
        assert!(!data.0.exists(), "{model:?} left something behind");
    }
    let summary = data.run_json(&[&video], &[]).remove(0);
    assert_eq!(summary["state"], "done");
    assert_eq!(data.query("SELECT state, error FROM requests"), ["done,"]);
}

#[test]
fn a_default_model_that_is_not_installed_is_told_before_anything_is_uploaded() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let mut command = data.command();
    command
        .env("TRACKDROP_CACHE", scene.path("no-cache"))
        .env("ORT_DYLIB_PATH", trackdrop_detector::find_runtime().unwrap());
    let ended = support::Running::start(command.arg("run").arg(&video)).end();
    let error = only_error(&ended);
    assert!(error.contains("there is no model at") && error.contains("scripts/setup"), "{error}");
    assert!(!data.0.exists(), "something was uploaded");
}

#[test]
fn a_class_that_the_model_does_not_know() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let error = only_error(&data.run(&[&video], &["--classes", "person,unicorn"]));
    assert!(error.contains("no class \"unicorn\"; it knows: person, car"), "{error}");
    assert!(!data.0.exists(), "it was refused after something was uploaded");
    data.run(&[&video], &["--classes", "Person"]).expect_success();
    let again = data.run(&[&video], &["--classes", "person"]).expect_success();
    assert!(!again.stderr.contains("other settings"), "capitals made another setting: {again:?}");
}

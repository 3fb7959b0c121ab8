//! What people type first: a folder, `latest`, a video's name, `doctor`.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use support::{Data, Scene, clip, codec};

/// The request that `show` finds for a word.
fn shown(data: &Data, word: &str) -> String {
    let manifest = data.trackdrop(["show", "--json", word]).expect_success().stdout;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["request_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_folder_stands_for_its_videos_and_a_request_for_any_word_that_means_one_only() {
    let scene = Scene::new();
    let (folder, data) = (scene.path("cams"), scene.data());
    std::fs::create_dir_all(folder.join("north")).unwrap();
    for (name, seconds) in [("gate.mp4", 1), ("north/door.mp4", 1), ("north/gate.mp4", 2)] {
        clip(&folder.join(name), seconds, codec::H264);
    }
    std::fs::write(folder.join("gate.srt"), "side file").unwrap();
    data.run(&[&folder], &["--no-video"]).expect_success();
    assert_eq!(data.query("SELECT video FROM requests"), ["gate.mp4"], "only the folder itself is looked into");
    data.run(&[&folder], &["--no-video", "--recursive"]).expect_success();
    let ids = data.query("SELECT request_id FROM requests ORDER BY finished_at");
    assert_eq!(ids.len(), 3);

    assert_eq!(shown(&data, "door.mp4"), data.query("SELECT request_id FROM requests WHERE video = 'door.mp4'")[0]);
    let [gate, ..] = &ids[..] else { panic!("{ids:?}") };
    assert_eq!([shown(&data, &gate[..12]), shown(&data, &gate[4..10])], [gate.clone(), gate.clone()]);
    let exported = data.trackdrop(["export", &gate[..12], "--format", "csv"]).expect_success().stdout;
    assert_eq!(exported, data.trackdrop(["export", gate, "--format", "csv"]).expect_success().stdout);

    let several = data.trackdrop(["show", "gate.mp4"]).expect_code(1).stderr;
    assert!(several.contains("means 2 requests") && several.contains(gate), "{several}");
    let none = data.trackdrop(["export", "nothing.mp4", "--format", "csv"]).expect_code(1).stderr;
    assert!(none.contains("there is no request \"nothing.mp4\"") && none.contains("latest"), "{none}");
}

#[test]
fn latest_is_the_request_that_was_made_last_be_it_another_version_of_an_older_one() {
    let scene = Scene::new();
    let data = scene.data();
    for name in ["one.mp4", "two.mp4"] {
        clip(&scene.path(name), 1, codec::H264);
        data.run(&[&scene.path(name)], &["--no-video"]).expect_success();
        assert_eq!(shown(&data, "latest"), shown(&data, name));
    }
    let one = shown(&data, "one.mp4");
    data.trackdrop(["retrack", "one.mp4", "--match-thresh", "0.8", "--no-video"]).expect_success();
    let versions = data.query("SELECT request_id FROM requests WHERE retrack_of IS NOT NULL");
    assert_eq!((versions.len(), versions[0] != one), (1, true));
    assert_eq!(shown(&data, "latest"), versions[0]);
}

#[test]
fn a_word_for_a_request_where_there_are_none_says_how_to_make_one() {
    let scene = Scene::new();
    let data = scene.data();
    let error = data.trackdrop(["show", "latest"]).expect_code(1).stderr;
    assert!(error.contains("process a video first (trackdrop run VIDEO)"), "{error}");
    assert!(!data.0.exists(), "asking made a data directory");
}

#[test]
fn doctor_finds_what_a_run_needs_and_says_how_to_get_what_is_missing() {
    let data = Scene::new().data();
    let well = data.trackdrop(["doctor", "--json"]).expect_success();
    let findings: Vec<serde_json::Value> =
        well.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let what: Vec<_> = findings.iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["FFmpeg", "ONNX Runtime", "model", "device", "data directory", "disk"]);
    assert!(!data.0.exists(), "looking made a data directory");

    let mut ill: Command = data.command();
    ill.arg("doctor").env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    let output = ill.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("missing  ONNX Runtime") && told.contains("scripts/setup"), "{told}");
}

#[test]
fn json_says_the_same_of_a_request_in_the_same_keys_whichever_command_is_asked() {
    let (scene, video) = Scene::with_clip("gate.mp4", 2, codec::H264);
    let data = scene.data();
    let options = ["--crops", "--refine"];
    let ran = data.run_json(&[&video], &options).remove(0);
    let request = ran["request_id"].as_str().unwrap();
    let ask = |arguments: &[&str]| -> serde_json::Value {
        let told = data.trackdrop(arguments).expect_success().stdout;
        let first = serde_json::Deserializer::from_str(&told).into_iter().next().expect("an answer").unwrap();
        serde_json::Value::clone(&first)
    };
    let whole = ["request_id", "retrack_of", "video", "uploaded_at", "state", "error"];
    for arguments in [
        &["requests", "--json"][..],
        &["show", request, "--json"],
        &["show", request, "--timeline", "--json"],
        &["retrack", request, "--track-buffer", "30", "--json"],
    ] {
        let told = ask(arguments);
        for key in whole {
            let is_its_own = arguments[0] == "retrack" && key.contains("re");
            assert!(told.get(key).is_some() && (is_its_own || told[key] == ran[key]), "{arguments:?}, {key}: {told}");
        }
    }
    for arguments in [&["crops", request, "--json"][..], &["delete", request, "--dry-run", "--json"]] {
        let told = ask(arguments);
        assert_eq!((&told["request_id"], &told["video"]), (&ran["request_id"], &ran["video"]), "{arguments:?}: {told}");
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let scene = Scene::new();
    let (data, folder) = (scene.data(), scene.path("man"));
    data.trackdrop(["man".as_ref(), folder.as_os_str()]).expect_success();
    for command in ["run", "query", "retrack", "doctor"] {
        for shell in ["bash", "zsh", "fish"] {
            let script = data.trackdrop(["completions", shell]).expect_success().stdout;
            assert!(script.contains(command), "{shell} lacks {command}");
        }
        let page = std::fs::read_to_string(folder.join(format!("trackdrop-{command}.1"))).unwrap();
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{page}");
    }
}

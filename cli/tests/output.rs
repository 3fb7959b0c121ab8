//! Standard output holds results and nothing else, wherever the command is run and whatever it is written to.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};
use support::{Data, Running, Scene, codec};

#[test]
fn progress_and_errors_go_to_standard_error() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let ended = scene.data().run(&[&video], &["--json"]).expect_success();
    assert_eq!(ended.json().len(), 1, "one line a video and nothing else");
    assert!(ended.stderr.lines().any(|line| line.starts_with("track ")), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\r'),
        "made for a terminal: {:?}",
        ended.stderr
    );
    let plain = scene.data().run(&[&video], &[]).expect_success();
    assert!(plain.stdout.starts_with("clip.mp4 (req_"), "{}", plain.stdout);
}

#[test]
fn paths_are_meant_from_where_the_command_is_run() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let here = scene.path("it's a folder");
    std::fs::create_dir(&here).unwrap();
    std::fs::copy(support::model(), here.join("detector.onnx")).unwrap();
    std::fs::rename(&video, here.join("clip.mp4")).unwrap();
    let data = Data("my data".into());
    let mut command = data.command();
    command.args(["run", "--json", "--model", "detector.onnx", "clip.mp4"]).current_dir(&here);
    let summary = Running::start(&mut command).end().expect_success().json().remove(0);
    let annotated = Path::new(summary["annotated"].as_str().unwrap());
    assert!(annotated.starts_with(here.canonicalize().unwrap().join("my data")) && annotated.is_file());
    let elsewhere = Data(here.join("my data"));
    assert_eq!(elsewhere.query("SELECT COUNT(*) FROM tracks"), [summary["track_rows"].to_string()]);
    // And by the environment.
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackdrop"));
    command.env("TRACKDROP_DATA", here.join("my data")).args(["requests", "--json"]);
    assert_eq!(Running::start(&mut command).end().expect_success().json().len(), 1);
}

/// A data directory with a finished request, and commands that print what is in it.
fn printing() -> (Scene, Vec<Vec<&'static str>>) {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    scene.data().run_json(&[&video], &[]);
    let query = |format| vec!["query", "--format", format, "SELECT frame_index, track_id FROM tracks"];
    (scene, vec![vec!["requests"], vec!["requests", "--json"], query("csv"), query("json"), query("table")])
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (scene, commands) = printing();
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader); // as `| head -0` does
        let ended = Running::start_into(scene.data().command().args(&arguments), writer.into()).end();
        assert_eq!(ended.stderr, "", "{arguments:?}");
    }
}

#[test]
fn results_that_can_t_be_written_are_an_error_and_no_panic() {
    let (scene, commands) = printing();
    for arguments in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = Running::start_into(scene.data().command().args(&arguments), Stdio::from(full)).end();
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        let [error] = ended.errors()[..] else { panic!("{arguments:?}: {ended:?}") };
        assert!(error.contains("No space left"), "{arguments:?}: {error}");
    }
}

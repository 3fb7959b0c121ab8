//! A run that dies or is stopped at any moment resumes when the same command is given again.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use support::{Data, Running, Scene, codec, frame_times};

const OPTIONS: &[&str] = &["--json", "--segment-seconds", "0.4"];

/// Starts a run that ends when `moment` comes, by `stop`, and gives the command again.
fn goes_on_after(moment: impl Fn(&Data) -> bool, stop: impl FnOnce(Running)) {
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::H264);
    let data = scene.data();
    let mut running = Running::start(&mut data.run_command(&[&video], OPTIONS));
    assert!(running.until(|| moment(&data)), "the moment never came");
    stop(running);
    let before = data.objects("");
    assert!(data.objects("work/ended/").is_empty(), "it was over before it was stopped");

    let summary = data.run(&[&video], OPTIONS).expect_success().json().remove(0);
    assert_eq!(summary["ledger"]["frames_whole"], 200);
    let after = data.objects("");
    for (object, generation) in before.iter().filter(|(object, _)| !object.ends_with("/manifest.json")) {
        assert_eq!(after.get(object), Some(generation), "{object} was made again");
    }
    leaves_nothing_behind(&data);

    let undisturbed = scene.other("undisturbed");
    let other = undisturbed.run_json(&[&video], &[]).remove(0);
    assert_eq!(data.tracks_without_upload(), undisturbed.tracks_without_upload());
    assert_eq!(summary["tracks_by_class"], other["tracks_by_class"]);
    let [resumed, whole] =
        [summary, other].map(|summary| frame_times(Path::new(summary["annotated"].as_str().unwrap())));
    assert_eq!(resumed.len(), 200);
    assert_eq!(resumed, whole);
}

/// Everything in the store is named by the catalog, and no process is thought to live.
fn leaves_nothing_behind(data: &Data) {
    let files = |folder: &str| -> Vec<String> {
        let folder = std::fs::read_dir(data.0.join(".store").join(folder)).unwrap();
        let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut named: Vec<_> = data.objects("").into_values().map(|generation| generation.to_string()).collect();
    named.sort();
    assert_eq!(files("blobs"), named);
    assert_eq!((files("hosts"), files("tmp")), (vec![], vec![]));
}

fn exists(prefix: &str) -> impl Fn(&Data) -> bool {
    move |data| !data.objects(prefix).is_empty()
}

#[test]
fn killed_when_the_upload_exists() {
    goes_on_after(exists("uploads/"), Running::kill);
}

#[test]
fn killed_when_the_manifest_exists() {
    goes_on_after(exists("results/"), Running::kill);
}

#[test]
fn killed_when_the_first_detections_exist() {
    goes_on_after(exists("work/detections/"), Running::kill);
}

#[test]
fn killed_when_the_first_segment_is_drawn() {
    goes_on_after(exists("work/processed_chunks/"), Running::kill);
}

#[test]
fn killed_when_all_segments_are_drawn() {
    goes_on_after(exists("work/annotated/"), Running::kill);
}

#[test]
fn stopped_by_ctrl_c_says_how_to_go_on() {
    goes_on_after(exists("work/detections/"), |running| {
        running.signal("INT");
        let ended = running.end().expect_code(130);
        assert_eq!(ended.errors(), ["stopped. Give the same command again to resume"]);
        assert_eq!(ended.stdout, "");
    });
}

#[test]
fn a_run_goes_on_at_once_with_what_another_process_left_when_it_was_killed() {
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::H264);
    let data = scene.data();
    let [mut first, second] = [(); 2].map(|()| Running::start(&mut data.run_command(&[&video], OPTIONS)));
    assert!(first.until(|| !data.objects("work/detections/").is_empty()));
    first.kill();
    let summary = second.end().expect_success().json().remove(0);
    assert_eq!(summary["ledger"]["frames_whole"], 200);
    leaves_nothing_behind(&data);
}

#[test]
fn a_sweep_finds_what_a_killed_run_left_and_the_next_run_resumes_it() {
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::H264);
    let data = scene.data();
    let mut running = Running::start(&mut data.run_command(&[&video], OPTIONS));
    assert!(running.until(|| !data.objects("work/split_chunks/").is_empty()));
    running.kill();
    let sweep = |options: &[&str]| data.trackdrop([&["requests", "--sweep"], options].concat()).expect_success();
    assert_eq!(sweep(&[]).stdout, "no request is stalled\n", "its events are queued");
    // As after a repair by hand: the store is whole, the queue is empty.
    let catalog = rusqlite::Connection::open(data.0.join(".store/catalog.db")).unwrap();
    catalog.execute("DELETE FROM messages", []).unwrap();
    let found = sweep(&["--json"]).json().remove(0);
    assert_eq!(found["request_id"], data.only_request().as_str());
    assert!(found["why"].as_str().is_some_and(|why| !why.is_empty()), "{found}");
    let told = found["done"]["told_again"].as_u64().unwrap_or_else(|| panic!("{found}"));
    assert!(told > 0);
    assert_eq!(sweep(&[]).stdout, "no request is stalled\n", "they are queued again");

    catalog.execute("DELETE FROM messages", []).unwrap();
    let said = sweep(&[]).stdout;
    let expected = format!("    {told} events are queued again: the next `trackdrop run` delivers them");
    assert!(said.contains("  is stalled in ") && said.lines().any(|line| line == expected), "{said}");
    let summary = data.run(&[&video], OPTIONS).expect_success().json().remove(0);
    assert_eq!(summary["ledger"]["frames_whole"], 200);
    assert_eq!(sweep(&["--json"]).stdout, "");
}

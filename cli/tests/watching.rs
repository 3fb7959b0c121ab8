//! `trackdrop watch`: what appears in a folder is processed once, when it is complete.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};
use support::{Data, Ended, Running, Scene, clip, codec};

fn watch(data: &Data, folder: &Path, options: &[&str]) -> Running {
    let mut command = data.command();
    command.args(["watch", "--json", "--no-video", "--model"]).arg(support::model()).args(options).arg(folder);
    Running::start(&mut command)
}

/// The videos that are done, by name.
fn done(data: &Data) -> Vec<String> {
    let requests = data.requests();
    let done = requests.iter().filter(|request| request["state"] == "done");
    let mut done: Vec<_> = done.map(|request| request["video"].as_str().unwrap().to_owned()).collect();
    done.sort();
    done
}

/// Waits until these are done, and stops as systemd does.
fn stopped_after(data: &Data, mut watching: Running, videos: &[&str]) -> Ended {
    // Its end is published after its state is set.
    assert!(watching.until(|| done(data) == videos), "{:?}", watching.end());
    watching.signal("TERM");
    watching.end().expect_success()
}

/// A scene with a folder to watch, and a place beside it where clips are made.
fn scene() -> (Scene, PathBuf) {
    let scene = Scene::new();
    let folder = scene.path("cams");
    fs::create_dir(&folder).unwrap();
    (scene, folder)
}

/// Puts a clip into the folder as a program does that does it well: at once.
fn drop_in(scene: &Scene, folder: &Path, name: &str, seconds: u32) {
    let made = scene.path(name);
    clip(&made, seconds, codec::H264);
    fs::rename(made, folder.join(name)).unwrap();
}

#[test]
fn what_appears_is_processed_once_it_is_complete_and_not_before() {
    let (scene, folder) = scene();
    let data = scene.data();
    clip(&scene.path("a.mkv"), 2, codec::H264);
    let whole = fs::read(scene.path("a.mkv")).unwrap();
    // A Matroska file of which half is there is a video of half the length, for a program that does not ask whether it is being written.
    let mut written = File::create(folder.join("a.mkv")).unwrap();
    written.write_all(&whole[..whole.len() / 2]).unwrap();
    // An MP4 without its index, by a program that has closed it for now.
    clip(&scene.path("b.mp4"), 1, codec::H264);
    let complete = fs::read(scene.path("b.mp4")).unwrap();
    fs::write(folder.join("b.mp4"), &complete[..complete.len() / 2]).unwrap();
    fs::write(folder.join("c.mp4.part"), "a download").unwrap();

    let mut watching = watch(&data, &folder, &[]);
    // Files are looked at by name, and taken at the second look: when this one is done, the others were seen to be incomplete.
    drop_in(&scene, &folder, "d.mp4", 1);
    assert!(watching.until(|| done(&data) == ["d.mp4"]));
    assert_eq!(data.requests().len(), 1, "something was taken before it was complete");
    written.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(written);
    fs::write(folder.join("b.mp4"), &complete).unwrap();
    let ended = stopped_after(&data, watching, &["a.mkv", "b.mp4", "d.mp4"]);
    assert!(ended.stderr.contains("a.mkv waits: a program has it open for writing"), "{}", ended.stderr);
    assert!(ended.stderr.contains("b.mp4 waits: it is not a complete video yet"), "{}", ended.stderr);
    assert_eq!(data.query("SELECT frames FROM requests WHERE video = 'a.mkv'"), ["50"]);
}

#[test]
fn a_restart_processes_no_file_again_after_a_touch_or_with_another_filter() {
    let (scene, folder) = scene();
    let data = scene.data();
    for name in ["a.mp4", "b.mp4"] {
        drop_in(&scene, &folder, name, 1);
    }
    let first = stopped_after(&data, watch(&data, &folder, &[]), &["a.mp4", "b.mp4"]);
    assert!(first.stdout.lines().count() <= 2);
    let before = data.objects("");
    File::options().append(true).open(folder.join("a.mp4")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::copy(folder.join("b.mp4"), scene.path("copy")).unwrap();
    fs::rename(scene.path("copy"), folder.join("b.mp4")).unwrap();
    drop_in(&scene, &folder, "c.mp4", 1);
    let second = stopped_after(&data, watch(&data, &folder, &["--min-score=0.5"]), &["a.mp4", "b.mp4", "c.mp4"]);
    let told: Vec<_> = second.json().iter().map(|summary| summary["video"].clone()).collect();
    assert!(told.is_empty() || told == ["c.mp4"], "{told:?}");
    let after = data.objects("");
    assert!(
        before.iter().all(|(object, generation)| after.get(object) == Some(generation)),
        "something was made again"
    );
    assert_eq!(data.requests().len(), 3);
}

#[test]
fn a_watch_that_was_killed_finishes_what_it_began() {
    let (scene, folder) = scene();
    let data = scene.data();
    drop_in(&scene, &folder, "a.mp4", 4);
    let mut watching = watch(&data, &folder, &["--segment-seconds=0.5"]);
    assert!(watching.until(|| !data.objects("work/").is_empty()));
    watching.kill();
    assert!(done(&data).is_empty(), "it was killed too late to show anything");
    let ended = stopped_after(&data, watch(&data, &folder, &["--segment-seconds=0.5"]), &["a.mp4"]);
    assert!(ended.stdout.is_empty() || ended.json()[0]["video"] == "a.mp4");
    assert_eq!(data.query("SELECT frames FROM requests"), ["100"]);
}

#[test]
fn a_video_that_fails_is_told_and_the_next_one_is_processed() {
    let (scene, folder) = scene();
    let data = scene.data();
    // The head of a video whose pictures are gone.
    clip(&scene.path("a.mp4"), 1, codec::H264);
    let mut broken = fs::read(scene.path("a.mp4")).unwrap();
    let at = broken.windows(4).position(|four| four == b"mdat").unwrap();
    let index = broken.windows(4).position(|four| four == b"moov").unwrap();
    broken[at + 4..index - 4].fill(0);
    fs::write(folder.join("a.mp4"), broken).unwrap();
    let mut watching = watch(&data, &folder, &[]);
    assert!(watching.until(|| data.requests().iter().any(|request| request["state"] == "failed")));
    drop_in(&scene, &folder, "b.mp4", 1);
    let ended = stopped_after(&data, watching, &["b.mp4"]);
    assert!(ended.stderr.contains("trackdrop: \"a.mp4\" failed in"), "{}", ended.stderr);
}

#[test]
fn what_can_t_be_watched_is_refused() {
    let (scene, folder) = scene();
    fs::write(scene.path("file.mp4"), "").unwrap();
    let refused =
        |data: &Data, folder: &Path, options: &[&str]| watch(data, folder, options).end().expect_code(1).stderr;
    let data = scene.data();
    assert!(refused(&data, &scene.path("file.mp4"), &[]).contains("is not a folder"));
    assert!(refused(&data, &scene.path("nowhere"), &[]).contains("nowhere"));
    assert!(refused(&data, &folder, &["--classes=unicorn"]).contains("no class \"unicorn\""));
    let inside = Data(scene.path("inside"));
    fs::create_dir_all(inside.0.join("cams")).unwrap();
    assert!(refused(&inside, &inside.0.join("cams"), &[]).contains("data directory"));
}

//! Real processes on real video: killed at random, without a disk to write on, two on one directory, with a clock set back, with many
//! videos, with a slow reader. What comes out is what an undisturbed run gives.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::BTreeSet,
    io::Read,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};
use support::{Data, Running, Scene, SmallDisk, clip, codec, sha256};

const SHORT: &[&str] = &["--segment-seconds", "0.4"];
const OPTIONS: &[&str] = &["--json", "--segment-seconds", "0.4"];

/// The bytes of what a user takes away.
fn results(data: &Data, request: &str) -> Vec<String> {
    ["tracks.parquet", "detections.parquet", "annotated.mp4"].map(|file| sha256(&data.result(request, file))).to_vec()
}

/// Rows are there once, and the tables agree.
fn rows_are_there_once(data: &Data, requests: usize) {
    let rows = "SELECT COUNT(*) - COUNT(DISTINCT (request_id, frame_index, track_id)) FROM tracks";
    assert_eq!(data.query(rows), ["0"]);
    assert_eq!(data.query("SELECT COUNT(*) FROM requests WHERE state = 'done'"), [requests.to_string()]);
}

#[test]
fn twenty_kills_at_random_moments_change_no_byte() {
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::OPEN_GOP);
    let started = Instant::now();
    scene.other("undisturbed").run_json(&[&video], SHORT);
    let whole = started.elapsed();
    // Seeded by the current time, and printed, so that a failure's sequence of kills is known.
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    eprintln!("seed {seed}");
    let (mut state, mut kills, mut directories) = (seed, 0, 0);
    let mut struck = BTreeSet::new();
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    while kills < 20 {
        directories += 1;
        let data = scene.other(&format!("killed-{directories}"));
        loop {
            let (moment, begun) = (whole.mul_f64(random() * 0.6), Instant::now());
            let mut running = Running::start(&mut data.run_command(&[&video], OPTIONS));
            if running.until(|| begun.elapsed() >= moment) && kills < 20 {
                running.kill();
                kills += 1;
                // How far it had come: which folders of `work` have something in them.
                let stages =
                    data.objects("work/").into_keys().filter_map(|name| name.split('/').nth(1).map(str::to_owned));
                struck.insert(stages.collect::<BTreeSet<_>>());
                continue;
            }
            running.end().expect_success();
            break;
        }
        let request = data.only_request();
        let killed = results(&data, &request);
        rows_are_there_once(&data, 1);
        data.run_json(&[&video], &["--segment-seconds", "0.4", "--force"]);
        assert_eq!(results(&data, &request), killed, "seed {seed}");
    }
    eprintln!("{kills} kills, {directories} directories, as far as {struck:?}");
    assert!(struck.len() > 2, "all kills fell into the same moments: {struck:?}");
}

#[test]
fn a_data_directory_that_became_read_only_is_named_and_left_as_it_was() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let Some(disk) = SmallDisk::mount(&scene.path("disk"), 100_000) else {
        eprintln!("skipped: a disk can't be mounted here");
        return;
    };
    let data = Data(disk.path().join("data"));
    data.run_json(&[&video], &[]);
    let before = data.objects("");
    disk.remount("ro");
    let other = scene.path("other.mp4");
    clip(&other, 1, codec::H264);
    let ended = data.run(&[&other], &[]).expect_code(1);
    let [error] = ended.errors()[..] else { panic!("not one error: {ended:?}") };
    assert!(error.to_lowercase().contains("read-only") && error.contains("data"), "{error}");
    disk.remount("rw");
    assert_eq!(data.objects(""), before);
    data.run_json(&[&other], &[]);
    rows_are_there_once(&data, 2);
}

#[test]
fn two_hosts_on_one_directory_do_each_video_once() {
    let scene = Scene::new();
    let videos: Vec<PathBuf> = ["a.mp4", "b.mp4", "c.mp4"].iter().map(|name| scene.path(name)).collect();
    for (video, seconds) in videos.iter().zip([2, 3, 4]) {
        clip(video, seconds, codec::H264);
    }
    let data = scene.data();
    let [a, b, c] = [0, 1, 2].map(|n| videos[n].as_path());
    let hosts = [[a, b], [b, c]].map(|videos| Running::start(&mut data.run_command(&videos, OPTIONS)));
    for host in hosts {
        let states: Vec<_> =
            host.end().expect_success().json().iter().map(|summary| summary["state"].clone()).collect();
        assert_eq!(states, ["done", "done"]);
    }
    rows_are_there_once(&data, 3);
    let alone = scene.other("alone");
    alone.run_json(&[a, b, c], SHORT);
    let rows = |data: &Data| data.query("SELECT * EXCLUDE (request_id, uploaded_at) FROM tracks ORDER BY ALL");
    assert_eq!(rows(&data), rows(&alone));
}

#[test]
fn a_clock_that_is_set_back_a_day_between_two_runs_changes_nothing() {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let mut libraries = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let Some(library) = libraries.find(|library| library.exists()) else {
        eprintln!("skipped: no libfaketime (scripts/setup installs it)");
        return;
    };
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::H264);
    let data = scene.data();
    let mut running = Running::start(&mut data.run_command(&[&video], OPTIONS));
    assert!(running.until(|| !data.objects("work/detections/").is_empty()));
    running.kill();
    let mut yesterday = data.run_command(&[&video], OPTIONS);
    yesterday.env("LD_PRELOAD", library).env("FAKETIME", "-1d").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let summary = Running::start(&mut yesterday).end().expect_success().json().remove(0);
    assert_eq!((&summary["state"], &summary["ledger"]["frames_whole"]), (&"done".into(), &200.into()));
    let finished = data.query("SELECT finished_at < uploaded_at FROM requests");
    assert_eq!(finished, ["true"], "the clock was not set back");
    rows_are_there_once(&data, 1);
    let undisturbed = scene.other("undisturbed");
    undisturbed.run_json(&[&video], SHORT);
    assert_eq!(data.tracks_without_upload(), undisturbed.tracks_without_upload());
}

/// Runs this many small videos in one command; gives the most memory that it had in use, in KiB.
fn run_many(scene: &Scene, count: usize) -> u64 {
    let first = scene.path("first.mp4");
    clip(&first, 1, codec::H264);
    let videos: Vec<PathBuf> = (0..count).map(|n| scene.path(&format!("{n:03}.mp4"))).collect();
    for video in &videos {
        std::fs::copy(&first, video).unwrap();
    }
    let data = scene.other(&format!("many-{count}"));
    let paths: Vec<&Path> = videos.iter().map(PathBuf::as_path).collect();
    let mut running = Running::start(&mut data.run_command(&paths, &["--json"]));
    let (pid, mut peak) = (running.pid(), 0);
    running.until(|| {
        peak = peak.max(peak_memory_kib(pid).unwrap_or_default());
        false
    });
    let ended = running.end().expect_success();
    assert_eq!(ended.json().len(), count);
    rows_are_there_once(&data, count);
    peak
}

/// The most memory that a process has had in use so far; none where it has ended.
fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// What two hundred videos may take, in KiB.
const CEILING_KIB: u64 = 512 * 1_024;

#[test]
fn two_hundred_videos_at_once_stay_below_the_memory_ceiling() {
    let peak = run_many(&Scene::new(), 200);
    eprintln!("peak memory: {peak} KiB");
    assert!((1..CEILING_KIB).contains(&peak), "{peak} KiB");
}

/// What can be read from a pipe at once.
fn bytes_waiting(pipe: &impl AsRawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which `bytes` is; the descriptor is open for as long as `pipe` is borrowed.
    assert_eq!(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) }, 0);
    usize::try_from(bytes).unwrap()
}

#[test]
fn a_reader_that_takes_its_time_gets_every_row() {
    let (scene, video) = Scene::with_clip("walk.mp4", 8, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &["--no-video"]);
    let export = ["export", &data.only_request(), "--format", "ndjson"].map(str::to_owned);
    let quick = data.trackdrop(&export).expect_success().stdout;
    assert!(quick.len() > 65_536, "{} bytes fit into a pipe", quick.len());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut running = Running::start_into(data.command().args(&export), Stdio::from(writer));
    // Nothing is read before the pipe is full to the last page, so that the writer has to wait.
    assert!(running.until(|| bytes_waiting(&reader) > 65_536 - 4_096), "the writer ended though nobody had read");
    let (mut slow, mut few) = (vec![], [0; 61]);
    loop {
        match reader.read(&mut few).unwrap() {
            0 => break,
            bytes => slow.extend_from_slice(&few[..bytes]),
        }
    }
    running.end().expect_success();
    assert!(slow == quick.as_bytes());
}

//! `--detect-every`, as a user sees it: rows of every frame, a video in which every frame is drawn, and versions of fewer looks.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use support::{Data, Scene, codec};
use trackdrop_tables::tracks::{self, TrackRow};

/// The rows of a request.
fn rows(data: &Data, request: &str) -> Vec<TrackRow> {
    tracks::read(std::fs::read(data.result(request, "tracks.parquet")).unwrap().into()).unwrap()
}

#[test]
fn a_version_of_fewer_looks_has_the_rows_that_a_run_has() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::OPEN_GOP);
    let run = |folder: &str, options: &[&str]| {
        let data = scene.other(folder);
        let options = [&["--no-video", "--segment-seconds", "0.4"], options].concat();
        let summary = data.run_json(&[&video], &options).remove(0);
        (data, summary["request_id"].as_str().unwrap().to_owned())
    };
    let retrack = |(data, of): &(Data, String), options: &[&str]| {
        let arguments = [&["retrack", of, "--json", "--no-video"], options].concat();
        let summary = data.trackdrop(arguments).expect_success().json().remove(0);
        rows(data, summary["request_id"].as_str().unwrap())
    };
    let all = run("all", &[]);
    for smooth in [&[][..], &["--smooth", "rts"]] {
        let every = |frames| [&["--detect-every", frames], smooth].concat();
        let (third, sixth) = (run("third", &every("3")), run("sixth", &every("6")));
        let of_third = rows(&third.0, &third.1);
        assert!(of_third.iter().any(|row| !row.observed), "rows between looks");
        assert!(retrack(&all, &every("3")) == of_third, "{smooth:?}");
        let of_sixth = rows(&sixth.0, &sixth.1);
        assert!(of_third != of_sixth);
        assert!(retrack(&all, &every("6")) == of_sixth && retrack(&third, &every("6")) == of_sixth, "{smooth:?}");
        let ledger = &third.0.manifest(&third.1)["ledger"];
        assert_eq!(
            (&ledger["frames"], &ledger["frames_whole"], &ledger["frames_passed_over"]),
            (&75.into(), &26.into(), &49.into())
        );
        let refused = third.0.trackdrop(["retrack", &third.1, "--detect-every", "4", "--no-video"]).expect_code(1);
        assert!(refused.stderr.contains("detections exist for every 3 frames"), "{}", refused.stderr);
        for (data, _) in [third, sixth] {
            std::fs::remove_dir_all(data.0).unwrap();
        }
    }
}

#[test]
fn every_frame_of_the_video_is_drawn_however_few_are_looked_at() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let options = ["--segment-seconds", "0.4", "--detect-every", "7"];
    let summary = scene.data().run_json(&[&video], &options).remove(0);
    assert_eq!(summary["detect_every"], 7);
    let drawn = scene.data().query("SELECT COUNT(DISTINCT frame_index) FROM tracks");
    assert_eq!(drawn, ["75"], "every frame has a row");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(summary["annotated"].as_str().unwrap())
        .arg("-i")
        .arg(&video)
        .args(["-filter_complex", "[0:v][1:v]psnr=stats_file=-", "-f", "null", "-"])
        .output()
        .unwrap();
    let stats = String::from_utf8(output.stdout).unwrap();
    let psnr = |line: &str| line.split("psnr_avg:").nth(1)?.split_whitespace().next()?.parse::<f64>().ok();
    let of_frames: Vec<f64> = stats.lines().filter_map(psnr).collect();
    assert_eq!(of_frames.len(), 75);
    assert!(of_frames.iter().all(|&psnr| (8.0..30.0).contains(&psnr)), "boxes on the picture it was: {of_frames:?}");
}

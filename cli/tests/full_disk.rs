//! A disk that fills up ends the run with a clear message; with more space the same command resumes.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use support::{Data, Ended, Scene, SmallDisk, codec, ffmpeg, frame_times};

/// A clip of which a second takes about half a megabyte, so that a disk of a few megabytes fills up at any stage.
fn heavy_clip(path: &Path) {
    let noise = "-f lavfi -i testsrc2=s=320x240:r=25:d=6 -vf noise=alls=20:allf=t,format=yuv420p";
    ffmpeg(&format!("{noise} {} -b:v 4M", codec::H264), path);
}

const OPTIONS: &[&str] = &["--json", "--segment-seconds", "0.5"];

/// Runs the video on a disk of that size, which it fills; gives what it said. None where nothing can be mounted.
fn fill(scene: &Scene, video: &Path, kib: u32) -> Option<(SmallDisk, Data, Ended)> {
    let Some(disk) = SmallDisk::mount(&scene.path(&format!("disk-{kib}")), kib) else {
        eprintln!("skipped: a disk can't be mounted here");
        return None;
    };
    let data = Data(disk.path().join("data"));
    let ended = data.run(&[video], OPTIONS).expect_code(1);
    let told = ended.stderr.to_lowercase();
    assert!(told.contains("space") && !told.contains("panicked"), "{kib} KiB: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{kib} KiB");
    Some((disk, data, ended))
}

#[test]
fn a_run_that_filled_the_disk_goes_on_when_there_is_space() {
    let scene = Scene::new();
    let video = scene.path("heavy.mp4");
    heavy_clip(&video);
    let bytes = std::fs::metadata(&video).unwrap().len();
    let undisturbed = scene.other("undisturbed");
    let whole = undisturbed.run(&[&video], OPTIONS).expect_success().json().remove(0);
    let times = |summary: &serde_json::Value| frame_times(Path::new(summary["annotated"].as_str().unwrap()));
    // Room for the reserve and the catalog, and for this many copies of the video: it fails at another stage each time.
    for copies in [0.5, 1.5, 2.5] {
        let kib = 2_500 + (copies * bytes as f64 / 1024.0) as u32;
        let Some((disk, data, _)) = fill(&scene, &video, kib) else { return };
        disk.remount("size=200000k");
        let summary = data.run(&[&video], OPTIONS).expect_success().json().remove(0);
        assert_eq!((&summary["state"], &summary["ledger"]["frames_whole"]), (&"done".into(), &150.into()), "{copies}");
        assert_eq!(data.query("SELECT state, error FROM requests"), ["done,"]);
        assert_eq!(data.tracks_without_upload(), undisturbed.tracks_without_upload(), "{copies}");
        assert_eq!(times(&summary), times(&whole), "{copies}");
    }
}

#[test]
fn a_request_that_a_full_disk_stopped_is_listed_as_failed_with_the_reason() {
    let scene = Scene::new();
    let video = scene.path("heavy.mp4");
    heavy_clip(&video);
    let upload_kib = (std::fs::metadata(&video).unwrap().len() / 1024) as u32;
    // Finely from a disk that just can't take the upload (which lies beside a reserve of 1 MiB) to one that can take more than
    // the manifest, then coarsely to one that can't take the annotated video.
    let fine = (0..25).map(|step| upload_kib + 1_040 + 12 * step);
    let sizes = fine.chain((1..4).map(|step| upload_kib + 1_700 + 1_200 * step));
    let mut listed = 0;
    for kib in sizes {
        let Some((_disk, data, ended)) = fill(&scene, &video, kib) else { return };
        for request in data.requests() {
            let reason = request["error"]["message"].as_str().unwrap_or_default();
            assert_eq!(request["state"], "failed", "{kib} KiB: {request}\n{}", ended.stderr);
            assert!(reason.contains("space"), "{kib} KiB: {request}");
            listed += 1;
        }
    }
    assert!(listed > 3, "no disk was large enough for the upload");
}

//! A disk that fills up ends the run with a clear word; with more space the same command goes on.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::{Data, Scene, codec, ffmpeg};

/// A small disk of its own, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where the test may not mount anything.
    fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn enlarge(&self, kib: u32) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &format!("remount,size={kib}k")]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A clip of which a second takes about half a megabyte, so that a disk of a few megabytes fills up at any stage.
fn heavy_clip(path: &Path) {
    let noise = "-f lavfi -i testsrc2=s=320x240:r=25:d=6 -vf noise=alls=20:allf=t,format=yuv420p";
    ffmpeg(&format!("{noise} {} -b:v 4M", codec::H264), path);
}

#[test]
fn a_disk_that_is_full_is_named_and_the_run_goes_on_when_there_is_space() {
    let scene = Scene::new();
    let video = scene.path("heavy.mp4");
    heavy_clip(&video);
    let bytes = std::fs::metadata(&video).unwrap().len();
    let mut failed_in = Vec::new();
    // Room for the reserve and the catalog, and then for so many copies of the video: it fails at another stage each time.
    for (number, copies) in [0.5, 1.5, 2.5].into_iter().enumerate() {
        let room = 2_500 + (copies * bytes as f64 / 1024.0) as u32;
        let Some(disk) = SmallDisk::mount(&scene.path(&format!("disk-{number}")), room) else {
            eprintln!("skipped: a disk can't be mounted here");
            return;
        };
        let data = Data(disk.0.join("data"));
        let options = ["--json", "--segment-seconds", "0.5"];
        let ended = data.run(&[&video], &options).expect_code(1);
        let told = ended.stderr.to_lowercase();
        assert!(told.contains("space") || told.contains("full"), "{copies}: {}", ended.stderr);
        assert!(!told.contains("panicked"), "{copies}: {}", ended.stderr);
        if let Some(request) = data.requests().first() {
            let message = request["error"]["message"].as_str().unwrap_or_default().to_lowercase();
            assert!(request["state"] == "failed" && message.contains("space"), "{copies}: {request}\n{}", ended.stderr);
            failed_in.push(request["error"]["stage"].as_str().unwrap().to_owned());
        }
        disk.enlarge(200_000);
        let summary = data.run(&[&video], &options).expect_success().json().remove(0);
        assert_eq!((&summary["state"], &summary["ledger"]["frames_whole"]), (&"done".into(), &150.into()), "{copies}");
        assert_eq!(data.query("SELECT state, error FROM requests"), ["done,"]);
    }
    failed_in.dedup();
    assert!(failed_in.len() > 1, "not at different moments: {failed_in:?}");
}

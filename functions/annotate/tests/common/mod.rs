//! A chunk to draw on.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; every test takes what it needs of this"
)]

use std::{path::PathBuf, process::Command};
use tempfile::TempDir;
use trackdrop_annotate::{Limits, MediaRenderer, VideoEngine};
use trackdrop_flow::room::Room;
use trackdrop_media::{Cutter, index};
use trackdrop_pipeline::{RequestSettings, SegmentDescription, SegmentNumber};

/// Pictures of the chunk.
pub const FRAMES: u64 = 100;

/// One chunk of noise, which no encoder makes small.
#[allow(dead_code, reason = "each test file takes what it needs")]
pub fn noise(folder: &TempDir) -> (PathBuf, SegmentDescription) {
    let noise = format!("testsrc2=s=320x180:r=25:d={},noise=alls=80:allf=t", FRAMES / 25);
    chunk(folder, &["-f", "lavfi", "-i", &noise, "-preset", "ultrafast"])
}

/// One chunk of the clip that FFmpeg makes of these arguments.
pub fn chunk(folder: &TempDir, input: &[&str]) -> (PathBuf, SegmentDescription) {
    let (clip, chunk) = (folder.path().join("clip.mp4"), folder.path().join("chunk.mkv"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(input).args(["-c:v", "libx264"]);
    let made = ffmpeg.arg(&clip).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let video = index(&clip, &Limits::default()).unwrap();
    let planned = video.plan(1_000.0).unwrap();
    Cutter::open(&clip, &video, &planned).unwrap().next_chunk(&chunk).unwrap();
    let segment = &planned[0];
    let description = SegmentDescription {
        request_id: "req_AAAAAAAA_20260101T000000".parse().unwrap(),
        segment_number: SegmentNumber::new(0).unwrap(),
        segment_count: 1,
        span: segment.span,
        pts_sha256: segment.frame_pts.sha256(),
        sha256: String::new(),
        presentation: video.video_params(),
        settings: RequestSettings::default(),
    };
    (chunk, description)
}

/// A renderer without a GPU.
pub fn renderer() -> MediaRenderer {
    MediaRenderer {
        limits: Limits::default(),
        room: Room::new(u64::MAX),
        threads: 2,
        video_engine: VideoEngine::Software,
    }
}

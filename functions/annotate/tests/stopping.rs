//! Drawing and encoding run in two threads: whichever of them stops, the other stops too, and the reason is what is reported.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use trackdrop_annotate::{Limits, MediaRenderer, Renderer, VideoEngine};
use trackdrop_media::{Cutter, index};
use trackdrop_pipeline::{
    Delivery, FailureKind, PtsList, Rational, RequestSettings, SegmentDescription, SegmentNumber,
};

const FRAMES: u64 = 100;

/// One chunk of noise, which no encoder makes small.
fn chunk(folder: &TempDir) -> (PathBuf, SegmentDescription) {
    let (clip, chunk) = (folder.path().join("clip.mp4"), folder.path().join("chunk.mkv"));
    let noise = format!("testsrc2=s=320x180:r=25:d={},noise=alls=80:allf=t", FRAMES / 25);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &noise, "-c:v", "libx264", "-preset", "ultrafast"]);
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
        first_frame: 0,
        frame_count: segment.expected_frames,
        start_pts: segment.start_pts,
        end_pts: segment.end_pts,
        time_base: Rational::new(video.time_base.num, video.time_base.den).unwrap(),
        pts_sha256: PtsList::new(segment.frame_pts.clone()).unwrap().sha256(),
        sha256: String::new(),
        presentation: serde_json::to_value(video.video_params()).unwrap(),
        settings: RequestSettings::default(),
    };
    (chunk, description)
}

fn renderer() -> MediaRenderer {
    MediaRenderer { limits: Limits::default(), threads: 2, video_engine: VideoEngine::Software }
}

#[test]
fn an_encoder_that_fails_stops_drawing_and_its_failure_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = chunk(&folder);
    let delivery = Delivery::new();
    // A disk that is full from the first block on.
    let failure = renderer().render(&chunk, &segment, &[], Path::new("/dev/full"), &delivery).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Exhausted, "{failure}");
    assert!(failure.to_string().contains("/dev/full"), "{failure}");
    assert!(delivery.work_done() < FRAMES, "drawing stopped before its last frame: {}", delivery.work_done());
}

#[test]
fn a_cancelled_delivery_stops_both_before_the_next_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = chunk(&folder);
    let delivery = Delivery::new();
    delivery.cancel();
    let out = folder.path().join("out.mp4");
    let failure = renderer().render(&chunk, &segment, &[], &out, &delivery).unwrap_err();
    assert_eq!((failure.kind(), delivery.work_done()), (FailureKind::Cancelled, 0), "{failure}");
    // The same work goes well when nobody stops it.
    assert_eq!(renderer().render(&chunk, &segment, &[], &out, &Delivery::new()).unwrap(), FRAMES);
}

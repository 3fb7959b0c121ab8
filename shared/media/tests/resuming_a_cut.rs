//! Cutting may start at any segment, and gives the same bytes as cutting from the start.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{PICTURE, make};
use trackdrop_media::{Cutter, Limits, cut, index};

#[test]
fn each_segment_cut_alone_equals_the_one_pass() {
    for (name, codec) in [
        ("a.mp4", "libx264 -g 12 -bf 3 -x264-params open-gop=1:scenecut=0"),
        ("a.ts", "libx264 -g 12 -bf 3 -x264-params open-gop=1:scenecut=0"),
        ("a.mkv", "libx265 -g 12 -x265-params log-level=none:keyint=12"),
        ("a.avi", "mpeg4 -g 12"),
    ] {
        let clip = make(name, &format!("{PICTURE} -c:v {codec} OUT"));
        let video = index(&clip.path, &Limits::default()).unwrap();
        let segments = video.plan(0.4).unwrap();
        assert!(segments.len() > 4, "{name}");
        let mut cutter = Cutter::open(&clip.path, &video, &segments).unwrap();
        let (one_pass, alone) = (clip.dir.path().join("one_pass.mkv"), clip.dir.path().join("alone.mkv"));
        for segment in &segments {
            cutter.next_chunk(&one_pass).unwrap();
            cut(&clip.path, &video, segment, &alone).unwrap();
            assert!(fs::read(&one_pass).unwrap() == fs::read(&alone).unwrap(), "{name} segment {}", segment.number);
        }
        let mut resumed = Cutter::open(&clip.path, &video, &segments[3..]).unwrap();
        assert_eq!(resumed.next_chunk(&alone).unwrap(), Some(3));
    }
}

//! Segments tile what is shown, whatever the target; a video without key frames says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{PICTURE, make};
use trackdrop_media::{Limits, MediaError, VideoIndex, index};

#[test]
fn segments_tile_the_video_for_any_target() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 7 -bf 2 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    for target in [1e-9, 0.1, 0.233_333_333, 0.7, 3.9, 4.0, 5.0, 1e300, f64::INFINITY] {
        let segments = video.plan(target).unwrap();
        let frames: Vec<i64> = segments.iter().flat_map(|s| s.frame_pts.clone()).collect();
        assert_eq!(frames, video.frame_pts, "{target}");
        for (place, segment) in segments.iter().enumerate() {
            assert_eq!(segment.number as usize, place);
            assert!(segment.start_pts < segment.end_pts && segment.expected_frames > 0);
            let seconds = (segment.end_pts - segment.start_pts) as f64 * video.time_base.to_f64();
            assert!(seconds >= target - 1e-6 || place + 1 == segments.len(), "only the last one is shorter");
        }
    }
    for target in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(matches!(video.plan(target).unwrap_err(), MediaError::Unsupported { .. }));
    }
}

#[test]
fn one_key_frame_makes_one_segment_that_is_marked_overlong() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 600 -x264-params scenecut=0 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(0.9).unwrap();
    assert_eq!(segments.len(), 1);
    assert!(segments[0].is_overlong);
    assert!(!video.plan(1.1).unwrap()[0].is_overlong);
}

#[test]
fn an_index_survives_being_stored() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let again: VideoIndex = serde_json::from_str(&serde_json::to_string(&video).unwrap()).unwrap();
    assert_eq!(again, video);
}

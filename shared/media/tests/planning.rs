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
        let frames: Vec<i64> = segments.iter().flat_map(|s| s.frame_pts.to_vec()).collect();
        assert_eq!(frames, *video.frame_pts, "{target}");
        for (place, segment) in segments.iter().enumerate() {
            assert_eq!(segment.number as usize, place);
            assert!(segment.span.start_pts < segment.span.end_pts && segment.span.frame_count > 0);
            let seconds = (segment.span.end_pts - segment.span.start_pts) as f64 * video.time_base.to_f64();
            assert!(seconds >= target - 1e-6 || place + 1 == segments.len(), "only the last one is shorter");
        }
    }
    for target in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(matches!(video.plan(target).unwrap_err(), MediaError::Unsupported { .. }));
    }
}

#[test]
fn a_stretch_without_a_key_frame_is_divided_only_if_it_is_far_too_long() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 600 -x264-params scenecut=0 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(0.9).unwrap();
    assert_eq!(segments.iter().map(|segment| segment.span.frame_count).collect::<Vec<_>>(), [27, 27, 27, 27, 12]);
    assert!(segments.iter().all(|segment| segment.is_reencoded));
    assert!(segments.windows(2).all(|pair| pair[0].span.end_pts == pair[1].span.start_pts));
    let whole = video.plan(1.1).unwrap();
    assert!(whole.len() == 1 && !whole[0].is_reencoded, "{whole:?}");
}

#[test]
fn copied_and_re_encoded_segments_alternate() {
    let keys = "-force_key_frames 0,0.2,0.4,3.6";
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 600 -x264-params scenecut=0 {keys} OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(0.5).unwrap();
    let kinds: Vec<_> = segments.iter().map(|segment| (segment.is_reencoded, segment.span.frame_count)).collect();
    let of_the_stretch = [(true, 15); 6];
    assert_eq!(kinds, [&[(false, 12)][..], &of_the_stretch, &[(true, 6), (false, 12)]].concat());
}

#[test]
fn an_index_survives_being_stored() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let again: VideoIndex = serde_json::from_str(&serde_json::to_string(&video).unwrap()).unwrap();
    assert_eq!(again, video);
}

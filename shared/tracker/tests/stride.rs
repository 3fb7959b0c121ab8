//! Steps over several frames: what time does to tracks where only some frames were looked at.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use trackdrop_tracker::{ByteTrack, Detection, Settings};

fn at(x: f64, y: f64) -> Detection {
    Detection { x1: x, y1: y, x2: x + 40.0, y2: y + 100.0, score: 0.9 }
}

fn tracker() -> ByteTrack {
    ByteTrack::new(Settings::default()).unwrap()
}

/// The ids by step of an object that is at these places, `frames` from one to the next.
fn ids(frames: u32, places: impl IntoIterator<Item = Detection>) -> Vec<Vec<u64>> {
    let (mut tracker, mut passed) = (tracker(), 1);
    let mut step = |place: Detection| {
        let ids = tracker.step_after(passed, &[place]).iter().map(|track| track.id).collect();
        passed = frames;
        ids
    };
    places.into_iter().map(&mut step).collect()
}

#[test]
fn a_step_over_one_frame_is_a_step() {
    let walk = || (0..20).map(|i| [at(3.0 * f64::from(i), 0.0), at(300.0 - 5.0 * f64::from(i), 20.0)]);
    let (mut one, mut other) = (tracker(), tracker());
    assert!(walk().all(|boxes| one.step(&boxes) == other.step_after(1, &boxes)));
    assert_eq!(one.checkpoint(), other.checkpoint());
}

#[test]
fn what_moves_further_than_its_width_between_two_looks_stays_one_object() {
    // 14 px a frame: three frames are 42 px, and boxes of 40 px do not overlap.
    let fast = || (0..10).map(|look| at(42.0 * f64::from(look), 0.0));
    assert_eq!(ids(3, fast()), vec![vec![1]; 10]);
    // Frame by frame such a jump is another object.
    assert!(ids(1, fast())[1..].iter().all(Vec::is_empty));
}

#[test]
fn what_the_filter_rules_out_is_another_object() {
    let far = [at(0.0, 0.0), at(0.0, 0.0), at(0.0, 0.0), at(250.0, 0.0)];
    assert_eq!(ids(3, far), [vec![1], vec![1], vec![1], vec![]]);
}

#[test]
fn a_lost_object_that_stood_still_is_not_found_in_a_box_that_barely_overlaps_it() {
    for (frames, found) in [(1, vec![1]), (2, vec![])] {
        let mut tracker = tracker();
        tracker.step(&[at(0.0, 0.0)]);
        for _ in 0..5 {
            tracker.step_after(frames, &[at(0.0, 0.0)]);
        }
        tracker.step_after(frames, &[]);
        // One seventh of both: enough for the reference.
        let ids: Vec<u64> = tracker.step_after(frames, &[at(31.0, 0.0)]).iter().map(|track| track.id).collect();
        assert_eq!(ids, found, "{frames} frames a step");
    }
}

#[test]
fn a_lost_object_is_kept_for_as_many_frames_whatever_the_stride() {
    // A track that timed out can still be found in the next look, as in the next frame otherwise.
    for (unseen_looks, is_found) in [(2, true), (5, true), (7, true), (8, false), (12, false)] {
        let mut tracker = tracker();
        tracker.step(&[at(0.0, 0.0)]);
        tracker.step_after(5, &[at(0.0, 0.0)]);
        for _ in 0..unseen_looks {
            assert!(tracker.step_after(5, &[]).is_empty());
        }
        let found: Vec<u64> = tracker.step_after(5, &[at(0.0, 0.0)]).iter().map(|track| track.id).collect();
        assert_eq!(found, if is_found { vec![1] } else { vec![] }, "{unseen_looks} looks without it");
    }
}

#[test]
fn what_all_boxes_do_together_is_the_camera_and_no_speed_of_theirs() {
    let standing = |camera: f64| (0..5).map(move |i| at(camera + 150.0 * f64::from(i), 0.0)).collect::<Vec<_>>();
    let mut tracker = tracker();
    tracker.step(&standing(0.0));
    for _ in 0..6 {
        tracker.step_after(2, &standing(0.0));
    }
    for camera in [20.0, 20.0, 5.0] {
        let boxes = standing(camera);
        for (track, seen) in tracker.step_after(2, &boxes).iter().zip(&boxes) {
            assert!((track.x1 - seen.x1).abs() < 1e-6, "{track:?} {seen:?}");
        }
    }
}

#[test]
fn a_track_is_returned_with_the_detection_that_it_was_born_from() {
    let mut tracker = tracker();
    tracker.step(&[at(0.0, 0.0)]);
    assert_eq!(tracker.births(), [], "in the first frame tracks are returned at once");
    tracker.step_after(3, &[at(500.0, 0.0), at(0.0, 0.0), at(900.0, 0.0)]);
    assert_eq!(tracker.births(), [], "they are returned from the next look on");
    let ids: Vec<u64> = tracker.step_after(3, &[at(500.0, 0.0), at(0.0, 0.0)]).iter().map(|track| track.id).collect();
    assert_eq!((ids, tracker.births()), (vec![1, 2], &[(2, 0)][..]));
    tracker.step_after(3, &[at(500.0, 0.0), at(0.0, 0.0)]);
    assert_eq!(tracker.births(), []);
}

//! When tracks are born, lost, found again and forgotten: the rules of the reference that its golden runs touch but rarely.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

use trackdrop_tracker::{ByteTrack, Detection, Settings};

fn walker(x: f64, score: f64) -> Detection {
    Detection { x1: x, y1: 100.0, x2: x + 40.0, y2: 200.0, score }
}

/// Ids returned in each frame for a standing object that is seen where `seen` holds `x`, with a time-out of 3 frames.
fn ids(seen: &str) -> Vec<Option<u64>> {
    let settings = Settings { track_thresh: 0.3, track_buffer: 3, ..Settings::default() };
    let mut tracker = ByteTrack::new(settings).expect("valid settings");
    let detections = |seen| if seen == 'x' { vec![walker(100.0, 0.9)] } else { vec![] };
    seen.chars().map(|seen| tracker.step(&detections(seen)).first().map(|track| track.id)).collect()
}

#[test]
fn a_lost_track_is_found_again_within_its_time() {
    assert_eq!(ids("x...x").last(), Some(&Some(1)));
}

#[test]
fn a_track_that_times_out_can_still_be_matched_one_frame_later() {
    // Unseen for 3 frames is allowed, timed out in the 4th; the match is in the 5th.
    assert_eq!(ids("x....x").last(), Some(&Some(1)));
}

#[test]
fn a_track_is_forgotten_two_frames_after_its_time() {
    assert_eq!(ids("x.....xx").last(), Some(&Some(2)));
}

#[test]
fn a_track_saved_after_its_time_out_is_dropped_at_once_when_lost_again() {
    assert_eq!(ids("x....xx.xx").last(), Some(&Some(2)));
    assert_eq!(ids("x...xx.xx").last(), Some(&Some(1)));
}

#[test]
fn tracks_born_in_the_first_frame_are_returned_at_once_and_later_ones_when_confirmed() {
    assert_eq!(ids("xx"), [Some(1), Some(1)]);
    assert_eq!(ids(".xx"), [None, None, Some(1)]);
}

#[test]
fn an_unconfirmed_track_uses_up_an_id() {
    assert_eq!(ids(".x.xx").last(), Some(&Some(2)));
}

#[test]
fn a_low_score_does_not_find_a_lost_track_again() {
    let mut tracker = ByteTrack::new(Settings::default()).expect("valid settings");
    assert_eq!(tracker.step(&[walker(100.0, 0.9)]).len(), 1);
    assert_eq!(tracker.step(&[walker(100.0, 0.4)]).len(), 1, "a low score continues a track");
    assert_eq!(tracker.step(&[]).len(), 0);
    assert_eq!(tracker.step(&[walker(100.0, 0.4)]).len(), 0, "but does not find it again");
    assert_eq!(tracker.step(&[walker(100.0, 0.7)])[0].id, 1);
}

#[test]
fn of_identical_detections_the_lowest_index_is_matched() {
    let mut tracker = ByteTrack::new(Settings::default()).expect("valid settings");
    tracker.step(&[walker(100.0, 0.9)]);
    let twins = [walker(500.0, 0.9), walker(101.0, 0.8), walker(101.0, 0.8)];
    assert_eq!(tracker.step(&twins)[0].detection, 1);
}

#[test]
fn found_tracks_are_returned_after_those_that_were_never_lost() {
    let mut tracker = ByteTrack::new(Settings::default()).expect("valid settings");
    let (left, right) = (walker(100.0, 0.9), walker(500.0, 0.9));
    tracker.step(&[left, right]);
    tracker.step(&[right]);
    let ids: Vec<u64> = tracker.step(&[left, right]).iter().map(|track| track.id).collect();
    assert_eq!(ids, [2, 1]);
}

#[test]
fn a_score_of_exactly_the_threshold_does_not_even_continue_a_track() {
    for (score, continued) in [(0.6, false), (0.6_f64.next_up(), true), (0.6_f64.next_down(), true)] {
        let mut tracker = ByteTrack::new(Settings::default()).expect("valid settings");
        tracker.step(&[walker(100.0, 0.9)]);
        assert_eq!(tracker.step(&[walker(100.0, score)]).len(), usize::from(continued), "{score}");
    }
}

#[test]
fn of_two_tracks_of_one_age_on_one_spot_the_lost_one_stays() {
    // So strict that the standing object is never matched: every frame bears a track on the spot of the lost one.
    let settings = Settings { match_thresh: 0.05, ..Settings::default() };
    let mut tracker = ByteTrack::new(settings).expect("valid settings");
    assert_eq!(tracker.step(&[walker(100.0, 0.9)]).len(), 1);
    for _ in 0..5 {
        assert!(tracker.step(&[walker(100.0, 0.9)]).is_empty(), "a newborn track must not outlive the lost one");
    }
}

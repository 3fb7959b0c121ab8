//! Each departure from the reference shows in the test sequence that it is about. That all together are supervision's tracker is shown by
//! `python/tests/test_supervision.py`.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use trackdrop_tracker::{ByteTrack, Checkpoint, Detection, Rules, Settings};

const PLAIN: Rules = Rules::REFERENCE;

fn walker(x: f64, score: f64) -> Detection {
    Detection { x1: x, y1: 50.0, x2: x + 40.0, y2: 150.0, score }
}

/// The ids returned in each frame.
fn ids(settings: &Settings, rules: Rules, frames: &[Vec<Detection>]) -> Vec<Vec<u64>> {
    let mut tracker = ByteTrack::with_rules(settings.clone(), rules).unwrap();
    frames.iter().map(|frame| tracker.step(frame).iter().map(|track| track.id).collect()).collect()
}

fn differ(settings: Settings, rules: Rules, frames: &[Vec<Detection>], plain: &[&[u64]], departed: &[&[u64]]) {
    assert_eq!(ids(&settings, PLAIN, frames), plain, "the reference");
    assert_eq!(ids(&settings, rules, frames), departed, "{rules:?}");
}

#[test]
fn a_score_of_exactly_the_threshold_is_high() {
    let rules = Rules { thresh_is_high: true, ..PLAIN };
    let frames = [vec![walker(0.0, 0.9)], vec![walker(1.0, 0.6)]];
    differ(Settings::default(), rules, &frames, &[&[1], &[]], &[&[1], &[1]]);
}

#[test]
fn a_threshold_near_1_still_lets_tracks_be_born() {
    let rules = Rules { birth_thresh_capped: true, ..PLAIN };
    let settings = Settings { track_thresh: 0.95, ..Settings::default() };
    differ(settings, rules, &[vec![walker(0.0, 0.96)]], &[&[]], &[&[1]]);
}

#[test]
fn boxes_that_only_share_the_extra_pixel_do_not_overlap() {
    let rules = Rules { plain_iou: true, ..PLAIN };
    let settings = Settings { match_thresh: 1.0, score_fusion: false, ..Settings::default() };
    differ(settings, rules, &[vec![walker(0.0, 0.9)], vec![walker(40.0, 0.9)]], &[&[1], &[1]], &[&[1], &[]]);
}

#[test]
fn two_boxes_are_one_object_only_when_they_are_closer() {
    let rules = Rules { close_duplicates: true, ..PLAIN };
    // The first is lost; another is born two pixels beside it.
    let frames = [
        vec![walker(0.0, 0.9), walker(500.0, 0.9)],
        vec![walker(500.0, 0.9)],
        vec![walker(500.0, 0.9), walker(2.0, 0.71)],
    ];
    let settings = Settings { match_thresh: 0.3, ..Settings::default() };
    let mut frames = frames.to_vec();
    frames.push(frames[2].clone());
    differ(settings, rules, &frames, &[&[1, 2], &[2], &[2], &[2]], &[&[1, 2], &[2], &[2], &[2, 3]]);
}

#[test]
fn a_track_saved_in_its_last_frame_may_be_lost_again() {
    let rules = Rules { forgive_timeout: true, ..PLAIN };
    let settings = Settings { track_buffer: 2, ..Settings::default() };
    let seen = |frame: usize| if [4, 6].contains(&frame) || frame == 0 { vec![walker(0.0, 0.9)] } else { vec![] };
    let frames: Vec<_> = (0..7).map(seen).collect();
    let expected: [&[u64]; 7] = [&[1], &[], &[], &[], &[1], &[], &[1]];
    let reference: [&[u64]; 7] = [&[1], &[], &[], &[], &[1], &[], &[]];
    differ(settings, rules, &frames, &reference, &expected);
}

#[test]
fn ids_have_no_gaps_where_they_are_given_at_confirmation() {
    let rules = Rules { ids_at_confirmation: true, ..PLAIN };
    // Id 2 of the reference is never confirmed.
    let frames = [
        vec![walker(0.0, 0.9)],
        vec![walker(0.0, 0.9), walker(300.0, 0.9)],
        vec![walker(0.0, 0.9), walker(600.0, 0.9)],
        vec![walker(0.0, 0.9), walker(600.0, 0.9)],
    ];
    differ(Settings::default(), rules, &frames, &[&[1], &[1], &[1], &[1, 3]], &[&[1], &[1], &[1], &[1, 2]]);
}

#[test]
fn a_track_is_confirmed_after_so_many_frames_in_a_row() {
    let rules = Rules { confirm_frames: 3, ..PLAIN };
    let frames = vec![vec![walker(0.0, 0.9)]; 4];
    differ(Settings::default(), rules, &frames, &[&[1], &[1], &[1], &[1]], &[&[], &[], &[1], &[1]]);
}

#[test]
fn a_pair_at_exactly_the_limit_is_assigned() {
    let rules = Rules { pairs_at_limit: true, plain_iou: true, ..PLAIN };
    let only_plain = Rules { plain_iou: true, ..PLAIN };
    // Moved by a third of its width, the overlap is a half: the cost is the limit.
    let wide = |x: f64| Detection { x1: x, y1: 0.0, x2: x + 90.0, y2: 80.0, score: 0.9 };
    let settings = Settings { match_thresh: 0.5, score_fusion: false, ..Settings::default() };
    let frames = [vec![wide(0.0)], vec![wide(30.0)]];
    assert_eq!(ids(&settings, only_plain, &frames), [vec![1], vec![]]);
    assert_eq!(ids(&settings, rules, &frames), [vec![1], vec![1]]);
}

#[test]
fn a_score_that_is_a_rounded_threshold_is_compared_with_the_rounded_threshold() {
    let rules = Rules { single_precision: true, ..PLAIN };
    let rounded = f64::from(0.7_f32);
    assert!(rounded < 0.7);
    let settings = Settings { track_thresh: 0.6, ..Settings::default() };
    differ(settings, rules, &[vec![walker(0.0, rounded)]], &[&[]], &[&[1]]);
}

#[test]
fn tracks_are_born_in_the_order_of_a_hash_table() {
    let rules = Rules { births_in_set_order: true, ..PLAIN };
    // Of ten detections the last and the third are new: 9 comes before 2 in a table of eight places.
    let row = |count: f64| (0..10).filter(|&i| i != 2 && i != 9).map(|i| walker(100.0 * f64::from(i), count)).collect();
    let first: Vec<Detection> = row(0.9);
    let all: Vec<Detection> = (0..10).map(|i| walker(100.0 * f64::from(i), 0.9)).collect();
    let order = |rules| {
        let mut tracker = ByteTrack::with_rules(Settings::default(), rules).unwrap();
        [&first, &all].iter().for_each(|frame| drop(tracker.step(frame).to_vec()));
        let tracks = tracker.step(&all).to_vec();
        tracks.iter().filter(|track| track.id > 8).map(|track| track.detection).collect::<Vec<_>>()
    };
    assert_eq!((order(PLAIN), order(rules)), (vec![2, 9], vec![9, 2]));
}

#[test]
fn detections_that_overlap_a_tracked_box_are_told() {
    let mut tracker = ByteTrack::new(Settings::default()).unwrap();
    tracker.step(&[walker(0.0, 0.9), walker(500.0, 0.9)]);
    let far = Detection { x1: f64::NAN, ..walker(0.0, 0.9) };
    assert_eq!(
        tracker.overlapping(&[far, walker(503.0, 0.05), walker(200.0, 0.9), walker(0.0, 0.9)]),
        [None, Some(1), None, Some(0)]
    );
}

#[test]
fn a_checkpoint_keeps_the_rules_and_is_the_old_one_without_any() {
    let frames = [vec![walker(0.0, 0.9)], vec![walker(0.0, 0.9), walker(300.0, 0.9)], vec![walker(300.0, 0.9)]];
    for rules in [PLAIN, Rules::SUPERVISION] {
        let mut tracker = ByteTrack::with_rules(Settings::default(), rules).unwrap();
        frames[..2].iter().for_each(|frame| drop(tracker.step(frame).to_vec()));
        let text = serde_json::to_string(&tracker.checkpoint()).unwrap();
        assert_eq!(text.contains("rules"), rules != PLAIN);
        let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
        let mut restored = ByteTrack::restore(checkpoint).unwrap();
        assert_eq!(restored.step(&frames[2]), tracker.step(&frames[2]));
    }
}

//! A tracker may stop after any frame and resume elsewhere.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/crowd.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod crowd;

use serde_json::{Value, json};
use trackdrop_tracker::{ByteTrack, Checkpoint, Detection, RestoreError, Settings, Track};

/// A short buffer, so that tracks time out; a threshold without exact decimal digits.
fn settings() -> Settings {
    Settings { track_thresh: 0.1 + 0.2, track_buffer: 2, frame_rate: 30_000.0 / 1001.0, ..Settings::default() }
}

/// A crowd that disappears for a few frames now and then.
fn frames() -> Vec<Vec<Detection>> {
    let mut frames = crowd::random_walk(40, 240);
    for (index, detections) in frames.iter_mut().enumerate() {
        detections.retain(|detection| index % 17 > 4 || detection.x1 > 300.0 * (index % 5) as f64);
    }
    frames
}

fn bits(tracks: &[Track]) -> Vec<(u64, [u64; 5], usize)> {
    let bits = |track: &Track| [track.x1, track.y1, track.x2, track.y2, track.score].map(f64::to_bits);
    tracks.iter().map(|track| (track.id, bits(track), track.detection)).collect()
}

fn tracker_after(frames: &[Vec<Detection>]) -> ByteTrack {
    let mut tracker = ByteTrack::new(settings()).expect("valid settings");
    for detections in frames {
        tracker.step(detections);
    }
    tracker
}

fn through_json(checkpoint: &Checkpoint) -> Checkpoint {
    let text = serde_json::to_string(checkpoint).expect("a checkpoint serialises");
    serde_json::from_str(&text).expect("and back")
}

#[test]
fn steps_after_a_restore_return_the_same_bits_as_an_uninterrupted_run() {
    let frames = frames();
    let mut random = crowd::Random(3);
    let stops: Vec<usize> = (0..25).map(|_| (random.next() % frames.len() as u64) as usize).collect();
    let mut uninterrupted = tracker_after(&[]);
    let expected: Vec<_> = frames.iter().map(|detections| bits(uninterrupted.step(detections))).collect();
    for stop in stops {
        let checkpoint = through_json(&tracker_after(&frames[..stop]).checkpoint());
        let mut resumed = ByteTrack::restore(checkpoint.clone()).expect("its own checkpoint");
        assert_eq!(resumed.checkpoint(), checkpoint);
        for (detections, expected) in frames[stop..].iter().zip(&expected[stop..]) {
            assert_eq!(&bits(resumed.step(detections)), expected, "stopped before frame {}", stop + 1);
        }
        assert_eq!(resumed.checkpoint(), uninterrupted.checkpoint());
    }
}

#[test]
fn a_restored_tracker_keeps_its_settings_and_its_counts() {
    let mut tracker = tracker_after(&frames()[..9]);
    tracker.step(&[Detection { x1: 0.0, y1: 0.0, x2: 0.0, y2: 5.0, score: 0.9 }]);
    let restored = ByteTrack::restore(through_json(&tracker.checkpoint())).expect("its own checkpoint");
    assert_eq!((restored.settings(), restored.frame_count(), restored.refused()), (&settings(), 10, 1));
}

/// What restoring a checkpoint says after `pointer` in it was set to `value`.
fn restore_with(pointer: &str, value: Value) -> Result<ByteTrack, RestoreError> {
    let mut checkpoint = serde_json::to_value(tracker_after(&frames()[..40]).checkpoint()).expect("serialises");
    *checkpoint.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the checkpoint")) = value;
    ByteTrack::restore(serde_json::from_value(checkpoint).expect("still the shape of a checkpoint"))
}

#[test]
fn a_checkpoint_of_another_version_is_refused() {
    assert_eq!(restore_with("/version", json!(2)).map(drop), Err(RestoreError::Version { found: 2 }));
}

#[test]
fn counters_that_would_overflow_are_refused() {
    for name in ["frame_count", "last_id", "refused"] {
        let result = restore_with(&format!("/{name}"), json!(u64::MAX)).map(drop);
        assert_eq!(result, Err(RestoreError::Count { name, value: u64::MAX }));
    }
}

#[test]
fn tracks_that_contradict_the_checkpoint_are_refused() {
    let nan = json!(f64::NAN.to_bits());
    for (pointer, value, reason) in [
        ("/settings/match_thresh", json!(7.0_f64.to_bits()), "match_thresh"),
        ("/tracked/0/position/2", nan.clone(), "not finite"),
        ("/lost/0/length/1", nan.clone(), "not finite"),
        ("/lost/0/score", nan, "not finite"),
        ("/tracked/0/id", json!(0), "never given"),
        ("/tracked/0/id", json!(1_u64 << 40), "never given"),
        ("/tracked/0/last_frame", json!(39), "not seen"),
        ("/lost/0/last_frame", json!(40), "latest frame"),
        ("/lost/0/first_frame", json!(41), "before it was born"),
        ("/lost/0/confirmed", json!(false), "never confirmed"),
        ("/lost", restore_with("/refused", json!(0)).map(lost_twice).expect("a good checkpoint"), "twice"),
    ] {
        let error = restore_with(pointer, value).expect_err(pointer).to_string();
        assert!(error.contains(reason), "{pointer}: {error}");
    }
}

fn lost_twice(tracker: ByteTrack) -> Value {
    let checkpoint = serde_json::to_value(tracker.checkpoint()).expect("serialises");
    json!([checkpoint["lost"][0], checkpoint["lost"][0]])
}

#[test]
fn absurd_but_finite_numbers_in_a_checkpoint_do_not_stop_the_steps() {
    let frames = frames();
    let mut random = crowd::Random(11);
    for _ in 0..300 {
        let list = ["tracked", "lost"][random.next() as usize % 2];
        let field = ["position", "rate", "length", "aspect"][random.next() as usize % 4];
        let value = [0.0, -1.0, 1e-300, -1e300, f64::MAX, f64::MIN][random.next() as usize % 6];
        let pointer = format!("/{list}/0/{field}/{}", random.next() % 3);
        let mut tracker = restore_with(&pointer, json!(value.to_bits())).expect("finite numbers are accepted");
        for detections in &frames[40..60] {
            tracker.step(detections);
        }
    }
}

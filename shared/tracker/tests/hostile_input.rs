//! Detections come from outside: none may stop the tracker or leak into its state.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/crowd.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod crowd;

use trackdrop_tracker::{ByteTrack, Detection, Settings, SettingsError};

const GOOD: Detection = Detection { x1: 10.0, y1: 10.0, x2: 50.0, y2: 110.0, score: 0.9 };

fn degenerate() -> Vec<Detection> {
    vec![
        Detection { x2: 10.0, ..GOOD },
        Detection { x2: 9.0, ..GOOD },
        Detection { y2: 10.0, ..GOOD },
        Detection { y2: -10.0, ..GOOD },
        Detection { x1: f64::NAN, ..GOOD },
        Detection { y2: f64::INFINITY, ..GOOD },
        Detection { x1: f64::NEG_INFINITY, ..GOOD },
        Detection { score: f64::NAN, ..GOOD },
        Detection { score: f64::INFINITY, ..GOOD },
        Detection { x2: 1e300, ..GOOD },
        Detection { y2: 10.0 + 1e-12, ..GOOD },
    ]
}

fn tracker() -> ByteTrack {
    ByteTrack::new(Settings::default()).expect("valid settings")
}

#[test]
fn degenerate_boxes_are_refused_and_counted() {
    let boxes = degenerate();
    assert!(boxes.iter().all(Detection::is_degenerate));
    assert!(!GOOD.is_degenerate());
    let mut tracker = tracker();
    assert!(tracker.step(&boxes).is_empty());
    assert!(tracker.step(&boxes).is_empty());
    assert_eq!(tracker.refused(), 2 * boxes.len() as u64);
}

#[test]
fn degenerate_boxes_change_neither_the_tracks_nor_the_callers_indices() {
    let mut clean = tracker();
    let mut disturbed = tracker();
    for detections in crowd::random_walk(30, 60) {
        let junk = degenerate();
        let mixed: Vec<_> = junk.iter().chain(&detections).chain(&junk).copied().collect();
        let expected: Vec<_> = clean.step(&detections).to_vec();
        let mut tracks = disturbed.step(&mixed).to_vec();
        tracks.iter_mut().for_each(|track| track.detection -= junk.len());
        assert_eq!(tracks, expected);
    }
}

#[test]
fn no_value_makes_a_step_panic_or_return_what_is_not_a_number() {
    let values = [0.0, -0.0, 1.0, 1e-6, 1e-300, -5.5, 100.0, 1e9, -1e9, 1e300, f64::MAX, f64::NAN, f64::NEG_INFINITY];
    let mut random = crowd::Random(5);
    for thresh in [0.0, 0.05, 1.0] {
        let settings = Settings { track_thresh: thresh, match_thresh: 1.0, track_buffer: 0, ..Settings::default() };
        let mut tracker = ByteTrack::new(settings).expect("valid settings");
        for _ in 0..3_000 {
            let mut value = || values[random.next() as usize % values.len()];
            let mut detection = || Detection { x1: value(), y1: value(), x2: value(), y2: value(), score: value() };
            let detections: Vec<_> = (0..40).map(|_| detection()).collect();
            for track in tracker.step(&detections) {
                assert!([track.x1, track.y1, track.x2, track.y2].iter().all(|edge| edge.is_finite()), "{track:?}");
                assert!(!detections[track.detection].is_degenerate());
            }
        }
    }
}

#[test]
fn settings_out_of_range_are_refused_with_their_value() {
    let default = Settings::default;
    for (settings, error) in [
        (Settings { track_thresh: 1.5, ..default() }, SettingsError::TrackThresh(1.5)),
        (Settings { track_thresh: -0.1, ..default() }, SettingsError::TrackThresh(-0.1)),
        (Settings { match_thresh: 0.0, ..default() }, SettingsError::MatchThresh(0.0)),
        (Settings { match_thresh: 1.01, ..default() }, SettingsError::MatchThresh(1.01)),
        (Settings { frame_rate: 0.0, ..default() }, SettingsError::FrameRate(0.0)),
        (Settings { frame_rate: f64::INFINITY, ..default() }, SettingsError::FrameRate(f64::INFINITY)),
        (
            Settings { frame_rate: 1e200, ..default() },
            SettingsError::TrackBuffer { track_buffer: 30, frame_rate: 1e200 },
        ),
    ] {
        assert_eq!(settings.validate(), Err(error.clone()));
        assert_eq!(ByteTrack::new(settings).map(drop), Err(error));
    }
    assert!(Settings { track_thresh: f64::NAN, ..default() }.validate().is_err());
    assert_eq!(default().validate(), Ok(()));
}

#[test]
fn settings_are_read_with_defaults_and_without_typing_errors() {
    let read: Settings = serde_json::from_str(r#"{"track_buffer": 60}"#).expect("a part of the settings");
    assert_eq!(read, Settings { track_buffer: 60, ..Settings::default() });
    assert!(serde_json::from_str::<Settings>(r#"{"track_bufer": 60}"#).is_err());
}

//! Frames counted from 0 on one side and from 1 on the other.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use trackdrop_eval::{Options, Row, Sequence, evaluate, frame_shift};

/// Three people who walk `speed` px per frame, seen in frames `first..first + 40`.
fn walk(first: u32, speed: f64) -> Sequence {
    let row = |frame, id: u64| {
        let x = 300.0 * id as f64 + f64::from(frame) * speed;
        Row::new(first + frame, id, [x, 10.0, 40.0, 100.0])
    };
    Sequence::from_rows((0..40).flat_map(|frame| (1..=3).map(move |id| row(frame, id))).collect()).unwrap()
}

#[test]
fn tracks_one_frame_early_or_late_are_told_with_what_to_add() {
    for (first, add) in [(1, 1), (3, -1)] {
        let shift = frame_shift(&walk(2, 4.0), &walk(first, 4.0), 0.5).unwrap();
        assert_eq!(shift.add_to_frames, add);
        assert_eq!(shift.overlap_shifted, 100.0);
    }
}

#[test]
fn an_evaluation_warns_of_it() {
    let evaluation = evaluate(&walk(2, 4.0), &walk(1, 4.0), &Options::default());
    let expected = "warning: the tracks lie one frame early (frames counted from 0 on one side, from 1 on the other?): \
                    add 1 to their frames, and they overlap ground truth by 100.0 % instead of 79.8 %\n";
    assert!(evaluation.to_string().ends_with(expected), "{evaluation}");
}

#[test]
fn what_moves_too_fast_to_overlap_at_all_is_told_too() {
    let shift = frame_shift(&walk(2, 60.0), &walk(1, 60.0), 0.5).unwrap();
    assert_eq!((shift.add_to_frames, shift.overlap_as_is), (1, 0.0));
}

#[test]
fn right_frames_raise_no_warning() {
    assert_eq!(frame_shift(&walk(1, 4.0), &walk(1, 4.0), 0.5), None);
}

#[test]
fn a_still_scene_raises_no_warning() {
    // As a tracker that needs two frames to be sure: a shift fits as well, and no better.
    let late = Sequence::from_rows(walk(1, 0.0).rows()[3..].to_vec()).unwrap();
    assert_eq!(frame_shift(&walk(1, 0.0), &late, 0.5), None);
}

#[test]
fn nothing_raises_no_warning() {
    assert_eq!(frame_shift(&Sequence::default(), &Sequence::default(), 0.5), None);
}

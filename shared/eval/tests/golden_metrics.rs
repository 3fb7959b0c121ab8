//! Equality with TrackEval on the golden runs that have ground truth.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/golden.rs"]
mod golden;

use serde_json::Value;
use trackdrop_eval::{Options, Sequence, evaluate, frame_shift};

/// How many there are: a folder that lost some must not pass for complete.
const SEQUENCES: usize = 3;

/// The numbers are percentages, given to four digits, and counts.
const TOLERANCE: f64 = 1e-4;

/// The columns of the printed table.
const SHOWN: [&str; 11] = ["HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "Frag", "FP", "FN", "MT", "ML"];

/// Counts as they are, percentages to four digits.
fn shown(number: &Value) -> String {
    number.as_u64().map_or_else(|| format!("{:.4}", number.as_f64().unwrap_or(f64::NAN)), |count| count.to_string())
}

#[test]
fn every_metric_is_that_of_trackeval() {
    let Some(folder) = golden::folder() else { return };
    let sequences = golden::metrics(&folder).unwrap();
    assert_eq!(sequences.len(), SEQUENCES);
    println!("| sequence | | {} |\n|---|---|{}", SHOWN.join(" | "), "---|".repeat(SHOWN.len()));
    for (name, expected) in sequences {
        let truth = golden::ground_truth(&folder, &name).unwrap();
        let tracks = golden::reference_tracks(&folder, &name).unwrap();
        let evaluation = evaluate(&truth, &tracks, &Options::default());
        let json = serde_json::to_value(&evaluation).unwrap();
        for (metric, value) in expected.as_object().unwrap() {
            let (is, should_be) = (json[metric].as_f64().unwrap(), value.as_f64().unwrap());
            assert!((is - should_be).abs() <= TOLERANCE, "{name}, {metric}: {is} instead of {should_be}");
        }
        let line = |numbers: &Value| SHOWN.map(|metric| shown(&numbers[metric])).join(" | ");
        println!("| {name} | TrackEval | {} |\n| | here | {} |", line(&expected), line(&json));
        assert_eq!(evaluation.frame_shift, None, "{name}: frames are right");
    }
}

#[test]
fn tracks_that_lie_one_frame_off_are_told() {
    let Some(folder) = golden::folder() else { return };
    for (name, _) in golden::metrics(&folder).unwrap() {
        let truth = golden::ground_truth(&folder, &name).unwrap();
        let tracks = golden::reference_tracks(&folder, &name).unwrap();
        for off in [1, -1] {
            let shifted = tracks.rows().iter().filter_map(|row| {
                let frame = row.frame.checked_add_signed(off).filter(|&frame| frame > 0)?;
                Some(trackdrop_eval::Row { frame, ..*row })
            });
            let shifted = Sequence::from_rows(shifted.collect()).unwrap();
            let found = frame_shift(&truth, &shifted, 0.5).unwrap_or_else(|| panic!("{name} by {off} is not noticed"));
            assert_eq!(found.add_to_frames, i64::from(-off), "{name}: {found}");
            println!("{name} by {off}: {found}");
        }
    }
}

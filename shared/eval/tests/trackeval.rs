//! Equality with TrackEval on test sequences of our own, which travel with the repository. `fixtures/make.py` made them and the numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::path::Path;

use serde_json::Value;
use trackdrop_eval::{ALPHAS, Options, Preprocessing, evaluate, read_file};

/// Both sides compute in `f64`; only the order of sums differs.
const TOLERANCE: f64 = 1e-9;

fn check(scene: &str, runs: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("trackeval.json")).unwrap()).unwrap();
    let cases: Vec<_> = cases.iter().filter(|case| case["scene"] == scene).collect();
    assert_eq!(cases.len(), runs);
    let truth = read_file(&folder.join(format!("{scene}.gt.txt"))).unwrap();
    let tracks = read_file(&folder.join(format!("{scene}.tracks.txt"))).unwrap();
    for case in cases {
        let preprocessing = match case["benchmark"].as_str() {
            Some("MOT17") => Preprocessing::Mot17,
            Some("MOT20") => Preprocessing::Mot20,
            _ => Preprocessing::Plain,
        };
        let options = Options { iou: case["iou"].as_f64().unwrap(), preprocessing };
        let evaluation = serde_json::to_value(evaluate(&truth, &tracks, &options)).unwrap();
        let context = format!("{scene}, {options:?}");
        for (name, expected) in case["metrics"].as_object().unwrap() {
            match expected.as_array() {
                None => same(&evaluation[name], expected, &format!("{context}, {name}")),
                Some(alphas) => {
                    assert_eq!(alphas.len(), ALPHAS);
                    for (index, expected) in alphas.iter().enumerate() {
                        for (name, expected) in expected.as_object().unwrap() {
                            let context = format!("{context}, {name} at alpha {index}");
                            same(&evaluation["per_alpha"][index][name], expected, &context);
                        }
                    }
                }
            }
        }
    }
}

fn same(is: &Value, should_be: &Value, context: &str) {
    let (is, should_be) = (is.as_f64().unwrap_or_else(|| panic!("{context} is missing")), should_be.as_f64().unwrap());
    assert!((is - should_be).abs() <= TOLERANCE, "{context}: {is} instead of {should_be}");
}

#[test]
fn a_few_people_who_cross_are_measured_as_by_trackeval() {
    check("crossing", 2);
}

#[test]
fn a_crowd_is_measured_as_by_trackeval() {
    check("crowd", 1);
}

#[test]
fn distractors_and_other_classes_are_left_out_as_by_trackeval() {
    check("distractors", 3);
}

#[test]
fn no_tracks_are_measured_as_by_trackeval() {
    check("no_tracks", 1);
}

#[test]
fn no_ground_truth_is_measured_as_by_trackeval() {
    check("no_ground_truth", 1);
}

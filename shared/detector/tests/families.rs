//! Every family, run by the real ONNX Runtime on a small model with known outputs (`fixtures/make_models.py`).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use support::{assert_same, batch_of, expected, open};
use trackdrop_detector::Family;

fn gives_the_expected_detections(name: &str, family: Family) {
    let detector = open(name);
    assert_eq!(detector.info().family, family);
    assert_eq!(detector.info().class_names, ["person", "men's room", "car"]);
    let found = detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap();
    assert_same(&found[0], &expected()[name]);
}

#[test]
fn yolov8() {
    gives_the_expected_detections("yolov8", Family::YoloV8);
}

#[test]
fn yolov5_multiplies_by_objectness() {
    gives_the_expected_detections("yolov5", Family::YoloV5);
}

#[test]
fn end_to_end_drops_what_is_not_finite_and_keeps_overlaps() {
    gives_the_expected_detections("end_to_end", Family::EndToEnd);
}

#[test]
fn nanodet_by_its_card() {
    gives_the_expected_detections("nanodet", Family::NanoDet);
    assert_eq!(open("nanodet").info().track_thresh, Some(0.45));
}

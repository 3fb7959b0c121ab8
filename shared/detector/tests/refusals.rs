//! A model that can't be used is refused with a reason that a person can act on.

mod support;

use std::fs;

use support::{fixture, try_open};
use trackdrop_detector::DetectorError;

#[test]
fn a_missing_model() {
    let error = try_open(fixture("nowhere.onnx"), 1).unwrap_err();
    assert!(matches!(error, DetectorError::ModelNotFound { .. }) && !error.is_transient());
    assert!(error.to_string().contains("scripts/setup"), "{error}");
}

#[test]
fn files_that_are_not_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let model = fs::read(fixture("yolov8.onnx")).unwrap();
    let cut = &model[..model.len() / 2];
    for (name, bytes) in [("empty", &b""[..]), ("text", b"not a model"), ("cut", cut)] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = try_open(path, 1).unwrap_err();
        assert!(matches!(error, DetectorError::NotOnnx { .. }), "{name}: {error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn outputs_that_fit_no_family() {
    let error = try_open(fixture("classifier.onnx"), 1).unwrap_err();
    let DetectorError::UnknownFamily { readings, .. } = &error else { panic!("{error}") };
    assert!(readings.is_empty());
    let message = error.to_string();
    assert!(message.contains("output0 [1, 3]") && message.contains("a classifier") && message.len() < 400, "{message}");
}

#[test]
fn outputs_that_fit_two_families_need_a_card_and_the_card_decides() {
    let error = try_open(fixture("ambiguous.onnx"), 1).unwrap_err();
    let DetectorError::UnknownFamily { readings, .. } = &error else { panic!("{error}") };
    assert_eq!(readings.len(), 2, "{error}");
    assert!(error.to_string().contains("ambiguous.json"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    fs::copy(fixture("ambiguous.onnx"), &model).unwrap();
    fs::write(dir.path().join("model.json"), r#"{"family": "yolov5"}"#).unwrap();
    let detector = try_open(model, 1).unwrap();
    assert_eq!(detector.info().class_names, ["thing"]);
    assert!(detector.info().card_sha256.is_some());
}

#[test]
fn cards_with_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    fs::copy(fixture("yolov8.onnx"), &model).unwrap();
    for (card, part) in [
        ("{", "EOF"),
        (r#"{"colour_order": "rgb"}"#, "unknown field"),
        (r#"{"family": "yolov99"}"#, "yolov99"),
        (r#"{"family": "yolov5", "class_names": ["a"]}"#, "[1, 7, 40]"),
        (r#"{"std": [1, 0, 1]}"#, "std"),
        (r#"{"nms_iou": 1.5}"#, "nms_iou"),
        (r#"{"input_width": 65}"#, "65"),
    ] {
        fs::write(dir.path().join("model.json"), card).unwrap();
        let error = try_open(model.clone(), 1).unwrap_err();
        assert!(matches!(error, DetectorError::Card { .. }), "{card}: {error}");
        assert!(error.to_string().contains(part), "{card}: {error}");
    }
}

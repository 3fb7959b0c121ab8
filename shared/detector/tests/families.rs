//! Every family, run by the real ONNX Runtime on a small model with known outputs (`fixtures/make_models.py`).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use support::{assert_same, batch_of, expected, fixture, open, open_with_card};
use trackdrop_detector::{Detector, DetectorError, DetectorOptions, Device, DeviceChoice, Family, Origin};

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

#[test]
fn nanodet_raw_measures_from_the_middle_of_a_cell_and_plus_from_its_corner() {
    gives_the_expected_detections("nanodet_raw", Family::NanoDet);
    gives_the_expected_detections("nanodet_plus", Family::NanoDet);
}

#[test]
fn yolox_raw_and_decoded_are_told_apart_by_a_trial() {
    for (name, found) in [("yolox_raw", "raw: "), ("yolox_decoded", "decoded: ")] {
        gives_the_expected_detections(name, Family::YoloX);
        let detector = open(name);
        let decision = detector.info().findings.iter().find(|finding| finding.what == "decoded").unwrap();
        assert!(decision.value.starts_with(found) && decision.origin == Origin::Trial, "{decision:?}");
    }
}

#[test]
fn the_card_decides_how_yolox_is_read() {
    let read_as = |decoded| {
        let detector =
            open_with_card("yolox_raw", &format!(r#"{{"class_names": ["a", "b", "c"], "decoded": {decoded}}}"#));
        detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap().remove(0)
    };
    assert_same(&read_as(false), &expected()["yolox_raw"]);
    assert!(read_as(true).iter().all(|detection| detection.x2 < 20.0), "raw numbers are all near the corner");
}

#[test]
fn transformers_in_the_layouts_of_their_exports() {
    gives_the_expected_detections("rt_detr", Family::RtDetr);
    gives_the_expected_detections("ultralytics_rtdetr", Family::RtDetr);
}

#[test]
fn d_fine_is_asked_for_boxes_of_its_own_input() {
    gives_the_expected_detections("d_fine", Family::RtDetr);
}

#[test]
fn rf_detr_counts_classes_by_cocos_categories() {
    let detector = open("rf_detr");
    assert_eq!(detector.info().family, Family::RfDetr);
    assert_eq!((detector.info().class_name(1), detector.info().class_name(90)), ("person".into(), "toothbrush".into()));
    let found = detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap();
    assert_same(&found[0], &expected()["rf_detr"]);
}

#[test]
fn classes_of_a_group_suppress_each_other() {
    let card = r#"{"class_groups": [["person", "car"]]}"#;
    let detector = open_with_card("yolov8", card);
    let found = detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap();
    assert_same(&found[0], &expected()["grouped"]);
}

#[test]
fn scores_that_are_not_numbers_are_an_error_not_an_empty_picture() {
    let detector = open("not_numbers");
    let error = detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap_err();
    assert!(matches!(error, DetectorError::Outputs { .. }) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("f32"), "{error}");
}

#[test]
fn devices_that_are_not_there_are_an_error_and_auto_takes_the_processor() {
    let with = |device: DeviceChoice| {
        Detector::open(&DetectorOptions { model: fixture("yolov8.onnx"), device, ..DetectorOptions::default() })
    };
    // The library that scripts/setup installs has neither provider, whatever the machine has.
    for (name, device) in [("cuda:1", Device::Cuda(1)), ("tensorrt:0", Device::TensorRt(0))] {
        let error = with(DeviceChoice::Only(device)).unwrap_err();
        assert!(matches!(error, DetectorError::Device { device: asked, .. } if asked == device), "{error}");
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("onnxruntime-gpu") && !error.is_transient(), "{message}");
    }
    assert_eq!(with(DeviceChoice::Auto).unwrap().device(), Device::Cpu);
}

//! ONNX Runtime is loaded once per process, so all of this is one test.

mod support;

use std::path::PathBuf;

use support::fixture;
use trackdrop_detector::{Detector, DetectorError, DetectorOptions, find_runtime};

#[test]
fn a_runtime_that_cannot_be_loaded_is_an_error_and_the_next_attempt_may_succeed() {
    let open_with = |runtime: PathBuf| {
        let model = fixture("yolov8.onnx");
        Detector::open(&DetectorOptions { model, runtime: Some(runtime), ..DetectorOptions::default() })
    };
    let error = open_with("nowhere/libonnxruntime.so".into()).unwrap_err();
    assert!(matches!(&error, DetectorError::RuntimeNotFound { searched } if searched.len() == 1), "{error}");
    assert!(error.to_string().contains("scripts/setup"), "{error}");

    let error = open_with(fixture("yolov8.onnx")).unwrap_err();
    assert!(matches!(error, DetectorError::RuntimeLoad { .. }) && !error.is_transient(), "{error}");

    let runtime = find_runtime().unwrap();
    assert!(open_with(runtime).is_ok());
    assert!(open_with("nowhere/libonnxruntime.so".into()).is_ok(), "the loaded one stays");
}

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use trackdrop_detector::{Detection, Detector, DetectorError, DetectorOptions, DeviceChoice, ImageBatch};

pub(crate) fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

pub(crate) fn try_open(model: PathBuf, batch: usize) -> Result<Detector, DetectorError> {
    Detector::open(&DetectorOptions {
        model,
        runtime: None,
        intra_threads: 1,
        lanes: 2,
        batch: Some(batch),
        device: DeviceChoice::Auto,
        graphs: None,
        always_tried: true,
    })
}

pub(crate) fn open(name: &str) -> Detector {
    try_open(fixture(&format!("{name}.onnx")), 1).expect("the fixture opens; run scripts/setup for ONNX Runtime")
}

/// A fixture with another card than its own.
pub(crate) fn open_with_card(name: &str, card: &str) -> Detector {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    std::fs::copy(fixture(&format!("{name}.onnx")), &model).unwrap();
    std::fs::write(dir.path().join("model.json"), card).unwrap();
    try_open(model, 1).unwrap()
}

pub(crate) fn batch_of(detector: &Detector, frame_width: u32, frame_height: u32) -> ImageBatch {
    ImageBatch::new(detector.info(), detector.batch(), frame_width, frame_height)
}

/// The answers that `make_models.py` computed.
pub(crate) fn expected() -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

/// Same boxes in the same order, to a hundredth of a source pixel and 1e-5 of score.
pub(crate) fn assert_same(found: &[Detection], expected: &serde_json::Value) {
    assert_within(found, expected, 0.01, 1e-5);
}

/// Same boxes in the same order, within this many source pixels and this much score.
pub(crate) fn assert_within(found: &[Detection], expected: &serde_json::Value, px: f64, score: f64) {
    let expected = expected.as_array().unwrap();
    assert!(!expected.is_empty());
    assert_eq!(found.len(), expected.len(), "{found:#?}\n{expected:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let values = [found.x1, found.y1, found.x2, found.y2, found.score, found.class_id as f32];
        for (i, value) in values.into_iter().enumerate() {
            let tolerance = if i < 4 { px } else { score };
            let right = expected[i].as_f64().unwrap();
            assert!((f64::from(value) - right).abs() <= tolerance, "{found:?} is not {expected}");
        }
    }
}

/// The test picture, u8 RGB [height, width, 3]; the same formula as in `make_models.py`.
pub(crate) fn picture(slot: usize, width: usize, height: usize) -> Vec<u8> {
    let pixel = |i: usize| i % 3 * 101 + i / 3 % width * 7 + i / 3 / width * 13 + slot * 57;
    (0..width * height * 3).map(|i| (pixel(i) % 256) as u8).collect()
}

//! The contents of the other slots of a batch never change the detections of a picture.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::{sync::Arc, thread};

use support::{assert_same, assert_within, expected, fixture, picture, try_open};
use trackdrop_detector::{Detection, DetectorError, ImageBatch};

fn detect_all(batch: usize, count: usize) -> Vec<Vec<Detection>> {
    detect_with("batch", batch, count)
}

/// Detections of the test pictures 0..count, run in batches of `batch`.
fn detect_with(model: &str, batch: usize, count: usize) -> Vec<Vec<Detection>> {
    let detector = try_open(fixture(&format!("{model}.onnx")), batch).unwrap();
    let mut images = ImageBatch::new(detector.info(), batch, 96, 48);
    let mut found = Vec::new();
    for first in (0..count).step_by(batch) {
        let used = batch.min(count - first);
        for slot in 0..used {
            images.copy_from(slot, &picture(first + slot, 48, 24));
        }
        found.extend(detector.detect(&images, used, 0.1).unwrap());
    }
    found
}

#[test]
fn each_picture_gets_its_own_detections_whatever_the_batch() {
    let alone = detect_all(1, 3);
    for (slot, right) in expected()["batch"].as_array().unwrap().iter().enumerate() {
        assert_same(&alone[slot], right);
    }
    assert_eq!(detect_all(3, 3), alone);
    assert_eq!(detect_all(2, 3), alone, "the last batch has one picture and one unused slot");
    assert_eq!(detect_all(8, 3), alone);
}

#[test]
fn a_model_of_any_size_runs_at_the_size_of_its_metadata() {
    assert_eq!(detect_with("dynamic", 2, 3), detect_all(2, 3));
}

#[test]
fn a_model_in_f16_gives_the_same_within_its_precision() {
    let found = detect_with("half", 2, 3);
    for (found, right) in found.iter().zip(expected()["batch"].as_array().unwrap()) {
        // f16 has 11 bits: 1/64 of an input pixel, of which there is half of one for each of the source.
        assert_within(found, right, 0.06, 1e-3);
    }
}

#[test]
fn a_slot_that_changes_its_frame_size_keeps_nothing_of_the_old_picture() {
    let detector = try_open(fixture("batch.onnx"), 1).unwrap();
    let mut used_before = ImageBatch::new(detector.info(), 1, 48, 32);
    used_before.copy_from(0, &[255; 48 * 32 * 3]);
    used_before.set_placement(0, detector.info().placement(96, 48));
    used_before.copy_from(0, &picture(1, 48, 24));
    let found = detector.detect(&used_before, 1, 0.1).unwrap();
    assert_same(&found[0], &expected()["batch"][1]);
}

/// The detector writes padding only where it is not there yet.
#[test]
fn pictures_of_other_shapes_before_it_change_nothing() {
    let detector = try_open(fixture("batch.onnx"), 2).unwrap();
    let info = detector.info();
    let mut wide = ImageBatch::new(info, 2, 96, 48);
    (0..2).for_each(|slot| wide.copy_from(slot, &picture(slot, 48, 24)));
    let mut high = ImageBatch::new(info, 2, 24, 32);
    let placement = high.placement(0);
    let inner = (placement.inner_width * placement.inner_height * 3) as usize;
    (0..2).for_each(|slot| high.copy_from(slot, &vec![255; inner]));
    let right = &expected()["batch"];
    let of_high = try_open(fixture("batch.onnx"), 2).unwrap().detect(&high, 2, 0.1).unwrap();
    for used in [2, 1, 2, 2] {
        let found = detector.detect(&wide, used, 0.1).unwrap();
        (0..used).for_each(|slot| assert_same(&found[slot], &right[slot]));
        // Every other time the shapes stay the same from run to run.
        assert_eq!(detector.detect(&high, used, 0.1).unwrap(), of_high[..used]);
        assert_eq!(detector.detect(&high, used, 0.1).unwrap(), of_high[..used]);
    }
}

#[test]
fn threads_share_a_detector() {
    let detector = Arc::new(try_open(fixture("batch.onnx"), 1).unwrap());
    let right = detect_all(1, 3);
    thread::scope(|scope| {
        for (slot, right) in right.iter().enumerate() {
            let detector = Arc::clone(&detector);
            scope.spawn(move || {
                let mut images = ImageBatch::new(detector.info(), 1, 96, 48);
                images.copy_from(0, &picture(slot, 48, 24));
                for _ in 0..50 {
                    assert_eq!(&detector.detect(&images, 1, 0.1).unwrap()[0], right);
                }
            });
        }
    });
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let detector = try_open(fixture("batch.onnx"), 2).unwrap();
    let fits = ImageBatch::new(detector.info(), 2, 96, 48);
    assert!(detector.detect(&fits, 2, 0.1).is_ok());
    assert!(matches!(detector.detect(&fits, 3, 0.1), Err(DetectorError::Batch { .. })), "more pictures than slots");
    let small = ImageBatch::new(detector.info(), 1, 96, 48);
    assert!(matches!(detector.detect(&small, 1, 0.1), Err(DetectorError::Batch { .. })), "another batch size");
    let other = support::open("yolov8");
    let other = ImageBatch::new(other.info(), 2, 96, 48);
    assert!(matches!(detector.detect(&other, 1, 0.1), Err(DetectorError::Batch { .. })), "another input size");
}

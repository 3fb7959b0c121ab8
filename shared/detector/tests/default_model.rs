//! The default model that `scripts/setup` installs.

use trackdrop_detector::{Detector, DetectorOptions, Family, ImageBatch};

#[test]
fn opens_with_its_card_and_sees_nothing_in_an_empty_picture() {
    let detector = Detector::open(&DetectorOptions::default()).expect("run scripts/setup");
    let info = detector.info();
    assert_eq!((info.name.as_str(), info.family), ("nanodet-g-416", Family::NanoDet));
    assert_eq!((info.input_width, info.input_height, detector.batch()), (416, 416, 1));
    assert_eq!((info.class_names.len(), info.class_name(0).as_ref()), (80, "person"));
    assert!(info.license.is_some() && info.track_thresh.is_some());

    let mut images = ImageBatch::new(info, 1, 1920, 1080);
    let placement = images.placement(0);
    images.copy_from(0, &vec![128; placement.inner_width as usize * placement.inner_height as usize * 3]);
    let found = detector.detect(&images, 1, 0.3).unwrap();
    assert!(found[0].is_empty(), "{found:?}");
}

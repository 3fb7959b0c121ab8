//! What detections look like, from the very picture that the network was shown: it is at hand, and small.

use trackdrop_detector::{Detection, ImageBatch};
use trackdrop_refine::{Descriptor, Picture};
use trackdrop_tables::detections::AppearanceBytes;

/// The colours of each detection of the picture in a slot.
pub(crate) fn colors(
    images: &ImageBatch,
    slot: usize,
    detections: &[Detection],
) -> impl Iterator<Item = AppearanceBytes> {
    let placement = images.placement(slot);
    let (planes, stride_bytes) = images.slot(slot);
    let (width, height) = (placement.inner_width, placement.inner_height);
    let picture = Picture { planes, stride_bytes, width, height };
    let scale = [placement.scale_x, placement.scale_y];
    detections.iter().map(move |&Detection { x1, y1, x2, y2, .. }| {
        let bbox = [x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]];
        Descriptor::of(&picture, bbox).0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_detector::{Detector, DetectorOptions};

    #[test]
    fn a_box_in_pixels_of_the_frame_has_the_colours_of_its_place_in_the_input() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/detector/tests/fixtures/yolov8.onnx").into();
        let detector = Detector::open(&DetectorOptions { model, ..DetectorOptions::default() }).unwrap();
        let info = detector.info();
        // A frame twice as wide as high: there is padding above and below, or at the bottom.
        let (width, height) = (4 * info.input_width, 2 * info.input_height);
        let mut images = ImageBatch::new(info, 2, width, height);
        let placement = images.placement(1);
        let inner = (placement.inner_width * placement.inner_height) as usize;
        let left_is_red = (0..inner as u32).map(|at| match at % placement.inner_width < placement.inner_width / 2 {
            true => [255, 0, 0],
            false => [0, 0, 255],
        });
        images.copy_from(1, &left_is_red.flatten().collect::<Vec<u8>>());
        let of = |x1: f32, x2: f32| Detection { x1, x2, y1: 0.0, y2: height as f32, score: 1.0, class_id: 0 };
        let middle = width as f32 / 2.0;
        let found = [of(0.0, middle), of(middle, width as f32)];
        let [left, right] = colors(&images, 1, &found).collect::<Vec<_>>().try_into().unwrap();
        // Bins 2 and 17 of each stripe, all of it.
        let all_of = |bin: usize| -> AppearanceBytes {
            std::array::from_fn(|at| if at % 16 == bin / 2 { 15 << (4 * (bin % 2)) } else { 0 })
        };
        assert_eq!((left, right), (all_of(2), all_of(17)));
    }
}

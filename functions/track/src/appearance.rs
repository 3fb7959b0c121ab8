//! What detections look like: their colours, or vectors that a network computes from their crops.

use trackdrop_detector::{AppearanceModel, Detection, ImageBatch};
use trackdrop_media::{Frame, RgbCropper};
use trackdrop_pipeline::{Appearance, Failure};
use trackdrop_refine::{DESCRIPTOR_BYTES, Descriptor, Picture};
use trackdrop_tables::detections::AppearanceColumn;

use crate::filter_of;

/// Computes the appearance of the detections of one lane, picture after picture.
pub(crate) enum Describer<'a> {
    /// No appearance is requested.
    Nothing,
    /// The colours, from the picture that the detector received, because it is small and in memory.
    Colors(AppearanceColumn),
    /// Vectors of a network, from the whole picture.
    Network(Box<Crops<'a>>),
}

impl<'a> Describer<'a> {
    /// As the settings say. The network computes vectors for detections with a score of at least `least_score`.
    pub(crate) fn new(asked: Option<&Appearance>, network: Option<&'a AppearanceModel>, least_score: f32) -> Self {
        match (asked, network) {
            (_, Some(network)) => Self::Network(Box::new(Crops::new(network, least_score))),
            (Some(_), None) => Self::Colors(AppearanceColumn::new(DESCRIPTOR_BYTES)),
            (None, None) => Self::Nothing,
        }
    }

    /// Takes the detections of the picture in a slot. `frame` is the whole picture. Without it, a network computes
    /// nothing.
    pub(crate) fn take(
        &mut self,
        images: &ImageBatch,
        slot: usize,
        frame: Option<&Frame>,
        detections: &[Detection],
    ) -> Result<(), Failure> {
        match self {
            Self::Nothing => Ok(()),
            Self::Colors(column) => {
                colors(images, slot, detections).for_each(|descriptor| column.push(&descriptor.0));
                Ok(())
            }
            Self::Network(crops) => crops.take(frame, detections),
        }
    }

    /// The appearance of all detections, in their order.
    pub(crate) fn finish(self) -> Result<AppearanceColumn, Failure> {
        match self {
            Self::Nothing => Ok(AppearanceColumn::default()),
            Self::Colors(column) => Ok(column),
            Self::Network(crops) => crops.finish(),
        }
    }
}

/// The colours of each detection of the picture in a slot.
fn colors(images: &ImageBatch, slot: usize, detections: &[Detection]) -> impl Iterator<Item = Descriptor> {
    let placement = images.placement(slot);
    let (planes, stride_bytes) = images.slot(slot);
    let (width, height) = (placement.inner_width, placement.inner_height);
    let picture = Picture { planes, stride_bytes, width, height };
    let scale = [placement.scale_x, placement.scale_y];
    detections.iter().map(move |&Detection { x1, y1, x2, y2, .. }| {
        let bbox = [x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]];
        Descriptor::of(&picture, bbox)
    })
}

/// Crops for a network. They are collected over several pictures, because most pictures have fewer crops than an
/// inference takes.
pub(crate) struct Crops<'a> {
    network: &'a AppearanceModel,
    least_score: f32,
    cropper: RgbCropper,
    images: ImageBatch,
    filled: usize,
    /// For each detection, whether it has a vector.
    is_described: Vec<bool>,
    vectors: Vec<u8>,
}

impl<'a> Crops<'a> {
    fn new(network: &'a AppearanceModel, least_score: f32) -> Self {
        Self {
            network,
            least_score,
            cropper: RgbCropper::new(filter_of(network.resize())),
            images: network.images(),
            filled: 0,
            is_described: Vec::new(),
            vectors: Vec::new(),
        }
    }

    fn take(&mut self, frame: Option<&Frame>, detections: &[Detection]) -> Result<(), Failure> {
        let counts = |found: &Detection| found.score >= self.least_score;
        let frame = frame.filter(|_| detections.iter().any(counts));
        if let Some(frame) = frame {
            self.cropper.take(frame)?;
        }
        for found in detections {
            let is_described = frame.is_some() && found.score >= self.least_score && self.crop(found);
            self.is_described.push(is_described);
            self.filled += usize::from(is_described);
            if self.filled == self.network.at_once() {
                self.run()?;
            }
        }
        Ok(())
    }

    /// Writes a detection's crop into the next slot. False if the box covers no pixel.
    fn crop(&mut self, &Detection { x1, y1, x2, y2, .. }: &Detection) -> bool {
        let (planes, stride_bytes) = self.images.slot_mut(self.filled);
        self.cropper.crop_into([x1, y1, x2, y2], self.network.size_px(), planes, stride_bytes)
    }

    fn run(&mut self) -> Result<(), Failure> {
        self.network.describe_into(&self.images, self.filled, &mut self.vectors)?;
        self.filled = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<AppearanceColumn, Failure> {
        if self.filled > 0 {
            self.run()?;
        }
        let mut column = AppearanceColumn::new(self.network.bytes_each());
        let mut vectors = self.vectors.chunks_exact(self.network.bytes_each());
        for is_described in self.is_described {
            column.push(is_described.then(|| vectors.next()).flatten().unwrap_or_default());
        }
        Ok(column)
    }
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
        let [left, right] =
            colors(&images, 1, &found).map(|descriptor| descriptor.0).collect::<Vec<_>>().try_into().unwrap();
        // Bins 2 and 17 of each stripe, all of it.
        let all_of = |bin: usize| -> [u8; DESCRIPTOR_BYTES] {
            std::array::from_fn(|at| if at % 16 == bin / 2 { 15 << (4 * (bin % 2)) } else { 0 })
        };
        assert_eq!((left, right), (all_of(2), all_of(17)));
    }
}

use std::ops::Range;

use crate::{ModelInfo, Placement};

/// The pictures of one inference, in the layout of the model's input: `slots` pictures of u8 RGB [3, H, W].
///
/// A video scaler writes each scaled frame directly into its slot, which already has the padding around the frame.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    shape: Shape,
    pixels: Vec<u8>,
    placements: Vec<Placement>,
}

/// The properties of the model on which the pictures depend.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    width: usize,
    height: usize,
    pad_color: [u8; 3],
}

/// If two pictures have this in common, the padding around them is the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Surroundings {
    placement: Placement,
    pad_color: [u8; 3],
}

impl Shape {
    fn bytes(self) -> usize {
        3 * self.width * self.height
    }
}

impl ImageBatch {
    /// A batch for `slots` frames of `frame_width` x `frame_height` pixels. Use [`Detector::batch`] slots.
    ///
    /// [`Detector::batch`]: crate::Detector::batch
    #[must_use]
    pub fn new(info: &ModelInfo, slots: usize, frame_width: u32, frame_height: u32) -> Self {
        let shape =
            Shape { width: info.input_width as usize, height: info.input_height as usize, pad_color: info.pad_color };
        let mut batch = Self {
            shape,
            pixels: vec![0; slots * shape.bytes()],
            placements: vec![info.placement(frame_width, frame_height); slots],
        };
        (0..slots).for_each(|slot| batch.pad(slot));
        batch
    }

    /// A batch of pictures that fill the model's input, for a model of which nothing else is known.
    pub(crate) fn of_input(slots: usize, width: u32, height: u32) -> Self {
        let shape = Shape { width: width as usize, height: height as usize, pad_color: [0; 3] };
        let placement = Placement::new(crate::Letterbox::Stretch, (width, height), None, (width, height));
        Self { shape, pixels: vec![0; slots * shape.bytes()], placements: vec![placement; slots] }
    }

    /// How many pictures fit.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.placements.len()
    }

    /// The place of the scaled frame in a slot. Panics if there is no such slot.
    #[must_use]
    pub fn placement(&self, slot: usize) -> Placement {
        self.placements[slot]
    }

    /// Sets another frame size for one slot, for sources whose size changes. The slot then has only padding, unless the
    /// placement is the same.
    pub fn set_placement(&mut self, slot: usize, placement: Placement) {
        if self.placements[slot] != placement {
            self.placements[slot] = placement;
            self.pad(slot);
        }
    }

    /// The planes of a slot (red, green, blue), each from the first pixel of the inner rectangle to the plane's end,
    /// and the bytes from one row to the next. Write `inner_height` rows of `inner_width` bytes. The bytes between them
    /// are padding.
    pub fn slot_mut(&mut self, slot: usize) -> ([&mut [u8]; 3], usize) {
        let placement = self.placements[slot];
        let stride_bytes = self.shape.width;
        let start = placement.pad_top as usize * stride_bytes + placement.pad_left as usize;
        (self.planes_mut(slot).map(|plane| &mut plane[start..]), stride_bytes)
    }

    /// The planes of a slot (red, green, blue), and the bytes from one row to the next. Each plane begins at the first
    /// pixel of the inner rectangle.
    #[must_use]
    pub fn slot(&self, slot: usize) -> ([&[u8]; 3], usize) {
        let (placement, stride_bytes) = (self.placements[slot], self.shape.width);
        let start = placement.pad_top as usize * stride_bytes + placement.pad_left as usize;
        let plane = self.shape.bytes() / 3;
        let picture = self.picture(slot);
        ([0, 1, 2].map(|color| &picture[color * plane + start..(color + 1) * plane]), stride_bytes)
    }

    /// Copies an inner rectangle of tightly packed RGB pixels into a slot.
    ///
    /// # Panics
    ///
    /// If `rgb` is not `inner_width * inner_height * 3` bytes.
    pub fn copy_from(&mut self, slot: usize, rgb: &[u8]) {
        let placement = self.placements[slot];
        let row_bytes = placement.inner_width as usize * 3;
        assert_eq!(rgb.len(), row_bytes * placement.inner_height as usize, "bytes of the inner rectangle");
        let (planes, stride_bytes) = self.slot_mut(slot);
        for (color, plane) in planes.into_iter().enumerate() {
            for (target, row) in plane.chunks_mut(stride_bytes).zip(rgb.chunks_exact(row_bytes)) {
                for (byte, pixel) in target.iter_mut().zip(row.as_chunks::<3>().0) {
                    *byte = pixel[color];
                }
            }
        }
    }

    /// Whether this batch was made for the input of `info`.
    pub(crate) fn fits(&self, info: &ModelInfo) -> bool {
        self.is_of(info.input_width, info.input_height)
    }

    /// Whether its pictures are of this size.
    pub(crate) fn is_of(&self, width: u32, height: u32) -> bool {
        (self.shape.width, self.shape.height) == (width as usize, height as usize)
    }

    /// All bytes of a slot, u8 [3, H, W].
    pub(crate) fn picture(&self, slot: usize) -> &[u8] {
        let bytes = self.shape.bytes();
        &self.pixels[slot * bytes..][..bytes]
    }

    /// The padding around the scaled frame in a slot.
    pub(crate) fn surroundings(&self, slot: usize) -> Surroundings {
        Surroundings { placement: self.placements[slot], pad_color: self.shape.pad_color }
    }

    /// The scaled frame's rows in a slot, as pixels of each plane.
    pub(crate) fn inner_rows(&self, slot: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        let Placement { inner_width, inner_height, pad_left, pad_top, .. } = self.placements[slot];
        let stride = self.shape.width;
        (pad_top..pad_top + inner_height).map(move |row| {
            let start = row as usize * stride + pad_left as usize;
            start..start + inner_width as usize
        })
    }

    /// Fills a whole slot with padding.
    fn pad(&mut self, slot: usize) {
        let color = self.shape.pad_color;
        for (plane, byte) in self.planes_mut(slot).into_iter().zip(color) {
            plane.fill(byte);
        }
    }

    fn planes_mut(&mut self, slot: usize) -> [&mut [u8]; 3] {
        let bytes = self.shape.bytes();
        let slot = &mut self.pixels[slot * bytes..][..bytes];
        let (red, rest) = slot.split_at_mut(bytes / 3);
        let (green, blue) = rest.split_at_mut(bytes / 3);
        [red, green, blue]
    }
}

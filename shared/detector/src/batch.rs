use crate::{ModelInfo, Placement};

/// The pictures of one inference, as the model's input wants them: `slots` pictures of u8 RGB [H, W, 3].
///
/// A video scaler writes each scaled frame straight into its place; the padding around it is there already.
#[derive(Debug, Clone)]
pub struct ImageBatch {
    shape: Shape,
    pixels: Vec<u8>,
    placements: Vec<Placement>,
}

/// What of the model decides about the pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    width: usize,
    height: usize,
    pad_color: [u8; 3],
}

impl ImageBatch {
    /// A batch for `slots` frames of `frame_width` x `frame_height` pixels. Use [`Detector::batch`] slots.
    ///
    /// [`Detector::batch`]: crate::Detector::batch
    #[must_use]
    pub fn new(info: &ModelInfo, slots: usize, frame_width: u32, frame_height: u32) -> Self {
        let shape =
            Shape { width: info.input_width as usize, height: info.input_height as usize, pad_color: info.pad_color };
        let pixels = shape.pad_color.repeat(slots * shape.width * shape.height);
        Self { shape, pixels, placements: vec![info.placement(frame_width, frame_height); slots] }
    }

    /// How many pictures fit.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.placements.len()
    }

    /// Where the scaled frame lies in a slot. Panics if there is no such slot, like indexing.
    #[must_use]
    pub fn placement(&self, slot: usize) -> Placement {
        self.placements[slot]
    }

    /// Places another frame size into one slot, for sources that change theirs. The slot is padding afterwards, unless
    /// the placement stays the same.
    pub fn set_placement(&mut self, slot: usize, placement: Placement) {
        if self.placements[slot] != placement {
            self.placements[slot] = placement;
            let pad = self.shape.pad_color;
            self.slot_pixels(slot).as_chunks_mut::<3>().0.fill(pad);
        }
    }

    /// The bytes of a slot from the first pixel of the inner rectangle to the end of the slot, and the bytes from one
    /// row to the next. Write `inner_height` rows of `inner_width` RGB pixels; what lies between them is padding.
    pub fn slot_mut(&mut self, slot: usize) -> (&mut [u8], usize) {
        let placement = self.placements[slot];
        let stride_bytes = self.shape.width * 3;
        let start = placement.pad_top as usize * stride_bytes + placement.pad_left as usize * 3;
        (&mut self.slot_pixels(slot)[start..], stride_bytes)
    }

    /// Copies an inner rectangle of tightly packed RGB rows into a slot.
    ///
    /// # Panics
    ///
    /// If `rgb` is not `inner_width * inner_height * 3` bytes.
    pub fn copy_from(&mut self, slot: usize, rgb: &[u8]) {
        let placement = self.placements[slot];
        let row_bytes = placement.inner_width as usize * 3;
        assert_eq!(rgb.len(), row_bytes * placement.inner_height as usize, "bytes of the inner rectangle");
        let (pixels, stride_bytes) = self.slot_mut(slot);
        for (target, row) in pixels.chunks_mut(stride_bytes).zip(rgb.chunks_exact(row_bytes)) {
            target[..row_bytes].copy_from_slice(row);
        }
    }

    /// Whether this batch was made for the input of `info`.
    pub(crate) fn fits(&self, info: &ModelInfo) -> bool {
        (self.shape.width, self.shape.height) == (info.input_width as usize, info.input_height as usize)
    }

    /// All bytes of a slot, u8 [H, W, 3].
    pub(crate) fn picture(&self, slot: usize) -> &[u8] {
        let bytes = self.shape.width * self.shape.height * 3;
        &self.pixels[slot * bytes..][..bytes]
    }

    fn slot_pixels(&mut self, slot: usize) -> &mut [u8] {
        let bytes = self.shape.width * self.shape.height * 3;
        &mut self.pixels[slot * bytes..][..bytes]
    }
}

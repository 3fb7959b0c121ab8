//! Cuts boxes out of a picture, in RGB, and scales each to the input of a network.

use crate::{
    Frame, MediaError,
    resize::{OpenCv, Pillow, PlaneFilter, Sizes},
    rgb_scaler::{ResizeFilter, RgbScaler},
};
use std::ops::Range;

/// Takes one picture after the other, and returns the content of its boxes. It reuses its memory for the next picture.
/// Use one per thread.
#[derive(Debug, Default)]
pub struct RgbCropper {
    filter: ResizeFilter,
    scaler: RgbScaler,
    /// Red, green and blue, without room between rows.
    planes: Vec<u8>,
    size: (usize, usize),
}

impl RgbCropper {
    /// A cropper without a picture. It scales boxes by Pillow's filter, or otherwise by OpenCV's: see [`ResizeFilter`].
    pub fn new(filter: ResizeFilter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Takes the next picture, upright and in its own size.
    ///
    /// # Errors
    /// [`MediaError`]: pictures of its format can't be converted.
    pub fn take(&mut self, frame: &Frame) -> Result<(), MediaError> {
        let (width, height) = (frame.width(), frame.height());
        self.size = (width as usize, height as usize);
        let plane = self.size.0 * self.size.1;
        self.planes.resize(3 * plane, 0);
        let (red, rest) = self.planes.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        frame.rgb_scaled_into(&mut self.scaler, width, height, [red, green, blue], width as usize)
    }

    /// Scales the content of a box `[x1, y1, x2, y2]` to `size` (width and height), and writes it into one plane each
    /// for red, green and blue. Rows start `stride_bytes` apart. Pixels that the box covers only partly are included.
    /// If the box covers no pixel, the result is false, and nothing is written.
    pub fn crop_into(
        &self,
        [x1, y1, x2, y2]: [f32; 4],
        size: (u32, u32),
        rgb: [&mut [u8]; 3],
        stride_bytes: usize,
    ) -> bool {
        let (columns, rows) = (pixels(x1..x2, self.size.0), pixels(y1..y2, self.size.1));
        if columns.is_empty() || rows.is_empty() {
            return false;
        }
        let sizes = Sizes { from: (columns.len(), rows.len()), to: (size.0 as usize, size.1 as usize) };
        let start = rows.start * self.size.0 + columns.start;
        match self.filter {
            ResizeFilter::Pillow => self.scale(Pillow::new(sizes), start, rgb, stride_bytes),
            ResizeFilter::OpenCv | ResizeFilter::Swscale => self.scale(OpenCv::new(sizes), start, rgb, stride_bytes),
        }
        true
    }

    fn scale(&self, mut filter: impl PlaneFilter, start: usize, rgb: [&mut [u8]; 3], stride_bytes: usize) {
        let plane = self.size.0 * self.size.1;
        for (source, target) in self.planes.chunks_exact(plane).zip(rgb) {
            filter.run(&source[start..], self.size.0, target, stride_bytes);
        }
    }
}

/// The pixels that a range of a side covers.
fn pixels(stretch: Range<f32>, side: usize) -> Range<usize> {
    // Casts of floats saturate, and take what is no number for 0.
    let inside = |edge: f32| (edge as i64).clamp(0, side as i64) as usize;
    inside(stretch.start.floor())..inside(stretch.end.ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red grows to the right, green downwards, blue is 9.
    fn cropper(filter: ResizeFilter) -> RgbCropper {
        let (width, height) = (40, 30);
        let plane = |of: fn(usize, usize) -> usize| {
            (0..height).flat_map(move |y| (0..width).map(move |x| of(x, y) as u8)).collect::<Vec<u8>>()
        };
        let planes = [plane(|x, _| 2 * x), plane(|_, y| 3 * y), plane(|_, _| 9)].concat();
        RgbCropper { planes, size: (width, height), ..RgbCropper::new(filter) }
    }

    fn cropped(filter: ResizeFilter, bbox: [f32; 4], size: (u32, u32)) -> Option<[Vec<u8>; 3]> {
        let mut rgb = [(); 3].map(|()| vec![0; (size.0 * size.1) as usize]);
        let [red, green, blue] = &mut rgb;
        let stride_bytes = size.0 as usize;
        cropper(filter).crop_into(bbox, size, [red, green, blue], stride_bytes).then_some(rgb)
    }

    #[test]
    fn a_box_in_its_own_size_has_the_pixels_that_it_covers() {
        for filter in [ResizeFilter::OpenCv, ResizeFilter::Pillow] {
            let [red, green, blue] = cropped(filter, [4.2, 10.0, 6.9, 11.5], (3, 2)).unwrap();
            assert_eq!((red, green, blue), (vec![8, 10, 12, 8, 10, 12], vec![30, 30, 30, 33, 33, 33], vec![9; 6]));
        }
    }

    #[test]
    fn a_box_is_stretched_to_the_size_and_cut_at_the_edges_of_the_picture() {
        let [red, green, blue] = cropped(ResizeFilter::Pillow, [-50.0, 20.0, 10.0, 99.0], (1, 1)).unwrap();
        // The means of columns 0 to 9 and of rows 20 to 29, which is 73.5, rounded twice.
        assert_eq!((red, green, blue), (vec![9], vec![73], vec![9]));
    }

    #[test]
    fn a_box_that_covers_no_pixel_gives_nothing() {
        for nothing in [[40.0, 0.0, 50.0, 9.0], [9.0, 9.0, 3.0, 3.0], [f32::NAN; 4], [0.0, -9.0, 9.0, 0.0]] {
            assert_eq!(cropped(ResizeFilter::OpenCv, nothing, (4, 4)), None, "{nothing:?}");
        }
    }
}

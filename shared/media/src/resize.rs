//! Bilinear scaling with the same bytes as OpenCV's `INTER_LINEAR` and Pillow's `BILINEAR`.
//!
//! OpenCV uses two samples per side, for any reduction. Pillow uses a triangle that is two output samples wide, so
//! every sample is used twice.

mod opencv;
mod pillow;
mod yuv;

pub(crate) use opencv::OpenCv;
pub(crate) use pillow::Pillow;
pub(crate) use yuv::{Yuv, YuvLayout, YuvMatrix};

/// The sides of a plane of bytes, before and after scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
}

/// A filter for planes of bytes. It retains its tables and rows from picture to picture.
pub(crate) trait PlaneFilter {
    /// For planes of these sides.
    fn new(sizes: Sizes) -> Self;

    /// The sides for which it was made.
    fn sizes(&self) -> Sizes;

    /// Rows start a stride apart; what lies between them is left alone.
    fn run(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `tests/reference/resized.py` makes it.
    fn picture((width, height): (usize, usize)) -> Vec<u8> {
        let sample = |x: u64, y: u64| (((x * 7919 + y * 104_729) * 2_654_435_761) >> 16 & 63) + (x * 3 + y * 2) % 192;
        (0..height as u64).flat_map(|y| (0..width as u64).map(move |x| sample(x, y) as u8)).collect()
    }

    fn fnv(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// What OpenCV and Pillow gave, by `tests/reference/resized.py`.
    #[test]
    fn every_byte_is_that_of_opencv_and_of_pillow() {
        #[rustfmt::skip]
        let expected = [
            ((768, 576), (640, 480), 0x6d1b5ad087622f69, 0x3936352f0f9e254),
            ((768, 576), (416, 312), 0xac3a35f37cf5cbde, 0x1261b86f89f67533),
            ((960, 540), (320, 180), 0xaf7169a0954d393, 0x19cca3bc2398331a),
            ((1280, 720), (160, 90), 0xe4024feba0c0fd5, 0xbf47b975b92712ed),
            ((640, 480), (320, 240), 0xb4b736bc0a4a400b, 0xb46f82d9cce18f4d),
            ((333, 217), (640, 417), 0x2a4f293728b71723, 0x91a4829a02497ce9),
            ((320, 240), (640, 640), 0xfe73b6ca0d240156, 0xa20b1dc6a433bba5),
            ((97, 61), (97, 61), 0x69f68dd2cd214736, 0x69f68dd2cd214736),
            ((1, 1), (5, 3), 0x2eb09ce4c4320587, 0x2eb09ce4c4320587),
            ((3, 2), (1, 1), 0xaf63d04c8601d828, 0xaf63d04c8601d828),
        ];
        for (from, to, of_opencv, of_pillow) in expected {
            let (source, sizes) = (picture(from), Sizes { from, to });
            // Rows with room behind them, which is left alone.
            let stride = to.0 + 3;
            let packed =
                |scaled: &[u8]| scaled.chunks(stride).flat_map(|row| row[..to.0].to_vec()).collect::<Vec<u8>>();
            let mut scaled = vec![7; stride * to.1];
            let mut opencv = OpenCv::new(sizes);
            for _ in 0..2 {
                opencv.run(&source, from.0, &mut scaled, stride);
                assert_eq!(fnv(&packed(&scaled)), of_opencv, "OpenCV, {sizes:?}");
            }
            Pillow::new(sizes).run(&source, from.0, &mut scaled, stride);
            assert_eq!(fnv(&packed(&scaled)), of_pillow, "Pillow, {sizes:?}");
            assert!(scaled.chunks(stride).all(|row| row[to.0..] == [7; 3]));
        }
    }
}

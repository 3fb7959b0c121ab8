//! Converts the bytes of a picture to the floats that a model takes.

use half::{f16, slice::HalfFloatSliceExt};
use std::ops::Range;

use crate::ColorOrder;

/// `(byte - mean) / std`, from planes of red, green and blue to three planes in the model's colour order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalizer {
    planes: [Plane; 3],
}

/// How a plane of the input is computed.
#[derive(Clone, Copy, Debug)]
struct Plane {
    /// The plane of the picture from which it is computed.
    from: usize,
    mean: f32,
    std: f32,
}

impl Normalizer {
    /// `mean` and `std` are given per plane, in `order`.
    pub(crate) fn new(order: ColorOrder, mean: [f32; 3], std: [f32; 3]) -> Self {
        let plane = |plane: usize| {
            let from = match order {
                ColorOrder::Rgb => plane,
                ColorOrder::Bgr => 2 - plane,
            };
            Plane { from, mean: mean[plane], std: std[plane] }
        };
        Self { planes: std::array::from_fn(plane) }
    }

    /// `rgb`: u8 [3, H, W]; `out`: [3, H, W]. In each plane, the pixels of `spans` are converted.
    pub(crate) fn convert<T: Number>(
        &self,
        rgb: &[u8],
        out: &mut [T],
        spans: impl Iterator<Item = Range<usize>> + Clone,
    ) {
        let pixels = out.len() / 3;
        for (number, plane) in self.planes.iter().enumerate() {
            let floats = &mut out[number * pixels..][..pixels];
            let bytes = &rgb[plane.from * pixels..][..pixels];
            for span in spans.clone() {
                T::fill(&mut floats[span.clone()], &bytes[span], plane.mean, plane.std);
            }
        }
    }
}

/// The element type of a model's input.
pub(crate) trait Number: Copy + Default {
    /// `(byte - mean) / std` of each byte.
    fn fill(out: &mut [Self], bytes: &[u8], mean: f32, std: f32);
}

impl Number for f32 {
    // Vector code needs two thirds of the time of a table with the 256 floats, and has the same bits.
    fn fill(out: &mut [Self], bytes: &[u8], mean: f32, std: f32) {
        for (float, &byte) in out.iter_mut().zip(bytes) {
            *float = (Self::from(byte) - mean) / std;
        }
    }
}

impl Number for f16 {
    /// Each float is rounded once.
    fn fill(out: &mut [Self], bytes: &[u8], mean: f32, std: f32) {
        let mut floats = [0.0; 64];
        for (out, bytes) in out.chunks_mut(floats.len()).zip(bytes.chunks(floats.len())) {
            let floats = &mut floats[..bytes.len()];
            f32::fill(floats, bytes, mean, std);
            out.convert_from_f32_slice(floats);
        }
    }
}

impl Number for u8 {
    /// The nearest byte. With mean 0 and std 1, as for a model that normalises itself, the byte is unchanged.
    fn fill(out: &mut [Self], bytes: &[u8], mean: f32, std: f32) {
        for (out, &byte) in out.iter_mut().zip(bytes) {
            // Values outside the range of a byte are clamped.
            *out = ((f32::from(byte) - mean) / std).round() as Self;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: [f32; 3] = [103.53, 116.28, 123.675];
    const STD: [f32; 3] = [57.375, 57.12, 58.395];
    const PIXELS: usize = 1000;

    fn rgb() -> Vec<u8> {
        (0..3 * PIXELS).map(|i| (i * 7919 / 13 % 256) as u8).collect()
    }

    #[test]
    fn equals_the_formula_for_every_byte_and_both_orders() {
        let rgb = rgb();
        for order in [ColorOrder::Rgb, ColorOrder::Bgr] {
            let mut out = vec![f32::NAN; 3 * PIXELS];
            let mut halves = vec![f16::NAN; 3 * PIXELS];
            let normalizer = Normalizer::new(order, MEAN, STD);
            normalizer.convert(&rgb, &mut out, std::iter::once(0..PIXELS));
            normalizer.convert(&rgb, &mut halves, std::iter::once(0..PIXELS));
            for pixel in 0..PIXELS {
                for plane in 0..3 {
                    let byte = rgb[pixel + PIXELS * if order == ColorOrder::Rgb { plane } else { 2 - plane }];
                    let expected = (f32::from(byte) - MEAN[plane]) / STD[plane];
                    let place = plane * PIXELS + pixel;
                    assert_eq!(out[place].to_bits(), expected.to_bits(), "{order:?} pixel {pixel} plane {plane}");
                    assert_eq!(halves[place], f16::from_f32(expected), "{order:?} pixel {pixel} plane {plane}");
                }
            }
        }
    }

    #[test]
    fn converts_the_spans_of_each_plane_and_nothing_else() {
        let rgb = rgb();
        let normalizer = Normalizer::new(ColorOrder::Bgr, MEAN, STD);
        let (mut whole, mut parts) = (vec![f32::NAN; 3 * PIXELS], vec![f32::NAN; 3 * PIXELS]);
        normalizer.convert(&rgb, &mut whole, std::iter::once(0..PIXELS));
        let spans = [7..90, 500..501];
        normalizer.convert(&rgb, &mut parts, spans.iter().cloned());
        for (place, (whole, part)) in whole.iter().zip(&parts).enumerate() {
            let is_inside = spans.iter().any(|span| span.contains(&(place % PIXELS)));
            assert_eq!(part.to_bits(), if is_inside { whole.to_bits() } else { f32::NAN.to_bits() }, "{place}");
        }
    }
}

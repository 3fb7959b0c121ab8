//! Bytes of a picture to the floats that a model takes.

use half::f16;

use crate::ColorOrder;

/// `(byte - mean) / std`, from planes of red, green and blue to three planes in the model's colour order.
#[derive(Debug, Clone)]
pub(crate) struct Normalizer<T> {
    /// For each plane: which plane of the picture it takes, and the float of each byte.
    planes: [(usize, [T; 256]); 3],
}

impl Normalizer<f32> {
    /// `mean` and `std` are given per plane, in `order`.
    pub(crate) fn new(order: ColorOrder, mean: [f32; 3], std: [f32; 3]) -> Self {
        let plane = |plane: usize| {
            let from = match order {
                ColorOrder::Rgb => plane,
                ColorOrder::Bgr => 2 - plane,
            };
            (from, std::array::from_fn(|value| (value as f32 - mean[plane]) / std[plane]))
        };
        Self { planes: std::array::from_fn(plane) }
    }

    /// The same for models that take f16: each float rounded once.
    pub(crate) fn halved(&self) -> Normalizer<f16> {
        Normalizer { planes: self.planes.map(|(from, table)| (from, table.map(f16::from_f32))) }
    }
}

impl<T: Copy> Normalizer<T> {
    /// `rgb`: u8 [3, H, W]; `out`: [3, H, W]. Only as many pixels as both have are converted.
    pub(crate) fn convert(&self, rgb: &[u8], out: &mut [T]) {
        let pixels = (out.len() / 3).min(rgb.len() / 3);
        if pixels == 0 {
            return;
        }
        for (floats, (from, table)) in out.chunks_exact_mut(pixels).zip(&self.planes) {
            for (float, &byte) in floats.iter_mut().zip(&rgb[from * pixels..][..pixels]) {
                *float = table[usize::from(byte)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_formula_for_every_byte_and_both_orders() {
        let (mean, std) = ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]);
        let rgb: Vec<u8> = (0..3 * 1000).map(|i| (i * 7919 / 13 % 256) as u8).collect();
        for order in [ColorOrder::Rgb, ColorOrder::Bgr] {
            let mut out = vec![f32::NAN; 3 * 1000];
            Normalizer::new(order, mean, std).convert(&rgb, &mut out);
            for pixel in 0..1000 {
                for plane in 0..3 {
                    let byte = rgb[pixel + 1000 * if order == ColorOrder::Rgb { plane } else { 2 - plane }];
                    let expected = (f32::from(byte) - mean[plane]) / std[plane];
                    assert_eq!(out[plane * 1000 + pixel], expected, "{order:?} pixel {pixel} plane {plane}");
                }
            }
        }
    }
}

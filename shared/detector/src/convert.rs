//! Bytes of a picture to the floats that a model takes.

use half::f16;

use crate::ColorOrder;

/// `(byte - mean) / std`, from interleaved RGB to three planes in the model's colour order.
#[derive(Debug, Clone)]
pub(crate) struct Normalizer<T> {
    /// For each plane: which byte of a pixel it takes, and the float of each byte.
    planes: [(usize, [T; 256]); 3],
}

impl Normalizer<f32> {
    /// `mean` and `std` are given per plane, in `order`.
    pub(crate) fn new(order: ColorOrder, mean: [f32; 3], std: [f32; 3]) -> Self {
        let plane = |plane: usize| {
            let byte = match order {
                ColorOrder::Rgb => plane,
                ColorOrder::Bgr => 2 - plane,
            };
            (byte, std::array::from_fn(|value| (value as f32 - mean[plane]) / std[plane]))
        };
        Self { planes: std::array::from_fn(plane) }
    }

    /// The same for models that take f16: each float rounded once.
    pub(crate) fn halved(&self) -> Normalizer<f16> {
        Normalizer { planes: self.planes.map(|(byte, table)| (byte, table.map(f16::from_f32))) }
    }
}

impl<T: Copy> Normalizer<T> {
    /// `rgb`: u8 [H, W, 3]; `out`: [3, H, W]. Only as many pixels as both have are converted.
    pub(crate) fn convert(&self, rgb: &[u8], out: &mut [T]) {
        let pixels = out.len() / 3;
        let (first, rest) = out.split_at_mut(pixels);
        let (second, third) = rest.split_at_mut(pixels);
        let [(b0, t0), (b1, t1), (b2, t2)] = &self.planes;
        let (b0, b1, b2) = (*b0 % 3, *b1 % 3, *b2 % 3); // lets the compiler see that a pixel has that byte
        let out = first.iter_mut().zip(second).zip(third);
        for (pixel, ((f0, f1), f2)) in rgb.as_chunks::<3>().0.iter().zip(out) {
            *f0 = t0[usize::from(pixel[b0])];
            *f1 = t1[usize::from(pixel[b1])];
            *f2 = t2[usize::from(pixel[b2])];
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
                    let byte = rgb[pixel * 3 + if order == ColorOrder::Rgb { plane } else { 2 - plane }];
                    let expected = (f32::from(byte) - mean[plane]) / std[plane];
                    assert_eq!(out[plane * 1000 + pixel], expected, "{order:?} pixel {pixel} plane {plane}");
                }
            }
        }
    }
}

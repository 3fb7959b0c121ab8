//! Colours in YUV. Fills, blends and draws lines on a surface. Everything is clipped.

use crate::canvas::Surface;

/// A half-open rectangle of pixels; may lie outside the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub x0: i32,
    pub y0: i32,
    pub x1: i32,
    pub y1: i32,
}

impl Rect {
    /// Whether any pixel of it is in the picture.
    pub(crate) fn touches(self, surface: &Surface<'_>) -> bool {
        self.x0 < surface.width && self.y0 < surface.height && self.x1 > 0 && self.y1 > 0
    }
}

/// A colour in the picture's own YUV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Brush {
    yuv: [u8; 3],
}

/// The colour of a track. Hues differ by the golden ratio, so neighbouring ids never have similar ones.
pub(crate) fn track_brush(surface: &Surface<'_>, track_id: u64) -> Brush {
    // The fraction of id * golden ratio, in 64-bit fixed point, so that large ids keep their spacing.
    let hue = (track_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1u32 << 24) as f32;
    Brush::from_rgb(surface, hsv(hue, 0.78, 0.98))
}

fn hsv(hue: f32, saturation: f32, value: f32) -> [f32; 3] {
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + hue * 6.0) % 6.0;
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

impl Brush {
    /// From red, green and blue of 0 to 1, by the picture's matrix and range.
    pub(crate) fn from_rgb(surface: &Surface<'_>, [r, g, b]: [f32; 3]) -> Self {
        let (kr, kb) = if surface.is_bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
        let (cb, cr) = ((b - luma) / (2.0 - 2.0 * kb), (r - luma) / (2.0 - 2.0 * kr));
        let (offset, luma_span, chroma_span) =
            if surface.full_range { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
        let byte = |v: f32| v.round().clamp(0.0, 255.0) as u8;
        Self { yuv: [byte(offset + luma_span * luma), byte(128.0 + chroma_span * cb), byte(128.0 + chroma_span * cr)] }
    }

    /// Black or white, whichever reads better on this colour.
    pub(crate) fn readable_ink(self, surface: &Surface<'_>) -> Self {
        let grey = if self.yuv[0] > 110 { 0.05 } else { 1.0 };
        Self::from_rgb(surface, [grey; 3])
    }

    /// Covers the rectangle.
    pub(crate) fn fill(self, surface: &mut Surface<'_>, rect: Rect) {
        let clip = |v: i32, bound: i32| v.clamp(0, bound) as usize;
        let (x0, x1) = (clip(rect.x0, surface.width), clip(rect.x1, surface.width));
        let (y0, y1) = (clip(rect.y0, surface.height), clip(rect.y1, surface.height));
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        for (plane, value) in self.yuv.into_iter().enumerate() {
            let (half, up) = if plane == 0 { (1, 0) } else { (2, 1) };
            let (x0, x1, y0, y1) = (x0 / half, (x1 + up) / half, y0 / half, (y1 + up) / half);
            let (bytes, stride) = surface.plane(plane);
            for row in bytes.chunks_mut(stride).take(y1).skip(y0) {
                row[x0..x1].fill(value);
            }
        }
    }

    /// Mixes the colour into one pixel of a letter. A `strength` of 255 covers the pixel. Four pixels share one colour
    /// sample, so one of the four decides its colour.
    #[inline]
    pub(crate) fn blend_fine(self, surface: &mut Surface<'_>, x: i32, y: i32, strength: u8) {
        if x < 0 || y < 0 || x >= surface.width || y >= surface.height {
            return;
        }
        let (x, y) = (x as usize, y as usize);
        let [luma, cb, cr] = &mut surface.planes;
        mix(&mut luma[y * surface.strides[0] + x], self.yuv[0], strength);
        if (x | y) & 1 == 0 {
            mix(&mut cb[(y >> 1) * surface.strides[1] + (x >> 1)], self.yuv[1], strength);
            mix(&mut cr[(y >> 1) * surface.strides[2] + (x >> 1)], self.yuv[2], strength);
        }
    }

    /// A straight line, `width` pixels wide, with smooth edges.
    pub(crate) fn line(self, surface: &mut Surface<'_>, from: (f32, f32), to: (f32, f32), width: f32) {
        if ![from.0, from.1, to.0, to.1].iter().all(|c| c.is_finite()) {
            return;
        }
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let is_flat = dx.abs() >= dy.abs();
        // Walk along the longer direction; in each step cover the pixels across it.
        let (start, end, across, slope) =
            if is_flat { (from.0, to.0, from.1, dy / dx) } else { (from.1, to.1, from.0, dx / dy) };
        let (bound, across_bound) =
            if is_flat { (surface.width, surface.height) } else { (surface.height, surface.width) };
        let slope = if slope.is_finite() { slope } else { 0.0 };
        let half = 0.5 * width * (1.0 + slope * slope).sqrt();
        let first = start.min(end).floor().max(0.0) as i32;
        let last = start.max(end).ceil().min(bound as f32) as i32;
        let limit = across_bound as f32 + 1.0;
        // Bytes from pixel to pixel along the line and across it, in luma and in chroma.
        let [of_luma, of_chroma] =
            [surface.strides[0], surface.strides[1]].map(|stride| if is_flat { (1, stride) } else { (stride, 1) });
        let [luma, cb, cr] = &mut surface.planes;
        for step in first..last.max(first) {
            let middle = across + slope * (step as f32 + 0.5 - start);
            let (low, high) = ((middle - half).clamp(-1.0, limit), (middle + half).clamp(-1.0, limit));
            // What is cut off is outside the picture.
            for side in floor(low).max(0)..(-floor(-high)).min(across_bound) {
                let cover = high.min((side + 1) as f32) - low.max(side as f32);
                let strength = (cover.clamp(0.0, 1.0) * 255.0) as u8;
                let (step, side) = (step as usize, side as usize);
                mix(&mut luma[step * of_luma.0 + side * of_luma.1], self.yuv[0], strength);
                // Both planes of a picture have the same stride.
                let at = (step >> 1) * of_chroma.0 + (side >> 1) * of_chroma.1;
                mix(&mut cb[at], self.yuv[1], strength);
                mix(&mut cr[at], self.yuv[2], strength);
            }
        }
    }
}

/// Mixes a value into a sample; `strength` of 255 covers it.
#[inline]
fn mix(sample: &mut u8, value: u8, strength: u8) {
    // Most pixels of a line are covered: no need to mix.
    if strength == 255 {
        *sample = value;
        return;
    }
    let mixed = u32::from(*sample) * u32::from(255 - strength) + u32::from(value) * u32::from(strength);
    *sample = ((mixed + 127) / 255) as u8;
}

/// The largest whole number up to a small one; `f32::floor` is a call on processors that may lack the instruction.
#[inline]
fn floor(value: f32) -> i32 {
    let towards_zero = value as i32;
    towards_zero - i32::from(towards_zero as f32 > value)
}

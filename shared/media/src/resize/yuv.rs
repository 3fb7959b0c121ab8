//! Converts a picture in 8-bit YUV to RGB of another size, in one step.

use super::{
    Sizes,
    opencv::{Between, WEIGHT_BITS, Windows, sum_of},
};

/// Converts a picture in 8-bit YUV to RGB and scales it by the filter of `OpenCv`, in one step. Both operations are
/// weighted sums of samples. So most colours of the large picture need not be computed.
///
/// The result differs from two steps in rounding, and in colours outside the range of RGB: two steps clip them in each
/// source pixel, and this step clips only the weighted sum.
#[derive(Debug)]
pub(crate) struct Yuv {
    layout: YuvLayout,
    sizes: Sizes,
    columns: Windows,
    luma_rows: Between,
    chroma_rows: Near,
    /// A row of each kind of sample, summed down: 7 bits behind the point.
    summed: [Vec<i16>; 3],
    /// The rows of chroma, as wide as that of luma.
    widened: [Vec<i16>; 2],
    /// The same, across too, from black and from grey: 6 bits behind the point.
    across: [Vec<i16>; 3],
}

/// How a picture in YUV is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct YuvLayout {
    /// By how many bits the chroma's sides are smaller, across and down.
    pub(crate) smaller: (u32, u32),
    /// Whether both chroma samples of a place are next to each other in the second plane.
    pub(crate) is_paired: bool,
}

/// What the numbers mean, as swscale states it: 16 bits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct YuvMatrix {
    /// Red by V, blue by U, green by U and by V, where samples have the limited range.
    pub(crate) chroma: [i32; 4],
    pub(crate) is_full_range: bool,
}

/// For each row of the target the three rows of chroma that it may be made of, and their weights of 13 bits.
#[derive(Debug)]
struct Near {
    samples: Vec<[u32; 3]>,
    weights: Vec<[i16; 3]>,
}

impl Near {
    /// The chroma samples for the samples of `luma`. If there are half as many chroma samples, each is mixed from two
    /// of them: one quarter and three quarters.
    fn new(luma: &Between, chroma: usize, smaller: u32) -> Self {
        let last = chroma as i64 - 1;
        let (mut samples, mut weights) = (Vec::new(), Vec::new());
        for (places, shares) in luma.samples.iter().zip(&luma.weights) {
            let mut near: Vec<(i64, i16)> = Vec::with_capacity(4);
            let mut add = |sample: i64, weight: i16| {
                let sample = sample.clamp(0, last);
                match near.iter_mut().find(|(known, _)| *known == sample) {
                    Some((_, sum)) => *sum += weight,
                    None => near.push((sample, weight)),
                }
            };
            for (&place, &share) in places.iter().zip(shares) {
                let half = i64::from(place) / 2;
                match (smaller, place % 2) {
                    (0, _) => add(i64::from(place), 4 * share),
                    (_, 0) => [(half - 1, 1), (half, 3)].into_iter().for_each(|(at, part)| add(at, part * share)),
                    _ => [(half, 3), (half + 1, 1)].into_iter().for_each(|(at, part)| add(at, part * share)),
                }
            }
            let at = |n: usize| near.get(n).copied().unwrap_or((0, 0));
            samples.push([0, 1, 2].map(|n| at(n).0 as u32));
            weights.push([0, 1, 2].map(|n| at(n).1));
        }
        Self { samples, weights }
    }
}

/// Bits of a chroma sample's weight, and those behind the point once rows are summed, and once columns are.
const CHROMA_WEIGHT_BITS: u32 = WEIGHT_BITS + 2;
const SUMMED_BITS: u32 = 7;
const ACROSS_BITS: u32 = 6;

impl Yuv {
    pub(crate) fn new(layout: YuvLayout, sizes: Sizes) -> Self {
        let Sizes { from, to } = sizes;
        let luma = (Between::new(from.0, to.0, true), Between::new(from.1, to.1, false));
        let chroma = Self::chroma_sides(layout, from);
        // A window's room, should a row have less.
        let row = |samples: usize| vec![0; samples.max(2)];
        Self {
            layout,
            sizes,
            columns: Windows::new(from.0, &luma.0),
            chroma_rows: Near::new(&luma.1, chroma.1, layout.smaller.1),
            luma_rows: luma.1,
            summed: [row(from.0), row(chroma.0), row(chroma.0)],
            widened: [row(from.0), row(from.0)],
            across: [vec![0; to.0], vec![0; to.0], vec![0; to.0]],
        }
    }

    pub(crate) fn is_for(&self, layout: YuvLayout, sizes: Sizes) -> bool {
        (self.layout, self.sizes) == (layout, sizes)
    }

    fn chroma_sides(layout: YuvLayout, luma: (usize, usize)) -> (usize, usize) {
        let (across, down) = layout.smaller;
        (luma.0.div_ceil(1 << across), luma.1.div_ceil(1 << down))
    }

    /// `planes` with the bytes from row to row of each: two where chroma is paired. Writes red, green and blue.
    pub(crate) fn run(
        &mut self,
        planes: &[(&[u8], usize)],
        matrix: YuvMatrix,
        target: [&mut [u8]; 3],
        target_stride: usize,
    ) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what it is compiled for.
            return unsafe { self.run_on_avx2(planes, matrix, target, target_stride) };
        }
        self.run_anywhere(planes, matrix, target, target_stride);
    }

    /// The same numbers on wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_on_avx2(
        &mut self,
        planes: &[(&[u8], usize)],
        matrix: YuvMatrix,
        target: [&mut [u8]; 3],
        target_stride: usize,
    ) {
        self.run_anywhere(planes, matrix, target, target_stride);
    }

    #[inline(always)]
    fn run_anywhere(
        &mut self,
        planes: &[(&[u8], usize)],
        matrix: YuvMatrix,
        target: [&mut [u8]; 3],
        target_stride: usize,
    ) {
        let colors = Colors::new(matrix);
        let (luma_width, chroma_width) = (self.sizes.from.0, Self::chroma_sides(self.layout, self.sizes.from).0);
        let [summed_y, summed_u, summed_v] = &mut self.summed;
        let [y, u, v] = &mut self.across;
        let [red, green, blue] = target.map(|plane| plane.chunks_mut(target_stride));
        for (row, ((red, green), blue)) in (0..self.sizes.to.1).zip(red.zip(green).zip(blue)) {
            let (luma, stride) = planes[0];
            let [upper, lower] = self.luma_rows.samples[row].map(|at| &luma[at as usize * stride..][..luma_width]);
            let [of_upper, of_lower] = self.luma_rows.weights[row];
            for ((sum, &upper), &lower) in summed_y.iter_mut().zip(upper).zip(lower) {
                *sum = weighed(&[upper, lower], &[of_upper, of_lower], WEIGHT_BITS - SUMMED_BITS);
            }
            let (near, weights) = (self.chroma_rows.samples[row], self.chroma_rows.weights[row]);
            let rows = |plane: usize, width: usize| {
                let (chroma, stride) = planes[plane];
                near.map(|at| &chroma[at as usize * stride..][..width])
            };
            const BITS: u32 = CHROMA_WEIGHT_BITS - SUMMED_BITS;
            if self.layout.is_paired {
                let [first, second, third] = rows(1, 2 * chroma_width).map(|row| row.as_chunks::<2>().0);
                let pairs = first.iter().zip(second).zip(third);
                for ((u, v), ((a, b), c)) in summed_u.iter_mut().zip(&mut *summed_v).zip(pairs) {
                    *u = weighed(&[a[0], b[0], c[0]], &weights, BITS);
                    *v = weighed(&[a[1], b[1], c[1]], &weights, BITS);
                }
            } else {
                for (summed, plane) in [(&mut *summed_u, 1), (&mut *summed_v, 2)] {
                    let [first, second, third] = rows(plane, chroma_width);
                    for (sum, ((&a, &b), &c)) in summed.iter_mut().zip(first.iter().zip(second).zip(third)) {
                        *sum = weighed(&[a, b, c], &weights, BITS);
                    }
                }
            }
            let (wide_u, wide_v): (&[i16], &[i16]) = if self.layout.smaller.0 == 0 {
                (summed_u, summed_v)
            } else {
                let [wide_u, wide_v] = &mut self.widened;
                widen(&summed_u[..chroma_width], &mut wide_u[..luma_width]);
                widen(&summed_v[..chroma_width], &mut wide_v[..luma_width]);
                (wide_u, wide_v)
            };
            let outputs = y.iter_mut().zip(&mut *u).zip(&mut *v);
            for (((y, u), v), window) in outputs.zip(&self.columns.0) {
                let sum = |samples: &[i16], zero: i32| {
                    ((sum_of(samples, window) >> (WEIGHT_BITS + SUMMED_BITS - ACROSS_BITS)) - zero) as i16
                };
                *y = sum(summed_y, colors.black);
                *u = sum(wide_u, 128 << ACROSS_BITS);
                *v = sum(wide_v, 128 << ACROSS_BITS);
            }
            let rgb = red.iter_mut().zip(green).zip(blue);
            for (((red, green), blue), ((&y, &u), &v)) in rgb.zip(y.iter().zip(&*u).zip(&*v)) {
                [*red, *green, *blue] = colors.rgb(y, u, v);
            }
        }
    }
}

/// Samples to twice as many, each of a quarter and three quarters of two; at the edges there is one.
#[inline(always)]
fn widen(samples: &[i16], wide: &mut [i16]) {
    let (Some(&first), Some(&last)) = (samples.first(), samples.last()) else { return };
    let between = |near: i16, far: i16| ((3 * i32::from(near) + i32::from(far) + 2) >> 2) as i16;
    wide[0] = first;
    // Those between two samples.
    let pairs = wide[1..].as_chunks_mut::<2>().0.iter_mut().zip(samples.iter().zip(&samples[1..]));
    for ([after, before], (&left, &right)) in pairs {
        (*after, *before) = (between(left, right), between(right, left));
    }
    // An odd width has no half of the last sample.
    if let Some(end) = wide.get_mut(2 * samples.len() - 1) {
        *end = last;
    }
}

/// The weighted sum of bytes without its last bits, rounded. All products fit into 32 bits, and the sum into 16.
#[inline(always)]
fn weighed<const N: usize>(samples: &[u8; N], weights: &[i16; N], bits: u32) -> i16 {
    let sum: i32 = (0..N).map(|n| i32::from(i16::from(samples[n])) * i32::from(weights[n])).sum();
    ((sum + (1 << (bits - 1))) >> bits) as i16
}

/// Numbers from black and from grey to bytes of RGB.
#[derive(Clone, Copy, Debug)]
struct Colors {
    luma: i16,
    black: i32,
    red_by_v: i16,
    blue_by_u: i16,
    green_by_u: i16,
    green_by_v: i16,
}

/// Bits behind the point of a colour's factors, which fit into 16 bits.
const FACTOR_BITS: u32 = 13;

impl Colors {
    fn new(YuvMatrix { chroma, is_full_range }: YuvMatrix) -> Self {
        const BEHIND: i64 = 1 << (16 - FACTOR_BITS);
        let factor = |number: i64| ((number + BEHIND / 2) / BEHIND) as i16;
        let [red_by_v, blue_by_u, green_by_u, green_by_v] = chroma.map(|number| match is_full_range {
            true => factor(i64::from(number) * 224 / 255),
            false => factor(i64::from(number)),
        });
        let luma = factor(if is_full_range { 1 << 16 } else { (1 << 16) * 255 / 219 });
        let black = if is_full_range { 0 } else { 16 << ACROSS_BITS };
        Self { luma, black, red_by_v, blue_by_u, green_by_u, green_by_v }
    }

    #[inline(always)]
    fn rgb(self, y: i16, u: i16, v: i16) -> [u8; 3] {
        const BITS: u32 = FACTOR_BITS + ACROSS_BITS;
        let by = |number: i16, factor: i16| i32::from(number) * i32::from(factor);
        let y = by(y, self.luma) + (1 << (BITS - 1));
        let red = y + by(v, self.red_by_v);
        let green = y - by(u, self.green_by_u) - by(v, self.green_by_v);
        let blue = y + by(u, self.blue_by_u);
        [red, green, blue].map(|sum| (sum >> BITS).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chroma_of_half_the_size_lies_between_the_luma() {
        for (width, expected) in [(6, vec![10, 12, 18, 26, 34, 38]), (5, vec![10, 12, 18, 26, 34])] {
            let mut wide = vec![0; width];
            widen(&[10, 20, 40], &mut wide);
            let near = wide.iter().zip(&expected).all(|(a, b): (&i16, &i16)| a.abs_diff(*b) <= 3);
            assert!(near && wide[0] == 10, "{wide:?}");
        }
        let luma = Between::new(8, 8, true);
        let near = Near::new(&luma, 4, 1);
        assert_eq!((near.samples[2][..2].to_vec(), near.weights[2]), (vec![0, 1], [2048, 6144, 0]));
        assert_eq!((near.samples[0][0], near.weights[0]), (0, [8192, 0, 0]), "at the edge there is one");
        assert!(near.weights.iter().all(|weights| weights.iter().sum::<i16>() == 8192));
    }
}

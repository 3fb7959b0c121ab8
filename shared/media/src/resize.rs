//! Bilinear scaling to the byte as OpenCV's `INTER_LINEAR` and Pillow's `BILINEAR` do it.
//!
//! OpenCV weighs two samples a side, whatever the reduction; Pillow weighs all samples that an output covers, twice over.

/// How a side of so many samples becomes another: for each output the two samples it lies between, and their weights of 11 bits.
#[derive(Clone, Debug, PartialEq)]
struct Between {
    samples: Vec<[u32; 2]>,
    weights: Vec<[i16; 2]>,
}

/// The weights of OpenCV for bytes.
const WEIGHT_BITS: u32 = 11;

impl Between {
    /// Beyond an edge `of_columns` weighs the outermost sample alone; rows weigh it twice, which rounds otherwise.
    fn new(from: usize, to: usize, of_columns: bool) -> Self {
        let scale = 1.0 / (to as f64 / from as f64);
        let one = f32::from(1u16 << WEIGHT_BITS);
        let last = from as i64 - 1;
        let (mut samples, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for place in 0..to {
            let position = ((place as f64 + 0.5) * scale - 0.5) as f32;
            let mut before = position.floor() as i64;
            let mut share = position - before as f32;
            if of_columns && !(0..last).contains(&before) {
                (before, share) = (before.clamp(0, last), 0.0);
            }
            samples.push([before, before + 1].map(|sample| sample.clamp(0, last) as u32));
            weights.push([1.0 - share, share].map(|share| (share * one).round_ties_even() as i16));
        }
        Self { samples, weights }
    }
}

/// For each column of the target the two neighbours that it is made of, and their weights.
#[derive(Debug)]
struct Windows(Vec<(u32, [i16; 2])>);

impl Windows {
    /// Where there is only one sample, the row must be longer.
    fn new(samples: usize, columns: &Between) -> Self {
        let last_start = samples.saturating_sub(2) as u32;
        let window = |(&[first, _], &weights): (&[u32; 2], &[i16; 2])| match first > last_start {
            // The outermost sample alone.
            true => (last_start, [0, weights[0]]),
            false => (first, weights),
        };
        Self(columns.samples.iter().zip(&columns.weights).map(window).collect())
    }
}

/// The weighted sum of the two samples of a window.
#[inline(always)]
fn sum_of<T: Copy + Default + Into<i32>>(samples: &[T], (start, weights): &(u32, [i16; 2])) -> i32 {
    let [first, second] = samples[*start as usize..].first_chunk::<2>().copied().unwrap_or_default();
    first.into() * i32::from(weights[0]) + second.into() * i32::from(weights[1])
}

/// The sides of a plane of bytes and of what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
}

/// `INTER_LINEAR` of OpenCV for one plane of bytes. Keeps its tables and rows from picture to picture.
#[derive(Debug)]
pub(crate) struct OpenCv {
    sizes: Sizes,
    columns: Windows,
    rows: Between,
    /// Two rows of the source, scaled across, and which they are. Of the 11 bits of a weight, 7 are kept.
    across: [(Option<u32>, Vec<i16>); 2],
    /// A row of one byte, which is no window.
    short: [u8; 2],
}

impl OpenCv {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let Sizes { from, to } = sizes;
        Self {
            sizes,
            columns: Windows::new(from.0, &Between::new(from.0, to.0, true)),
            rows: Between::new(from.1, to.1, false),
            across: [(None, vec![0; to.0]), (None, vec![0; to.0])],
            short: [0; 2],
        }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Rows start a stride apart; what lies between them is left alone.
    pub(crate) fn run(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what it is compiled for.
            return unsafe { self.run_on_avx2(source, source_stride, target, target_stride) };
        }
        self.run_anywhere(source, source_stride, target, target_stride);
    }

    /// The same numbers on wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_on_avx2(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
        self.run_anywhere(source, source_stride, target, target_stride);
    }

    #[inline(always)]
    fn run_anywhere(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
        let (width, columns) = (self.sizes.from.0, &self.columns);
        self.across.iter_mut().for_each(|(row, _)| *row = None);
        let rows = self.rows.samples.iter().zip(&self.rows.weights);
        for ((&[upper, lower], &[of_upper, of_lower]), target) in rows.zip(target.chunks_mut(target_stride)) {
            // The next row's upper one is often this row's lower one.
            if self.across[1].0 == Some(upper) {
                self.across.swap(0, 1);
            }
            for ((row, across), wanted) in self.across.iter_mut().zip([upper, lower]) {
                if *row != Some(wanted) {
                    let mut source = &source[wanted as usize * source_stride..][..width];
                    if let &[only] = source {
                        self.short[0] = only;
                        source = &self.short;
                    }
                    for (number, window) in across.iter_mut().zip(&columns.0) {
                        *number = (sum_of(source, window) >> 4) as i16;
                    }
                    *row = Some(wanted);
                }
            }
            let [(_, upper), (_, lower)] = &self.across;
            for ((byte, &upper), &lower) in target.iter_mut().zip(upper).zip(lower) {
                // As its vector code, which keeps the upper 16 bits of each product.
                let sum = upper_half(of_upper, upper) + upper_half(of_lower, lower);
                *byte = ((sum + 2) >> 2).clamp(0, 255) as u8;
            }
        }
    }
}

#[inline(always)]
fn upper_half(one: i16, other: i16) -> i16 {
    ((i32::from(one) * i32::from(other)) >> 16) as i16
}

/// `BILINEAR` of Pillow for one plane of bytes: a triangle as wide as two steps, across and then down, rounded to bytes in between.
#[derive(Debug)]
pub(crate) struct Pillow {
    sizes: Sizes,
    columns: Covered,
    rows: Covered,
    across: Vec<u8>,
    sums: Vec<i32>,
}

/// For each output the samples that it covers, and their weights of 22 bits.
#[derive(Debug)]
struct Covered {
    first: Vec<usize>,
    /// Where the weights of each output end.
    ends: Vec<usize>,
    weights: Vec<i32>,
}

/// The weights of Pillow for bytes.
const PRECISION_BITS: u32 = 22;

impl Covered {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let mut covered = Self { first: Vec::with_capacity(to), ends: Vec::with_capacity(to), weights: Vec::new() };
        for place in 0..to {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let weight = |sample: usize| (1.0 - ((sample as f64 - centre + 0.5) / support).abs()).max(0.0);
            let all: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = all.iter().sum();
            covered.first.push(first);
            let fixed = |weight: f64| (0.5 + weight / sum * f64::from(1u32 << PRECISION_BITS)) as i32;
            covered.weights.extend(all.into_iter().map(fixed));
            covered.ends.push(covered.weights.len());
        }
        covered
    }

    /// The first sample and the weights of each output.
    fn each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.first.iter().zip(starts.zip(&self.ends)).map(|(&first, (start, &end))| (first, &self.weights[start..end]))
    }
}

impl Pillow {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let Sizes { from, to } = sizes;
        Self {
            sizes,
            columns: Covered::new(from.0, to.0),
            rows: Covered::new(from.1, to.1),
            across: vec![0; to.0 * from.1],
            sums: vec![0; to.0],
        }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(crate) fn run(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
        const HALF: i32 = 1 << (PRECISION_BITS - 1);
        let byte = |sum: i32| (sum >> PRECISION_BITS).clamp(0, 255) as u8;
        let Sizes { from, to } = self.sizes;
        for (row, across) in source.chunks(source_stride).take(from.1).zip(self.across.chunks_exact_mut(to.0)) {
            for ((first, weights), target) in self.columns.each().zip(across) {
                let samples = row[first..].iter().zip(weights);
                *target = byte(samples.fold(HALF, |sum, (&sample, weight)| sum + i32::from(sample) * weight));
            }
        }
        for ((first, weights), target) in self.rows.each().zip(target.chunks_mut(target_stride)) {
            self.sums.fill(HALF);
            for (row, weight) in self.across.chunks_exact(to.0).skip(first).zip(weights) {
                self.sums.iter_mut().zip(row).for_each(|(sum, &sample)| *sum += i32::from(sample) * weight);
            }
            target.iter_mut().zip(&self.sums).for_each(|(target, &sum)| *target = byte(sum));
        }
    }
}

/// How the samples of a picture in YUV of 8 bits become RGB as large as the luma is, and that becomes smaller or larger by `OpenCv`'s
/// filter, in one step: both are sums of samples, so that few of the large picture's colours are ever computed.
///
/// What differs from two steps is rounding, and colours beyond what bytes hold, which are cut off after the sum and not before.
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
    /// Whether both chroma samples of a place lie side by side in the second plane.
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
    /// Of `luma`'s samples, each of which is made of a quarter and three quarters of two chroma samples where those are half as many.
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

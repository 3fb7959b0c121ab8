//! OpenCV's `INTER_LINEAR`: two samples per side, for any reduction.

use super::{PlaneFilter, Sizes};

/// How a side of N samples is scaled: for each output, the two samples around it, and their weights of 11 bits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Between {
    pub(super) samples: Vec<[u32; 2]>,
    pub(super) weights: Vec<[i16; 2]>,
}

/// The weights of OpenCV for bytes.
pub(super) const WEIGHT_BITS: u32 = 11;

impl Between {
    /// Beyond an edge, columns (`of_columns`) use the outermost sample alone. Rows use it twice, which rounds
    /// differently.
    pub(super) fn new(from: usize, to: usize, of_columns: bool) -> Self {
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
pub(super) struct Windows(pub(super) Vec<(u32, [i16; 2])>);

impl Windows {
    /// Where there is only one sample, the row must be longer.
    pub(super) fn new(samples: usize, columns: &Between) -> Self {
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
pub(super) fn sum_of<T: Copy + Default + Into<i32>>(samples: &[T], (start, weights): &(u32, [i16; 2])) -> i32 {
    let [first, second] = samples[*start as usize..].first_chunk::<2>().copied().unwrap_or_default();
    first.into() * i32::from(weights[0]) + second.into() * i32::from(weights[1])
}

/// `INTER_LINEAR` of OpenCV for one plane of bytes. It retains its tables and rows from picture to picture.
#[derive(Debug)]
pub(crate) struct OpenCv {
    sizes: Sizes,
    columns: Windows,
    rows: Between,
    /// Two rows of the source, scaled across, and which rows they are. Of the 11 bits of a weight, 7 are used.
    across: [(Option<u32>, Vec<i16>); 2],
    /// A row of one byte, which is no window.
    short: [u8; 2],
}

impl PlaneFilter for OpenCv {
    fn new(sizes: Sizes) -> Self {
        let Sizes { from, to } = sizes;
        Self {
            sizes,
            columns: Windows::new(from.0, &Between::new(from.0, to.0, true)),
            rows: Between::new(from.1, to.1, false),
            across: [(None, vec![0; to.0]), (None, vec![0; to.0])],
            short: [0; 2],
        }
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn run(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what it is compiled for.
            return unsafe { self.run_on_avx2(source, source_stride, target, target_stride) };
        }
        self.run_anywhere(source, source_stride, target, target_stride);
    }
}

impl OpenCv {
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

/// The upper 16 bits of a product.
#[inline(always)]
fn upper_half(one: i16, other: i16) -> i16 {
    ((i32::from(one) * i32::from(other)) >> 16) as i16
}

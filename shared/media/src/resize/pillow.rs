//! Pillow's `BILINEAR`: a triangle that is two output samples wide, so that all samples are used.

use super::{PlaneFilter, Sizes};

/// `BILINEAR` of Pillow for one plane of bytes: first across, then down, rounded to bytes in between.
#[derive(Debug)]
pub(crate) struct Pillow {
    sizes: Sizes,
    columns: Covered,
    rows: Covered,
    across: Vec<u8>,
    sums: Vec<i32>,
}

/// For each output sample, the samples that it uses, and their weights of 22 bits.
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

impl PlaneFilter for Pillow {
    fn new(sizes: Sizes) -> Self {
        let Sizes { from, to } = sizes;
        Self {
            sizes,
            columns: Covered::new(from.0, to.0),
            rows: Covered::new(from.1, to.1),
            across: vec![0; to.0 * from.1],
            sums: vec![0; to.0],
        }
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn run(&mut self, source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize) {
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

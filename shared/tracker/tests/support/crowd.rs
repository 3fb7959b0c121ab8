//! Crowds that look the same on every run and every machine.

use trackdrop_tracker::Detection;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal: the sum of twelve uniform numbers.
    fn normal(&mut self, deviation: f64) -> f64 {
        deviation * (0..12).map(|_| self.between(-0.5, 0.5)).sum::<f64>()
    }
}

/// People per Full HD picture; the area grows with the crowd.
const DENSITY: f64 = 50.0 / (1920.0 * 1080.0);

const MISS_RATE: f64 = 0.05;

/// Random walkers on an area that gives them all the same room; 5 % of detections are missed, scores are noisy.
pub(crate) fn random_walk(people: usize, frames: usize) -> Vec<Vec<Detection>> {
    let area = people as f64 / DENSITY;
    let height = (area * 9.0 / 16.0).sqrt();
    walk(people, frames, area / height, height)
}

/// Everybody within a few pixels: every box overlaps every other, the worst case of the assignment.
pub(crate) fn pile(people: usize, frames: usize) -> Vec<Vec<Detection>> {
    walk(people, frames, 20.0, 20.0)
}

struct Walker {
    centre: [f64; 2],
    velocity: [f64; 2],
    size: [f64; 2],
}

fn walk(people: usize, frames: usize, width: f64, height: f64) -> Vec<Vec<Detection>> {
    let random = &mut Random(people as u64);
    let bounds = [width, height];
    let mut walkers: Vec<Walker> = (0..people)
        .map(|_| {
            let tall = random.between(63.0, 123.0);
            Walker {
                centre: bounds.map(|bound| random.between(0.0, bound)),
                velocity: [random.normal(2.0), random.normal(1.0)],
                size: [tall * random.between(0.36, 0.5), tall],
            }
        })
        .collect();
    (0..frames).map(|_| walkers.iter_mut().filter_map(|walker| walker.step(bounds, random)).collect()).collect()
}

impl Walker {
    fn step(&mut self, bounds: [f64; 2], random: &mut Random) -> Option<Detection> {
        for ((centre, velocity), bound) in self.centre.iter_mut().zip(&mut self.velocity).zip(bounds) {
            *velocity = (*velocity + random.normal(0.2)).clamp(-4.0, 4.0);
            *centre += *velocity;
            if !(0.0..=bound).contains(centre) {
                *centre = centre.clamp(0.0, bound);
                *velocity = -*velocity;
            }
        }
        let [x, y] = self.centre.map(|centre| centre + random.normal(1.0));
        let [width, height] = self.size.map(|size| size * (1.0 + random.normal(0.015)));
        let score = (0.82 + random.normal(0.12)).clamp(0.05, 0.99);
        let missed = random.between(0.0, 1.0) < MISS_RATE;
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        (!missed).then_some(Detection { x1: left, y1: top, x2: left + width, y2: top + height, score })
    }
}

/// Nobody to tell apart: every cost is a tie.
pub(crate) fn identical(people: usize, frames: usize) -> Vec<Vec<Detection>> {
    vec![vec![Detection { x1: 100.0, y1: 100.0, x2: 140.0, y2: 200.0, score: 0.9 }; people]; frames]
}

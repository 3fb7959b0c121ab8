//! Pieces of tracks, and what their ends say of where the object is and how it moves.

use crate::{
    Appearances,
    appearance::{self, Likeness, Looked},
    camera::camera_path,
    crowding::{crowding, crowding_of},
    motion::Motion,
    noise::{Noise, median},
    parallel,
    row::{Row, Video, centre},
    rts::MIN_HEIGHT_PX,
    tracks::{by_id, measured_pieces},
};
use std::ops::Range;

/// An end is judged by at most this many rows.
const EVIDENCE_ROWS: usize = 60;

/// Noise that the calibration is added to: 0.04 of the height, and half as much again as measured.
const LEAST_NOISE: f64 = 0.04;
const NOISE_FACTOR: f64 = 1.5;

const ACCELERATION: Range<f64> = 0.05..6.0;
const USUAL_ACCELERATION: f64 = 0.15;
const USUAL_MEASUREMENT: f64 = 0.03;

/// Boxes that overlap by more than this may be mistaken for each other.
const OVERLAP_CUT: f64 = 0.3;

/// Standard deviation of an unknown velocity, heights a second.
pub(crate) const VELOCITY: f64 = 1.0;

/// Variance that ln h gains in a second.
pub(crate) const SIZE_DRIFT: f64 = 0.04;

/// A part of one track without a missing frame.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Its rows: places in [`Pieces::order`].
    pub(crate) rows: Range<usize>,
    pub(crate) id: u64,
    pub(crate) class: i32,
    pub(crate) first_frame: u32,
    pub(crate) last_frame: u32,
    /// What its first rows say, run backwards.
    pub(crate) head: End,
    /// What its last rows say.
    pub(crate) tail: End,
}

/// The state at one end of a piece, before a still camera.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) motion: [Motion; 2],
    pub(crate) ln_height: f64,
    pub(crate) ln_height_variance: f64,
}

/// All pieces of a video by id and time.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) order: Vec<u32>,
    pub(crate) pieces: Vec<Piece>,
    /// Acceleration an axis, heights²/s³.
    pub(crate) acceleration: [f64; 2],
    /// What the pieces look like, where the video says what differences mean.
    pub(crate) likeness: Option<Likeness>,
}

/// Noise in heights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calibration {
    position: [f64; 2],
    ln_height: f64,
    pub(crate) acceleration: [f64; 2],
}

impl Pieces {
    /// Cuts every track at each missing frame, and where it is known what objects look like also where boxes overlap. `rows` are sorted by
    /// frame.
    pub(crate) fn cut(rows: &[Row], appearances: &Appearances, video: &Video) -> Self {
        let order = by_id(rows);
        let mut ranges = measured_pieces(rows, &order);
        let crowding = crowding(rows);
        let path = camera_path(rows, &order, &ranges, video);
        let row = |place: usize| &rows[order[place] as usize];
        let calibration = Calibration::of(&Noise::of(&ranges, video.frame_rate, |before, at, after| {
            second_difference([row(before), row(at), row(after)], &path)
        }));
        let looked = Looked { rows, order: &order, crowding: &crowding, appearances };
        let likeness = Some(looked).filter(|_| !appearances.is_empty()).and_then(|looked| {
            let calibration = appearance::Calibration::of(&looked, &ranges)?;
            ranges = cut_at_overlaps(&ranges, |place| crowding[order[place] as usize]);
            Some(Likeness::of(&looked, &ranges, calibration))
        });
        let dt = 1.0 / video.frame_rate;
        let parts = parallel::over(ranges.len(), |part| {
            let mut filter = Filter::new(calibration, dt);
            let mut piece = |range: &Range<usize>| {
                let [head, tail] =
                    filter.ends(range, |place| Seen::of(row(place), crowding[order[place] as usize], &path));
                let (first, last) = (row(range.start), row(range.end - 1));
                let (rows, id, class) = (range.clone(), first.id, first.class);
                Piece { rows, id, class, first_frame: first.frame, last_frame: last.frame, head, tail }
            };
            ranges[part].iter().map(&mut piece).collect::<Vec<_>>()
        });
        let pieces = parts.into_iter().flatten().collect();
        Self { acceleration: calibration.acceleration, order, pieces, likeness }
    }
}

/// Cuts pieces once in each stretch of boxes that overlap others, where they do so most: there the tracker may have gone over to another object.
fn cut_at_overlaps(pieces: &[Range<usize>], crowding: impl Fn(usize) -> f64) -> Vec<Range<usize>> {
    let least = crowding_of(OVERLAP_CUT);
    let mut cut = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let (mut start, mut place) = (piece.start, piece.start);
        while place < piece.end {
            if crowding(place) <= least {
                place += 1;
                continue;
            }
            let mut most = place;
            while place < piece.end && crowding(place) > least {
                if crowding(place) > crowding(most) {
                    most = place;
                }
                place += 1;
            }
            if most > start {
                cut.push(start..most);
                start = most;
            }
        }
        cut.push(start..piece.end);
    }
    cut
}

/// Before a still camera.
fn position(row: &Row, path: &[[f64; 2]]) -> [f64; 2] {
    let ([x, y], [dx, dy]) = (centre(row.measured), path[row.frame as usize]);
    [x - dx, y - dy]
}

/// Of position, in heights, and of ln h, over three rows.
pub(crate) fn second_difference([before, at, after]: [&Row; 3], path: &[[f64; 2]]) -> [f64; 3] {
    let (p, q, r) = (position(before, path), position(at, path), position(after, path));
    let second = |axis: usize| (p[axis] - 2.0 * q[axis] + r[axis]) / height(at);
    [second(0), second(1), height(before).ln() - 2.0 * height(at).ln() + height(after).ln()]
}

impl Calibration {
    pub(crate) fn of(noise: &Noise<3>) -> Self {
        let [x, y, ln_height] = noise.measurement.unwrap_or([USUAL_MEASUREMENT; 3]);
        // The calibration is of second differences: see `noise`.
        let of = |measured: f64| LEAST_NOISE + NOISE_FACTOR * measured;
        let acceleration = noise
            .acceleration
            .map_or([USUAL_ACCELERATION; 2], |[x, y, _]| [x, y].map(|q| q.clamp(ACCELERATION.start, ACCELERATION.end)));
        Self { position: [of(x), of(y)], ln_height: of(ln_height), acceleration }
    }
}

fn height(row: &Row) -> f64 {
    (row.measured[3] - row.measured[1]).max(MIN_HEIGHT_PX)
}

/// A row as the filter sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    position: [f64; 2],
    height: f64,
    /// The factor of its measurement's variance over that of a box that overlaps none.
    crowded: f64,
}

impl Seen {
    /// A row of this crowding, where the camera has gone along this path.
    pub(crate) fn of(row: &Row, crowded: f64, path: &[[f64; 2]]) -> Self {
        Self { position: position(row, path), height: height(row), crowded }
    }
}

pub(crate) struct Filter {
    calibration: Calibration,
    dt: f64,
    heights: Vec<f64>,
    seen: Vec<Seen>,
}

impl Filter {
    /// For rows that are this many seconds apart.
    pub(crate) fn new(calibration: Calibration, dt: f64) -> Self {
        Self { calibration, dt, heights: Vec::new(), seen: Vec::new() }
    }

    /// What the first rows of a piece say, run backwards, and what its last rows say; `seen` gives the row of a place.
    pub(crate) fn ends(&mut self, rows: &Range<usize>, seen: impl Fn(usize) -> Seen) -> [End; 2] {
        let tail = self.run(rows.clone().skip(rows.len().saturating_sub(EVIDENCE_ROWS)).map(&seen));
        let head = self.run(rows.clone().take(EVIDENCE_ROWS).rev().map(&seen));
        [End { motion: head.motion.map(Motion::reversed), ..head }, tail]
    }

    /// The state after rows of neighbouring frames.
    fn run(&mut self, rows: impl Iterator<Item = Seen>) -> End {
        self.seen.clear();
        self.seen.extend(rows);
        let Some((first, others)) = self.seen.split_first() else { return End::default() };
        self.heights.clear();
        self.heights.extend(self.seen.iter().map(|seen| seen.height));
        let (height, dt) = (median(&mut self.heights), self.dt);
        let Calibration { position, ln_height, acceleration } = self.calibration;
        let variance = position.map(|r| (r * height).powi(2));
        let density = acceleration.map(|q| q * height * height);
        let size_variance = ln_height * ln_height;
        let mut end = End {
            motion: std::array::from_fn(|axis| {
                Motion::at(first.position[axis], variance[axis] * first.crowded, (VELOCITY * height).powi(2))
            }),
            ln_height: first.height.ln(),
            ln_height_variance: size_variance * first.crowded,
        };
        for seen in others {
            end.motion = std::array::from_fn(|axis| {
                let predicted = end.motion[axis].predicted(dt, density[axis]);
                predicted.updated(seen.position[axis], variance[axis] * seen.crowded)
            });
            let predicted = end.ln_height_variance + SIZE_DRIFT * dt;
            let gain = predicted / (predicted + size_variance * seen.crowded);
            end.ln_height += gain * (seen.height.ln() - end.ln_height);
            end.ln_height_variance = predicted * (1.0 - gain);
        }
        end
    }
}

//! Smoothing by the motion itself: a Kalman filter forwards, and the smoother of Rauch, Tung and Striebel back.

use crate::{
    crowding::crowding,
    gaps::NO_SCORE,
    motion::Motion,
    noise::{Noise, median},
    parallel,
    row::{Origin, Row, Video, centre, corners},
    tracks::{add, by_id, measured_pieces, tracks},
};
use std::ops::Range;

/// Gaps of up to this many frames are filled in ids with at least this many rows, as the reference's `tools/interpolation` does; where more
/// frames pass in it, of up to so long.
const MAX_MISSING_FRAMES: u32 = 18;
const MAX_MISSING_S: f64 = 1.0;
const MIN_ROWS: usize = 6;

/// Where the video has too few rows to say: measurement noise in box heights, acceleration in heights²/s³.
const USUAL_MEASUREMENT: f64 = 0.07;
const USUAL_ACCELERATION: f64 = 0.15;
const ACCELERATION: Range<f64> = 0.01..6.0;

/// Smaller boxes are measured as if they had this height.
pub(crate) const MIN_HEIGHT_PX: f64 = 1.0;

/// Replaces each box by what its whole track says of it, and fills gaps of up to 18 frames or one second, whichever is longer, in ids
/// with more than five rows, by the same motion. Nothing is set by hand: measurement noise and acceleration are those of the video.
///
/// Centre, width and height of the *detections* move with constant velocity each, driven by white acceleration. A box that others
/// cover counts for less. Filled rows have score
/// -1; ids, scores and frames of the others stay.
#[must_use]
pub fn smooth_rts(rows: Vec<Row>, video: &Video) -> Vec<Row> {
    let noise = Relative::of_rows(&rows, video);
    smooth_by(rows, video, noise)
}

/// The same with noise that is known.
pub(crate) fn smooth_by(mut rows: Vec<Row>, video: &Video, noise: Relative) -> Vec<Row> {
    let order = by_id(&rows);
    let crowding = crowding(&rows);
    let tracks = tracks(&rows, &order);
    let parts = parallel::over(tracks.len(), |part| {
        let mut smoother = Smoother::new(noise, video);
        for track in &tracks[part] {
            smoother.track(&rows, &crowding, &order[track.clone()]);
        }
        (smoother.boxes, smoother.filled)
    });
    let mut filled = Vec::new();
    let mut places = order.iter();
    for (boxes, of_part) in parts {
        for (bbox, &place) in boxes.into_iter().zip(&mut places) {
            rows[place as usize].bbox = bbox;
        }
        filled.extend(of_part);
    }
    add(&mut rows, filled);
    rows
}

/// Centre, width and height of a detection.
#[derive(Clone, Copy, Debug)]
struct Measured([f64; 4]);

impl Measured {
    fn of(row: &Row) -> Self {
        let [x, y] = centre(row.measured);
        Self([x, y, row.measured[2] - row.measured[0], row.measured[3] - row.measured[1]])
    }

    fn height(&self) -> f64 {
        self.0[3].max(MIN_HEIGHT_PX)
    }
}

/// Variance of measurements and density of acceleration, in box heights.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relative {
    variance: [f64; 4],
    acceleration: [f64; 4],
}

impl Relative {
    /// What rows of neighbouring frames say.
    pub(crate) fn of_rows(rows: &[Row], video: &Video) -> Self {
        let order = by_id(rows);
        let row = |place: usize| &rows[order[place] as usize];
        Self::of(&Noise::of(&measured_pieces(rows, &order), video.frame_rate, |before, at, after| {
            second_difference([row(before), row(at), row(after)])
        }))
    }

    pub(crate) fn of(noise: &Noise<4>) -> Self {
        // The least variance keeps the filter invertible where detections never move.
        let variance = noise.measurement.unwrap_or([USUAL_MEASUREMENT / 6_f64.sqrt(); 4]).map(|r| r * r + 1e-6);
        let within = |q: f64| q.clamp(ACCELERATION.start, ACCELERATION.end);
        let acceleration = noise.acceleration.map_or([USUAL_ACCELERATION; 4], |q| q.map(within));
        Self { variance, acceleration }
    }
}

/// Of centre, width and height in heights, over three rows.
pub(crate) fn second_difference(rows: [&Row; 3]) -> [f64; 4] {
    let [before, at, after] = rows.map(Measured::of);
    std::array::from_fn(|i| (before.0[i] - 2.0 * at.0[i] + after.0[i]) / at.height())
}

/// Smooths one track after the other.
#[derive(Debug, Default)]
pub(crate) struct Smoother {
    noise: Relative,
    frame_rate: f64,
    /// In frames.
    longest_gap: u32,
    /// Filtered states by step: seconds since the step before, and the row or none.
    steps: Vec<(f64, Option<u32>, u32)>,
    states: Vec<[Motion; 4]>,
    heights: Vec<f64>,
    later: Vec<[f64; 4]>,
    /// The boxes of all rows so far, in order.
    pub(crate) boxes: Vec<[f64; 4]>,
    pub(crate) filled: Vec<Row>,
}

impl Smoother {
    pub(crate) fn new(noise: Relative, video: &Video) -> Self {
        let longest_gap = video.frames(MAX_MISSING_S).max(MAX_MISSING_FRAMES);
        Self { noise, frame_rate: video.frame_rate, longest_gap, ..Self::default() }
    }

    /// The rows of a track, by their places.
    pub(crate) fn track(&mut self, rows: &[Row], crowding: &[f64], track: &[u32]) {
        let first = &rows[track[0] as usize];
        self.heights.clear();
        self.heights.extend(track.iter().map(|&place| Measured::of(&rows[place as usize]).height()));
        let height = median(&mut self.heights);
        let variance = self.noise.variance.map(|r| r * height * height);
        let acceleration = self.noise.acceleration.map(|q| q * height * height);

        self.steps.clear();
        let mut last = first.frame;
        for &place in track {
            let frame = rows[place as usize].frame;
            if frame - last <= self.longest_gap.saturating_add(1) && track.len() >= MIN_ROWS {
                self.steps.extend((last + 1..frame).map(|missing| (1.0 / self.frame_rate, None, missing)));
                last = last.max(frame.saturating_sub(1));
            }
            self.steps.push((f64::from(frame - last) / self.frame_rate, Some(place), frame));
            last = frame;
        }

        self.states.clear();
        let start = Measured::of(first).0;
        let mut state: [Motion; 4] = std::array::from_fn(|i| Motion::at(start[i], variance[i], height * height));
        self.states.push(state);
        for &(dt, place, _) in &self.steps[1..] {
            state = std::array::from_fn(|i| state[i].predicted(dt, acceleration[i]));
            let row = place.map(|place| (&rows[place as usize], crowding[place as usize]));
            if let Some((row, crowded)) = row.filter(|(row, _)| row.origin != Origin::Filled) {
                let seen = Measured::of(row).0;
                state = std::array::from_fn(|i| state[i].updated(seen[i], variance[i] * crowded));
            }
            self.states.push(state);
        }

        self.later.clear();
        let mut later: [[f64; 2]; 4] = state.map(|motion| [motion.x, motion.v]);
        self.later.push(later.map(|[x, _]| x));
        for (state, (dt, ..)) in self.states.iter().rev().skip(1).zip(self.steps.iter().rev()) {
            later = std::array::from_fn(|i| state[i].smoothed(later[i], *dt, acceleration[i]));
            self.later.push(later.map(|[x, _]| x));
        }
        let mut before = first;
        for (&(_, place, frame), &[x, y, w, h]) in self.steps.iter().zip(self.later.iter().rev()) {
            let (w, h) = (w.max(MIN_HEIGHT_PX), h.max(MIN_HEIGHT_PX));
            let bbox = corners([x - w / 2.0, y - h / 2.0, w, h]);
            match place {
                Some(place) => {
                    before = &rows[place as usize];
                    self.boxes.push(bbox);
                }
                None => {
                    let (origin, appearance) = (Origin::Filled, None);
                    self.filled.push(Row {
                        frame,
                        bbox,
                        measured: bbox,
                        score: NO_SCORE,
                        origin,
                        appearance,
                        ..*before
                    });
                }
            }
        }
    }
}

//! Smoothing by the motion itself: a Kalman filter forwards, and the smoother of Rauch, Tung and Striebel back.

use crate::{
    crowding::crowding,
    gaps::NO_SCORE,
    motion::Motions,
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
pub(crate) struct Measured([f64; 4]);

impl Measured {
    pub(crate) fn of(row: &Row) -> Self {
        let [x, y] = centre(row.measured);
        Self([x, y, row.measured[2] - row.measured[0], row.measured[3] - row.measured[1]])
    }

    pub(crate) fn height(&self) -> f64 {
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
            second_difference([before, at, after].map(|place| Measured::of(row(place))))
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
pub(crate) fn second_difference([before, at, after]: [Measured; 3]) -> [f64; 4] {
    std::array::from_fn(|i| (before.0[i] - 2.0 * at.0[i] + after.0[i]) / at.height())
}

/// A row as the filter sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) frame: u32,
    pub(crate) measured: Measured,
    /// The factor of its measurement's variance; none where nothing was measured.
    pub(crate) crowding: Option<f64>,
}

impl Seen {
    pub(crate) fn of(row: &Row, crowding: f64) -> Self {
        let crowding = Some(crowding).filter(|_| row.origin != Origin::Filled);
        Self { frame: row.frame, measured: Measured::of(row), crowding }
    }
}

/// A frame of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Seconds since the step before.
    seconds: f64,
    pub(crate) frame: u32,
    /// How many rows there are up to here since the start or the last [`Checkpoint`].
    pub(crate) rows: u32,
    /// Whether it has a row; else it is of a gap that is filled.
    pub(crate) is_row: bool,
}

/// Where a filter is after the last of some rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    frame: u32,
    state: Motions,
}

/// Where the smoother is on its way back: the later state, and how many seconds later it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Later {
    x: [f64; 4],
    v: [f64; 4],
    seconds: f64,
}

/// Smooths one track after the other, as a whole or part by part: all parts forwards, and then all parts back.
#[derive(Debug, Default)]
pub(crate) struct Smoother {
    noise: Relative,
    frame_rate: f64,
    /// In frames.
    longest_gap: u32,
    /// Of the track in hand, px: variance of measurements, density of acceleration, and the variance of an unknown velocity.
    variance: [f64; 4],
    acceleration: [f64; 4],
    velocity_variance: f64,
    is_filled: bool,
    /// Of the part in hand, with filtered states.
    steps: Vec<Step>,
    states: Vec<Motions>,
    heights: Vec<f64>,
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
        self.heights.clear();
        self.heights.extend(track.iter().map(|&place| Measured::of(&rows[place as usize]).height()));
        let height = median(&mut self.heights);
        self.begin(height, track.len());
        self.forward(None, track.iter().map(|&place| Seen::of(&rows[place as usize], crowding[place as usize])));
        let (mut boxes, mut filled) = (std::mem::take(&mut self.boxes), std::mem::take(&mut self.filled));
        let start = boxes.len();
        boxes.resize(start + track.len(), [0.0; 4]);
        self.back(None, |step, bbox| {
            let place = step.rows as usize - 1;
            match step.is_row {
                true => boxes[start + place] = bbox,
                false => filled.push(filled_row(&rows[track[place] as usize], step.frame, bbox)),
            }
        });
        (self.boxes, self.filled) = (boxes, filled);
    }

    /// Begins a track of this many rows, of which this is the middle height.
    pub(crate) fn begin(&mut self, height: f64, rows: usize) {
        self.variance = self.noise.variance.map(|r| r * height * height);
        self.acceleration = self.noise.acceleration.map(|q| q * height * height);
        self.velocity_variance = height * height;
        self.is_filled = rows >= MIN_ROWS;
    }

    /// Filters the next rows of the track, after those of a checkpoint. There is at least one.
    pub(crate) fn forward(
        &mut self,
        before: Option<Checkpoint>,
        rows: impl Iterator<Item = Seen>,
    ) -> Option<Checkpoint> {
        self.steps.clear();
        self.states.clear();
        let mut at = before;
        for (seen, number) in rows.zip(1..) {
            let Some(Checkpoint { frame: mut last, mut state }) = at else {
                let state = Motions::at(seen.measured.0, self.variance, self.velocity_variance);
                self.steps.push(Step { seconds: 0.0, frame: seen.frame, rows: number, is_row: true });
                self.states.push(state);
                at = Some(Checkpoint { frame: seen.frame, state });
                continue;
            };
            if self.is_filled && seen.frame - last <= self.longest_gap.saturating_add(1) {
                let seconds = 1.0 / self.frame_rate;
                for frame in last + 1..seen.frame {
                    state = state.predicted(seconds, self.acceleration);
                    self.steps.push(Step { seconds, frame, rows: number - 1, is_row: false });
                    self.states.push(state);
                }
                last = last.max(seen.frame.saturating_sub(1));
            }
            let seconds = f64::from(seen.frame - last) / self.frame_rate;
            state = state.predicted(seconds, self.acceleration);
            if let Some(crowding) = seen.crowding {
                state = state.updated(seen.measured.0, self.variance.map(|variance| variance * crowding));
            }
            self.steps.push(Step { seconds, frame: seen.frame, rows: number, is_row: true });
            self.states.push(state);
            at = Some(Checkpoint { frame: seen.frame, state });
        }
        at
    }

    /// Smooths what was filtered last, from its end to its start, and gives each box; `later` is what the part after it came to.
    pub(crate) fn back(&mut self, later: Option<Later>, mut give: impl FnMut(&Step, [f64; 4])) -> Option<Later> {
        let mut at = later;
        for (step, state) in self.steps.iter().zip(&self.states).rev() {
            let (x, v) = match at {
                Some(Later { x, v, seconds }) => state.smoothed([x, v], seconds, self.acceleration),
                None => (state.x, state.v),
            };
            let [w, h] = [x[2], x[3]].map(|side| side.max(MIN_HEIGHT_PX));
            give(step, corners([x[0] - w / 2.0, x[1] - h / 2.0, w, h]));
            at = Some(Later { x, v, seconds: step.seconds });
        }
        at
    }
}

/// The row of a frame that a track has none in; `before` is the one before it.
pub(crate) fn filled_row(before: &Row, frame: u32, bbox: [f64; 4]) -> Row {
    Row { frame, bbox, measured: bbox, score: NO_SCORE, origin: Origin::Filled, appearance: None, ..*before }
}

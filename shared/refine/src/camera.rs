//! How the camera moves, estimated from the boxes alone.

use crate::{
    noise::median,
    parallel,
    row::{Row, Video, centre},
};
use std::{collections::VecDeque, ops::Range};

/// A track's own motion is its mean over so much time on either side.
const OWN_MOTION_S: f64 = 1.0;

/// Fewer frames than this on either side tell no own motion.
const LEAST_REACH: usize = 2;

/// At least this many boxes must agree.
const LEAST_BOXES: usize = 3;

/// Standard deviation of a box's shift in box heights, and the least height that it is scaled by.
const SHIFT_DEVIATION: f64 = 0.02;
const LEAST_HEIGHT_PX: f64 = 8.0;

const ROUNDS: usize = 5;

/// What is left of a track's shift once its own motion is taken away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shift {
    x: f64,
    y: f64,
    deviation: f64,
}

/// Where the camera has moved the picture by each frame since the first, px: subtracting it puts boxes where they would be before a
/// still camera, but for slow pans, which stay in the tracks' own velocities.
///
/// For each track seen in two neighbouring frames: its shift, less its own mean shift in a window around. The robust mean of these over
/// all tracks (weights of Geman & McClure 1985) is the camera's, shrunk by its standard error as James & Stein (1961) do, so that what
/// few or contrary boxes say counts for nothing. Without the shrinking a camera at rest would be made to move.
///
/// `pieces` are ranges of `order` without a missing frame.
pub(crate) fn camera_path(rows: &[Row], order: &[u32], pieces: &[Range<usize>], video: &Video) -> Vec<[f64; 2]> {
    let reach = reach(video);
    let frame_count = rows.last().map_or(0, |row| row.frame as usize + 1);
    let informative: Vec<&Range<usize>> = pieces.iter().filter(|piece| piece.len() > 2 * LEAST_REACH + 1).collect();
    let parts = parallel::over(informative.len(), |part| {
        let (mut shifts, mut seen) = (Vec::new(), Vec::new());
        for piece in &informative[part] {
            seen.clear();
            seen.extend(order[(*piece).clone()].iter().map(|&place| {
                let row = &rows[place as usize];
                (centre(row.bbox), row.bbox[3] - row.bbox[1])
            }));
            let first_frame = rows[order[piece.start] as usize].frame;
            shifts_of(&seen, first_frame, reach, &mut shifts);
        }
        shifts
    });
    let mut starts = vec![0_usize; frame_count + 1];
    for (frame, _) in parts.iter().flatten() {
        starts[*frame as usize + 1] += 1;
    }
    for frame in 1..starts.len() {
        starts[frame] += starts[frame - 1];
    }
    let mut next = starts.clone();
    let mut shifts = vec![Shift::default(); starts[frame_count]];
    for (frame, shift) in parts.into_iter().flatten() {
        shifts[next[frame as usize]] = shift;
        next[frame as usize] += 1;
    }
    let moves = parallel::over(frame_count, |frames| {
        let mut scratch = Scratch::default();
        frames.map(|frame| common(&shifts[starts[frame]..starts[frame + 1]], &mut scratch)).collect::<Vec<_>>()
    });
    let mut path = Vec::with_capacity(frame_count);
    let mut at = [0.0; 2];
    for [x, y] in moves.into_iter().flatten() {
        path.push(at);
        at = [at[0] + x, at[1] + y];
    }
    path
}

/// Frames on either side over which a track's own motion is taken.
pub(crate) fn reach(video: &Video) -> usize {
    (video.frames(OWN_MOTION_S) as usize).max(LEAST_REACH)
}

/// The shifts of a piece from each of its frames to the next, less its own; centres and heights in px. A piece of n rows has n - 1 shifts,
/// of which the outermost on either side tell nothing.
fn shifts_of(seen: &[([f64; 2], f64)], first_frame: u32, reach: usize, shifts: &mut Vec<(u32, Shift)>) {
    let count = seen.len() - 1;
    for index in LEAST_REACH..count - LEAST_REACH {
        let around = index.min(count - 1 - index).min(reach);
        shifts.push((first_frame + index as u32, shift(index, around, |at| seen[at])));
    }
}

/// The shift from the row `index` of a piece to the next one, less the piece's own over this many frames around.
fn shift(index: usize, around: usize, seen: impl Fn(usize) -> ([f64; 2], f64)) -> Shift {
    let ((here, height), (after, _)) = (seen(index), seen(index + 1));
    // The mean of shifts in a row is the difference of their ends.
    let (first, last) = (seen(index - around).0, seen(index + around + 1).0);
    let own = |axis: usize| (last[axis] - first[axis]) / (2 * around + 1) as f64;
    let deviation = SHIFT_DEVIATION * height.max(LEAST_HEIGHT_PX);
    Shift { x: after[0] - here[0] - own(0), y: after[1] - here[1] - own(1), deviation }
}

/// The end of a piece whose rows come one after the other: its shifts follow by the reach of its own motion.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    first_frame: u32,
    /// How many rows came, and the last of them.
    length: usize,
    seen: VecDeque<([f64; 2], f64)>,
    /// The next shift that is to be given.
    next: usize,
}

impl Trail {
    /// A piece that begins.
    pub(crate) fn at(frame: u32) -> Self {
        Self { first_frame: frame, next: LEAST_REACH, ..Self::default() }
    }

    /// The frame after its last row.
    pub(crate) fn end(&self) -> u32 {
        self.first_frame + self.length as u32
    }

    /// Takes the box of the next row; gives what is known by it.
    pub(crate) fn take(&mut self, bbox: [f64; 4], reach: usize, give: impl FnMut(u32, Shift)) {
        self.seen.push_back((centre(bbox), bbox[3] - bbox[1]));
        self.length += 1;
        // Whatever follows, the reach is there on either side.
        self.give((self.length - 1).saturating_sub(reach), reach, usize::MAX, give);
        while self.length - self.seen.len() + reach < self.next {
            self.seen.pop_front();
        }
    }

    /// Gives the rest: no row follows.
    pub(crate) fn end_here(mut self, reach: usize, give: impl FnMut(u32, Shift)) {
        let count = self.length - 1;
        self.give(count.saturating_sub(LEAST_REACH), reach, count, give);
    }

    /// Shifts up to one, exclusive, of a piece of this many.
    fn give(&mut self, until: usize, reach: usize, count: usize, mut give: impl FnMut(u32, Shift)) {
        let passed = self.length - self.seen.len();
        for index in self.next..until.max(self.next) {
            let around = index.min(count - 1 - index).min(reach);
            give(self.first_frame + index as u32, shift(index, around, |at| self.seen[at - passed]));
        }
        self.next = self.next.max(until);
    }
}

/// Lists that are used from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    sorted: Vec<f64>,
    errors2: Vec<f64>,
    weights: Vec<f64>,
}

/// The shift that the boxes of a frame share.
pub(crate) fn common(shifts: &[Shift], scratch: &mut Scratch) -> [f64; 2] {
    if shifts.len() < LEAST_BOXES {
        return [0.0; 2];
    }
    let Scratch { sorted, errors2, weights } = scratch;
    let mut middle = |of: fn(&Shift) -> f64| {
        sorted.clear();
        sorted.extend(shifts.iter().map(of));
        median(sorted)
    };
    let mut mean = [middle(|shift| shift.x), middle(|shift| shift.y)];
    let (mut sum, mut squares, mut spread) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        // Squares alone: of a median's root and a root's median the first is one root instead of many.
        errors2.clear();
        errors2.extend(shifts.iter().map(|shift| {
            ((shift.x - mean[0]).powi(2) + (shift.y - mean[1]).powi(2)) / (shift.deviation * shift.deviation)
        }));
        sorted.clear();
        sorted.extend_from_slice(errors2);
        let scale2 = 4.0 * median(sorted).max(0.25);
        // Apart from the sums, so that processors divide several at a time.
        weights.clear();
        weights.extend(shifts.iter().zip(errors2.iter()).map(|(shift, error2)| {
            let damped = shift.deviation * (1.0 + error2 / scale2);
            1.0 / (damped * damped)
        }));
        let mut moment = [0.0; 2];
        (sum, squares) = (0.0, 0.0);
        let mut around = 0.0;
        for (shift, &weight) in shifts.iter().zip(weights.iter()) {
            sum += weight;
            squares += weight * weight;
            moment = [moment[0] + weight * shift.x, moment[1] + weight * shift.y];
            around += weight * ((shift.x - mean[0]).powi(2) + (shift.y - mean[1]).powi(2));
        }
        let before = mean;
        mean = moment.map(|moment| moment / sum);
        // Around the new mean, by the theorem of Steiner.
        spread = around / sum - (mean[0] - before[0]).powi(2) - (mean[1] - before[1]).powi(2);
    }
    let independent = sum * sum / squares;
    let error2 = spread.max(0.0) / (independent - 1.0).max(0.5);
    let length2 = (mean[0] * mean[0] + mean[1] * mean[1]).max(1e-9);
    mean.map(|mean| mean * (1.0 - 2.0 * error2 / length2).max(0.0))
}

//! Smoothing the boxes of each id over time.

use crate::{
    row::{Row, corners, tlwh},
    tracks::{by_id, tracks},
};

/// Rows further away than this many sigmas weigh less than 1 in 2,900 and are left out.
const REACH_SIGMAS: f64 = 4.0;

/// How far to smooth. The default is 2 frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    sigma_frames: f64,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self { sigma_frames: 2.0 }
    }
}

impl Smoothing {
    /// `sigma_frames` is the standard deviation of the weights, in frames: above 0 and at most 1,000.
    ///
    /// # Errors
    /// It is out of this range.
    pub fn new(sigma_frames: f64) -> Result<Self, SmoothingError> {
        let valid = sigma_frames > 0.0 && sigma_frames <= 1000.0;
        if valid { Ok(Self { sigma_frames }) } else { Err(SmoothingError { sigma_frames }) }
    }
}

/// A sigma that smooths nothing, or everything.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("sigma must be above 0 and at most 1000 frames, got {sigma_frames}")]
pub struct SmoothingError {
    sigma_frames: f64,
}

/// Smooths left, top, width and height of each id: the value at a frame of the straight line that fits the id's rows around
/// it best, weighted by a Gaussian in time (local-linear regression: Cleveland 1979; Fan & Gijbels 1996).
///
/// Unlike a Gaussian mean, a line does not pull moving boxes back at the ends of a track or beside a gap. Rows stay what they
/// are, observed or not, with their scores; only boxes change. Where the line would leave a box without area, it stays.
#[must_use]
pub fn smooth(rows: Vec<Row>, smoothing: &Smoothing) -> Vec<Row> {
    let mut smoothed = rows.clone();
    let order = by_id(&rows);
    let reach = (REACH_SIGMAS * smoothing.sigma_frames).floor() as u32;
    let weights: Vec<f64> =
        (0..=reach).map(|distance| (-0.5 * (f64::from(distance) / smoothing.sigma_frames).powi(2)).exp()).collect();
    for track in tracks(&rows, &order) {
        let track = &order[track];
        let (mut start, mut end) = (0, 0);
        for &place in track {
            let frame = rows[place as usize].frame;
            while frame - rows[track[start] as usize].frame > reach {
                start += 1;
            }
            while end < track.len() && rows[track[end] as usize].frame.saturating_sub(frame) <= reach {
                end += 1;
            }
            let line = line_at(frame, track[start..end].iter().map(|&near| &rows[near as usize]), &weights);
            if line[2] > 0.0 && line[3] > 0.0 {
                smoothed[place as usize].bbox = corners(line);
            }
        }
    }
    smoothed
}

/// The value at `frame` of the weighted least-squares line through the rows, for each side of the box.
fn line_at<'a>(frame: u32, near: impl Iterator<Item = &'a Row>, weights: &[f64]) -> [f64; 4] {
    // Sums of weight, weight * t and weight * t², and of weight * value and weight * t * value; t = 0 at `frame`.
    let (mut s0, mut s1, mut s2) = (0.0, 0.0, 0.0);
    let (mut values, mut moments) = ([0.0; 4], [0.0; 4]);
    for row in near {
        let time = f64::from(row.frame) - f64::from(frame);
        let weight = weights[row.frame.abs_diff(frame) as usize];
        s0 += weight;
        s1 += weight * time;
        s2 += weight * time * time;
        for (side, value) in tlwh(row.bbox).into_iter().enumerate() {
            values[side] += weight * value;
            moments[side] += weight * time * value;
        }
    }
    let determinant = s0 * s2 - s1 * s1;
    // One row makes no line.
    if determinant <= 1e-12 * s0 * s2 {
        return values.map(|value| value / s0);
    }
    std::array::from_fn(|side| (s2 * values[side] - s1 * moments[side]) / determinant)
}

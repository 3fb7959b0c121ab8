//! What it does to a measured box that another one covers.

use crate::{
    overlap::Sweep,
    parallel,
    row::{Row, frames},
};

/// A box that overlaps another by an intersection over union of `mx` is measured with a variance of 1 + (12 mx)² times that of one that overlaps
/// none: detectors mix up what belongs to whom.
const CROWDING: f64 = 12.0;

/// For each row the factor of its measurement's variance over that of a box that overlaps none in its frame.
pub(crate) fn crowding(rows: &[Row]) -> Vec<f64> {
    let frames: Vec<&[Row]> = frames(rows).map(|(_, rows)| rows).collect();
    let parts = parallel::over(frames.len(), |part| {
        let (mut sweep, mut boxes, mut largest) = (Sweep::default(), Vec::new(), Vec::new());
        for rows in &frames[part] {
            boxes.clear();
            boxes.extend(rows.iter().map(|row| row.bbox));
            let start = largest.len();
            largest.resize(start + rows.len(), 0.0);
            sweep.largest(&boxes, &mut largest[start..]);
        }
        largest
    });
    let mut all = parts.concat();
    all.iter_mut().for_each(|largest| *largest = crowding_of(*largest));
    all
}

/// The same of the boxes of one frame, into a list of as many.
pub(crate) fn crowding_in(boxes: &[[f64; 4]], sweep: &mut Sweep, crowding: &mut Vec<f64>) {
    crowding.clear();
    crowding.resize(boxes.len(), 0.0);
    sweep.largest(boxes, crowding);
    crowding.iter_mut().for_each(|largest| *largest = crowding_of(*largest));
}

/// The factor for a box whose largest overlap with another is `overlap`.
pub(crate) fn crowding_of(overlap: f64) -> f64 {
    1.0 + (CROWDING * overlap).powi(2)
}

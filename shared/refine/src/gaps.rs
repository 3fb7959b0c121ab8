//! Filling gaps by straight lines.

use crate::{
    row::{Origin, Row, corners, tlwh},
    tracks::{add, by_id, tracks},
};

/// The score of a row that nobody saw, as the reference writes it.
pub(crate) const NO_SCORE: f64 = -1.0;

/// Which gaps to fill. The default is that of the reference's `tools/interpolation`: gaps between rows less than 20 frames apart,
/// of ids with more than 5 rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// The longest gap to fill: how many frames in a row may be missing.
    pub max_missing_frames: u32,
    /// Ids with fewer rows are left as they are.
    pub min_rows: usize,
}

impl Default for Gaps {
    fn default() -> Self {
        Self { max_missing_frames: 18, min_rows: 6 }
    }
}

/// Adds rows where an id is missing for a few frames: left, top, width and height on straight lines between the row before
/// and the row after. Rows added have score -1 and the class of the row before.
#[must_use]
pub fn fill_gaps(mut rows: Vec<Row>, gaps: &Gaps) -> Vec<Row> {
    let order = by_id(&rows);
    let mut added = Vec::new();
    for track in tracks(&rows, &order) {
        if track.len() < gaps.min_rows {
            continue;
        }
        let track = &order[track];
        for (&before, &after) in track.iter().zip(&track[1..]) {
            let (before, after) = (&rows[before as usize], &rows[after as usize]);
            if after.frame - before.frame - 1 <= gaps.max_missing_frames {
                added.extend((before.frame + 1..after.frame).map(|frame| between(before, after, frame)));
            }
        }
    }
    add(&mut rows, added);
    rows
}

/// The row of a frame between two of one id, on the straight line.
pub(crate) fn between(before: &Row, after: &Row, frame: u32) -> Row {
    let (passed, length) = (f64::from(frame - before.frame), f64::from(after.frame - before.frame));
    let (start, end) = (tlwh(before.bbox), tlwh(after.bbox));
    let bbox = corners(std::array::from_fn(|side| (end[side] - start[side]) * passed / length + start[side]));
    Row { frame, bbox, measured: bbox, score: NO_SCORE, origin: Origin::Filled, appearance: None, ..*before }
}

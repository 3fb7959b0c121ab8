//! Filling gaps by straight lines.

use crate::offline::rows_by_id;
use crate::row::Row;
use crate::sequence::Sequence;

/// The score of a row that nobody saw, as the reference writes it.
const NO_SCORE: f64 = -1.0;

/// Which gaps to fill. The default is that of the reference's `tools/interpolation`: gaps between rows less than 20 frames apart,
/// of ids with more than 5 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// and the row after. Rows added have `observed == false`, score -1 and the class of the row before; in their frame they come after
/// all others.
#[must_use]
pub fn fill_gaps(tracks: &Sequence, gaps: &Gaps) -> Sequence {
    let rows = tracks.rows();
    let mut all = rows.to_vec();
    for track in rows_by_id(tracks).chunk_by(|&a, &b| rows[a].id == rows[b].id) {
        if track.len() < gaps.min_rows {
            continue;
        }
        for (&before, &after) in track.iter().zip(&track[1..]) {
            let (before, after) = (&rows[before], &rows[after]);
            if after.frame - before.frame - 1 <= gaps.max_missing_frames {
                all.extend((before.frame + 1..after.frame).map(|frame| between(before, after, frame)));
            }
        }
    }
    Sequence::from_derived_rows(all)
}

fn between(before: &Row, after: &Row, frame: u32) -> Row {
    let (passed, length) = (f64::from(frame - before.frame), f64::from(after.frame - before.frame));
    let (start, end) = (before.tlwh(), after.tlwh());
    let tlwh = std::array::from_fn(|side| (end[side] - start[side]) * passed / length + start[side]);
    Row { frame, score: NO_SCORE, observed: false, ..before.with_tlwh(tlwh) }
}

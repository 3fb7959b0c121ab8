//! What can be improved once all frames are known. Each function is a named deviation from what the tracker returned: a pure
//! function from tracks to tracks that nobody has to call.
//!
//! Ids never change, no row is taken away, and every row that is added has `observed == false`. See the README for the
//! measured effects; none is an improvement everywhere.

mod backfill;
mod gaps;
mod smoothing;

pub use backfill::{Backfill, backfill_first_boxes};
pub use gaps::{Gaps, fill_gaps};
pub use smoothing::{Smoothing, SmoothingError, smooth};

use crate::sequence::Sequence;

/// Where each id's rows are, by id; those of one id by frame.
fn rows_by_id(tracks: &Sequence) -> Vec<usize> {
    let mut places: Vec<usize> = (0..tracks.rows().len()).collect();
    // Stable, so that the frames of an id stay in order.
    places.sort_by_key(|&place| tracks.rows()[place].id);
    places
}

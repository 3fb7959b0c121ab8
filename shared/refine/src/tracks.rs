//! Rows by identity, and the parts of a track without a missing frame.

use crate::row::{Origin, Row};
use std::ops::Range;

/// Positions of rows by id; those of one id by frame. `rows` are sorted by frame.
pub(crate) fn by_id(rows: &[Row]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let last = rows.iter().map(|row| row.id).max().unwrap_or(0);
    if last > 4 * rows.len() as u64 {
        // Stable, so that the frames of an id stay in order.
        order.sort_by_key(|&place| rows[place as usize].id);
        return order;
    }
    // Ids of trackers are dense: counting them is several times faster than sorting.
    let mut starts = vec![0_u32; last as usize + 2];
    for row in rows {
        starts[row.id as usize + 1] += 1;
    }
    for id in 1..starts.len() {
        starts[id] += starts[id - 1];
    }
    for (row, place) in rows.iter().zip(0..) {
        let start = &mut starts[row.id as usize];
        order[*start as usize] = place;
        *start += 1;
    }
    order
}

/// Ranges of `order` that go together: `together` is given each two neighbours.
pub(crate) fn stretches(order: &[u32], mut together: impl FnMut(u32, u32) -> bool) -> Vec<Range<usize>> {
    let mut start = 0;
    let ends = order.chunk_by(|&a, &b| together(a, b)).map(|stretch| {
        start += stretch.len();
        start - stretch.len()..start
    });
    ends.collect()
}

/// The tracks: ranges of one id.
pub(crate) fn tracks(rows: &[Row], order: &[u32]) -> Vec<Range<usize>> {
    stretches(order, |a, b| rows[a as usize].id == rows[b as usize].id)
}

/// The pieces: ranges of one id in which no frame is missing, and none is filled.
pub(crate) fn measured_pieces(rows: &[Row], order: &[u32]) -> Vec<Range<usize>> {
    stretches(order, |a, b| {
        let (a, b) = (&rows[a as usize], &rows[b as usize]);
        a.id == b.id && a.frame + 1 == b.frame && a.origin != Origin::Filled && b.origin != Origin::Filled
    })
}

/// Puts added rows after those that are there, frame by frame.
pub(crate) fn add(rows: &mut Vec<Row>, mut added: Vec<Row>) {
    added.sort_by_key(|row| (row.frame, row.id));
    let (Some(&last), mut place) = (added.last(), rows.len() + added.len()) else { return };
    let mut rest = rows.len();
    rows.resize(place, last);
    // From the end on, so that every row moves once and none is overwritten.
    for row in added.into_iter().rev() {
        let stay = rows[..rest].partition_point(|there| there.frame <= row.frame);
        rows.copy_within(stay..rest, place - (rest - stay));
        place -= rest - stay + 1;
        rest = stay;
        rows[place] = row;
    }
}

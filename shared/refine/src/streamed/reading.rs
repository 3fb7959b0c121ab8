//! The rows of one object, read a part at a time.

use super::{
    chains::{Chain, Stretch},
    record::{Numbers, Tracked},
    spool::Spool,
};
use crate::row::Row;
use std::{collections::HashMap, io, ops::Range};

/// Tracked rows of a part, at most.
const PART_ROWS: usize = 4096;

/// How crowded rows are where it is not as it was: tracked ones by the tracker's id and frame, added ones by their new id and frame.
#[derive(Debug, Default)]
pub(super) struct Crowding {
    /// By frame.
    pub(super) tracked: HashMap<u64, Vec<(u32, f64)>>,
    pub(super) added: HashMap<(u64, u32), f64>,
}

/// An object and where its rows are.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) chain: Chain<'a>,
    pub(super) stretches: &'a [Stretch],
    pub(super) by_id: &'a Spool,
    pub(super) numbers: Numbers,
    /// The rows that were added to it, by frame.
    pub(super) added: &'a [Row],
    pub(super) crowding: &'a Crowding,
}

/// How far an object was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    stretch: usize,
    /// Rows of the stretch that were read.
    passed: usize,
    added: usize,
}

impl Rows<'_> {
    pub(super) fn count(&self) -> usize {
        self.chain.len(self.stretches) + self.added.len()
    }

    /// Where those of the tracker are in the file.
    pub(super) fn places(&self) -> impl Iterator<Item = Range<u64>> {
        let stretches = self.chain.stretches.iter().map(|&(_, at)| &self.stretches[at as usize]);
        stretches.flat_map(|stretch| self.by_id.places_of(stretch.id, stretch.records()))
    }

    /// Whether all rows were read.
    pub(super) fn is_at_end(&self, cursor: &Cursor) -> bool {
        cursor.stretch == self.chain.stretches.len()
    }

    /// The next part of the rows, under the object's id and by frame.
    pub(super) fn read(&self, cursor: &mut Cursor, rows: &mut Vec<Tracked>, bytes: &mut Vec<u8>) -> io::Result<()> {
        rows.clear();
        while rows.len() < PART_ROWS && !self.is_at_end(cursor) {
            self.read_together(cursor, rows, bytes)?;
        }
        let rest = &self.added[cursor.added..];
        let among = match rows.last() {
            Some(last) if !self.is_at_end(cursor) => rest.partition_point(|added| added.frame < last.row.frame),
            _ => rest.len(),
        };
        cursor.added += among;
        if among > 0 {
            rows.extend(rest[..among].iter().map(|row| {
                let crowding = *self.crowding.added.get(&(row.id, row.frame)).unwrap_or(&1.0);
                Tracked { row: *row, place: 0, crowding }
            }));
            rows.sort_by_key(|tracked| tracked.row.frame);
        }
        Ok(())
    }

    /// Reads records that lie together, of one stretch or several.
    fn read_together(&self, cursor: &mut Cursor, rows: &mut Vec<Tracked>, bytes: &mut Vec<u8>) -> io::Result<()> {
        let members = self.chain.stretches;
        let stretch = |at: usize| &self.stretches[members[at].1 as usize];
        let id = stretch(cursor.stretch).id;
        let start = stretch(cursor.stretch).records().start + cursor.passed;
        let (mut end, mut left) = (start, PART_ROWS - rows.len());
        while left > 0 && cursor.stretch < members.len() {
            let now = stretch(cursor.stretch);
            if now.id != id || now.records().start + cursor.passed != end {
                break;
            }
            let taken = left.min(now.len() - cursor.passed);
            (end, left, cursor.passed) = (end + taken, left - taken, cursor.passed + taken);
            if cursor.passed == now.len() {
                (cursor.stretch, cursor.passed) = (cursor.stretch + 1, 0);
            }
        }
        bytes.clear();
        self.by_id.read(id, start..end, bytes)?;
        let mut changed = self.crowding.tracked.get(&id).map_or(&[][..], Vec::as_slice);
        for mut tracked in Tracked::of_bytes(bytes, self.numbers, self.chain.id) {
            if !changed.is_empty() {
                changed = &changed[changed.partition_point(|&(frame, _)| frame < tracked.row.frame)..];
                if let Some(&(_, crowding)) = changed.first().filter(|&&(frame, _)| frame == tracked.row.frame) {
                    tracked.crowding = crowding;
                }
            }
            rows.push(tracked);
        }
        Ok(())
    }
}

//! Where the pieces of tracks are, and which of them are one object.

use crate::row::Row;
use std::ops::Range;

/// A stretch of one of the tracker's tracks without a missing frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// The tracker's id.
    pub(super) id: u64,
    /// The number of its first row among those of the id.
    start: usize,
    first: Outer,
    last: Outer,
}

/// What must be known of the row at an end.
#[derive(Clone, Copy, Debug)]
struct Outer {
    frame: u32,
    class: i32,
    bbox: [f64; 4],
}

impl Outer {
    fn of(row: &Row) -> Self {
        Self { frame: row.frame, class: row.class, bbox: row.bbox }
    }

    fn row(&self, id: u64) -> Row {
        Row { class: self.class, ..Row::new(self.frame, id, self.bbox) }
    }
}

impl Stretch {
    pub(super) fn begin(row: &Row, start: usize) -> Self {
        Self { id: row.id, start, first: Outer::of(row), last: Outer::of(row) }
    }

    pub(super) fn take(&mut self, row: &Row) {
        self.last = Outer::of(row);
    }

    pub(super) fn len(&self) -> usize {
        (self.last.frame - self.first.frame) as usize + 1
    }

    pub(super) fn records(&self) -> Range<usize> {
        self.start..self.end()
    }

    pub(super) fn end(&self) -> usize {
        self.start + self.len()
    }

    pub(super) fn first_frame(&self) -> u32 {
        self.first.frame
    }

    pub(super) fn last_frame(&self) -> u32 {
        self.last.frame
    }

    pub(super) fn class(&self) -> i32 {
        self.first.class
    }

    pub(super) fn first_row(&self, id: u64) -> Row {
        self.first.row(id)
    }

    pub(super) fn last_row(&self, id: u64) -> Row {
        self.last.row(id)
    }
}

/// All objects: which stretches each has, in time.
#[derive(Debug)]
pub(super) struct Chains {
    /// Ids, and places of stretches.
    members: Vec<(u64, u32)>,
}

/// One object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<'a> {
    pub(super) id: u64,
    pub(super) stretches: &'a [(u64, u32)],
}

impl Chains {
    /// By the id of each stretch; stretches are by the tracker's id and time, which their frames decide within an object.
    pub(super) fn new(ids: &[u64], stretches: &[Stretch]) -> Self {
        let mut members: Vec<(u64, u32)> = ids.iter().copied().zip(0..).collect();
        members.sort_unstable_by_key(|&(id, at)| (id, stretches[at as usize].first_frame()));
        Self { members }
    }

    /// By id.
    pub(super) fn iter(&self) -> impl Iterator<Item = Chain<'_>> {
        self.members.chunk_by(|a, b| a.0 == b.0).map(|stretches| Chain { id: stretches[0].0, stretches })
    }
}

impl<'a> Chain<'a> {
    fn of(self, all: &[Stretch]) -> impl Iterator<Item = &Stretch> + Clone + use<'a, '_> {
        self.stretches.iter().map(|&(_, at)| &all[at as usize])
    }

    /// How many rows it has.
    pub(super) fn len(&self, all: &[Stretch]) -> usize {
        self.of(all).map(Stretch::len).sum()
    }

    /// Its last or first row.
    pub(super) fn outer(&self, all: &[Stretch], is_last: bool) -> Row {
        let at = if is_last { self.stretches.len() - 1 } else { 0 };
        let stretch = &all[self.stretches[at].1 as usize];
        if is_last { stretch.last_row(self.id) } else { stretch.first_row(self.id) }
    }

    /// The stretch of a row, and its number among the rows of the tracker's id.
    pub(super) fn find<'b>(&self, all: &'b [Stretch], mut place: usize) -> (&'b Stretch, usize) {
        let mut found = &all[self.stretches[0].1 as usize];
        for &(_, at) in self.stretches {
            found = &all[at as usize];
            if place < found.len() {
                break;
            }
            place -= found.len();
        }
        (found, found.records().start + place)
    }

    /// Appends the lengths of its stretches without a missing frame, once rows are added; these are by frame.
    pub(super) fn runs(&self, all: &[Stretch], added: &[Row], lengths: &mut Vec<u32>) {
        let mut spans: Vec<(u32, u32)> =
            self.of(all).map(|stretch| (stretch.first_frame(), stretch.last_frame())).collect();
        if !added.is_empty() {
            spans.extend(added.iter().map(|row| (row.frame, row.frame)));
            spans.sort_unstable();
        }
        lengths.extend(spans.chunk_by(|a, b| a.1 + 1 == b.0).map(|run| run[run.len() - 1].1 - run[0].0 + 1));
    }
}

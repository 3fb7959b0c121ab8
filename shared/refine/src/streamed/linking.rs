//! Links of stretches. What their ends say is on disk, by time: only ends of a few seconds can be linked.

use super::{
    BLOCK_FRAMES, Streamed,
    chains::Stretch,
    record::{END_BYTES, Tracked, end_to_bytes, ends_of_bytes},
    spool::Spool,
};
use crate::{
    link::{Named, Scores, Span, decide},
    noise::Samples,
    parallel,
    pieces::{Calibration, End, Filter, Seen, second_difference},
};
use std::{io, ops::Range};
use trackdrop_assignment::Edge;

/// Rows that are worked on at a time, at most; a stretch of more is worked on alone.
const BATCH_ROWS: usize = 50_000;

impl Span for Stretch {
    fn id(&self) -> u64 {
        self.id
    }

    fn first_frame(&self) -> u32 {
        Self::first_frame(self)
    }

    fn last_frame(&self) -> u32 {
        Self::last_frame(self)
    }
}

impl Streamed {
    /// The id of each stretch.
    pub(super) fn link(&mut self) -> io::Result<Named> {
        let (Some(options), Some(camera)) = (self.refine.link, self.camera.take()) else {
            return Ok(Named { ids: self.stretches.iter().map(|stretch| stretch.id).collect(), links: Vec::new() });
        };
        let path = camera.path()?;
        let calibration = self.calibration(&path)?;
        let ends = self.ends(&path, calibration)?;
        drop(path);
        let size_px = self.video.size_px.unwrap_or_else(|| self.covered.size_px());
        let scores = Scores::new(&self.video, &options, calibration.acceleration, size_px);
        let edges = self.candidates(&ends, &scores)?;
        ends.0.discard()?;
        Ok(decide(&self.stretches, &edges))
    }

    fn calibration(&self, path: &[[f64; 2]]) -> io::Result<Calibration> {
        let mut samples = Samples::<3>::new(self.video.frame_rate, self.stretches.iter().map(Stretch::len));
        let mut bytes = Vec::new();
        for batch in batches(&self.stretches) {
            let ranges = self.read(batch.clone(), &mut bytes)?;
            for (stretch, range) in self.stretches[batch].iter().zip(ranges) {
                let row = |at: usize| Tracked::at(&bytes, range.start + at, self.numbers, stretch.id).row;
                samples.take(range.len(), |a, b, c| second_difference([&row(a), &row(b), &row(c)], path));
            }
        }
        Ok(Calibration::of(&samples.noise()))
    }

    /// What the ends of all stretches say, by time.
    fn ends(&self, path: &[[f64; 2]], calibration: Calibration) -> io::Result<Ends> {
        let mut ends = Ends(Spool::new(self.ends.try_clone()?, END_BYTES));
        let mut bytes = Vec::new();
        for batch in batches(&self.stretches) {
            let ranges = self.read(batch.clone(), &mut bytes)?;
            let parts = parallel::over(ranges.len(), |part| {
                let mut filter = Filter::new(calibration, 1.0 / self.video.frame_rate);
                let seen = |at: usize| {
                    let Tracked { row, crowding, .. } = Tracked::at(&bytes, at, self.numbers, 0);
                    Seen::of(&row, crowding, path)
                };
                ranges[part].iter().map(|range| filter.ends(range, seen)).collect::<Vec<_>>()
            });
            for (of_stretch, at) in parts.into_iter().flatten().zip(batch) {
                ends.push(&self.stretches[at], at as u32, &of_stretch)?;
            }
        }
        ends.0.finish()?;
        Ok(ends)
    }

    /// All links that are better than none, as [`decide`] takes them.
    fn candidates(&self, ends: &Ends, scores: &Scores) -> io::Result<Vec<Edge>> {
        let stretch = |at: u32| &self.stretches[at as usize];
        let blocks = self.stretches.iter().map(|stretch| stretch.last_frame() / BLOCK_FRAMES + 1).max().unwrap_or(0);
        let parts = parallel::over(blocks as usize, |part| {
            let mut edges = Vec::new();
            for block in part.start as u32..part.end as u32 {
                let tails = ends.read(Side::Tail, block..block + 1)?;
                let Some(last) = tails.iter().map(|&(at, _)| stretch(at).last_frame()).max() else { continue };
                let mut heads =
                    ends.read(Side::Head, block..(scores.starts(last).end / BLOCK_FRAMES).min(blocks) + 1)?;
                heads.sort_unstable_by_key(|&(at, _)| (stretch(at).first_frame(), at));
                let first_from = |frame: u32| heads.partition_point(|&(at, _)| stretch(at).first_frame() < frame);
                for (row, tail) in &tails {
                    let (end, starts) = (stretch(*row), scores.starts(stretch(*row).last_frame()));
                    for (column, head) in &heads[first_from(starts.start)..first_from(starts.end)] {
                        let start = stretch(*column);
                        if scores.fit(end.class(), start.class()) {
                            let score = scores.of((end.last_frame(), tail), (start.first_frame(), head), || 0.0);
                            edges.extend(score.map(|score| Edge { row: *row, column: *column, score }));
                        }
                    }
                }
            }
            Ok::<_, io::Error>(edges)
        });
        let mut edges = Vec::new();
        for part in parts {
            edges.append(&mut part?);
        }
        edges.sort_unstable_by_key(|edge| (edge.row, stretch(edge.column).first_frame(), edge.column));
        Ok(edges)
    }

    /// The records of some stretches, and which of them are of each.
    fn read(&self, batch: Range<usize>, bytes: &mut Vec<u8>) -> io::Result<Vec<Range<usize>>> {
        bytes.clear();
        for of_id in self.stretches[batch.clone()].chunk_by(|a, b| a.id == b.id) {
            self.by_id.read(of_id[0].id, of_id[0].records().start..of_id[of_id.len() - 1].end(), bytes)?;
        }
        let mut start = 0;
        let ranges = self.stretches[batch].iter().map(|stretch| {
            start += stretch.len();
            start - stretch.len()..start
        });
        Ok(ranges.collect())
    }
}

/// What the ends of stretches say, on disk by blocks of frames.
struct Ends(Spool);

/// Which end of a stretch: its beginning or its end.
#[derive(Clone, Copy)]
enum Side {
    Head,
    Tail,
}

impl Side {
    fn key(self, block: u32) -> u64 {
        2 * u64::from(block) + matches!(self, Self::Tail) as u64
    }
}

impl Ends {
    fn push(&mut self, stretch: &Stretch, number: u32, [head, tail]: &[End; 2]) -> io::Result<()> {
        self.0.push(Side::Head.key(stretch.first_frame() / BLOCK_FRAMES), &end_to_bytes(number, head))?;
        self.0.push(Side::Tail.key(stretch.last_frame() / BLOCK_FRAMES), &end_to_bytes(number, tail))
    }

    fn read(&self, side: Side, blocks: Range<u32>) -> io::Result<Vec<(u32, End)>> {
        let mut bytes = Vec::new();
        for key in blocks.map(|block| side.key(block)) {
            self.0.read(key, 0..self.0.count(key), &mut bytes)?;
        }
        Ok(ends_of_bytes(&bytes).collect())
    }
}

/// Stretches that follow each other, of no more rows together than are worked on at a time.
fn batches(stretches: &[Stretch]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut rows = 0;
    for (at, stretch) in stretches.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if rows + stretch.len() <= BATCH_ROWS => batch.end = at + 1,
            _ => {
                batches.push(at..at + 1);
                rows = 0;
            }
        }
        rows += stretch.len();
    }
    batches
}

//! Tracks, smoothed where that is asked for, on their way to the disk.

use super::{
    BLOCK_FRAMES, Streamed,
    chains::{Chain, Chains},
    reading::{Crowding, Cursor, Rows},
    record::{Numbers, Tracked, put_final},
    spool::{Pen, Spool},
};
use crate::{
    noise::{Noise, Samples, median},
    parallel,
    row::{Origin, Row},
    rts::{Checkpoint, Measured, Relative, Seen, Smoother, filled_row, second_difference},
};
use std::io;

/// What smoothing goes by; nothing where it is not asked for.
#[derive(Debug, Default)]
pub(super) struct Known {
    noise: Option<Relative>,
    /// The middle height of each object, px.
    heights: Vec<f64>,
}

impl Streamed {
    /// Looks at all rows once, object after object. `seen` is given those of the tracker.
    pub(super) fn survey(&self, chains: &Chains, added: &[Row], seen: &mut impl FnMut(&Row)) -> io::Result<Known> {
        let is_smoothed = self.refine.smooth.is_some();
        let mut lengths = Vec::new();
        for chain in chains.iter().filter(|_| is_smoothed) {
            chain.runs(&self.stretches, of_id(added, chain.id), &mut lengths);
        }
        let mut samples = Samples::<4>::new(self.video.frame_rate, lengths.iter().map(|&length| length as usize));
        let (unchanged, mut known) = (Crowding::default(), Known::default());
        let (mut part, mut bytes, mut heights, mut run) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for chain in chains.iter() {
            let (rows, mut cursor, mut next) = (self.rows(chain, added, &unchanged), Cursor::default(), None);
            heights.clear();
            while !rows.is_at_end(&cursor) {
                rows.read(&mut cursor, &mut part, &mut bytes)?;
                for Tracked { row, .. } in &part {
                    if row.is_observed() {
                        seen(row);
                    }
                    if !is_smoothed {
                        continue;
                    }
                    if next != Some(row.frame) {
                        take_run(&mut samples, &mut run);
                    }
                    next = Some(row.frame + 1);
                    run.push(Measured::of(row));
                    heights.push(Measured::of(row).height());
                }
            }
            take_run(&mut samples, &mut run);
            known.heights.push(median(&mut heights));
        }
        let noise: Noise<4> = samples.noise();
        known.noise = is_smoothed.then(|| Relative::of(&noise));
        Ok(known)
    }

    fn rows<'a>(&'a self, chain: Chain<'a>, added: &'a [Row], crowding: &'a Crowding) -> Rows<'a> {
        let Self { stretches, by_id, numbers, .. } = self;
        Rows { chain, stretches, by_id, numbers: *numbers, added: of_id(added, chain.id), crowding }
    }

    /// Writes refined rows over those of the tracker, which each object's are read before.
    pub(super) fn write_tracks(
        &self,
        chains: &Chains,
        added: &[Row],
        crowding: &Crowding,
        known: &Known,
    ) -> io::Result<Spool> {
        let finals = self.by_id.following(self.numbers.final_bytes())?;
        let all: Vec<Chain<'_>> = chains.iter().collect();
        let done = parallel::each(all.len(), |numbers| {
            let smoother = known.noise.map(|noise| Smoother::new(noise, &self.video));
            let mut writer = TrackWriter {
                smoother,
                part: Vec::new(),
                bytes: Vec::new(),
                parts: Vec::new(),
                out: Out::new(finals.pen(), self.numbers),
            };
            for number in numbers {
                let rows = self.rows(all[number], added, crowding);
                writer.track(&rows, known.heights[number])?;
                writer.out.finals.free(rows.places());
            }
            writer.out.finish()
        });
        done.into_iter().collect::<io::Result<()>>()?;
        Ok(finals.into_spool())
    }
}

/// The rows of an object among rows by id.
fn of_id(rows: &[Row], id: u64) -> &[Row] {
    let rest = &rows[rows.partition_point(|row| row.id < id)..];
    &rest[..rest.partition_point(|row| row.id == id)]
}

/// Takes a stretch without a missing frame.
fn take_run(samples: &mut Samples<4>, run: &mut Vec<Measured>) {
    samples.take(run.len(), |a, b, c| second_difference([run[a], run[b], run[c]]));
    run.clear();
}

/// Smooths and writes one object after the other, in memory that does not grow with their lengths but for what is known of each part.
struct TrackWriter<'a> {
    smoother: Option<Smoother>,
    part: Vec<Tracked>,
    bytes: Vec<u8>,
    /// Where each part begins: how far was read before it, and where the filter was.
    parts: Vec<(Cursor, Option<(Checkpoint, Row)>)>,
    out: Out<'a>,
}

impl TrackWriter<'_> {
    /// Filters all parts forwards, and smooths them from the last to the first. Each but the last is read and filtered again for that, which takes
    /// less time than to hold the states of all.
    fn track(&mut self, rows: &Rows<'_>, height: f64) -> io::Result<()> {
        let Self { smoother, part, bytes, parts, out } = self;
        let mut cursor = Cursor::default();
        let Some(smoother) = smoother else {
            while !rows.is_at_end(&cursor) {
                rows.read(&mut cursor, part, bytes)?;
                part.iter().try_for_each(|tracked| out.push(&tracked.row, place_of(tracked)))?;
            }
            return Ok(());
        };
        let seen = |tracked: &Tracked| Seen::of(&tracked.row, tracked.crowding);
        smoother.begin(height, rows.count());
        let mut before = None;
        parts.clear();
        while !rows.is_at_end(&cursor) {
            parts.push((cursor, before));
            rows.read(&mut cursor, part, bytes)?;
            let checkpoint = smoother.forward(before.map(|(checkpoint, _)| checkpoint), part.iter().map(seen));
            before = checkpoint.zip(part.last().map(|last| last.row));
        }
        let (mut later, mut is_filtered) = (None, true);
        while let Some((mut cursor, before)) = parts.pop() {
            if !std::mem::take(&mut is_filtered) {
                rows.read(&mut cursor, part, bytes)?;
                smoother.forward(before.map(|(checkpoint, _)| checkpoint), part.iter().map(seen));
            }
            let mut written = Ok(());
            later = smoother.back(later, |step, bbox| {
                let last = (step.rows as usize).checked_sub(1).map(|at| &part[at]);
                let pushed = match last {
                    Some(tracked) if step.is_row => out.push(&Row { bbox, ..tracked.row }, place_of(tracked)),
                    _ => {
                        let last = last.map(|tracked| tracked.row).or(before.map(|(_, row)| row));
                        last.map_or(Ok(()), |last| out.push(&filled_row(&last, step.frame, bbox), last.id))
                    }
                };
                if written.is_ok() {
                    written = pushed;
                }
            });
            written?;
        }
        Ok(())
    }
}

/// What orders a row among those of its frame and origin.
fn place_of(tracked: &Tracked) -> u64 {
    if tracked.row.origin == Origin::Tracked { u64::from(tracked.place) } else { tracked.row.id }
}

/// Rows on their way to the spool that all share.
struct Out<'a> {
    finals: Pen<'a>,
    numbers: Numbers,
    /// Rows of one block: those of an object follow each other in time.
    bytes: Vec<u8>,
    block: u64,
}

impl<'a> Out<'a> {
    fn new(finals: Pen<'a>, numbers: Numbers) -> Self {
        Self { finals, numbers, bytes: Vec::new(), block: 0 }
    }

    fn push(&mut self, row: &Row, place: u64) -> io::Result<()> {
        let block = u64::from(row.frame / BLOCK_FRAMES);
        if block != self.block {
            self.end_block()?;
            self.block = block;
        }
        put_final(row, place, self.numbers, &mut self.bytes);
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.finals.push(self.block, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        self.finals.flush()
    }
}

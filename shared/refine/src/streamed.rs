//! Refinements of videos that are too long for memory: rows are held on disk.
//!
//! Rows come frame by frame and are written by their ids. What needs its neighbours in time is computed as they come: how much boxes overlap, how the
//! camera moves, which detections are free. All else is by piece or by track, of which one after the other is read back. What is held for all of
//! them is where they begin and end. Refined rows are written by time, and read back in the order of frames.

mod camera;
mod chains;
mod record;
mod spool;

use crate::{
    Detection, LinkMade, Refine, Smooth,
    crowding::crowding_in,
    link::{Named, decide},
    noise::{Noise, Samples},
    overlap::Sweep,
    parallel,
    pieces::{self, Filter, Piece, Pieces},
    recover::{Free, Gap, end_places, longest_gap},
    row::{Row, Video},
    rts::{self, Relative, Smoother},
    tracks::measured_pieces,
};
use camera::Camera;
use chains::{Chain, Chains, Stretch};
use record::{BOX_BYTES, FINAL_BYTES, TRACKED_BYTES, Tracked, boxes_of_bytes, final_to_bytes, finals_of_bytes};
use spool::Spool;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::File,
    io,
    ops::Range,
};

/// Frames of a block, by which rows are found in time.
const BLOCK_FRAMES: u32 = 512;

/// Rows that are worked on at a time, at most; a piece or track of more is worked on alone.
const BATCH_ROWS: usize = 200_000;

/// Rows on their way to the refinements.
#[derive(Debug)]
pub struct Streamed {
    refine: Refine,
    video: Video,
    size_px: [f64; 2],
    by_id: Spool,
    /// Boxes by time, where rows may be added among them.
    boxes: Option<Spool>,
    finals: Spool,
    camera: Option<Camera>,
    free: Free,
    open: BTreeMap<u64, Stretch>,
    stretches: Vec<Stretch>,
    sweep: Sweep,
}

/// Refined rows, on disk.
#[derive(Debug)]
pub struct StreamedRows {
    finals: Spool,
    next_block: u32,
    blocks: u32,
    /// Those that are read, and not given yet.
    ready: VecDeque<Row>,
    links: Vec<LinkMade>,
}

/// Three empty files to write to, which nobody else uses.
pub type ScratchFiles = [File; 3];

impl Streamed {
    /// Whether these refinements of this video can do without all rows in memory: links, recovered detections and [`Smooth::Rts`], by
    /// motion alone, where the size of the picture is known.
    #[must_use]
    pub fn serves(refine: &Refine, video: &Video) -> bool {
        let Refine { link, recover, per_class: _, backfill, fill_gaps, smooth } = refine;
        let is_any = link.is_some() || *recover || smooth.is_some();
        let is_gaussian = matches!(smooth, Some(Smooth::Gaussian(_)));
        is_any && !is_gaussian && backfill.is_none() && fill_gaps.is_none() && video.size_px.is_some()
    }

    /// For refinements that [`serves`](Self::serves) says yes to; others are left out.
    #[must_use]
    pub fn new(refine: &Refine, video: &Video, [by_id, boxes, finals]: ScratchFiles) -> Self {
        let video = video.at_a_rate();
        Self {
            refine: refine.clone(),
            video,
            size_px: video.size_px.unwrap_or([1.0; 2]),
            by_id: Spool::new(by_id, TRACKED_BYTES),
            boxes: (refine.recover && refine.smooth.is_some()).then(|| Spool::new(boxes, BOX_BYTES)),
            finals: Spool::new(finals, FINAL_BYTES),
            camera: refine.link.map(|_| Camera::new(&video)),
            free: Free::default(),
            open: BTreeMap::new(),
            stretches: Vec::new(),
            sweep: Sweep::default(),
        }
    }

    /// Takes the tracker's rows of the next frame, and detections that none of them is matched with. Numbers are 32-bit floats.
    ///
    /// # Errors
    /// They can't be written, or a number is none of 32 bits.
    pub fn frame(&mut self, frame: u32, rows: &[Row], free: &[Detection]) -> io::Result<()> {
        let boxes: Vec<[f64; 4]> = rows.iter().map(|row| row.bbox).collect();
        let mut crowding = Vec::new();
        crowding_in(&boxes, &mut self.sweep, &mut crowding);
        for ((row, crowding), place) in rows.iter().zip(crowding).zip(0..) {
            self.by_id.push(row.id, &Tracked { row: *row, place, crowding }.to_bytes()?)?;
            match self.open.get_mut(&row.id) {
                Some(stretch) if stretch.last_frame() + 1 == frame => stretch.take(row),
                before => {
                    let start = before.as_ref().map_or(0, |stretch| stretch.end());
                    let ended = self.open.insert(row.id, Stretch::begin(row, start));
                    self.stretches.extend(ended);
                }
            }
            if let Some(boxes) = &mut self.boxes {
                boxes.push(u64::from(frame / BLOCK_FRAMES), &record::box_to_bytes(frame, row.id, row.bbox)?)?;
            }
        }
        if let Some(camera) = &mut self.camera {
            camera.frame(frame, rows);
        }
        if self.refine.recover {
            self.free.offer(free, &boxes);
        }
        Ok(())
    }

    /// Refines them. `seen` is given each row that the tracker returned, under its new id, those of an id in order.
    ///
    /// # Errors
    /// What was written can't be read, or what is refined not be written.
    pub fn finish(mut self, mut seen: impl FnMut(&Row)) -> io::Result<StreamedRows> {
        self.by_id.finish()?;
        self.stretches.extend(std::mem::take(&mut self.open).into_values());
        self.stretches.sort_unstable_by_key(|stretch| (stretch.id, stretch.first_frame()));
        let Named { ids, links } = self.link()?;
        let chains = Chains::new(&ids, &self.stretches);
        drop(ids);
        let added = self.recover(&chains)?;
        let crowding = self.crowding_of_added(&added)?;
        let noise = self.noise(&chains, &added)?;
        self.write_tracks(&chains, &added, &crowding, noise, &mut seen)?;
        self.finals.finish()?;
        let blocks = self.finals.keys().last().map_or(0, |last| *last as u32 + 1);
        Ok(StreamedRows { finals: self.finals, next_block: 0, blocks, ready: VecDeque::new(), links })
    }

    /// The id of each stretch.
    fn link(&mut self) -> io::Result<Named> {
        let (Some(options), Some(camera)) = (self.refine.link, self.camera.take()) else {
            return Ok(Named { ids: self.stretches.iter().map(|stretch| stretch.id).collect(), links: Vec::new() });
        };
        let path = camera.path();
        let rate = self.video.frame_rate;
        let mut samples = Samples::<3>::new(rate, self.stretches.iter().map(Stretch::len));
        for batch in batches(&self.stretches) {
            let (rows, ranges) = self.read(batch)?;
            for range in ranges {
                let row = |at: usize| &rows[range.start + at].row;
                samples.take(range.len(), |a, b, c| pieces::second_difference([row(a), row(b), row(c)], &path));
            }
        }
        let calibration = pieces::Calibration::of(&samples.noise());
        let mut all: Vec<Piece> = Vec::with_capacity(self.stretches.len());
        for batch in batches(&self.stretches) {
            let (rows, ranges) = self.read(batch)?;
            let parts = parallel::over(ranges.len(), |part| {
                let mut filter = Filter::new(calibration, 1.0 / rate);
                let mut piece =
                    |range: &Range<usize>| filter.piece(range, &path, |at| (&rows[at].row, rows[at].crowding));
                ranges[part].iter().map(&mut piece).collect::<Vec<_>>()
            });
            all.extend(parts.into_iter().flatten());
        }
        let pieces = Pieces { order: Vec::new(), pieces: all, acceleration: calibration.acceleration, likeness: None };
        Ok(decide(&pieces, &self.video, &options, self.size_px))
    }

    /// The rows of some stretches, and where each of them is.
    fn read(&mut self, batch: Range<usize>) -> io::Result<(Vec<Tracked>, Vec<Range<usize>>)> {
        let (mut rows, mut bytes) = (Vec::new(), Vec::new());
        for of_id in self.stretches[batch.clone()].chunk_by(|a, b| a.id == b.id) {
            bytes.clear();
            self.by_id.read(of_id[0].id, of_id[0].records().start..of_id[of_id.len() - 1].end(), &mut bytes)?;
            rows.extend(Tracked::of_bytes(&bytes, of_id[0].id));
        }
        let mut start = 0;
        let ranges = self.stretches[batch].iter().map(|stretch| {
            start += stretch.len();
            start - stretch.len()..start
        });
        Ok((rows, ranges.collect()))
    }

    /// The rows that are added, by id and frame.
    fn recover(&mut self, chains: &Chains) -> io::Result<Vec<Row>> {
        let mut added = Vec::new();
        if !self.refine.recover {
            return Ok(added);
        }
        let (per_class, longest) = (self.refine.per_class, longest_gap(&self.video));
        let mut gaps = Vec::new();
        for chain in chains.iter() {
            for two in chain.stretches.windows(2) {
                let [before, after] = [two[0], two[1]].map(|(_, at)| &self.stretches[at as usize]);
                let gap = Gap { before: before.last_row(chain.id), after: after.first_row(chain.id) };
                if gap.is_at_most(longest) && self.free.is_any_in(&gap) {
                    gaps.push(gap);
                }
            }
        }
        self.free.in_gaps(gaps, per_class, &mut added);
        for is_forward in [false, true] {
            for chain in chains.iter() {
                let length = chain.len(&self.stretches);
                let Some([from, to]) = end_places(length, &self.video, is_forward) else { continue };
                let end = chain.outer(&self.stretches, is_forward);
                if !self.free.is_any_beyond(end.frame, is_forward) {
                    continue;
                }
                debug_assert!(to == 0 || to + 1 == length);
                let from = self.row_of(&chain, from)?;
                self.free.at_end([&from, &end], &self.video, is_forward, per_class, &mut added);
            }
        }
        added.sort_by_key(|row| (row.id, row.frame));
        Ok(added)
    }

    /// One row of a chain.
    fn row_of(&mut self, chain: &Chain<'_>, place: usize) -> io::Result<Row> {
        let (stretch, record) = chain.find(&self.stretches, place);
        let mut bytes = Vec::new();
        self.by_id.read(stretch.id, record..record + 1, &mut bytes)?;
        let row = Tracked::of_bytes(&bytes, chain.id).next();
        row.map(|tracked| tracked.row).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    /// How crowded the rows of frames are to which some were added: by id and frame, where it is not as it was. A row that was added goes by its new
    /// id, a tracked one by that of the tracker.
    fn crowding_of_added(&mut self, added: &[Row]) -> io::Result<Crowding> {
        let mut crowding = Crowding::default();
        let Some(boxes) = self.boxes.as_mut().filter(|_| !added.is_empty()) else { return Ok(crowding) };
        boxes.finish()?;
        let mut by_time: Vec<&Row> = added.iter().collect();
        by_time.sort_by_key(|row| (row.frame, row.id));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for of_block in by_time.chunk_by(|a, b| a.frame / BLOCK_FRAMES == b.frame / BLOCK_FRAMES) {
            let block = u64::from(of_block[0].frame / BLOCK_FRAMES);
            let mut bytes = Vec::new();
            boxes.read(block, 0..boxes.count(block), &mut bytes)?;
            let all: Vec<_> = boxes_of_bytes(&bytes).collect();
            for of_frame in of_block.chunk_by(|a, b| a.frame == b.frame) {
                let frame = of_frame[0].frame;
                let start = all.partition_point(|&(at, ..)| at < frame);
                let tracked = &all[start..start + all[start..].partition_point(|&(at, ..)| at == frame)];
                let mut shown: Vec<[f64; 4]> = tracked.iter().map(|&(.., bbox)| bbox).collect();
                crowding_in(&shown, &mut self.sweep, &mut before);
                shown.extend(of_frame.iter().map(|row| row.bbox));
                crowding_in(&shown, &mut self.sweep, &mut after);
                for (&(_, id, _), (&was, &is)) in tracked.iter().zip(before.iter().zip(&after)) {
                    if was != is {
                        crowding.tracked.insert((id, frame), is);
                    }
                }
                let of_added = of_frame.iter().zip(&after[tracked.len()..]);
                crowding.added.extend(of_added.map(|(row, &is)| ((row.id, frame), is)));
            }
        }
        Ok(crowding)
    }

    /// The noise that smoothing goes by, where it is asked for.
    fn noise(&mut self, chains: &Chains, added: &[Row]) -> io::Result<Option<Relative>> {
        if self.refine.smooth.is_none() {
            return Ok(None);
        }
        let mut lengths = Vec::new();
        for chain in chains.iter() {
            chain.runs(&self.stretches, of_id(added, chain.id), &mut lengths);
        }
        let mut samples = Samples::<4>::new(self.video.frame_rate, lengths.iter().map(|&length| length as usize));
        for chain in chains.iter() {
            let track = self.track(&chain, added, &Crowding::default())?;
            let order = &track.order;
            let row = |place: usize| &track.rows[order[place] as usize];
            for run in measured_pieces(&track.rows, order) {
                let second = |a, b, c| rts::second_difference([a, b, c].map(|at: usize| row(run.start + at)));
                samples.take(run.len(), second);
            }
        }
        let noise: Noise<4> = samples.noise();
        Ok(Some(Relative::of(&noise)))
    }

    /// A whole track, with what was added to it.
    fn track(&mut self, chain: &Chain<'_>, added: &[Row], crowding: &Crowding) -> io::Result<Track> {
        let added = of_id(added, chain.id);
        let mut track = Track::with_capacity(chain.len(&self.stretches) + added.len());
        let mut bytes = Vec::new();
        for (id, records) in chain.reads(&self.stretches) {
            bytes.clear();
            self.by_id.read(id, records, &mut bytes)?;
            for Tracked { row, place, crowding: before } in Tracked::of_bytes(&bytes, id) {
                track.crowding.push(*crowding.tracked.get(&(id, row.frame)).unwrap_or(&before));
                track.rows.push(Row { id: chain.id, ..row });
                track.places.push(u64::from(place));
            }
        }
        for row in added {
            track.crowding.push(*crowding.added.get(&(row.id, row.frame)).unwrap_or(&1.0));
            track.rows.push(*row);
            track.places.push(row.id);
        }
        track.order = (0..track.rows.len() as u32).collect();
        if !added.is_empty() {
            track.order.sort_by_key(|&place| track.rows[place as usize].frame);
        }
        Ok(track)
    }

    fn write_tracks(
        &mut self,
        chains: &Chains,
        added: &[Row],
        crowding: &Crowding,
        noise: Option<Relative>,
        seen: &mut impl FnMut(&Row),
    ) -> io::Result<()> {
        let (mut batch, mut rows, mut left) = (Vec::new(), 0, chains.len());
        for chain in chains.iter() {
            left -= 1;
            let track = self.track(&chain, added, crowding)?;
            track.rows.iter().filter(|row| row.is_observed()).for_each(&mut *seen);
            rows += track.rows.len();
            batch.push(track);
            if rows < BATCH_ROWS && left > 0 {
                continue;
            }
            let video = self.video;
            let smoothed = noise.map(|noise| {
                parallel::over(batch.len(), |part| {
                    let mut smoother = Smoother::new(noise, &video);
                    batch[part].iter().for_each(|track| smoother.track(&track.rows, &track.crowding, &track.order));
                    (smoother.boxes, smoother.filled)
                })
            });
            let (boxes, filled): (Vec<_>, Vec<_>) = smoothed.into_iter().flatten().unzip();
            let mut boxes = boxes.into_iter().flatten();
            for track in batch.drain(..) {
                for place in track.order.iter().map(|&place| place as usize) {
                    let row = &track.rows[place];
                    let row = Row { bbox: boxes.next().unwrap_or(row.bbox), ..*row };
                    self.write(&row, track.places[place])?;
                }
            }
            filled.iter().flatten().try_for_each(|row| self.write(row, row.id))?;
            rows = 0;
        }
        Ok(())
    }

    fn write(&mut self, row: &Row, place: u64) -> io::Result<()> {
        self.finals.push(u64::from(row.frame / BLOCK_FRAMES), &final_to_bytes(row, place))
    }
}

/// How crowded rows are, by id and frame.
#[derive(Debug, Default)]
struct Crowding {
    tracked: HashMap<(u64, u32), f64>,
    added: HashMap<(u64, u32), f64>,
}

/// The rows of a track; those that were added come last, and `order` is by frame.
#[derive(Debug, Default)]
struct Track {
    rows: Vec<Row>,
    crowding: Vec<f64>,
    /// What orders a row among those of its frame and origin.
    places: Vec<u64>,
    order: Vec<u32>,
}

impl Track {
    fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            crowding: Vec::with_capacity(rows),
            places: Vec::with_capacity(rows),
            order: Vec::new(),
        }
    }
}

/// Those of an id among rows by id.
fn of_id(rows: &[Row], id: u64) -> &[Row] {
    let rest = &rows[rows.partition_point(|row| row.id < id)..];
    &rest[..rest.partition_point(|row| row.id == id)]
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

impl StreamedRows {
    /// The links, by id and time.
    #[must_use]
    pub fn links(&self) -> &[LinkMade] {
        &self.links
    }

    /// The rows up to a frame, exclusive, that were not given before: by frame, within a frame first those of the tracker in its order. Edges are
    /// 32-bit floats.
    ///
    /// # Errors
    /// They can't be read.
    pub fn until(&mut self, frame: u32) -> io::Result<Vec<Row>> {
        while self.next_block < self.blocks && self.next_block.saturating_mul(BLOCK_FRAMES) < frame {
            let (block, mut bytes) = (u64::from(self.next_block), Vec::new());
            self.finals.read(block, 0..self.finals.count(block), &mut bytes)?;
            self.ready.extend(finals_of_bytes(&bytes));
            self.next_block += 1;
        }
        let given = self.ready.partition_point(|row| row.frame < frame);
        Ok(self.ready.drain(..given).collect())
    }
}

//! Refinements of videos that are too long for memory: rows are held on disk.
//!
//! Rows come frame by frame and are written by their ids. What needs its neighbours in time is computed as they come: how much boxes overlap, how the
//! camera moves, which detections are free. All else is by piece or by track, of which one after the other is read back. What is held for all of
//! them is where they begin and end. Refined rows are written by time, over those that they were made of, and read back in the order of frames.

mod camera;
mod chains;
mod linking;
mod reading;
mod record;
mod spool;
mod writing;

use crate::{
    Detection, LinkMade, Refine, Smooth,
    crowding::crowding_in,
    ids::ById,
    link::{Named, size_between},
    overlap::Sweep,
    recover::{Free, Gap, end_places, longest_gap},
    row::{Row, Video},
};
use camera::Camera;
use chains::{Chain, Chains, Stretch};
use reading::Crowding;
pub use record::Numbers;
use record::{Tracked, boxes_of_bytes, finals_of_bytes, put_box};
use spool::Spool;
use std::{collections::VecDeque, fs::File, io};

/// Frames of a block, by which rows are found in time.
const BLOCK_FRAMES: u32 = 512;

/// Rows on their way to the refinements.
#[derive(Debug)]
pub struct Streamed {
    refine: Refine,
    video: Video,
    numbers: Numbers,
    covered: Covered,
    by_id: Spool,
    /// Boxes by time, in frames in which rows may be added among them.
    boxes: Option<Spool>,
    /// For what the ends of stretches say.
    ends: File,
    camera: Option<Camera>,
    free: Free,
    open: ById<Stretch>,
    stretches: Vec<Stretch>,
    sweep: Sweep,
}

/// Refined rows, on disk.
#[derive(Debug)]
pub struct StreamedRows {
    numbers: Numbers,
    finals: Spool,
    next_block: u32,
    blocks: u32,
    /// Those that are read, and not given yet.
    ready: VecDeque<Row>,
    bytes: Vec<u8>,
    ids: u64,
    links: Vec<LinkMade>,
}

/// Three empty files to write to, which nobody else uses.
pub type ScratchFiles = [File; 3];

impl Streamed {
    /// Whether these refinements of this video can do without all rows in memory: links, recovered detections and [`Smooth::Rts`], by
    /// motion alone.
    #[must_use]
    pub fn serves(refine: &Refine) -> bool {
        let Refine { link, recover, per_class: _, backfill, fill_gaps, smooth } = refine;
        let is_any = link.is_some() || *recover || smooth.is_some();
        let is_gaussian = matches!(smooth, Some(Smooth::Gaussian(_)));
        is_any && !is_gaussian && backfill.is_none() && fill_gaps.is_none()
    }

    /// For refinements that [`serves`](Self::serves) says yes to; others are left out.
    #[must_use]
    pub fn new(refine: &Refine, video: &Video, numbers: Numbers, [by_id, boxes, ends]: ScratchFiles) -> Self {
        let video = video.at_a_rate();
        Self {
            refine: refine.clone(),
            video,
            numbers,
            covered: Covered::default(),
            by_id: Spool::new(by_id, numbers.tracked_bytes()),
            boxes: (refine.recover && refine.smooth.is_some()).then(|| Spool::new(boxes, numbers.box_bytes())),
            ends,
            camera: refine.link.map(|_| Camera::new(&video)),
            free: Free::default(),
            open: ById::default(),
            stretches: Vec::new(),
            sweep: Sweep::default(),
        }
    }

    /// How many frames the video has, where that was not known before.
    pub fn set_frame_count(&mut self, frame_count: u32) {
        self.video.frame_count = frame_count;
    }

    /// Takes the tracker's rows of the next frame, and detections that none of them is matched with.
    ///
    /// # Errors
    /// They can't be written, or a number is none of [`Numbers::Single`] where that was said.
    pub fn frame(&mut self, frame: u32, rows: &[Row], free: &[Detection]) -> io::Result<()> {
        let boxes: Vec<[f64; 4]> = rows.iter().map(|row| row.bbox).collect();
        let mut crowding = Vec::new();
        crowding_in(&boxes, &mut self.sweep, &mut crowding);
        for ((row, crowding), place) in rows.iter().zip(crowding).zip(0..) {
            let tracked = Tracked { row: *row, place, crowding };
            self.by_id.push_with(row.id, |record| tracked.put(self.numbers, record))?;
            self.covered.take(row.bbox);
            match self.open.get_mut(&row.id) {
                Some(stretch) if stretch.last_frame() + 1 == frame => stretch.take(row),
                before => {
                    let start = before.as_ref().map_or(0, |stretch| stretch.end());
                    let ended = self.open.insert(row.id, Stretch::begin(row, start));
                    self.stretches.extend(ended);
                }
            }
        }
        if let Some(camera) = &mut self.camera {
            camera.frame(frame, rows)?;
        }
        let is_any_free = self.refine.recover && self.free.offer(free, &boxes);
        if let Some(boxes) = self.boxes.as_mut().filter(|_| is_any_free) {
            for row in rows {
                let block = u64::from(frame / BLOCK_FRAMES);
                boxes.push_with(block, |record| put_box(frame, row.id, row.bbox, self.numbers, record))?;
            }
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
        let known = self.survey(&chains, &added, &mut seen)?;
        let finals = self.write_tracks(&chains, &added, &crowding, &known)?;
        let blocks = finals.keys().last().map_or(0, |last| *last as u32 + 1);
        Ok(StreamedRows {
            numbers: self.numbers,
            finals,
            next_block: 0,
            blocks,
            ready: VecDeque::new(),
            bytes: Vec::new(),
            ids: chains.iter().count() as u64,
            links,
        })
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
    fn row_of(&self, chain: &Chain<'_>, place: usize) -> io::Result<Row> {
        let (stretch, record) = chain.find(&self.stretches, place);
        let mut bytes = Vec::new();
        self.by_id.read(stretch.id, record..record + 1, &mut bytes)?;
        let row = Tracked::of_bytes(&bytes, self.numbers, chain.id).next();
        row.map(|tracked| tracked.row).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    /// How crowded the rows of frames are to which some were added: by id and frame, where it is not as it was. A row that was added goes by its new
    /// id, a tracked one by that of the tracker.
    fn crowding_of_added(&mut self, added: &[Row]) -> io::Result<Crowding> {
        let mut crowding = Crowding::default();
        let Some(mut boxes) = self.boxes.take().filter(|_| !added.is_empty()) else { return Ok(crowding) };
        boxes.finish()?;
        let mut by_time: Vec<&Row> = added.iter().collect();
        by_time.sort_by_key(|row| (row.frame, row.id));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for of_block in by_time.chunk_by(|a, b| a.frame / BLOCK_FRAMES == b.frame / BLOCK_FRAMES) {
            let block = u64::from(of_block[0].frame / BLOCK_FRAMES);
            let mut bytes = Vec::new();
            boxes.read(block, 0..boxes.count(block), &mut bytes)?;
            let all: Vec<_> = boxes_of_bytes(&bytes, self.numbers).collect();
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
                        crowding.tracked.entry(id).or_default().push((frame, is));
                    }
                }
                let of_added = of_frame.iter().zip(&after[tracked.len()..]);
                crowding.added.extend(of_added.map(|(row, &is)| ((row.id, frame), is)));
            }
        }
        boxes.discard()?;
        Ok(crowding)
    }
}

/// What the boxes cover, where nobody says how large the picture is.
#[derive(Clone, Copy, Debug)]
struct Covered {
    near: [f64; 2],
    far: [f64; 2],
}

impl Default for Covered {
    fn default() -> Self {
        Self { near: [f64::INFINITY; 2], far: [f64::NEG_INFINITY; 2] }
    }
}

impl Covered {
    fn take(&mut self, [x1, y1, x2, y2]: [f64; 4]) {
        self.near = [self.near[0].min(x1), self.near[1].min(y1)];
        self.far = [self.far[0].max(x2), self.far[1].max(y2)];
    }

    fn size_px(&self) -> [f64; 2] {
        std::array::from_fn(|axis| size_between(self.near[axis], self.far[axis]))
    }
}

impl StreamedRows {
    /// The links, by id and time.
    #[must_use]
    pub fn links(&self) -> &[LinkMade] {
        &self.links
    }

    /// How many objects there are.
    #[must_use]
    pub fn ids(&self) -> u64 {
        self.ids
    }

    /// The rows up to a frame, exclusive, that were not given before: by frame, within a frame first those of the tracker in its order. Edges are
    /// of the numbers that were asked for.
    ///
    /// # Errors
    /// They can't be read.
    pub fn until(&mut self, frame: u32) -> io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.append_until(frame, &mut rows)?;
        Ok(rows)
    }

    /// The same, appended to a list.
    ///
    /// # Errors
    /// As those of [`until`](Self::until).
    pub fn append_until(&mut self, frame: u32, rows: &mut Vec<Row>) -> io::Result<()> {
        let given = self.ready.partition_point(|row| row.frame < frame);
        rows.extend(self.ready.drain(..given));
        while self.next_block < self.blocks && self.next_block.saturating_mul(BLOCK_FRAMES) < frame {
            let block = u64::from(self.next_block);
            self.bytes.clear();
            self.finals.read(block, 0..self.finals.count(block), &mut self.bytes)?;
            for row in finals_of_bytes(&self.bytes, self.numbers) {
                if row.frame < frame { rows.push(row) } else { self.ready.push_back(row) }
            }
            self.next_block += 1;
        }
        Ok(())
    }
}

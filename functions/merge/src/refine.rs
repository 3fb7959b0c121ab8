//! Named deviations from what the tracker gave, which the user asks for. They are made once all frames are known.
//!
//! They hold the video's rows on disk, or in memory where they look at all of them together. No row is taken away, and every row that is added has
//! `observed == false`. A person's edits are made after them, and may do both.

use crate::{
    blur::Absences,
    classes::{Classes, Votes},
    edits,
    fold::{Looked, Matched},
    refined_video, video_of,
};
use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
};
use trackdrop_pipeline::{
    Failure, Looks, Manifest, Rational, RequestSettings, links::IdentityLink, manifest::ManifestSegment,
};
use trackdrop_refine::{
    Appearances, Detection, LinkMade, Numbers, Origin, Refine, Row, ScratchFiles, Streamed, StreamedRows,
};
use trackdrop_tables::{detections::DetectionRow, tracks::TrackRow};

/// Coordinates beyond this are in no picture; the refinements refuse them.
const MAX_MAGNITUDE_PX: f32 = 1e9;

/// Gathers what the refinements need.
pub(crate) struct Refiner {
    refine: Refine,
    looks: Looks,
    held: Held,
    /// Rows whose box can't be used: they stay as they are.
    odd: Vec<Row>,
}

/// Where rows are until all are known.
enum Held {
    Memory(InMemory),
    /// Where neither edits nor blurring look at all rows, and links go by motion alone.
    Disk(Box<Streamed>),
}

struct InMemory {
    rows: Vec<Row>,
    /// What the tracker was shown; only what the refinements look at.
    detections: Vec<Detection>,
    /// What rows look like, where links go by it.
    appearances: Appearances,
}

impl Refiner {
    /// Rows are held in these files, where the refinements can do so.
    pub(crate) fn new(
        refine: Refine,
        looks: Looks,
        manifest: &Manifest,
        scratch: Option<ScratchFiles>,
    ) -> Result<Self, Failure> {
        // Without a look at every frame each track begins with its first detection anyway.
        let refine = Refine { backfill: refine.backfill.filter(|_| looks.every() == 1), ..refine };
        let RequestSettings { appearance, edits, blur, .. } = &manifest.settings;
        let (video, by_motion) = (refined_video(manifest)?, appearance.is_none() || refine.link.is_none());
        let is_row_by_row = looks.every() == 1 && by_motion && edits.is_empty() && blur.is_empty();
        let held = match scratch.filter(|_| is_row_by_row && Streamed::serves(&refine)) {
            Some(scratch) => Held::Disk(Box::new(Streamed::new(&refine, &video, Numbers::Single, scratch))),
            None => {
                let by_network = appearance.as_ref().is_some_and(|asked| asked.network().is_some());
                let appearances = if by_network { Appearances::of_vectors() } else { Appearances::default() };
                Held::Memory(InMemory { rows: Vec::new(), detections: Vec::new(), appearances })
            }
        };
        Ok(Self { refine, looks, held, odd: Vec::new() })
    }

    /// Takes what the next frame that is looked at comes to.
    pub(crate) fn take(&mut self, frame_index: i64, looked: Looked<'_>) -> Result<(), Failure> {
        let Looked { matched, births, .. } = looked;
        let frame = frame_of(frame_index)?;
        let mut rows = Vec::with_capacity(matched.len());
        for (id, first) in births.iter().filter(|(_, first)| is_usable(first.bbox, first.score)) {
            // Frames without a look on either side are a long time, so a track begins with the detection that it was born from.
            let at_birth = Row::new(frame_of(first.frame_index)?, *id, first.bbox.map(f64::from));
            let (score, class, origin) = (f64::from(first.score), first.class_id, Origin::Detected);
            rows.push(Row { score, class, origin, ..at_birth });
        }
        for one @ Matched { track, detection } in matched {
            let bbox = [track.x1, track.y1, track.x2, track.y2].map(|edge| edge as f32);
            let appearance = match &mut self.held {
                Held::Memory(held) if self.refine.link.is_some() => {
                    looked.appearance(one).and_then(|bytes| held.appearances.add_stored(bytes))
                }
                _ => None,
            };
            let row = Row {
                appearance,
                measured: detection.bbox.map(f64::from),
                score: f64::from(detection.score),
                class: detection.class_id,
                ..Row::new(frame, track.id, bbox.map(f64::from))
            };
            let usable = is_usable(bbox, detection.score) && is_usable(detection.bbox, detection.score);
            if usable { rows.push(row) } else { self.odd.push(row) }
        }
        let detections = self.detections(frame, &looked);
        match &mut self.held {
            Held::Memory(held) => {
                held.rows.extend(rows);
                held.detections.extend(detections);
                Ok(())
            }
            Held::Disk(streamed) => streamed.frame(frame, &rows, &detections).map_err(on_disk),
        }
    }

    /// The detections of a frame that the refinements look at.
    fn detections(&self, frame: u32, looked: &Looked<'_>) -> Vec<Detection> {
        let needs_all = self.refine.backfill.is_some();
        if !needs_all && !self.refine.recover {
            return Vec::new();
        }
        let mut taken: Vec<*const DetectionRow> =
            looked.matched.iter().map(|matched| &raw const *matched.detection).collect();
        taken.sort_unstable();
        let is_free = |row: &&DetectionRow| needs_all || taken.binary_search(&&raw const **row).is_err();
        let usable = looked.shown().filter(is_free).filter(|row| is_usable(row.bbox, row.score));
        let to_detection = |row: &DetectionRow| Detection {
            frame,
            bbox: row.bbox.map(f64::from),
            score: f64::from(row.score),
            class: row.class_id,
        };
        usable.map(to_detection).collect()
    }

    /// All rows of the video: by frame, within a frame those of the tracker first; and the class of each identity, by the votes of its
    /// rows that the tracker returned.
    pub(crate) fn finish(self, manifest: &Manifest, mut votes: Votes) -> Result<Finished, Failure> {
        let Self { refine, looks, held, odd } = self;
        let held = match held {
            Held::Memory(held) => held,
            Held::Disk(streamed) => return from_disk(*streamed, odd, manifest, &refine, votes),
        };
        let InMemory { mut rows, detections, appearances } = held;
        // Stable, as below: a birth is known one look later.
        rows.sort_by_key(|row| row.frame);
        let every = NonZeroU32::new(looks.every()).unwrap_or(NonZeroU32::MIN);
        let video = refined_video(manifest)?;
        let refined = refine.apply_to_looks_seen(rows, &detections, &appearances, &video, every);
        let (mut rows, links) = (refined.rows, refine.link.map(|_| refined.links));
        if !odd.is_empty() {
            rows.extend(odd);
            // Stable: those of the tracker stay first in their frame.
            rows.sort_by_key(|row| row.frame);
        }
        for row in rows.iter().filter(|row| row.is_observed()) {
            votes.vote(row.id, row.class, row.score);
        }
        let (names, log) = (votes.names().to_vec(), &manifest.settings.edits);
        let classes = votes.decide();
        let mut track_rows = TrackRows::new(manifest, &classes);
        let rows = rows.iter().map(|row| track_rows.row(row)).collect::<Result<Vec<_>, _>>()?;
        let links = links.map(|links| Pts { manifest }.links(&links)).transpose()?;
        if log.is_empty() {
            return Ok(Finished { rows: FinalRows::Memory(rows.into()), classes, links });
        }
        let mut edited = rows.clone();
        edits::apply(log, &mut edited, &names).map_err(Failure::permanent_from)?;
        let links = links.map(|links| edits::renamed(links, &rows, &edited));
        Ok(Finished { classes: edits::classes_of(&edited), rows: FinalRows::Memory(edited.into()), links })
    }
}

fn on_disk(error: std::io::Error) -> Failure {
    Failure::from_io("holding rows on disk", error)
}

/// The same of rows on disk. Votes are in the order of frames for each identity, as those in memory are: sums of scores depend on it.
fn from_disk(
    streamed: Streamed,
    odd: Vec<Row>,
    manifest: &Manifest,
    refine: &Refine,
    mut votes: Votes,
) -> Result<Finished, Failure> {
    let mut waiting: BTreeMap<u64, VecDeque<Row>> = BTreeMap::new();
    odd.iter().for_each(|row| waiting.entry(row.id).or_default().push_back(*row));
    let rows = streamed.finish(|row| {
        if let Some(odd) = waiting.get_mut(&row.id) {
            while let Some(before) = odd.pop_front_if(|odd| odd.frame < row.frame) {
                votes.vote(before.id, before.class, before.score);
            }
        }
        votes.vote(row.id, row.class, row.score);
    });
    let rows = rows.map_err(on_disk)?;
    waiting.into_values().flatten().for_each(|row| votes.vote(row.id, row.class, row.score));
    let links = refine.link.map(|_| Pts { manifest }.links(rows.links())).transpose()?;
    Ok(Finished { rows: FinalRows::Disk(Box::new(rows), odd.into()), classes: votes.decide(), links })
}

/// Refined rows, with the class of each identity.
pub(crate) struct Finished {
    pub(crate) rows: FinalRows,
    pub(crate) classes: Classes,
    /// None where none were asked for.
    pub(crate) links: Option<Vec<IdentityLink>>,
}

/// Refined rows that are given segment after segment.
pub(crate) enum FinalRows {
    Memory(VecDeque<TrackRow>),
    /// And those whose box can't be used.
    Disk(Box<StreamedRows>, VecDeque<Row>),
}

impl FinalRows {
    /// The rows of the next segment's frames, into a list that is empty.
    pub(crate) fn of_segment(&mut self, segment: &ManifestSegment, into: &mut SegmentRows) -> Result<(), Failure> {
        let end = segment.span.first_frame + segment.span.frame_count;
        match self {
            Self::Memory(rows) => {
                let given = rows.partition_point(|row| row.frame_index < end as i64);
                into.made.extend(rows.drain(..given));
            }
            Self::Disk(rows, odd) => {
                rows.append_until(u32::try_from(end).unwrap_or(u32::MAX), &mut into.read).map_err(on_disk)?;
                let odd_ones = odd.partition_point(|row| u64::from(row.frame) < end);
                if odd_ones > 0 {
                    into.read.extend(odd.drain(..odd_ones));
                    // Stable: those of the tracker stay first in their frame.
                    into.read.sort_by_key(|row| row.frame);
                }
            }
        }
        Ok(())
    }

    /// Where tracks have no row; of rows on disk nobody asks.
    pub(crate) fn absences(&self, time_base: Rational) -> Absences {
        match self {
            Self::Memory(rows) => Absences::of_rows(rows, time_base),
            Self::Disk(..) => Absences::new(time_base),
        }
    }
}

/// The rows of a segment, as they were held: one of the two lists is empty.
#[derive(Default)]
pub(crate) struct SegmentRows {
    made: Vec<TrackRow>,
    /// They become rows of the table as they are written: one thread makes, uses and drops their names.
    read: Vec<Row>,
}

impl SegmentRows {
    /// Takes all out.
    pub(crate) fn drain<'a>(
        &'a mut self,
        manifest: &'a Manifest,
        classes: &'a Classes,
    ) -> impl Iterator<Item = Result<TrackRow, Failure>> + use<'a> {
        let (mut rows, read) = (TrackRows::new(manifest, classes), self.read.drain(..));
        self.made.drain(..).map(Ok).chain(read.map(move |row| rows.row(&row)))
    }
}

fn frame_of(frame_index: i64) -> Result<u32, Failure> {
    u32::try_from(frame_index)
        .map_err(|_| Failure::permanent(format!("frame {frame_index} is beyond what refinements can count")))
}

/// Whether refinements can work with a box.
fn is_usable(bbox: [f32; 4], score: f32) -> bool {
    let [x1, y1, x2, y2] = bbox;
    bbox.iter().all(|edge| edge.abs() < MAX_MAGNITUDE_PX) && score.is_finite() && x1 <= x2 && y1 <= y2
}

/// Makes rows of the table of refined rows, which come by frame: what rows of a frame share is looked up once.
struct TrackRows<'a> {
    pts: Pts<'a>,
    classes: &'a Classes,
    /// The frame in hand, and its PTS.
    frame: Option<(u32, i64)>,
}

impl<'a> TrackRows<'a> {
    fn new(manifest: &'a Manifest, classes: &'a Classes) -> Self {
        Self { pts: Pts { manifest }, classes, frame: None }
    }

    fn row(&mut self, row: &Row) -> Result<TrackRow, Failure> {
        let pts = match self.frame {
            Some((frame, pts)) if frame == row.frame => pts,
            _ => self.pts.of(u64::from(row.frame))?,
        };
        self.frame = Some((row.frame, pts));
        let (class_id, class_name) = self.classes.of(row.id).cloned().unwrap_or((0, "class_0".into()));
        Ok(TrackRow {
            frame_index: i64::from(row.frame),
            pts,
            track_id: row.id as i64,
            class_id,
            class_name,
            // A row between two detections has no score of its own.
            score: row.score.max(0.0) as f32,
            bbox: row.bbox.map(|edge| edge as f32),
            observed: row.is_observed(),
        })
    }
}

/// The plan's PTS.
struct Pts<'a> {
    manifest: &'a Manifest,
}

impl Pts<'_> {
    fn links(&self, links: &[LinkMade]) -> Result<Vec<IdentityLink>, Failure> {
        links.iter().map(|link| self.link(link)).collect()
    }

    fn link(&self, link: &LinkMade) -> Result<IdentityLink, Failure> {
        let video = video_of(self.manifest)?;
        let time_s = |frame: u32| Ok::<_, Failure>(video.time_base.seconds(self.of(frame.into())? - video.origin_pts));
        Ok(IdentityLink {
            track_id: link.id,
            last_frame_index: link.last_frame.into(),
            last_time_s: time_s(link.last_frame)?,
            first_frame_index: link.first_frame.into(),
            first_time_s: time_s(link.first_frame)?,
            identity_margin: link.margin,
        })
    }

    fn of(&self, frame_index: u64) -> Result<i64, Failure> {
        let segments = &self.manifest.segments;
        let after = segments.partition_point(|segment| segment.span.first_frame <= frame_index);
        let segment = after.checked_sub(1).and_then(|last| segments.get(last));
        let pts = segment
            .and_then(|segment| segment.frame_pts.get((frame_index - segment.span.first_frame) as usize).copied());
        pts.ok_or_else(|| Failure::permanent(format!("frame {frame_index} is not in the plan")))
    }
}

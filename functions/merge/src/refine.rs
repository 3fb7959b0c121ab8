//! Named deviations from what the tracker gave, asked for by the user and made once all frames are known: they hold the video's rows
//! in memory. No row is taken away, and every row that is added has `observed == false`. A person's edits are made after them, and may do both.

use crate::{
    classes::{Classes, Votes},
    edits,
    fold::{Looked, Matched},
    video_of,
};
use std::num::NonZeroU32;
use trackdrop_pipeline::{Failure, Looks, Manifest, links::IdentityLink};
use trackdrop_refine::{Appearances, Descriptor, Detection, LinkMade, Origin, Refine, Row, Video};
use trackdrop_tables::{detections::DetectionRow, tracks::TrackRow};

/// Coordinates beyond this are in no picture; the refinements refuse them.
const MAX_MAGNITUDE_PX: f32 = 1e9;

/// Gathers what the refinements need.
pub(crate) struct Refiner {
    refine: Refine,
    looks: Looks,
    rows: Vec<Row>,
    /// Rows whose box is none: they stay as they are.
    odd: Vec<Row>,
    /// What the tracker was shown; only what the refinements look at.
    detections: Vec<Detection>,
    /// What rows look like, where links go by it.
    appearances: Appearances,
}

impl Refiner {
    pub(crate) fn new(refine: Refine, looks: Looks) -> Self {
        // Without a look at every frame each track begins with its first detection anyway.
        let refine = Refine { backfill: refine.backfill.filter(|_| looks.every() == 1), ..refine };
        let (rows, odd, detections, appearances) = Default::default();
        Self { refine, looks, rows, odd, detections, appearances }
    }

    /// Takes what the next frame that is looked at comes to.
    pub(crate) fn take(&mut self, frame_index: i64, looked: Looked<'_>) -> Result<(), Failure> {
        let Looked { matched, births, .. } = looked;
        let links = self.refine.link.is_some();
        let frame = frame_of(frame_index)?;
        for (id, first) in births.iter().filter(|(_, first)| is_usable(first.bbox, first.score)) {
            // Frames without a look on either side are a long time, so a track begins with the detection that it was born from.
            let at_birth = Row::new(frame_of(first.frame_index)?, *id, first.bbox.map(f64::from));
            let (score, class, origin) = (f64::from(first.score), first.class_id, Origin::Detected);
            self.rows.push(Row { score, class, origin, ..at_birth });
        }
        for one @ Matched { track, detection } in matched {
            let bbox = [track.x1, track.y1, track.x2, track.y2].map(|edge| edge as f32);
            let seen = looked.appearance(one).filter(|_| links);
            let row = Row {
                appearance: seen.and_then(|bytes| self.appearances.add(Descriptor(*bytes))),
                measured: detection.bbox.map(f64::from),
                score: f64::from(detection.score),
                class: detection.class_id,
                ..Row::new(frame, track.id, bbox.map(f64::from))
            };
            let usable = is_usable(bbox, detection.score) && is_usable(detection.bbox, detection.score);
            if usable { self.rows.push(row) } else { self.odd.push(row) }
        }
        let needs_all = self.refine.backfill.is_some();
        if needs_all || self.refine.recover {
            let mut taken: Vec<*const DetectionRow> =
                matched.iter().map(|matched| &raw const *matched.detection).collect();
            taken.sort_unstable();
            let is_free = |row: &&DetectionRow| needs_all || taken.binary_search(&&raw const **row).is_err();
            let usable = looked.shown().filter(is_free).filter(|row| is_usable(row.bbox, row.score));
            self.detections.extend(usable.map(|row| Detection {
                frame,
                bbox: row.bbox.map(f64::from),
                score: f64::from(row.score),
                class: row.class_id,
            }));
        }
        Ok(())
    }

    /// All rows of the video: by frame, within a frame those of the tracker first; and the class of each identity, by the votes of its
    /// rows that the tracker returned.
    pub(crate) fn finish(self, manifest: &Manifest, video: &Video, mut votes: Votes) -> Result<Finished, Failure> {
        let Self { refine, looks, mut rows, odd, detections, appearances } = self;
        // Stable, as below: a birth is known one look later.
        rows.sort_by_key(|row| row.frame);
        let every = NonZeroU32::new(looks.every()).unwrap_or(NonZeroU32::MIN);
        let refined = refine.apply_to_looks_seen(rows, &detections, &appearances, video, every);
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
        let pts = Pts { manifest };
        let rows = rows.iter().map(|row| track_row(row, &pts, &classes)).collect::<Result<Vec<_>, _>>()?;
        let named = |links: Vec<LinkMade>| links.iter().map(|link| pts.link(link)).collect::<Result<Vec<_>, _>>();
        let links = links.map(named).transpose()?;
        if log.is_empty() {
            return Ok(Finished { rows, classes, links });
        }
        let mut edited = rows.clone();
        edits::apply(log, &mut edited, &names).map_err(Failure::permanent_from)?;
        let links = links.map(|links| edits::renamed(links, &rows, &edited));
        Ok(Finished { classes: edits::classes_of(&edited), rows: edited, links })
    }
}

/// Refined rows, with the class of each identity.
pub(crate) struct Finished {
    pub(crate) rows: Vec<TrackRow>,
    pub(crate) classes: Classes,
    /// None where none were asked for.
    pub(crate) links: Option<Vec<IdentityLink>>,
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

fn track_row(row: &Row, pts: &Pts<'_>, classes: &Classes) -> Result<TrackRow, Failure> {
    let (class_id, class_name) = classes.of(row.id).cloned().unwrap_or((0, "class_0".into()));
    Ok(TrackRow {
        frame_index: i64::from(row.frame),
        pts: pts.of(u64::from(row.frame))?,
        track_id: row.id as i64,
        class_id,
        class_name,
        // A row between two detections has no score of its own.
        score: row.score.max(0.0) as f32,
        bbox: row.bbox.map(|edge| edge as f32),
        observed: row.is_observed(),
    })
}

/// The plan's PTS.
struct Pts<'a> {
    manifest: &'a Manifest,
}

impl Pts<'_> {
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

//! Detections that no track took, taken by the tracks that pass there.

use crate::{
    gaps::between,
    overlap::{Sweep, iou},
    row::{Detection, Row, Video, centre, of_frame},
    tracks::{add, by_id, tracks},
};
use std::ops::Range;
use trackdrop_assignment::{Assigner, Edge};

/// A weaker detection is taken by no track.
const MIN_SCORE: f64 = 0.3;

/// From this overlap on a detection is a second box of an object that has its row.
const DUPLICATE_IOU: f64 = 0.6;

/// Longer gaps stay as they are.
const MAX_GAP_S: f64 = 2.0;
const MIN_IOU_IN_GAP: f64 = 0.5;

const MIN_IOU_AT_END: f64 = 0.6;
/// An end is followed for at most this many frames, and abandoned after this many without a detection.
const MAX_STEPS: u32 = 30;
const MAX_MISSES: u32 = 3;
/// The velocity at an end is that of its last rows.
const EVIDENCE_S: f64 = 0.4;
const LEAST_EVIDENCE_ROWS: usize = 3;

/// Adds detections above 0.3 that no row is matched with: in gaps of up to 2 s where they overlap the straight line between the rows
/// around (exactly assigned in each frame), and before the first and after the last row of a track as long as they lie where its motion
/// leads.
///
/// `rows` and `detections` are sorted by frame; `detections` may hold those that rows are matched with, since one that overlaps a row
/// of its frame by 0.6 or more is never taken. With `per_class` a detection is only taken by a track of its class.
#[must_use]
pub fn recover(mut rows: Vec<Row>, detections: &[Detection], video: &Video, per_class: bool) -> Vec<Row> {
    let order = by_id(&rows);
    let tracks = tracks(&rows, &order);
    let mut free = Free::default();
    let (mut rest, mut boxes) = (rows.as_slice(), Vec::new());
    for of_frame in detections.chunk_by(|a, b| a.frame == b.frame) {
        let frame = of_frame[0].frame;
        rest = &rest[rest.partition_point(|row| row.frame < frame)..];
        boxes.clear();
        boxes.extend(rest[..rest.partition_point(|row| row.frame == frame)].iter().map(|row| row.bbox));
        free.offer(of_frame, &boxes);
    }
    let longest = longest_gap(video);
    let row = |place: &u32| &rows[*place as usize];
    let gaps = tracks.iter().flat_map(|track| order[track.clone()].windows(2)).filter_map(|two| {
        let gap = Gap { before: *row(&two[0]), after: *row(&two[1]) };
        gap.is_at_most(longest).then_some(gap)
    });
    let mut added = Vec::new();
    free.in_gaps(gaps.collect(), per_class, &mut added);
    for is_forward in [false, true] {
        for track in &tracks {
            let track = &order[track.clone()];
            let Some([from, to]) = end_places(track.len(), video, is_forward) else { continue };
            free.at_end([row(&track[from]), row(&track[to])], video, is_forward, per_class, &mut added);
        }
    }
    add(&mut rows, added);
    rows
}

/// The longest gap that is looked into, in frames from row to row.
pub(crate) fn longest_gap(video: &Video) -> u32 {
    video.frames(MAX_GAP_S)
}

/// The rows of a track on either side of missing frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) before: Row,
    pub(crate) after: Row,
}

impl Gap {
    /// Whether frames are missing, and the rows are no more than this many frames apart.
    pub(crate) fn is_at_most(&self, frames: u32) -> bool {
        (2..=frames).contains(&(self.after.frame - self.before.frame))
    }
}

/// By which two rows of a track of this many its motion at an end is known: the one within, and the last or first; none of too few.
pub(crate) fn end_places(length: usize, video: &Video, is_forward: bool) -> Option<[usize; 2]> {
    let evidence = ((EVIDENCE_S * video.frame_rate) as usize).max(LEAST_EVIDENCE_ROWS).min(length);
    let places = if is_forward { [length - evidence, length - 1] } else { [evidence - 1, 0] };
    (evidence >= LEAST_EVIDENCE_ROWS).then_some(places)
}

/// Detections that are free, by frame, and within a frame in an order that depends on themselves alone.
#[derive(Debug, Default)]
pub(crate) struct Free {
    detections: Vec<Detection>,
    is_taken: Vec<bool>,
    sweep: Sweep,
}

impl Free {
    /// Adds those of the detections of a later frame that are strong enough and no second box of an object that has its row; says whether there are
    /// any.
    pub(crate) fn offer(&mut self, of_frame: &[Detection], boxes: &[[f64; 4]]) -> bool {
        let offered: Vec<Detection> =
            of_frame.iter().copied().filter(|detection| detection.score > MIN_SCORE).collect();
        if offered.is_empty() {
            return false;
        }
        let mut covered = vec![false; offered.len()];
        let offered_boxes: Vec<_> = offered.iter().map(|detection| detection.bbox).collect();
        self.sweep.overlaps(&offered_boxes, boxes, |index, _, iou| covered[index as usize] |= iou >= DUPLICATE_IOU);
        let start = self.detections.len();
        self.detections
            .extend(offered.iter().zip(&covered).filter(|&(_, &covered)| !covered).map(|(detection, _)| *detection));
        let key = |detection: &Detection| {
            [detection.bbox[0], detection.bbox[1], detection.bbox[2], detection.bbox[3], detection.score]
        };
        self.detections[start..].sort_by(|a, b| {
            let pairs = key(a).into_iter().zip(key(b));
            pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(a.class.cmp(&b.class))
        });
        self.is_taken.resize(self.detections.len(), false);
        self.detections.len() > start
    }

    /// Whether there is any in the frames between the rows of a gap.
    pub(crate) fn is_any_in(&self, gap: &Gap) -> bool {
        let after = self.detections.partition_point(|detection| detection.frame <= gap.before.frame);
        self.detections.get(after).is_some_and(|detection| detection.frame < gap.after.frame)
    }

    /// Which are of a frame, taken ones among them.
    fn of(&self, frame: u32) -> Range<usize> {
        let start = self.detections.partition_point(|detection| detection.frame < frame);
        start..start + of_frame(&self.detections[start..], frame, |detection| detection.frame).len()
    }

    /// Whether there is any so near to an end that it could be followed.
    pub(crate) fn is_any_beyond(&self, frame: u32, is_forward: bool) -> bool {
        let frames = if is_forward {
            frame.saturating_add(1)..=frame.saturating_add(MAX_MISSES + 1)
        } else {
            frame.saturating_sub(MAX_MISSES + 1)..=frame.saturating_sub(1)
        };
        let first = self.detections.partition_point(|detection| detection.frame < *frames.start());
        self.detections.get(first).is_some_and(|detection| frames.contains(&detection.frame))
    }

    pub(crate) fn in_gaps(&mut self, mut gaps: Vec<Gap>, per_class: bool, added: &mut Vec<Row>) {
        gaps.sort_by_key(|gap| (gap.before.frame, gap.before.id));
        let (mut open, mut next, mut at): (Vec<Gap>, usize, usize) = (Vec::new(), 0, 0);
        let (mut assigner, mut edges) = (Assigner::default(), Vec::new());
        while let Some(frame) = self.detections.get(at).map(|detection| detection.frame) {
            let free = self.of(frame);
            at = free.end;
            let begun = gaps[next..].partition_point(|gap| gap.before.frame < frame);
            open.extend_from_slice(&gaps[next..next + begun]);
            next += begun;
            open.retain(|gap| gap.after.frame > frame);
            open.sort_by_key(|gap| gap.before.id);
            edges.clear();
            let lines: Vec<Row> = open.iter().map(|gap| between(&gap.before, &gap.after, frame)).collect();
            for (line, row) in lines.iter().zip(0..) {
                for (detection, column) in self.detections[free.clone()].iter().zip(0..) {
                    let score = iou(&line.bbox, &detection.bbox);
                    if score >= MIN_IOU_IN_GAP && (!per_class || line.class == detection.class) {
                        edges.push(Edge { row, column, score });
                    }
                }
            }
            for edge in assigner.maximise(&edges).iter().map(|&edge| edges[edge]) {
                let detection = free.start + edge.column as usize;
                self.is_taken[detection] = true;
                added.push(Row::of_detection(lines[edge.row as usize].id, &self.detections[detection]));
            }
        }
    }

    /// Follows a track beyond one of its ends.
    pub(crate) fn at_end(
        &mut self,
        [from, end]: [&Row; 2],
        video: &Video,
        is_forward: bool,
        per_class: bool,
        added: &mut Vec<Row>,
    ) {
        let (before, at) = (centre(from.bbox), centre(end.bbox));
        let frames = f64::from(end.frame.abs_diff(from.frame).max(1));
        let velocity = [(at[0] - before[0]) / frames, (at[1] - before[1]) / frames];
        let (mut bbox, mut frame, mut misses) = (end.bbox, end.frame, 0);
        for _ in 0..MAX_STEPS {
            let next = if is_forward { frame.checked_add(1) } else { frame.checked_sub(1) };
            let Some(next) = next.filter(|&next| next < video.frame_count) else { return };
            frame = next;
            bbox = std::array::from_fn(|side| bbox[side] + velocity[side % 2]);
            let fitting =
                |&index: &usize| !self.is_taken[index] && (!per_class || self.detections[index].class == end.class);
            let overlap = |index: usize| (index, iou(&bbox, &self.detections[index].bbox));
            let best = self.of(frame).filter(fitting).map(overlap).reduce(|a, b| if b.1 > a.1 { b } else { a });
            match best.filter(|&(_, overlap)| overlap >= MIN_IOU_AT_END) {
                Some((index, _)) => {
                    let detection = &self.detections[index];
                    added.push(Row::of_detection(end.id, detection));
                    bbox = std::array::from_fn(|side| 0.5 * (bbox[side] + detection.bbox[side]));
                    self.is_taken[index] = true;
                    misses = 0;
                }
                None => misses += 1,
            }
            if misses > MAX_MISSES {
                return;
            }
        }
    }
}

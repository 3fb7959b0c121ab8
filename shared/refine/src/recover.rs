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
    let mut free = Free::new(&rows, detections);
    let mut added = Vec::new();
    free.in_gaps(&rows, &order, &tracks, video, per_class, &mut added);
    for is_forward in [false, true] {
        for track in &tracks {
            free.at_end(&rows, &order[track.clone()], video, is_forward, per_class, &mut added);
        }
    }
    add(&mut rows, added);
    rows
}

/// Detections that are free, by frame, and within a frame in an order that depends on themselves alone.
struct Free {
    detections: Vec<Detection>,
    is_taken: Vec<bool>,
}

impl Free {
    fn new(rows: &[Row], detections: &[Detection]) -> Self {
        let (mut sweep, mut boxes, mut offered, mut covered) = (Sweep::default(), Vec::new(), Vec::new(), Vec::new());
        let mut free = Vec::new();
        let mut rest = rows;
        for of_frame in detections.chunk_by(|a, b| a.frame == b.frame) {
            let frame = of_frame[0].frame;
            rest = &rest[rest.partition_point(|row| row.frame < frame)..];
            offered.clear();
            offered.extend(of_frame.iter().copied().filter(|detection| detection.score > MIN_SCORE));
            if offered.is_empty() {
                continue;
            }
            let present = &rest[..rest.partition_point(|row| row.frame == frame)];
            boxes.clear();
            boxes.extend(present.iter().map(|row| row.bbox));
            covered.clear();
            covered.resize(offered.len(), false);
            let offered_boxes: Vec<_> = offered.iter().map(|detection| detection.bbox).collect();
            sweep.overlaps(&offered_boxes, &boxes, |index, _, iou| covered[index as usize] |= iou >= DUPLICATE_IOU);
            let start = free.len();
            free.extend(
                offered.iter().zip(&covered).filter(|&(_, &covered)| !covered).map(|(detection, _)| *detection),
            );
            let key = |detection: &Detection| {
                [detection.bbox[0], detection.bbox[1], detection.bbox[2], detection.bbox[3], detection.score]
            };
            free[start..].sort_by(|a, b| {
                let pairs = key(a).into_iter().zip(key(b));
                pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(a.class.cmp(&b.class))
            });
        }
        Self { is_taken: vec![false; free.len()], detections: free }
    }

    /// Which are of a frame, taken ones among them.
    fn of(&self, frame: u32) -> Range<usize> {
        let start = self.detections.partition_point(|detection| detection.frame < frame);
        start..start + of_frame(&self.detections[start..], frame, |detection| detection.frame).len()
    }

    fn in_gaps(
        &mut self,
        rows: &[Row],
        order: &[u32],
        tracks: &[Range<usize>],
        video: &Video,
        per_class: bool,
        added: &mut Vec<Row>,
    ) {
        let longest = video.frames(MAX_GAP_S);
        let mut lines = Vec::new();
        for track in tracks {
            for two in order[track.clone()].windows(2) {
                let (before, after) = (&rows[two[0] as usize], &rows[two[1] as usize]);
                if after.frame - before.frame <= longest {
                    lines.extend((before.frame + 1..after.frame).map(|frame| between(before, after, frame)));
                }
            }
        }
        lines.sort_by_key(|line| (line.frame, line.id));
        let (mut assigner, mut edges) = (Assigner::default(), Vec::new());
        for lines in lines.chunk_by(|a, b| a.frame == b.frame) {
            let free = self.of(lines[0].frame);
            edges.clear();
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
    fn at_end(
        &mut self,
        rows: &[Row],
        track: &[u32],
        video: &Video,
        is_forward: bool,
        per_class: bool,
        added: &mut Vec<Row>,
    ) {
        let evidence = ((EVIDENCE_S * video.frame_rate) as usize).max(LEAST_EVIDENCE_ROWS).min(track.len());
        if evidence < LEAST_EVIDENCE_ROWS {
            return;
        }
        let (from, to) = if is_forward { (track.len() - evidence, track.len() - 1) } else { (evidence - 1, 0) };
        let (from, end) = (&rows[track[from] as usize], &rows[track[to] as usize]);
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

//! CLEAR MOT (Bernardin & Stiefelhagen 2008): misses, false alarms and switches, counted frame by frame.

use serde::Serialize;

use crate::scene::Scene;
use trackdrop_assignment::{Assigner, Edge};

/// A bonus for the track of the previous frame. It is larger than all overlaps of a frame with up to 1,000 objects.
const CONTINUITY: f64 = 1000.0;

/// An object with more than this share of its rows matched is mostly tracked.
const MOSTLY_TRACKED: f64 = 0.8;

/// An object with less than this share of its rows matched is mostly lost.
const MOSTLY_LOST: f64 = 0.2;

/// The value for "no track".
const NONE: u32 = u32::MAX;

/// The CLEAR metrics; shares in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clear {
    /// MOTA: 100 minus misses, false alarms and switches per row of ground truth. It can be negative.
    #[serde(rename = "MOTA")]
    pub mota: f64,
    /// MOTP: mean overlap of the matches.
    #[serde(rename = "MOTP")]
    pub motp: f64,
    /// IDSW: how often the track of an object is another one than its last track. It does not matter how long ago that
    /// was.
    #[serde(rename = "IDSW")]
    pub switches: u64,
    /// Frag: how often an object is matched again after a frame without a match.
    #[serde(rename = "Frag")]
    pub fragments: u64,
    /// MT: objects that are matched in more than 80 % of their rows.
    #[serde(rename = "MT")]
    pub mostly_tracked: u64,
    /// PT: objects between MT and ML.
    #[serde(rename = "PT")]
    pub partly_tracked: u64,
    /// ML: objects that are matched in less than 20 % of their rows.
    #[serde(rename = "ML")]
    pub mostly_lost: u64,
    /// Matched rows.
    #[serde(rename = "TP")]
    pub true_positives: u64,
    /// FP: rows of tracks without a match.
    #[serde(rename = "FP")]
    pub false_positives: u64,
    /// FN: rows of ground truth without a match.
    #[serde(rename = "FN")]
    pub false_negatives: u64,
}

/// An object and its track in one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    /// Index into [`Scene::frames`].
    pub(crate) frame_place: usize,
    /// Which row of ground truth in this frame.
    pub(crate) truth_row: u32,
    /// Which row of the tracks in this frame.
    pub(crate) track_row: u32,
}

/// The state of one object of ground truth.
#[derive(Clone, Copy, Debug)]
struct History {
    matched: u32,
    /// How many runs of consecutive matched frames it has.
    stretches: u32,
    /// The last track it had.
    last_track: u32,
    /// Its track in the previous frame with rows on both sides; frames with rows on one side are skipped, as in TrackEval.
    previous_track: u32,
}

impl Clear {
    pub(crate) fn new(scene: &Scene, min_iou: f64) -> Self {
        Self::telling(scene, min_iou, |_| {})
    }

    /// The same, and reports every match.
    pub(crate) fn telling(scene: &Scene, min_iou: f64, mut tell: impl FnMut(Match)) -> Self {
        let unseen = History { matched: 0, stretches: 0, last_track: NONE, previous_track: NONE };
        let mut objects = vec![unseen; scene.truth_rows.len()];
        let (mut matched, mut iou_sum, mut switches) = (0_u64, 0.0, 0_u64);
        let (mut assigner, mut edges, mut candidates) = (Assigner::default(), Vec::new(), Vec::new());
        let (mut in_previous_frame, mut in_this_frame) = (Vec::new(), Vec::new());
        for (frame_place, frame) in scene.frames.iter().enumerate() {
            edges.clear();
            candidates.clear();
            for overlap in scene.overlaps(frame).iter().filter(|overlap| overlap.iou >= min_iou - f64::EPSILON) {
                let pair = scene.pairs[overlap.pair as usize];
                let continued = objects[pair.truth as usize].previous_track == pair.track;
                let score = if continued { CONTINUITY + overlap.iou } else { overlap.iou };
                edges.push(Edge { row: overlap.truth_row, column: overlap.track_row, score });
                candidates.push((pair, overlap.iou));
            }
            in_this_frame.clear();
            for &edge in assigner.maximise(&edges) {
                let (pair, iou) = candidates[edge];
                let object = &mut objects[pair.truth as usize];
                tell(Match { frame_place, truth_row: edges[edge].row, track_row: edges[edge].column });
                matched += 1;
                iou_sum += iou;
                switches += u64::from(object.last_track != NONE && object.last_track != pair.track);
                object.matched += 1;
                object.stretches += u32::from(object.previous_track == NONE);
                object.last_track = pair.track;
                in_this_frame.push(pair);
            }
            for truth in in_previous_frame.drain(..) {
                objects[truth as usize].previous_track = NONE;
            }
            for pair in &in_this_frame {
                objects[pair.truth as usize].previous_track = pair.track;
                in_previous_frame.push(pair.truth);
            }
        }
        Self::count(scene, &objects, matched, iou_sum, switches)
    }

    fn count(scene: &Scene, objects: &[History], matched: u64, iou_sum: f64, switches: u64) -> Self {
        let share = |(object, &rows): (&History, &u32)| f64::from(object.matched) / f64::from(rows);
        let shares = || objects.iter().zip(&scene.truth_rows).map(share);
        let mostly_tracked = shares().filter(|&share| share > MOSTLY_TRACKED).count() as u64;
        let mostly_lost = shares().filter(|&share| share < MOSTLY_LOST).count() as u64;
        let (false_positives, false_negatives) = (scene.tracks() - matched, scene.truths() - matched);
        // TrackEval leaves all shares at 0 without ground truth.
        let errors = if scene.truths() == 0 { 0.0 } else { (false_positives + switches) as f64 };
        Self {
            mota: 100.0 * (matched as f64 - errors) / (scene.truths() as f64).max(1.0),
            motp: 100.0 * iou_sum / (matched as f64).max(1.0),
            switches,
            fragments: objects.iter().map(|object| u64::from(object.stretches.saturating_sub(1))).sum(),
            mostly_tracked,
            partly_tracked: objects.len() as u64 - mostly_tracked - mostly_lost,
            mostly_lost,
            true_positives: matched,
            false_positives,
            false_negatives,
        }
    }
}

//! HOTA (Luiten et al. 2021): detection and association have equal weight.

use serde::Serialize;

use crate::scene::Scene;
use trackdrop_assignment::{Assigner, Edge};

/// The number of overlap thresholds over which HOTA is averaged.
pub const ALPHAS: usize = 19;

/// Threshold number `index`: 0.05, 0.10, ... 0.95, with the rounding of TrackEval.
pub(crate) fn alpha(index: usize) -> f64 {
    0.05 + index as f64 * 0.05
}

/// HOTA and its parts in percent, averaged over the thresholds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hota {
    /// The mean over all thresholds of the geometric mean of detection and association accuracy.
    #[serde(rename = "HOTA")]
    pub hota: f64,
    /// Detection accuracy: matches divided by matches, misses and false alarms.
    #[serde(rename = "DetA")]
    pub det_a: f64,
    /// Association accuracy: of the rows of a matched object and its track, the share that is matched with each other.
    #[serde(rename = "AssA")]
    pub ass_a: f64,
    /// Detection recall: matches divided by rows of ground truth.
    #[serde(rename = "DetRe")]
    pub det_re: f64,
    /// Detection precision: matches divided by rows of tracks.
    #[serde(rename = "DetPr")]
    pub det_pr: f64,
    /// Association recall.
    #[serde(rename = "AssRe")]
    pub ass_re: f64,
    /// Association precision.
    #[serde(rename = "AssPr")]
    pub ass_pr: f64,
    /// Localisation accuracy: mean overlap of the matches.
    #[serde(rename = "LocA")]
    pub loc_a: f64,
    /// The same at each threshold.
    pub per_alpha: [HotaAtAlpha; ALPHAS],
}

/// HOTA with matches of an overlap of at least `alpha`, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HotaAtAlpha {
    /// The threshold, `0..=1`.
    pub alpha: f64,
    /// See [`Hota::hota`].
    #[serde(rename = "HOTA")]
    pub hota: f64,
    /// See [`Hota::det_a`].
    #[serde(rename = "DetA")]
    pub det_a: f64,
    /// See [`Hota::ass_a`].
    #[serde(rename = "AssA")]
    pub ass_a: f64,
    /// See [`Hota::det_re`].
    #[serde(rename = "DetRe")]
    pub det_re: f64,
    /// See [`Hota::det_pr`].
    #[serde(rename = "DetPr")]
    pub det_pr: f64,
    /// See [`Hota::ass_re`].
    #[serde(rename = "AssRe")]
    pub ass_re: f64,
    /// See [`Hota::ass_pr`].
    #[serde(rename = "AssPr")]
    pub ass_pr: f64,
    /// See [`Hota::loc_a`].
    #[serde(rename = "LocA")]
    pub loc_a: f64,
}

/// The matches at each threshold.
#[derive(Debug)]
struct Matches {
    count: [u64; ALPHAS],
    iou_sum: [f64; ALPHAS],
    /// By pair of object and track.
    by_pair: Vec<[u32; ALPHAS]>,
}

impl Hota {
    pub(crate) fn new(scene: &Scene) -> Self {
        let matches = match_frames(scene, &alignment(scene));
        let per_alpha: [HotaAtAlpha; ALPHAS] = std::array::from_fn(|index| at_alpha(scene, &matches, index));
        let mean = |part: fn(&HotaAtAlpha) -> f64| per_alpha.iter().map(part).sum::<f64>() / ALPHAS as f64;
        Self {
            hota: mean(|at| at.hota),
            det_a: mean(|at| at.det_a),
            ass_a: mean(|at| at.ass_a),
            det_re: mean(|at| at.det_re),
            det_pr: mean(|at| at.det_pr),
            ass_re: mean(|at| at.ass_re),
            ass_pr: mean(|at| at.ass_pr),
            loc_a: mean(|at| at.loc_a),
            per_alpha,
        }
    }
}

/// How well each pair fits over the whole video, as a Jaccard index. In each frame, overlap is divided among all that
/// overlap.
fn alignment(scene: &Scene) -> Vec<f64> {
    let mut shared = vec![0.0; scene.pairs.len()];
    let (mut truth_sums, mut track_sums) = (Vec::new(), Vec::new());
    for frame in &scene.frames {
        truth_sums.clear();
        truth_sums.resize(frame.truths, 0.0);
        track_sums.clear();
        track_sums.resize(frame.tracks, 0.0);
        for overlap in scene.overlaps(frame) {
            truth_sums[overlap.truth_row as usize] += overlap.iou;
            track_sums[overlap.track_row as usize] += overlap.iou;
        }
        for overlap in scene.overlaps(frame) {
            let all = track_sums[overlap.track_row as usize] + truth_sums[overlap.truth_row as usize] - overlap.iou;
            if all > f64::EPSILON {
                shared[overlap.pair as usize] += overlap.iou / all;
            }
        }
    }
    let jaccard = |(pair, shared): (&crate::scene::Pair, f64)| {
        let rows = scene.truth_rows[pair.truth as usize] + scene.track_rows[pair.track as usize];
        shared / (f64::from(rows) - shared)
    };
    scene.pairs.iter().zip(shared).map(jaccard).collect()
}

/// Matches every frame once. Pairs that fit over the whole video are preferred. Each threshold then uses the matches
/// that reach it.
fn match_frames(scene: &Scene, alignment: &[f64]) -> Matches {
    let by_pair = vec![[0; ALPHAS]; scene.pairs.len()];
    let mut matches = Matches { count: [0; ALPHAS], iou_sum: [0.0; ALPHAS], by_pair };
    let limits: [f64; ALPHAS] = std::array::from_fn(|index| alpha(index) - f64::EPSILON);
    let (mut assigner, mut edges, mut candidates) = (Assigner::default(), Vec::new(), Vec::new());
    for frame in &scene.frames {
        edges.clear();
        candidates.clear();
        for overlap in scene.overlaps(frame) {
            let score = alignment[overlap.pair as usize] * overlap.iou;
            if score > 0.0 {
                edges.push(Edge { row: overlap.truth_row, column: overlap.track_row, score });
                candidates.push(overlap);
            }
        }
        for &edge in assigner.maximise(&edges) {
            let overlap = candidates[edge];
            let reached = limits.partition_point(|&limit| overlap.iou >= limit);
            let by_pair = &mut matches.by_pair[overlap.pair as usize];
            matches.count[..reached].iter_mut().for_each(|count| *count += 1);
            matches.iou_sum[..reached].iter_mut().for_each(|sum| *sum += overlap.iou);
            by_pair[..reached].iter_mut().for_each(|count| *count += 1);
        }
    }
    matches
}

fn at_alpha(scene: &Scene, matches: &Matches, index: usize) -> HotaAtAlpha {
    let matched = matches.count[index] as f64;
    let (truths, tracks) = (scene.truths() as f64, scene.tracks() as f64);
    let (mut ass_a, mut ass_re, mut ass_pr) = (0.0, 0.0, 0.0);
    // Most pairs overlap in few frames only.
    for (pair, counts) in scene.pairs.iter().zip(&matches.by_pair).filter(|(_, counts)| counts[index] > 0) {
        let together = f64::from(counts[index]);
        let truth_rows = f64::from(scene.truth_rows[pair.truth as usize]);
        let track_rows = f64::from(scene.track_rows[pair.track as usize]);
        ass_a += together * together / (truth_rows + track_rows - together);
        ass_re += together * together / truth_rows;
        ass_pr += together * together / track_rows;
    }
    let det_a = matched / (truths + tracks - matched).max(1.0);
    let ass_a = ass_a / matched.max(1.0);
    HotaAtAlpha {
        alpha: alpha(index),
        hota: 100.0 * (det_a * ass_a).sqrt(),
        det_a: 100.0 * det_a,
        ass_a: 100.0 * ass_a,
        det_re: 100.0 * matched / truths.max(1.0),
        det_pr: 100.0 * matched / tracks.max(1.0),
        ass_re: 100.0 * ass_re / matched.max(1.0),
        ass_pr: 100.0 * ass_pr / matched.max(1.0),
        // TrackEval's value if there are no matches.
        loc_a: 100.0 * matches.iou_sum[index].max(1e-10) / matched.max(1e-10),
    }
}

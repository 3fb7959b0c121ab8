//! Identity metrics (Ristani et al. 2016): one track per object over the whole video.

use serde::Serialize;

use crate::scene::Scene;
use trackdrop_assignment::{Assigner, Edge};

/// Identity metrics: every object has at most one track, and every track at most one object. Shares in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// IDF1: rows with the right identity, divided by the mean number of rows of both sides.
    #[serde(rename = "IDF1")]
    pub idf1: f64,
    /// IDP: rows with the right identity, divided by the rows of tracks.
    #[serde(rename = "IDP")]
    pub idp: f64,
    /// IDR: rows with the right identity, divided by the rows of ground truth.
    #[serde(rename = "IDR")]
    pub idr: f64,
    /// Rows with the right identity.
    #[serde(rename = "IDTP")]
    pub true_positives: u64,
    /// The other rows of tracks.
    #[serde(rename = "IDFP")]
    pub false_positives: u64,
    /// The other rows of ground truth.
    #[serde(rename = "IDFN")]
    pub false_negatives: u64,
}

impl Identity {
    /// TrackEval minimises misses and false alarms of identities. That is the same as to maximise the rows with the
    /// right identity.
    pub(crate) fn new(scene: &Scene, min_iou: f64) -> Self {
        let mut together = vec![0_u32; scene.pairs.len()];
        // Here TrackEval has no tolerance for rounding at the threshold. For CLEAR it has one.
        for overlap in scene.frames.iter().flat_map(|frame| scene.overlaps(frame)).filter(|one| one.iou >= min_iou) {
            together[overlap.pair as usize] += 1;
        }
        let pairs = scene.pairs.iter().zip(&together).filter(|&(_, &together)| together > 0);
        let mut edges: Vec<Edge> = pairs
            .map(|(pair, &together)| Edge { row: pair.truth, column: pair.track, score: f64::from(together) })
            .collect();
        edges.sort_by_key(|edge| (edge.row, edge.column));
        let mut assigner = Assigner::default();
        let right = assigner.maximise(&edges).iter().map(|&edge| edges[edge].score as u64).sum::<u64>();
        let (truths, tracks) = (scene.truths(), scene.tracks());
        let percent_of = |all: f64| 100.0 * right as f64 / all.max(1.0);
        Self {
            idf1: percent_of((truths + tracks) as f64 / 2.0),
            idp: percent_of(tracks as f64),
            idr: percent_of(truths as f64),
            true_positives: right,
            false_positives: tracks - right,
            false_negatives: truths - right,
        }
    }
}

//! Compares tracks with ground truth, by all metrics.

use std::{fmt, panic::resume_unwind, thread};

use serde::Serialize;

use crate::{
    clear::Clear,
    frame_shift::{FrameShift, frame_shift},
    hota::Hota,
    identity::Identity,
    preprocessing::Preprocessing,
    scene::Scene,
    sequence::Sequence,
};

/// How to evaluate. The default is TrackEval's for MOT15.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The overlap that a match needs in CLEAR and identity metrics: above 0, at most 1. HOTA has its own 19
    /// thresholds.
    pub iou: f64,
    /// Which rows are left out before anything is counted.
    pub preprocessing: Preprocessing,
}

impl Default for Options {
    fn default() -> Self {
        Self { iou: 0.5, preprocessing: Preprocessing::Plain }
    }
}

/// All metrics of one video. Shares are percentages. In JSON the metrics have TrackEval's names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Detection and association over 19 overlap thresholds.
    #[serde(flatten)]
    pub hota: Hota,
    /// Errors frame by frame.
    #[serde(flatten)]
    pub clear: Clear,
    /// One track per object over the whole video.
    #[serde(flatten)]
    pub identity: Identity,
    /// Objects in ground truth.
    pub objects: u64,
    /// Tracks.
    pub tracks: u64,
    /// Set if the tracks seem to count frames from another number. Then the metrics say little.
    pub frame_shift: Option<FrameShift>,
}

/// Compares tracks with ground truth, by the definitions of TrackEval.
///
/// If one sequence or both are empty, the result has TrackEval's numbers: shares are 0, and `LocA` is 100.
#[must_use]
pub fn evaluate(ground_truth: &Sequence, tracks: &Sequence, options: &Options) -> Evaluation {
    let (truth, tracks) = options.preprocessing.apply(ground_truth, tracks);
    let (truth, tracks) = (truth.as_ref(), tracks.as_ref());
    let shift = || frame_shift(truth, tracks, options.iou);
    let ((hota, clear, identity, [objects, tracks]), frame_shift) = if truth.rows().len() < ROWS_WORTH_A_THREAD {
        let scene = Scene::new(truth, tracks);
        (
            (Hota::new(&scene), Clear::new(&scene, options.iou), Identity::new(&scene, options.iou), counts(&scene)),
            shift(),
        )
    } else {
        thread::scope(|scope| {
            let shift = scope.spawn(shift);
            let scene = Scene::new(truth, tracks);
            // The metrics do not depend on each other.
            let (hota, (clear, identity)) = thread::scope(|scope| {
                let others = scope.spawn(|| (Clear::new(&scene, options.iou), Identity::new(&scene, options.iou)));
                (Hota::new(&scene), joined(others))
            });
            ((hota, clear, identity, counts(&scene)), joined(shift))
        })
    };
    Evaluation { hota, clear, identity, objects, tracks, frame_shift }
}

fn counts(scene: &Scene) -> [u64; 2] {
    [scene.truth_rows.len() as u64, scene.track_rows.len() as u64]
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// With less work than this, to start a thread takes about as long as the work.
const ROWS_WORTH_A_THREAD: usize = 1_000;

/// A table with three lines of names and numbers, and the warning, if there is one.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hota, clear, identity) = (&self.hota, &self.clear, &self.identity);
        let percent = |value: f64| format!("{value:.3}");
        let line = |f: &mut fmt::Formatter<'_>, cells: &[(&str, String)]| {
            for (name, _) in cells {
                write!(f, "{name:>9}")?;
            }
            writeln!(f)?;
            for (_, value) in cells {
                write!(f, "{value:>9}")?;
            }
            writeln!(f)
        };
        line(
            f,
            &[
                ("HOTA", percent(hota.hota)),
                ("DetA", percent(hota.det_a)),
                ("AssA", percent(hota.ass_a)),
                ("DetRe", percent(hota.det_re)),
                ("DetPr", percent(hota.det_pr)),
                ("AssRe", percent(hota.ass_re)),
                ("AssPr", percent(hota.ass_pr)),
                ("LocA", percent(hota.loc_a)),
            ],
        )?;
        line(
            f,
            &[
                ("MOTA", percent(clear.mota)),
                ("MOTP", percent(clear.motp)),
                ("IDSW", clear.switches.to_string()),
                ("Frag", clear.fragments.to_string()),
                ("MT", clear.mostly_tracked.to_string()),
                ("PT", clear.partly_tracked.to_string()),
                ("ML", clear.mostly_lost.to_string()),
                ("FP", clear.false_positives.to_string()),
                ("FN", clear.false_negatives.to_string()),
            ],
        )?;
        line(
            f,
            &[
                ("IDF1", percent(identity.idf1)),
                ("IDP", percent(identity.idp)),
                ("IDR", percent(identity.idr)),
                ("IDTP", identity.true_positives.to_string()),
                ("IDFP", identity.false_positives.to_string()),
                ("IDFN", identity.false_negatives.to_string()),
                ("objects", self.objects.to_string()),
                ("tracks", self.tracks.to_string()),
            ],
        )?;
        match &self.frame_shift {
            Some(shift) => writeln!(f, "warning: {shift}"),
            None => Ok(()),
        }
    }
}

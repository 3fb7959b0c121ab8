//! Tracks against ground truth: all metrics at once.

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
    /// The overlap that CLEAR and identity metrics ask of a match, `0 < .. <= 1`. HOTA has its own 19.
    pub iou: f64,
    /// What is left out before anything is counted.
    pub preprocessing: Preprocessing,
}

impl Default for Options {
    fn default() -> Self {
        Self { iou: 0.5, preprocessing: Preprocessing::Plain }
    }
}

/// All metrics of one video. In JSON they have the names that TrackEval gives them; shares are percentages.
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
    /// Set where the tracks seem to count frames from another number: the metrics then say little.
    pub frame_shift: Option<FrameShift>,
}

/// Measures tracks against ground truth by the definitions of TrackEval.
///
/// Two empty sequences, or one, give the numbers that TrackEval gives: shares are 0 (and `LocA` is 100).
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
            // No metric needs another.
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

/// Below this the work of a thread takes hardly longer than to start it.
const ROWS_WORTH_A_THREAD: usize = 1_000;

/// A table of three lines of numbers below their names, and a warning where there is one.
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

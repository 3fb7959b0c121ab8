//! Decides which rows count, by the rules of the MOTChallenge data sets.

use std::borrow::Cow;

use serde::Serialize;

use crate::{iou::Sweep, row::Row, scene::shared_frames, sequence::Sequence};
use trackdrop_assignment::{Assigner, Edge};

/// From this overlap on, a track follows a distractor. The value does not depend on the threshold of the options.
const DISTRACTOR_IOU: f64 = 0.5;

/// The class that is evaluated, if there are classes.
const PEDESTRIAN: u16 = 1;

/// Person on vehicle, static person, distractor, reflection.
const DISTRACTORS: [u16; 4] = [2, 7, 8, 12];

/// A distractor in MOT20 only.
const OTHER_VEHICLE: u16 = 6;

/// The class numbers of MOT16, MOT17 and MOT20.
const CLASSES: std::ops::RangeInclusive<u16> = 1..=13;

/// Which rows are left out before anything is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preprocessing {
    /// The rules of MOT15: rows of ground truth with score 0 do not count, and a track that follows one is a false
    /// alarm. Use it for ground truth without classes.
    #[default]
    Plain,
    /// The rules of MOT16 and MOT17: only pedestrians count. Tracks of distractors (people on vehicles, static people,
    /// reflections) are left out. Rows of other classes do not count either, but a track that follows one is a false
    /// alarm.
    Mot17,
    /// The rules of [`Mot17`](Self::Mot17), with other vehicles as distractors, too.
    Mot20,
}

impl Preprocessing {
    /// Chooses the rules by the class column: those of MOT17 if every row has one of its classes, and not all are
    /// pedestrians. (Rows of MOT20 can't be distinguished from those of MOT17.)
    #[must_use]
    pub fn suggested_for(ground_truth: &Sequence) -> Self {
        let classes = || ground_truth.rows().iter().map(|row| row.class);
        let all_known = classes().all(|class| class.is_some_and(|class| CLASSES.contains(&class)));
        if all_known && classes().any(|class| class != Some(PEDESTRIAN)) { Self::Mot17 } else { Self::Plain }
    }

    fn is_distractor(self, row: &Row) -> bool {
        let Some(class) = row.class else { return false };
        DISTRACTORS.contains(&class) || (self == Self::Mot20 && class == OTHER_VEHICLE)
    }

    /// Whether a row of ground truth counts.
    #[must_use]
    pub fn counts(self, row: &Row) -> bool {
        row.score != 0.0 && (self == Self::Plain || row.class == Some(PEDESTRIAN))
    }

    /// The rows that count, of ground truth and of the tracks.
    pub(crate) fn apply<'a>(self, truth: &'a Sequence, tracks: &'a Sequence) -> (Cow<'a, Sequence>, Cow<'a, Sequence>) {
        let dropped = if self == Self::Plain { Vec::new() } else { self.on_distractors(truth, tracks) };
        let mut dropped = dropped.into_iter().peekable();
        let kept_tracks = if dropped.peek().is_none() {
            Cow::Borrowed(tracks)
        } else {
            let kept = tracks.rows().iter().zip(0..).filter(|&(_, place)| dropped.next_if_eq(&place).is_none());
            Cow::Owned(Sequence::from_derived_rows(kept.map(|(row, _)| *row).collect()))
        };
        let kept_truth = if truth.rows().iter().all(|row| self.counts(row)) {
            Cow::Borrowed(truth)
        } else {
            let kept = truth.rows().iter().filter(|row| self.counts(row));
            Cow::Owned(Sequence::from_derived_rows(kept.copied().collect()))
        };
        (kept_truth, kept_tracks)
    }

    /// The rows of tracks that follow a distractor, ascending. All rows of ground truth are used, also those that do
    /// not count.
    fn on_distractors(self, truth: &Sequence, tracks: &Sequence) -> Vec<usize> {
        let (mut sweep, mut assigner, mut edges, mut dropped) =
            (Sweep::default(), Assigner::default(), Vec::new(), Vec::new());
        for (truth_span, track_span) in shared_frames(truth, tracks, 0) {
            let truth_rows = &truth.rows()[truth_span];
            edges.clear();
            sweep.overlaps(truth_rows, &tracks.rows()[track_span.clone()], |row, column, score| {
                if score >= DISTRACTOR_IOU - f64::EPSILON {
                    edges.push(Edge { row, column, score });
                }
            });
            let start = dropped.len();
            for edge in assigner.maximise(&edges).iter().map(|&edge| edges[edge]) {
                if self.is_distractor(&truth_rows[edge.row as usize]) {
                    dropped.push(track_span.start + edge.column as usize);
                }
            }
            dropped[start..].sort_unstable();
        }
        dropped
    }
}

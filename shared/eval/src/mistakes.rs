//! Lists where tracks differ from ground truth, so that a person can look at these frames.

use std::collections::HashMap;

use serde::Serialize;

use crate::{
    clear::Clear,
    evaluation::Options,
    row::Row,
    scene::{Scene, shared_frames},
    sequence::Sequence,
};

/// The errors that the CLEAR metrics count, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mistakes {
    /// Changes of an object's track, by frame. There are as many as `IDSW` counts.
    pub switches: Vec<Switch>,
    /// Objects without a track, the longest stretch first. Their rows are the `FN`.
    pub missed: Vec<Stretch>,
    /// Tracks without an object, the longest stretch first. Their rows are the `FP`.
    pub false_alarms: Vec<Stretch>,
}

/// An object whose track is another one than its last track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// The object's id in the ground truth.
    pub object: u64,
    /// The track that it had.
    pub old_track: u64,
    /// The last frame with that track, from 1.
    pub last_frame: u32,
    /// The track that it has now.
    pub new_track: u64,
    /// The first frame with the new track, from 1.
    pub frame: u32,
}

/// Consecutive rows of one object or of one track that have no match. Frames without a row of it do not end a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The id of the object or the track.
    pub id: u64,
    /// The first frame, from 1.
    pub first_frame: u32,
    /// The last frame, from 1.
    pub last_frame: u32,
    /// How many rows it has.
    pub rows: u32,
}

/// Lists the errors that [`evaluate`](crate::evaluate) counts with the same options.
#[must_use]
pub fn mistakes(ground_truth: &Sequence, tracks: &Sequence, options: &Options) -> Mistakes {
    let (truth, tracks) = options.preprocessing.apply(ground_truth, tracks);
    let (truth, tracks) = (truth.as_ref(), tracks.as_ref());
    let scene = Scene::new(truth, tracks);
    let spans: Vec<_> = shared_frames(truth, tracks, 0).collect();
    let (mut is_found, mut is_right) = (vec![false; truth.rows().len()], vec![false; tracks.rows().len()]);
    let (mut last, mut switches) = (HashMap::new(), Vec::new());
    Clear::telling(&scene, options.iou, |one| {
        let (truth_span, track_span) = &spans[one.frame_place];
        let (truth_place, track_place) =
            (truth_span.start + one.truth_row as usize, track_span.start + one.track_row as usize);
        (is_found[truth_place], is_right[track_place]) = (true, true);
        let (object, frame) = (truth.rows()[truth_place].id, truth.rows()[truth_place].frame);
        let new_track = tracks.rows()[track_place].id;
        if let Some((old_track, last_frame)) = last.insert(object, (new_track, frame))
            && old_track != new_track
        {
            switches.push(Switch { object, old_track, last_frame, new_track, frame });
        }
    });
    switches.sort_unstable_by_key(|switch| (switch.frame, switch.object));
    Mistakes { switches, missed: stretches(truth.rows(), &is_found), false_alarms: stretches(tracks.rows(), &is_right) }
}

/// The runs of rows of each id that have no match, the longest first.
fn stretches(rows: &[Row], has_match: &[bool]) -> Vec<Stretch> {
    let mut ended = Vec::new();
    let mut open: HashMap<u64, Stretch> = HashMap::new();
    for (row, &has_match) in rows.iter().zip(has_match) {
        if has_match {
            ended.extend(open.remove(&row.id));
            continue;
        }
        let begun = Stretch { id: row.id, first_frame: row.frame, last_frame: row.frame, rows: 0 };
        let stretch = open.entry(row.id).or_insert(begun);
        stretch.last_frame = row.frame;
        stretch.rows += 1;
    }
    ended.extend(open.into_values());
    ended.sort_unstable_by_key(|stretch| (u32::MAX - stretch.rows, stretch.first_frame, stretch.id));
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Preprocessing, evaluate};

    fn walk(id: u64, x: f64, frames: impl Iterator<Item = u32>) -> impl Iterator<Item = Row> {
        frames.map(move |frame| Row::new(frame, id, [x, 0.0, 10.0, 20.0]))
    }

    fn sequence(rows: impl Iterator<Item = Row>) -> Sequence {
        Sequence::from_rows(rows.collect()).unwrap()
    }

    #[test]
    fn every_mistake_is_listed_with_its_frames() {
        let truth = sequence(walk(1, 0.0, 1..=10).chain(walk(2, 100.0, 1..=10)));
        let tracks = sequence(walk(7, 0.0, 1..=4).chain(walk(8, 0.0, 7..=10)).chain(walk(9, 50.0, 3..=5)));
        let found = mistakes(&truth, &tracks, &Options::default());
        let switch = Switch { object: 1, old_track: 7, last_frame: 4, new_track: 8, frame: 7 };
        assert_eq!(found.switches, [switch]);
        let missed = [
            Stretch { id: 2, first_frame: 1, last_frame: 10, rows: 10 },
            Stretch { id: 1, first_frame: 5, last_frame: 6, rows: 2 },
        ];
        assert_eq!(found.missed, missed);
        assert_eq!(found.false_alarms, [Stretch { id: 9, first_frame: 3, last_frame: 5, rows: 3 }]);
    }

    #[test]
    fn frames_without_a_row_do_not_end_a_stretch_and_a_match_does() {
        let truth = sequence(walk(1, 0.0, [1, 4, 7, 10, 13].into_iter()));
        let tracks = sequence(walk(3, 0.0, [7].into_iter()));
        let found = mistakes(&truth, &tracks, &Options::default());
        let stretch = |first_frame, last_frame| Stretch { id: 1, first_frame, last_frame, rows: 2 };
        assert_eq!(found.missed, [stretch(1, 4), stretch(10, 13)]);
    }

    #[test]
    fn rows_that_do_not_count_are_no_mistakes() {
        let ignored = walk(1, 0.0, 1..=3).map(|row| Row { score: 0.0, ..row });
        let found = mistakes(&sequence(ignored), &Sequence::default(), &Options::default());
        assert_eq!(found, Mistakes::default());
        let vehicle = walk(1, 0.0, 1..=3).map(|row| Row { class: Some(3), ..row });
        let options = Options { preprocessing: Preprocessing::Mot17, ..Options::default() };
        assert_eq!(mistakes(&sequence(vehicle), &Sequence::default(), &options), Mistakes::default());
    }

    /// As the metrics count them, for tracks with gaps, jumps and other ids, at several overlaps.
    #[test]
    fn as_many_are_listed_as_the_metrics_count() {
        let mut random = 7_u64;
        let mut next = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % most
        };
        for iou in [0.1, 0.5, 0.9] {
            let (mut truth, mut tracks) = (Vec::new(), Vec::new());
            for frame in 1..=60 {
                for id in 0..5_u64 {
                    let x = (id * 8) as f64 + f64::from(frame);
                    if next(8) > 0 {
                        truth.push(Row::new(frame, id, [x, 0.0, 12.0, 20.0]));
                    }
                    if next(8) > 0 {
                        let other = if next(4) == 0 { id + 10 } else { id };
                        tracks.push(Row::new(frame, other, [x + next(6) as f64, 0.0, 12.0, 20.0]));
                    }
                }
            }
            let (truth, tracks) = (Sequence::from_rows(truth).unwrap(), Sequence::from_rows(tracks).unwrap());
            let options = Options { iou, ..Options::default() };
            let (found, counted) = (mistakes(&truth, &tracks, &options), evaluate(&truth, &tracks, &options).clear);
            let rows = |stretches: &[Stretch]| stretches.iter().map(|stretch| u64::from(stretch.rows)).sum::<u64>();
            assert_eq!(found.switches.len() as u64, counted.switches);
            assert_eq!(rows(&found.missed), counted.false_negatives);
            assert_eq!(rows(&found.false_alarms), counted.false_positives);
            assert!(counted.switches > 0 && counted.false_negatives > 0 && counted.false_positives > 0, "{counted:?}");
        }
    }
}

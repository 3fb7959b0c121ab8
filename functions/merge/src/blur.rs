//! Where objects that are to be blurred are in frames in which they have no row: in a gap of their track, and shortly before it begins and after it
//! ends, since a tracker is sure of an object some frames after a person sees it.

use std::collections::BTreeMap;
use trackdrop_pipeline::{Rational, manifest::ManifestSegment};
use trackdrop_tables::tracks::{Between, TrackRow};

/// For how long an object is taken to be where its track begins, before it does; and where it ends, after it did.
const AROUND_S: f64 = 0.5;

/// A row as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Seen {
    frame_index: i64,
    pts: i64,
    bbox: [f32; 4],
}

/// The tracks so far. What is held grows with tracks and gaps, not with rows.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    last: BTreeMap<i64, Seen>,
    found: Vec<(i64, Between)>,
    around: i64,
}

impl Absences {
    pub(crate) fn new(time_base: Rational) -> Self {
        let ticks = AROUND_S * f64::from(time_base.den()) / f64::from(time_base.num().max(1));
        Self { around: (ticks.ceil() as i64).max(1), ..Self::default() }
    }

    /// Of all rows, in frame order.
    pub(crate) fn of_rows<'a>(rows: impl IntoIterator<Item = &'a TrackRow>, time_base: Rational) -> Self {
        let mut absences = Self::new(time_base);
        rows.into_iter().for_each(|row| absences.take(row.track_id, row.frame_index, row.pts, row.bbox));
        absences
    }

    /// Takes the next row of a track.
    pub(crate) fn take(&mut self, track_id: i64, frame_index: i64, pts: i64, bbox: [f32; 4]) {
        let now = Seen { frame_index, pts, bbox };
        match self.last.insert(track_id, now) {
            None => self.note(track_id, Seen { pts: pts.saturating_sub(self.around), ..now }, now),
            Some(before) if before.frame_index + 1 < frame_index => self.note(track_id, before, now),
            Some(_) => {}
        }
    }

    fn note(&mut self, track_id: i64, from: Seen, to: Seen) {
        self.found.push((track_id, Between { from_pts: from.pts, to_pts: to.pts, from: from.bbox, to: to.bbox }));
    }

    /// Those of the tracks that are wanted.
    pub(crate) fn of(mut self, is_wanted: impl Fn(i64) -> bool) -> Vec<Between> {
        for (track_id, last) in std::mem::take(&mut self.last) {
            self.note(track_id, last, Seen { pts: last.pts.saturating_add(self.around), ..last });
        }
        self.found.into_iter().filter(|&(track_id, _)| is_wanted(track_id)).map(|(_, between)| between).collect()
    }
}

/// Those that reach into a segment.
pub(crate) fn within(all: &[Between], segment: &ManifestSegment) -> Vec<Between> {
    let reaches =
        |between: &&Between| between.from_pts < segment.span.end_pts && between.to_pts > segment.span.start_pts;
    all.iter().filter(reaches).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_somewhere_in_each_frame_from_before_its_track_begins_until_after_it_ends() {
        let mut absences = Absences::new(Rational::new(1, 100).unwrap());
        let at = |x: f32| [x, 0.0, x + 10.0, 20.0];
        for (frame, x) in [(30, 0.0), (31, 4.0), (36, 24.0), (37, 28.0)] {
            absences.take(1, frame, 4 * frame, at(x));
            absences.take(2, frame, 4 * frame, at(500.0));
        }
        let all = absences.of(|id| id == 1);
        let at_frame = |frame: i64| all.iter().find_map(|between| between.at(4 * frame));
        assert_eq!((at_frame(17), at_frame(18), at_frame(29)), (None, Some(at(0.0)), Some(at(0.0))));
        // In frames with a row the row itself says it.
        assert!([30, 31, 36, 37].iter().all(|&frame| at_frame(frame).is_none()));
        assert_eq!((at_frame(32), at_frame(35)), (Some(at(8.0)), Some(at(20.0))));
        assert_eq!((at_frame(38), at_frame(49), at_frame(50)), (Some(at(28.0)), Some(at(28.0)), None));
    }
}

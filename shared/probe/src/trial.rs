//! Compares the tracks of a stretch from every N-th frame with those from all frames.

use crate::Asked;
use std::num::NonZeroU32;
use trackdrop_eval::{Evaluation, Options, Sequence, evaluate};
use trackdrop_refine::{Backfill, Detection, Looks, Origin, Refine, Row, Video};
use trackdrop_tracker::{BIRTH_MARGIN, ByteTrack, PerClass, Rules, SettingsError, Track};

/// At how many frames of a stretch a stride begins, one after the other, if the stretch has as many. A single one can
/// be better by chance.
const BEGINNINGS: u32 = 3;

/// A stretch of a video, with the detections of all its frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// How many frames it has.
    pub frame_count: u32,
    /// The detections that the tracker gets, for each frame. Frames count from 0 in the stretch.
    pub detections: Vec<Detection>,
}

impl Stretch {
    /// Evaluates the tracks from every N-th frame, once for each frame at which the stride can begin. The tracks from
    /// all frames serve as ground truth. Both begin and end at the same frames, so the result shows only losses between
    /// looks.
    pub(crate) fn trials(&self, asked: &Asked, every: NonZeroU32) -> Result<Vec<Evaluation>, SettingsError> {
        let beginnings = every.get().min(BEGINNINGS).min(self.frame_count);
        (0..beginnings)
            .map(|nth| {
                let rest = self.from(nth * every.get() / beginnings);
                let (all, some) = (rest.tracks(asked, NonZeroU32::MIN)?, rest.tracks(asked, every)?);
                Ok(evaluate(&sequence(&all), &sequence(&some), &Options::default()))
            })
            .collect()
    }

    fn from(&self, first: u32) -> Self {
        let detections = self.detections.iter().filter(|seen| seen.frame >= first);
        let moved = |seen: &Detection| Detection { frame: seen.frame - first, ..*seen };
        Self { frame_count: self.frame_count.saturating_sub(first), detections: detections.map(moved).collect() }
    }

    fn tracks(&self, asked: &Asked, every: NonZeroU32) -> Result<Vec<Row>, SettingsError> {
        let looks = Looks::new(every, self.frame_count);
        let detections: Vec<Detection> = self.detections.iter().filter(|seen| looks.at(seen.frame)).copied().collect();
        let mut tracker = Tracker::new(asked)?;
        let (mut rows, mut rest) = (Vec::new(), detections.as_slice());
        let (mut last, mut before) = (None, &[][..]);
        for frame in (0..self.frame_count).filter(|&frame| looks.at(frame)) {
            let (now, after) = rest.split_at(rest.partition_point(|seen| seen.frame <= frame));
            let passed = last.map_or(1, |last| frame - last);
            for track in tracker.step(passed, now)? {
                let seen = &now[track.detection];
                let row = Row::new(frame, track.id, [track.x1, track.y1, track.x2, track.y2]);
                rows.push(Row { measured: seen.bbox, score: seen.score, class: seen.class, ..row });
            }
            rows.extend(tracker.births().iter().filter_map(|&(id, at)| {
                let first: &Detection = before.get(at)?;
                let row = Row::new(first.frame, id, first.bbox);
                Some(Row { score: first.score, class: first.class, origin: Origin::Detected, ..row })
            }));
            (last, before, rest) = (Some(frame), now, after);
        }
        rows.sort_by_key(|row| row.frame);
        // With a stride, a track begins with its first detection. Here it does so without a stride, too, so that this
        // difference is not counted as a loss.
        let first = Backfill { min_score: asked.tracker.track_thresh + BIRTH_MARGIN, ..Backfill::default() };
        let refine = Refine { backfill: (every.get() == 1).then_some(first), ..asked.refine.clone() };
        let size_px = Some(asked.size_px);
        let video = Video { frame_rate: asked.frame_rate, frame_count: self.frame_count, size_px };
        Ok(refine.apply_to_looks(rows, &detections, &video, every).rows)
    }
}

/// Converts rows to those of the metrics. If an id were twice in a frame, which no tracker returns, there would be no
/// rows.
fn sequence(rows: &[Row]) -> Sequence {
    let rows = rows.iter().map(|row| trackdrop_eval::Row::of_corners(row.frame, row.id, row.bbox)).collect();
    Sequence::from_rows(rows).unwrap_or_default()
}

/// The tracker: for all classes together, or for each class separately.
enum Tracker {
    Together(Box<ByteTrack>),
    PerClass(PerClass),
}

impl Tracker {
    fn new(asked: &Asked) -> Result<Self, SettingsError> {
        let settings = asked.tracker.clone();
        Ok(match asked.per_class {
            true => Self::PerClass(PerClass::new(settings, Rules::REFERENCE)?),
            false => Self::Together(Box::new(ByteTrack::new(settings)?)),
        })
    }

    fn step(&mut self, passed: u32, now: &[Detection]) -> Result<Vec<Track>, SettingsError> {
        let box_of = |&Detection { bbox: [x1, y1, x2, y2], score, .. }: &Detection| trackdrop_tracker::Detection {
            x1,
            y1,
            x2,
            y2,
            score,
        };
        match self {
            Self::Together(tracker) => {
                Ok(tracker.step_after(passed, &now.iter().map(box_of).collect::<Vec<_>>()).to_vec())
            }
            Self::PerClass(trackers) => {
                trackers.step_after(passed, &now.iter().map(|seen| (box_of(seen), seen.class)).collect::<Vec<_>>())
            }
        }
    }

    fn births(&self) -> &[(u64, usize)] {
        match self {
            Self::Together(tracker) => tracker.births(),
            Self::PerClass(trackers) => trackers.births(),
        }
    }
}

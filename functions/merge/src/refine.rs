//! Named deviations from what the tracker gave, asked for by the user and made once all frames are known: they hold the video's rows
//! in memory. Ids never change, no row is taken away, and every row that is added has `observed == false`.

use crate::classes::Classes;
use trackdrop_eval::{
    Row, Sequence,
    offline::{Backfill, Gaps, Smoothing, backfill_first_boxes, fill_gaps, smooth},
};
use trackdrop_pipeline::{Failure, FailureKind, Manifest, Refinements};
use trackdrop_tables::{detections::DetectionRow, tracks::TrackRow};

/// Coordinates beyond this are in no picture; the refinements refuse them.
const MAX_MAGNITUDE_PX: f32 = 1e9;

/// Gathers what the refinements need.
pub(crate) struct Refiner {
    refine: Refinements,
    /// The least score from which a track is born.
    birth_score: f64,
    tracks: Vec<TrackRow>,
    /// What the tracker was shown; only where first boxes are looked for among them.
    detections: Vec<Row>,
}

impl Refiner {
    pub(crate) fn new(refine: Refinements, birth_score: f64) -> Self {
        Self { refine, birth_score, tracks: Vec::new(), detections: Vec::new() }
    }

    /// Takes the rows of the next frames, and the detections that the tracker was shown in them.
    pub(crate) fn take<'a>(
        &mut self,
        tracks: impl IntoIterator<Item = TrackRow>,
        detections: impl IntoIterator<Item = &'a DetectionRow>,
    ) -> Result<(), Failure> {
        self.tracks.extend(tracks);
        if self.refine.backfill {
            for row in detections {
                // Any number that no other detection of the frame has.
                let id = self.detections.len() as u64;
                self.detections.extend(to_row(row.frame_index, id, row.bbox, row.score)?);
            }
        }
        Ok(())
    }

    /// All rows of the video: by frame, within a frame those of the tracker first.
    pub(crate) fn finish(self, manifest: &Manifest, classes: &Classes) -> Result<Vec<TrackRow>, Failure> {
        let Self { refine, birth_score, mut tracks, detections } = self;
        let (mut places, mut rows) = (Vec::new(), Vec::new());
        for (place, row) in tracks.iter().enumerate() {
            if let Some(row) = to_row(row.frame_index, row.track_id as u64, row.bbox, row.score)? {
                places.push(place);
                rows.push(row);
            }
        }
        let mut refined = Sequence::from_rows(rows).map_err(permanent)?;
        if refine.backfill {
            let detections = Sequence::from_rows(detections).map_err(permanent)?;
            let births = Backfill { min_score: birth_score, ..Backfill::default() };
            refined = backfill_first_boxes(&refined, &detections, &births);
        }
        if let Some(max_missing_frames) = refine.fill_gaps {
            refined = fill_gaps(&refined, &Gaps { max_missing_frames, ..Gaps::default() });
        }
        if let Some(sigma_frames) = refine.smooth {
            refined = smooth(&refined, &Smoothing::new(sigma_frames).map_err(permanent)?);
        }
        let mut places = places.into_iter();
        let mut added = Vec::new();
        for row in refined.rows() {
            if !row.observed {
                added.push(added_row(row, manifest, classes)?);
            } else if let (Some(place), true) = (places.next(), refine.smooth.is_some()) {
                tracks[place].bbox = corners(row);
            }
        }
        tracks.extend(added);
        // Stable: those of the tracker stay first in their frame.
        tracks.sort_by_key(|row| row.frame_index);
        Ok(tracks)
    }
}

/// A row as the refinements take it; none for a box that is none, which stays as it is.
fn to_row(frame_index: i64, id: u64, bbox: [f32; 4], score: f32) -> Result<Option<Row>, Failure> {
    let frame = u32::try_from(frame_index + 1)
        .map_err(|_| Failure::permanent(format!("frame {frame_index} is beyond what refinements can count")))?;
    let [x1, y1, x2, y2] = bbox;
    let in_range = bbox.iter().all(|edge| edge.abs() < MAX_MAGNITUDE_PX) && score.is_finite();
    let wide = |from: f32, to: f32| f64::from(to) - f64::from(from);
    let row = Row::new(frame, id, [f64::from(x1), f64::from(y1), wide(x1, x2), wide(y1, y2)]);
    let row = Row { score: f64::from(score), ..row };
    Ok((in_range && x1 <= x2 && y1 <= y2).then_some(row))
}

fn corners(row: &Row) -> [f32; 4] {
    [row.x, row.y, row.x + row.w, row.y + row.h].map(|edge| edge as f32)
}

fn added_row(row: &Row, manifest: &Manifest, classes: &Classes) -> Result<TrackRow, Failure> {
    let frame_index = u64::from(row.frame - 1);
    let (class_id, class_name) = classes.of(row.id).cloned().unwrap_or((0, "class_0".into()));
    Ok(TrackRow {
        frame_index: frame_index as i64,
        pts: pts_of(manifest, frame_index)?,
        track_id: row.id as i64,
        class_id,
        class_name,
        // A row between two detections has no score of its own.
        score: row.score.max(0.0) as f32,
        bbox: corners(row),
        observed: false,
    })
}

fn pts_of(manifest: &Manifest, frame_index: u64) -> Result<i64, Failure> {
    let segments = &manifest.segments;
    let after = segments.partition_point(|segment| segment.first_frame <= frame_index);
    let segment = after.checked_sub(1).and_then(|last| segments.get(last));
    let pts = segment
        .and_then(|segment| segment.frame_pts.as_slice().get((frame_index - segment.first_frame) as usize).copied());
    pts.ok_or_else(|| Failure::permanent(format!("frame {frame_index} is not in the plan")))
}

fn permanent(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::from_error(FailureKind::Permanent, error)
}

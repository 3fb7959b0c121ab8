//! The fold itself: the detections of one frame after the other in, the tracks of that frame out.

use trackdrop_pipeline::{Failure, FailureKind, RequestSettings, manifest::ManifestSegment};
use trackdrop_tables::detections::{DetectionRow, SegmentFooter};
use trackdrop_tracker::{ByteTrack, Detection, Settings, Track};

/// An object in a frame: what the tracker says, and the detection that it was matched with.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub(crate) track: &'a Track,
    pub(crate) detection: &'a DetectionRow,
}

/// The tracker, and what of the detections it is shown.
pub(crate) struct Fold {
    tracker: ByteTrack,
    /// By class id: whether the user wants it.
    wanted: Option<Vec<bool>>,
    min_score: f32,
    input: Vec<Detection>,
    /// Which row each input is.
    source: Vec<usize>,
}

impl Fold {
    pub(crate) fn new(settings: &RequestSettings, footer: &SegmentFooter) -> Result<Self, Failure> {
        let defaults = Settings::default();
        let overrides = &settings.tracker;
        let tracker = Settings {
            // The score scale is the model's: its card may say where "sure" begins.
            track_thresh: overrides.track_thresh.or(footer.track_thresh).unwrap_or(defaults.track_thresh),
            match_thresh: overrides.match_thresh.unwrap_or(defaults.match_thresh),
            track_buffer: overrides.track_buffer.unwrap_or(defaults.track_buffer),
            ..defaults
        };
        let wanted = settings
            .classes
            .as_ref()
            .map(|classes| footer.class_names.iter().map(|name| classes.contains(name)).collect());
        Ok(Self {
            tracker: ByteTrack::new(tracker).map_err(|error| Failure::from_error(FailureKind::Permanent, error))?,
            wanted,
            min_score: settings.min_score.unwrap_or(0.0),
            input: Vec::new(),
            source: Vec::new(),
        })
    }

    /// Steps once for every planned frame of a segment, also where nothing was detected; `take` gets frame index, PTS and tracks.
    pub(crate) fn frames(
        &mut self,
        segment: &ManifestSegment,
        rows: &[DetectionRow],
        mut take: impl FnMut(i64, i64, &[Matched<'_>]),
    ) -> Result<(), Failure> {
        let mut rest = rows;
        for (i, &pts) in segment.frame_pts.as_slice().iter().enumerate() {
            let frame_index = (segment.first_frame + i as u64) as i64;
            let (of_frame, after) = rest.split_at(rest.partition_point(|row| row.frame_index <= frame_index));
            if let Some(row) = of_frame.iter().find(|row| row.frame_index != frame_index || row.pts != pts) {
                return Err(foreign(segment, row));
            }
            take(frame_index, pts, &self.step(of_frame));
            rest = after;
        }
        rest.first().map_or(Ok(()), |row| Err(foreign(segment, row)))
    }

    fn step<'a>(&'a mut self, detections: &'a [DetectionRow]) -> Vec<Matched<'a>> {
        self.input.clear();
        self.source.clear();
        for (i, row) in detections.iter().enumerate() {
            let wanted = match &self.wanted {
                Some(wanted) => usize::try_from(row.class_id).is_ok_and(|id| wanted.get(id) == Some(&true)),
                None => true,
            };
            if wanted && row.score >= self.min_score {
                let [x1, y1, x2, y2] = row.bbox.map(f64::from);
                self.input.push(Detection { x1, y1, x2, y2, score: f64::from(row.score) });
                self.source.push(i);
            }
        }
        let source = &self.source;
        let matched = |track: &'a Track| Matched { track, detection: &detections[source[track.detection]] };
        self.tracker.step(&self.input).iter().map(matched).collect()
    }
}

fn foreign(segment: &ManifestSegment, row: &DetectionRow) -> Failure {
    Failure::permanent(format!(
        "the detections of segment {} speak of frame {} at PTS {}, which it does not own",
        segment.segment_number, row.frame_index, row.pts
    ))
}

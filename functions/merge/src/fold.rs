//! The fold itself: detections of one frame in, rows of that frame out.

use std::{collections::BTreeMap, sync::Arc};
use trackdrop_pipeline::{Failure, FailureKind, RequestSettings};
use trackdrop_tables::{
    detections::{DetectionRow, SegmentFooter},
    tracks::TrackRow,
};
use trackdrop_tracker::{ByteTrack, Detection, Settings};

/// The tracker, and what it is told and asked.
pub(crate) struct Fold {
    tracker: ByteTrack,
    class_names: Vec<Arc<str>>,
    /// By class id: whether the user wants it.
    wanted: Option<Vec<bool>>,
    min_score: f32,
    /// Votes of each identity's rows for a class.
    votes: BTreeMap<u64, BTreeMap<i32, u64>>,
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
            class_names: footer.class_names.iter().map(|name| Arc::from(name.as_str())).collect(),
            wanted,
            min_score: settings.min_score.unwrap_or(0.0),
            votes: BTreeMap::new(),
            input: Vec::new(),
            source: Vec::new(),
        })
    }

    /// One frame: called for every frame of the video, in order, also where nothing was detected.
    pub(crate) fn step(
        &mut self,
        frame_index: i64,
        pts: i64,
        detections: &[DetectionRow],
    ) -> Result<Vec<TrackRow>, Failure> {
        self.input.clear();
        self.source.clear();
        for (i, row) in detections.iter().enumerate() {
            let wanted = match &self.wanted {
                Some(wanted) => wanted.get(row.class_id as usize).copied().unwrap_or(false),
                None => true,
            };
            if wanted && row.score >= self.min_score {
                let [x1, y1, x2, y2] = row.bbox.map(f64::from);
                self.input.push(Detection { x1, y1, x2, y2, score: f64::from(row.score) });
                self.source.push(i);
            }
        }
        let mut rows = Vec::new();
        for track in self.tracker.step(&self.input) {
            let matched = &detections[self.source[track.detection]];
            let class_name = usize::try_from(matched.class_id).ok().and_then(|id| self.class_names.get(id)).cloned();
            *self.votes.entry(track.id).or_default().entry(matched.class_id).or_default() += 1;
            rows.push(TrackRow {
                frame_index,
                pts,
                track_id: track.id as i64,
                class_id: matched.class_id,
                class_name: class_name.unwrap_or_else(|| format!("class_{}", matched.class_id).into()),
                score: matched.score,
                bbox: [track.x1, track.y1, track.x2, track.y2].map(|edge| edge as f32),
                observed: true,
            });
        }
        Ok(rows)
    }

    /// How many identities there are of each class; an identity is of the class that most of its rows have.
    pub(crate) fn tracks_by_class(self) -> BTreeMap<String, u64> {
        let mut by_class = BTreeMap::new();
        for votes in self.votes.values() {
            // The first of equals: the lowest class id.
            let winner = votes.iter().max_by_key(|&(id, count)| (count, std::cmp::Reverse(id))).map(|(&id, _)| id);
            let Some(id) = winner else { continue };
            let name = usize::try_from(id).ok().and_then(|id| self.class_names.get(id));
            let name = name.map_or_else(|| format!("class_{id}"), |name| name.to_string());
            *by_class.entry(name).or_default() += 1;
        }
        by_class
    }
}

//! The trait that runs the detector on a stretch.

use crate::Stretch;
use std::path::Path;
use trackdrop_pipeline::{Delivery, Failure, RequestSettings, SegmentDescription};
use trackdrop_refine::Detection;
use trackdrop_tables::detections::DetectionRow;

/// Runs the detector on all frames of a stretch. Blocks.
pub trait Prober: Send + Sync + std::fmt::Debug {
    /// Returns the detections in all frames of a stretch. A stretch is described like a segment, and has a chunk like a
    /// segment.
    ///
    /// # Errors
    /// Permanent: the model or a class does not exist, or the chunk has other frames. Transient: the model can't be
    /// downloaded now.
    fn look(&self, chunk: &Path, stretch: &SegmentDescription, delivery: &Delivery) -> Result<Seen, Failure>;
}

/// The detections of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Detections with the index of their frame in the whole video.
    pub rows: Vec<DetectionRow>,
    /// The model's class names by class id.
    pub class_names: Vec<String>,
    /// The track threshold that the model's card recommends.
    pub track_thresh: Option<f64>,
}

impl Seen {
    /// The detections that the tracker gets.
    #[must_use]
    pub fn stretch(&self, settings: &RequestSettings, first_frame: u64, frame_count: u32) -> Stretch {
        let wanted = settings.wanted_classes(&self.class_names);
        let is_wanted = |row: &DetectionRow| match &wanted {
            Some(wanted) => usize::try_from(row.class_id).is_ok_and(|id| wanted.get(id) == Some(&true)),
            None => true,
        };
        let min_score = settings.min_score.unwrap_or(0.0);
        let shown = self.rows.iter().filter(|row| is_wanted(row) && row.score >= min_score);
        let of_stretch = |row: &DetectionRow| {
            let frame =
                u32::try_from(row.frame_index - first_frame as i64).ok().filter(|&frame| frame < frame_count)?;
            let (bbox, score) = (row.bbox.map(f64::from), f64::from(row.score));
            Some(Detection { frame, bbox, score, class: row.class_id })
        };
        Stretch { frame_count, detections: shown.filter_map(of_stretch).collect() }
    }
}

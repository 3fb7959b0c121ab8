//! Who looks at a stretch.

use crate::Stretch;
use std::path::Path;
use trackdrop_pipeline::{Delivery, Failure, RequestSettings, SegmentDescription};
use trackdrop_refine::Detection;
use trackdrop_tables::detections::DetectionRow;

/// Looks at all frames of a stretch; blocking.
pub trait Prober: Send + Sync + std::fmt::Debug {
    /// What a detector sees in the frames of a stretch, which is described as a segment is and cut into a chunk as one.
    ///
    /// # Errors
    /// Permanent: a model or a class that there is none of, or a chunk of other frames. Transient: the model cannot be fetched now.
    fn look(&self, chunk: &Path, stretch: &SegmentDescription, delivery: &Delivery) -> Result<Seen, Failure>;
}

/// What was seen in a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// By frame; frames are numbered as in the whole video.
    pub rows: Vec<DetectionRow>,
    /// The model's class names by class id.
    pub class_names: Vec<String>,
    /// The track threshold that the model's card recommends.
    pub track_thresh: Option<f64>,
}

impl Seen {
    /// What the tracker is shown of it.
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

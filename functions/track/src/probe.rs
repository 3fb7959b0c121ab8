//! The detector of `track`, lent to `split` for the stretches by which it chooses a video's stride.

use crate::{SegmentDetector, check_classes};
use std::{path::Path, sync::Arc};
use trackdrop_pipeline::{Delivery, Failure, Looks, SegmentDescription};
use trackdrop_probe::{Prober, Seen};

/// Looks at a stretch as at a segment of which every frame is looked at.
#[derive(Debug)]
pub struct DetectorProber(Arc<dyn SegmentDetector>);

impl DetectorProber {
    /// With this detector.
    pub fn new(detector: Arc<dyn SegmentDetector>) -> Self {
        Self(detector)
    }
}

impl Prober for DetectorProber {
    fn look(&self, chunk: &Path, stretch: &SegmentDescription, delivery: &Delivery) -> Result<Seen, Failure> {
        let model = self.0.model(&stretch.settings, delivery)?;
        check_classes(&stretch.settings, &model)?;
        let mut stretch = stretch.clone();
        // What objects look like has no say in how often a video must be looked at.
        stretch.settings.appearance = None;
        let rows = self.0.detect(chunk, &stretch, Looks::ALL, delivery)?.rows;
        Ok(Seen { rows, class_names: model.class_names, track_thresh: model.track_thresh })
    }
}

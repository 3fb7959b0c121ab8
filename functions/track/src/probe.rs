//! Runs the detector of `track` for `split`, on the stretches by which it chooses a video's stride.

use crate::{SegmentDetector, check_classes};
use std::{path::Path, sync::Arc};
use trackdrop_pipeline::{Delivery, Failure, Looks, SegmentDescription};
use trackdrop_probe::{Prober, Seen};

/// Processes a stretch like a segment in which the detector looks at every frame.
#[derive(Debug)]
pub struct DetectorProber(Arc<dyn SegmentDetector>);

impl DetectorProber {
    /// A prober with this detector.
    pub fn new(detector: Arc<dyn SegmentDetector>) -> Self {
        Self(detector)
    }
}

impl Prober for DetectorProber {
    fn look(&self, chunk: &Path, stretch: &SegmentDescription, delivery: &Delivery) -> Result<Seen, Failure> {
        let model = self.0.model(&stretch.settings, delivery)?;
        check_classes(&stretch.settings, &model)?;
        let mut stretch = stretch.clone();
        // The stride does not depend on appearance.
        stretch.settings.appearance = None;
        let rows = self.0.detect(chunk, &stretch, Looks::ALL, delivery)?.rows;
        Ok(Seen { rows, class_names: model.class_names, track_thresh: model.track_thresh })
    }
}

//! `split` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_cloud::Storage;
use trackdrop_detector::DeviceChoice;
use trackdrop_flow::{room::Room, stage::Staged};
use trackdrop_framework::{serve, setting};
use trackdrop_pipeline::trigger::files;
use trackdrop_split::{MediaCutter, Split};
use trackdrop_track::{DetectorPool, DetectorProber, Limits, MediaSegmentDetector, Offered, VideoEngine};

fn main() -> ExitCode {
    serve(files::SPLIT, async |service| {
        let limits: Limits = service.values.parsed(&setting::LIMITS)?.unwrap_or_default();
        let cutter = MediaCutter { limits: limits.clone() };
        let mut split =
            Split::new(service.cloud.clone(), Arc::new(cutter)).with_models(service.settings.models.clone());
        if let Some(bytes) = service.values.get(&setting::SPOOL_BYTES)? {
            split = split.with_spool(bytes);
        }
        // With a model, requests may have `detect_every: auto`. The first of them loads it.
        if let Some(model) = service.model_file().await? {
            let google = service.settings.google.clone();
            let storage_of = move |bucket: &str| Ok(Arc::new(google.storage_of(bucket)?) as Arc<dyn Storage>);
            let models = Offered::new(service.settings.models.clone(), Box::new(storage_of));
            let pool = DetectorPool::new(service.threads(), DeviceChoice::Auto)
                .with_default_model(model)
                .with_files(Arc::new(models));
            let detector = MediaSegmentDetector {
                pool: Arc::new(pool),
                room: Room::new(limits.max_memory_bytes),
                limits,
                decoder_threads: 1,
                video_engine: VideoEngine::default(),
            };
            split = split.with_prober(Arc::new(DetectorProber::new(Arc::new(detector))));
        }
        Ok(Staged(split))
    })
}

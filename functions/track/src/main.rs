//! `track` as a service, or with `--pull` as a worker that takes its events from a subscription.

use std::{process::ExitCode, sync::Arc};
use trackdrop_cloud::Storage;
use trackdrop_detector::{Device, DeviceChoice};
use trackdrop_flow::{blocking, room::Room, stage::Staged};
use trackdrop_framework::{serve_or_pull, setting};
use trackdrop_pipeline::trigger::files;
use trackdrop_track::{DetectorPool, Limits, MediaSegmentDetector, Offered, SessionBounds, Track};

fn main() -> ExitCode {
    serve_or_pull(files::TRACK, async |service| {
        let (threads, values) = (service.threads(), &service.values);
        let usual = SessionBounds::default();
        let bounds = SessionBounds {
            sessions: values.get(&setting::MODEL_SESSIONS)?.unwrap_or(usual.sessions),
            bytes: values.get(&setting::MODEL_BYTES)?.unwrap_or(usual.bytes),
        };
        let google = service.settings.google.clone();
        let storage_of = move |bucket: &str| Ok(Arc::new(google.storage_of(bucket)?) as Arc<dyn Storage>);
        let models = Offered::new(service.settings.models.clone(), Box::new(storage_of));
        let device = values.parsed(&setting::DEVICE)?.unwrap_or(DeviceChoice::Auto);
        let mut pool = DetectorPool::new(threads, device)
            .with_batch(values.get(&setting::BATCH)?)
            .with_bounds(bounds)
            .with_files(Arc::new(models));
        if let Some(model) = service.model_file().await? {
            pool = pool.with_default_model(model);
        }
        let pool = Arc::new(pool);
        // The model is loaded before the service is ready, so that the first segment does not wait for it.
        let loading = pool.clone();
        blocking(move || loading.get(None).map(drop)).await?;
        // With a GPU, the processors only decode. Without one they detect.
        let decoder_threads = match pool.device() {
            None | Some((Device::Cpu, _)) => 1,
            Some(_) => (threads / service.settings.concurrency.max(1)).max(1),
        };
        let limits: Limits = values.parsed(&setting::LIMITS)?.unwrap_or_default();
        let detector = MediaSegmentDetector {
            pool,
            room: Room::new(limits.max_memory_bytes),
            limits,
            decoder_threads,
            video_engine: values.parsed(&setting::VIDEO_ENGINE)?.unwrap_or_default(),
        };
        Ok(Staged(Track::new(service.cloud.clone(), Arc::new(detector))))
    })
}

//! `track` as a service, or with `--pull` as a worker that takes its events out of a subscription.

use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};
use trackdrop_cloud::Storage;
use trackdrop_detector::{Device, DeviceChoice};
use trackdrop_flow::{blocking, room::Room, stage::Staged};
use trackdrop_framework::{serve_or_pull, variable};
use trackdrop_pipeline::Failure;
use trackdrop_track::{DetectorPool, Limits, MediaSegmentDetector, Offered, SessionBounds, Track, VideoEngine};

fn main() -> ExitCode {
    serve_or_pull(include_str!("../../../triggers/track.yaml"), async |service| {
        let device = match variable("TRACKDROP_DEVICE")? {
            Some(text) => text.parse().map_err(|error| Failure::permanent(format!("TRACKDROP_DEVICE: {error}")))?,
            None => DeviceChoice::Auto,
        };
        let batch = match variable("TRACKDROP_BATCH")? {
            Some(text) => Some(text.parse::<NonZeroUsize>().map_err(|error| {
                Failure::permanent(format!("TRACKDROP_BATCH is {text:?}, and must be a number of pictures: {error}"))
            })?),
            None => None,
        };
        let mut pool = DetectorPool::new(service.threads(), device).with_batch(batch);
        let usual = SessionBounds::default();
        let bounds = SessionBounds {
            sessions: number("TRACKDROP_MODEL_SESSIONS", usual.sessions)?,
            bytes: number("TRACKDROP_MODEL_BYTES", usual.bytes)?,
        };
        let google = service.settings.google.clone();
        let storage_of = move |bucket: &str| Ok(Arc::new(google.storage_of(bucket)?) as Arc<dyn Storage>);
        let models = Offered::new(service.settings.models.clone(), Box::new(storage_of));
        pool = pool.with_bounds(bounds).with_files(Arc::new(models));
        if let Some(model) = service.model_file().await? {
            pool = pool.with_default_model(model);
        }
        let pool = Arc::new(pool);
        // Loaded before the service is ready: the first segment must not wait for it.
        let loading = pool.clone();
        blocking(move || loading.get(None).map(drop)).await?;
        // Beside a GPU the processors have nothing else to do than to decode; alone they detect.
        let decoder_threads = match pool.device() {
            None | Some((Device::Cpu, _)) => 1,
            Some(_) => (service.threads() / service.settings.concurrency.max(1)).max(1),
        };
        let limits = Limits::from_environment()?;
        let detector = MediaSegmentDetector {
            pool,
            room: Room::new(limits.max_memory_bytes),
            limits,
            decoder_threads,
            video_engine: VideoEngine::from_environment()?,
        };
        Ok(Staged(Track::new(service.cloud.clone(), Arc::new(detector))))
    })
}

/// A number above zero, or the usual one.
fn number<N: std::str::FromStr + PartialOrd + From<u8>>(name: &'static str, usual: N) -> Result<N, Failure> {
    let Some(text) = variable(name)? else { return Ok(usual) };
    let number = text.parse::<N>().ok().filter(|number| *number >= N::from(1));
    number.ok_or_else(|| Failure::permanent(format!("{name} is {text:?}: it must be a whole number above 0")))
}

//! The local host: all functions over one data directory.

use anyhow::{Context, bail};
use std::{collections::BTreeMap, num::NonZeroUsize, path::Path, sync::Arc};
use trackdrop_annotate::{Annotate, MediaRenderer};
use trackdrop_cloud::local::{Bus, LocalCloud};
use trackdrop_detector::DeviceChoice;
use trackdrop_fail::Fail;
use trackdrop_flow::{
    Cloud,
    room::Room,
    stage::{StageHandler, Staged},
};
use trackdrop_join::{Join, MediaJoiner};
use trackdrop_load::Load;
use trackdrop_merge::Merge;
use trackdrop_pipeline::{
    Handler,
    trigger::{self, IGNORE_VARIABLE, Trigger, files},
};
use trackdrop_split::{Limits, MediaCutter, Split};
use trackdrop_track::{DetectorPool, DetectorProber, MediaSegmentDetector, Track, VideoEngine};

/// The functions over a data directory.
pub(crate) struct Host {
    pub(crate) local: Arc<LocalCloud>,
    pub(crate) cloud: Cloud,
    pub(crate) bus: Bus,
    pub(crate) detectors: Arc<DetectorPool>,
}

/// Opens the data directory; nothing is delivered until the bus runs.
pub(crate) fn open_data(data: &Path) -> anyhow::Result<Arc<LocalCloud>> {
    let triggers = files::ALL
        .iter()
        .map(|(file, yaml)| {
            let ignore = ignore()?;
            let trigger = Trigger::parse(yaml).and_then(|trigger| trigger.ignoring(ignore.as_deref()));
            trigger.with_context(|| format!("triggers/{file}"))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Arc::new(LocalCloud::open(data, triggers)?))
}

fn ignore() -> anyhow::Result<Option<String>> {
    Ok(trackdrop_cloud::google::variable(IGNORE_VARIABLE)?)
}

/// The trigger of uploads, which says which names are no video.
pub(crate) fn uploads() -> anyhow::Result<Trigger> {
    Ok(trigger::of_uploads(ignore()?.as_deref())?)
}

/// Opens a data directory to look into it; none for a folder that is not one yet, since a question must not make it one.
pub(crate) fn open_existing(data: &Path) -> anyhow::Result<Option<Arc<LocalCloud>>> {
    if !data.is_dir() {
        bail!("there is no data directory {data:?}: process a video first (trackdrop run VIDEO), or give --data");
    }
    LocalCloud::exists(data).then(|| open_data(data)).transpose()
}

/// All three traits from the one local back end.
pub(crate) fn cloud_of(local: &Arc<LocalCloud>) -> Cloud {
    Cloud::new(local.clone(), local.clone(), local.clone())
}

/// Detectors on this device, of this batch where it is given; none is loaded yet.
pub(crate) fn detectors(device: DeviceChoice, batch: Option<NonZeroUsize>) -> Arc<DetectorPool> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(DetectorPool::new(cores, device).with_batch(batch))
}

/// What is refused.
pub(crate) fn limits() -> anyhow::Result<Limits> {
    Ok(Limits::from_environment()?)
}

impl Host {
    pub(crate) fn open(data: &Path, detectors: Arc<DetectorPool>) -> anyhow::Result<Self> {
        Self::over(open_data(data)?, detectors)
    }

    /// Over a data directory that is open.
    pub(crate) fn over(local: Arc<LocalCloud>, detectors: Arc<DetectorPool>) -> anyhow::Result<Self> {
        let cloud = cloud_of(&local);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = limits()?;
        let video_engine = VideoEngine::from_environment()?;
        let room = Room::new(limits.max_memory_bytes);
        let detector = Arc::new(segment_detector(detectors.clone(), limits.clone(), room.clone(), video_engine));
        let prober = Arc::new(DetectorProber::new(detector.clone()));
        let renderer = MediaRenderer { limits: limits.clone(), room, threads: cores, video_engine };
        let handlers: BTreeMap<String, Arc<dyn Handler>> = BTreeMap::from([
            named(Split::new(cloud.clone(), Arc::new(MediaCutter { limits })).with_prober(prober)),
            named(Track::new(cloud.clone(), detector)),
            named(Merge::new(cloud.clone())),
            named(Load::new(cloud.clone())),
            named(Annotate::new(cloud.clone(), Arc::new(renderer))),
            named(Join::new(cloud.clone(), Arc::new(MediaJoiner))),
            (
                "fail".to_owned(),
                Arc::new(Fail::new(cloud.clone()).with_ignored(uploads()?.ignored())) as Arc<dyn Handler>,
            ),
        ]);
        let bus = Bus::new(local.clone(), handlers, cores.max(2));
        Ok(Self { local, cloud, bus, detectors })
    }
}

/// What looks at frames on this machine.
pub(crate) fn segment_detector(
    pool: Arc<DetectorPool>,
    limits: Limits,
    room: Room,
    video_engine: VideoEngine,
) -> MediaSegmentDetector {
    MediaSegmentDetector { pool, limits, room, decoder_threads: 1, video_engine }
}

fn named<S: StageHandler + 'static>(stage: S) -> (String, Arc<dyn Handler>) {
    (S::STAGE.name().to_owned(), Arc::new(Staged(stage)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_trigger_file_is_built_in_and_starts_a_function_that_exists() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../triggers");
        let files: BTreeSet<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, files::ALL.iter().map(|(file, _)| (*file).to_owned()).collect());
        let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");
        for (file, yaml) in files::ALL {
            let trigger = Trigger::parse(yaml).unwrap();
            assert_eq!(format!("{}.yaml", trigger.function), *file);
            assert!(Path::new(functions).join(&trigger.function).is_dir(), "{file}");
            assert_eq!(trigger.dead_letter.is_none(), trigger.function == "fail", "{file}");
        }
    }
}

//! The networks that a process has loaded. Each model is loaded once, with all its lanes, and all segments share it.
//! Bounds limit how many models are loaded.

use crate::{
    ModelFacts,
    files::{AnyPath, FoundModel, ModelFile, ModelFiles},
};
use std::{
    any::Any,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use trackdrop_detector::{
    AppearanceModel, Detector, DetectorError, DetectorOptions, Device, DeviceChoice, PassedOver, default_model_path,
};
use trackdrop_pipeline::{Appearance, Failure, RequestSettings, manifest::ModelIdentity};

/// Largest number of inferences at the same time. Each has its own copy of the weights. Two inferences on one thread
/// each process 1.27 times as many frames as one inference on two threads (1.65 times in int8), because no thread waits
/// for another one at every layer (docs/speed.md).
const MOST_LANES: usize = 8;
/// How many crops an inference of an appearance network takes, if the network does not set it.
const CROPS_AT_ONCE: usize = 8;

/// How many models can be loaded at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBounds {
    /// Models.
    pub sessions: usize,
    /// Largest number of bytes of one model's file, and of all loaded files together. A file counts once for each of
    /// its lanes. A single model is always loaded.
    pub bytes: u64,
}

impl Default for SessionBounds {
    /// 4 models of 4 GiB.
    fn default() -> Self {
        Self { sessions: 4, bytes: 4 << 30 }
    }
}

/// The detectors and appearance networks that this process has loaded. If another one would exceed the bounds, the
/// least recently used one is released.
#[derive(Debug)]
pub struct DetectorPool {
    intra_threads: usize,
    device: DeviceChoice,
    batch: Option<NonZeroUsize>,
    default_model: PathBuf,
    files: Arc<dyn ModelFiles>,
    bounds: SessionBounds,
    /// The most recently used one is the last.
    loaded: Mutex<Vec<Loaded>>,
}

/// A model that is loaded.
#[derive(Debug)]
struct Loaded {
    key: String,
    name: String,
    /// A [`Network`].
    session: Arc<dyn Any + Send + Sync>,
    /// How many bytes it counts for.
    bytes: u64,
    #[expect(dead_code, reason = "a copy is deleted with it")]
    file: ModelFile,
}

/// The two kinds of networks.
trait Network: Any + Send + Sync + Sized {
    fn open(options: &DetectorOptions) -> Result<Self, DetectorError>;
    fn name(&self) -> &str;
}

impl Network for Detector {
    fn open(options: &DetectorOptions) -> Result<Self, DetectorError> {
        Self::open(options)
    }

    fn name(&self) -> &str {
        &self.info().name
    }
}

impl Network for AppearanceModel {
    fn open(options: &DetectorOptions) -> Result<Self, DetectorError> {
        Self::open(&DetectorOptions { batch: Some(CROPS_AT_ONCE), ..options.clone() })
    }

    fn name(&self) -> &str {
        self.name()
    }
}

impl DetectorPool {
    /// An empty pool. Its sessions run on this device. If the device is the processor, they have this many threads.
    pub fn new(intra_threads: usize, device: DeviceChoice) -> Self {
        Self {
            intra_threads,
            device,
            batch: None,
            default_model: default_model_path(),
            files: Arc::new(AnyPath),
            bounds: SessionBounds::default(),
            loaded: Mutex::default(),
        }
    }

    /// Sets the number of pictures per inference, for models that do not set it. None: the detector chooses. A TensorRT
    /// engine is built for one number.
    #[must_use]
    pub fn with_batch(mut self, batch: Option<NonZeroUsize>) -> Self {
        self.batch = batch;
        self
    }

    /// Sets another default model.
    #[must_use]
    pub fn with_default_model(mut self, model: PathBuf) -> Self {
        self.default_model = model;
        self
    }

    /// Sets the models that requests can name. Without it, requests name paths, as a user does on their own machine.
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn ModelFiles>) -> Self {
        self.files = files;
        self
    }

    /// Sets other bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: SessionBounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The device on which the loaded models run, and the devices that `auto` could not use. None if no model is
    /// loaded.
    pub fn device(&self) -> Option<(Device, Vec<PassedOver>)> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let detector = loaded.iter().find_map(|loaded| loaded.session.downcast_ref::<Detector>());
        detector.map(|detector| (detector.device(), detector.passed_over().to_vec()))
    }

    /// How many models are loaded.
    pub fn sessions(&self) -> usize {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Loads the model that a request's settings name. Returns what the flow needs to know about it.
    ///
    /// # Errors
    /// Permanent: there is no such model, it is not a detector, or the model or its card is not the one with which the
    /// request was made.
    pub fn facts(&self, settings: &RequestSettings) -> Result<ModelFacts, Failure> {
        let detector = self.get(settings.model.as_deref())?;
        let (info, appearance) = (detector.info(), self.appearance(settings)?);
        match &settings.model_sha256 {
            Some(_) if settings.card_sha256 != info.card_sha256 => Err(Failure::permanent(format!(
                "the card of the model {} has changed since the request was made: process the video again",
                info.name
            ))),
            Some(expected) if *expected != info.sha256 => Err(Failure::permanent(format!(
                "the model file {} has changed since the request was made (sha256 {}, then {expected}): process the video again",
                info.name, info.sha256
            ))),
            _ => Ok(ModelFacts {
                identity: ModelIdentity { name: info.name.clone(), sha256: info.sha256.clone() },
                class_names: info.class_names.clone(),
                track_thresh: info.track_thresh,
                appearance_network: appearance.map(|network| ModelIdentity {
                    name: network.name().to_owned(),
                    sha256: network.sha256().to_owned(),
                }),
            }),
        }
    }

    /// Returns the appearance network, and loads it if necessary. None if the settings name none. Blocks.
    ///
    /// # Errors
    /// Permanent: the network is not offered, does not return a vector per crop, has no card, or is not the one with
    /// which the request was made. Transient: the bounds are reached, and all loaded models are in use.
    pub fn appearance(&self, settings: &RequestSettings) -> Result<Option<Arc<AppearanceModel>>, Failure> {
        let Some(asked) = settings.appearance.as_ref().and_then(Appearance::network) else { return Ok(None) };
        let network: Arc<AppearanceModel> = self.session(self.files.find(&asked.network)?)?;
        let changed = |what: &str, before: &Option<String>, now: &str| {
            before.as_ref().filter(|before| *before != now).map(|before| {
                Failure::permanent(format!(
                    "the {what} of the appearance network {} has changed since the request was made (sha256 {now}, then {before}): process the \
                     video again",
                    network.name()
                ))
            })
        };
        let file = changed("file", &asked.network_sha256, network.sha256());
        match file.or_else(|| changed("card", &asked.network_card_sha256, network.card_sha256())) {
            Some(failure) => Err(failure),
            None => Ok(Some(network)),
        }
    }

    /// Returns the detector of a model, and loads it if necessary. None means the default model. Blocks.
    ///
    /// # Errors
    /// Permanent: the model is not offered, is not a model, or is larger than the bounds. Transient: the bounds are
    /// reached, and all loaded models are in use.
    pub fn get(&self, asked: Option<&str>) -> Result<Arc<Detector>, Failure> {
        let found = match asked {
            Some(asked) => self.files.find(asked)?,
            None => FoundModel::of_path(&self.default_model),
        };
        self.session(found)
    }

    /// Returns a network, and loads it if necessary.
    fn session<N: Network>(&self, found: FoundModel) -> Result<Arc<N>, Failure> {
        // The lock is held while loading: segments that start together must not load a model twice.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = loaded.iter().position(|loaded| loaded.key == found.key && loaded.session.is::<N>()) {
            let used = loaded.remove(at);
            let session = used.session.clone();
            loaded.push(used);
            if let Ok(session) = session.downcast() {
                return Ok(session);
            }
        }
        let (lanes, intra_threads) = lanes_and_threads(self.intra_threads);
        let bytes = found.bytes.saturating_mul(lanes as u64);
        self.make_room(&mut loaded, &found, bytes)?;
        let file = self.files.open(&found)?;
        let options = DetectorOptions {
            model: file.path().to_owned(),
            intra_threads,
            lanes,
            device: self.device,
            batch: self.batch.map(NonZeroUsize::get),
            ..DetectorOptions::default()
        };
        let session = Arc::new(N::open(&options)?);
        loaded.push(Loaded { key: found.key, name: session.name().to_owned(), session: session.clone(), bytes, file });
        Ok(session)
    }

    fn make_room(&self, loaded: &mut Vec<Loaded>, found: &FoundModel, bytes: u64) -> Result<(), Failure> {
        let SessionBounds { sessions, bytes: most } = self.bounds;
        if found.bytes > most {
            return Err(Failure::permanent(format!(
                "the model {} is {} bytes; the maximum is {most}: raise TRACKDROP_MODEL_BYTES",
                found.shown(),
                found.bytes
            )));
        }
        let is_full = |loaded: &[Loaded]| {
            let taken: u64 = loaded.iter().map(|loaded| loaded.bytes).sum();
            !loaded.is_empty() && (loaded.len() >= sessions.max(1) || taken.saturating_add(bytes) > most)
        };
        while is_full(loaded) {
            // A detection in progress holds the detector, too.
            let Some(at) = loaded.iter().position(|loaded| Arc::strong_count(&loaded.session) == 1) else {
                return Err(Failure::transient(format!(
                    "{} models are in use, and there is no room for {} beside them (TRACKDROP_MODEL_SESSIONS, TRACKDROP_MODEL_BYTES)",
                    loaded.len(),
                    found.shown()
                )));
            };
            let gone = loaded.remove(at);
            tracing::info!(model = gone.name, "freed the least recently used model");
        }
        Ok(())
    }
}

/// Divides the threads: the number of lanes, and the smallest possible number of threads of each. All lanes have the
/// same number, because a model on another number of threads can return other bits. So some threads can remain unused,
/// but fewer than a lane has.
fn lanes_and_threads(threads: usize) -> (usize, usize) {
    let of_each = threads.div_ceil(MOST_LANES).max(1);
    ((threads / of_each).max(1), of_each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use trackdrop_pipeline::AppearanceNetwork;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/detector/tests/fixtures").join(name)
    }

    fn pool() -> DetectorPool {
        DetectorPool::new(1, DeviceChoice::Only(Device::Cpu))
    }

    fn get(pool: &DetectorPool, model: &str) -> Result<Arc<Detector>, Failure> {
        pool.get(fixture(model).to_str())
    }

    #[test]
    fn a_pool_runs_the_batch_that_it_is_given_where_the_model_leaves_it_open() {
        let batch = |model: &str, batch| {
            let pool = pool().with_batch(NonZeroUsize::new(batch));
            get(&pool, model).unwrap().batch()
        };
        assert_eq!([batch("dynamic.onnx", 0), batch("dynamic.onnx", 5), batch("yolov8.onnx", 5)], [1, 5, 1]);
    }

    #[test]
    fn one_model_in_four_spellings_is_one_session() {
        let (pool, folder) = (pool(), fixture(""));
        let shown = folder.display();
        let spellings = [
            format!("{shown}yolov8.onnx"),
            format!("{shown}/./yolov8.onnx"),
            format!("{shown}//yolov8.onnx"),
            format!("{shown}../fixtures/yolov8.onnx"),
        ];
        let detectors = spellings.map(|spelling| pool.get(Some(&spelling)).unwrap());
        assert!(detectors.iter().all(|detector| Arc::ptr_eq(detector, &detectors[0])));
        assert_eq!(pool.sessions(), 1);
    }

    #[test]
    fn an_appearance_network_is_loaded_once_and_must_be_that_of_the_request() {
        let pool = pool();
        let by = |model: &str, sha256: Option<&str>, card: Option<&str>| RequestSettings {
            model: fixture("yolov8.onnx").to_str().map(str::to_owned),
            appearance: Some(Appearance::Network(AppearanceNetwork {
                network: fixture(model).to_str().unwrap().to_owned(),
                network_sha256: sha256.map(str::to_owned),
                network_card_sha256: card.map(str::to_owned),
            })),
            ..RequestSettings::default()
        };
        let network = pool.facts(&by("parts.onnx", None, None)).unwrap().appearance_network.unwrap();
        assert_eq!((network.name.as_str(), pool.sessions()), ("parts", 2));
        let again = pool.appearance(&by("parts.onnx", Some(&network.sha256), None)).unwrap().unwrap();
        assert_eq!((again.card_sha256().len(), pool.sessions()), (64, 2));
        assert_eq!(pool.device().map(|(device, _)| device), Some(Device::Cpu));
        for (changed, what) in
            [(by("parts.onnx", Some("00"), None), "file"), (by("parts.onnx", None, Some("00")), "card")]
        {
            let failure = pool.facts(&changed).unwrap_err();
            assert_eq!(failure.kind(), trackdrop_pipeline::FailureKind::Permanent);
            assert!(
                failure.to_string().contains(what) && failure.to_string().contains("process the video"),
                "{failure}"
            );
        }
        let failure = pool.facts(&by("yolov8.onnx", None, None)).unwrap_err();
        assert_eq!(failure.kind(), trackdrop_pipeline::FailureKind::Permanent, "it has no card for that: {failure}");
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room_unless_it_is_in_use() {
        let pool = pool().with_bounds(SessionBounds { sessions: 2, ..SessionBounds::default() });
        let kept = get(&pool, "dynamic.onnx").unwrap();
        let freed = Arc::downgrade(&get(&pool, "yolov8.onnx").unwrap());
        assert!(freed.upgrade().is_some());
        let third = get(&pool, "nanodet.onnx").unwrap();
        assert!(freed.upgrade().is_none(), "its session is gone");
        assert!(Arc::ptr_eq(&kept, &get(&pool, "dynamic.onnx").unwrap()), "in use, it was not freed");
        let failure = get(&pool, "yolov8.onnx").unwrap_err();
        assert_eq!(failure.kind(), trackdrop_pipeline::FailureKind::Transient, "{failure}");
        drop((kept, third));
        assert!(get(&pool, "yolov8.onnx").is_ok());
        assert_eq!(pool.sessions(), 2);
    }

    #[test]
    fn memory_is_bounded_by_the_size_of_the_files() {
        let size = std::fs::metadata(fixture("yolov8.onnx")).unwrap().len();
        let too_large = pool().with_bounds(SessionBounds { bytes: size - 1, ..SessionBounds::default() });
        let failure = get(&too_large, "yolov8.onnx").unwrap_err();
        assert_eq!(failure.kind(), trackdrop_pipeline::FailureKind::Permanent);
        assert!(failure.to_string().contains("TRACKDROP_MODEL_BYTES"), "{failure}");
        let pool = pool().with_bounds(SessionBounds { bytes: size, ..SessionBounds::default() });
        get(&pool, "yolov8.onnx").unwrap();
        std::fs::metadata(fixture("dynamic.onnx")).map(|file| assert!(file.len() <= size)).unwrap();
        get(&pool, "dynamic.onnx").unwrap();
        assert_eq!(pool.sessions(), 1, "both together are larger");
    }

    #[test]
    fn lanes_take_all_threads_but_fewer_than_one_has() {
        let up_to_eight: Vec<_> = (0..=8).map(lanes_and_threads).collect();
        assert_eq!(up_to_eight, [(1, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)]);
        for threads in 1..200 {
            let (lanes, of_each) = lanes_and_threads(threads);
            assert!(lanes <= MOST_LANES && (threads - of_each + 1..=threads).contains(&(lanes * of_each)), "{threads}");
        }
    }
}

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use memchr::memmem;
use sha2::{Digest, Sha256};

use crate::{
    BatchDetections, Card, Detection, DetectorError, Device, DeviceChoice, ImageBatch, ModelInfo, PassedOver,
    Suppressor,
    convert::Normalizer,
    default_model_path,
    engine::{Engine, EngineSpec},
    family::{Candidates, Decoder, Output},
    graph_cache,
    lanes::{Lanes, Lent},
    model::{Sources, before_trial, is_settled_by_its_words, resolve},
    session,
    session::Opener,
    trial::Trial,
};

/// Which model to open, and how it may use the machine.
#[derive(Clone, Debug)]
pub struct DetectorOptions {
    /// The ONNX file. Its card is next to it.
    pub model: PathBuf,
    /// The ONNX Runtime library. None: it is found with [`find_runtime`](crate::find_runtime).
    pub runtime: Option<PathBuf>,
    /// Threads for one inference.
    pub intra_threads: usize,
    /// How many inferences run at the same time on the processor. Each has its own session with `intra_threads`
    /// threads.
    pub lanes: usize,
    /// Pictures per inference, for models with an open batch size. None: 1 on the processor, 16 on a GPU.
    pub batch: Option<usize>,
    /// The device.
    pub device: DeviceChoice,
    /// The folder in which optimised graphs for the processor are stored between starts. None: they are not stored. A
    /// folder that can't be written has the same effect.
    pub graphs: Option<PathBuf>,
    /// Whether the trial always runs on the processor, even if the exporter's metadata are sufficient. Without the
    /// trial, unusual numbers of a model are not noticed.
    pub always_tried: bool,
}

impl Default for DetectorOptions {
    /// The default model, on all cores and the best device.
    fn default() -> Self {
        Self {
            model: default_model_path(),
            runtime: None,
            intra_threads: thread::available_parallelism().map_or(1, usize::from),
            lanes: 1,
            batch: None,
            device: DeviceChoice::Auto,
            graphs: graph_cache::default_folder(),
            always_tried: true,
        }
    }
}

impl DetectorOptions {
    /// Pictures per inference on a device, for models with an open batch size.
    pub(crate) fn batch_on(&self, device: Device) -> usize {
        let usual = if device == Device::Cpu { 1 } else { GPU_BATCH };
        self.batch.unwrap_or(usual).max(1)
    }
}

/// A loaded model, ready for pictures. It runs as many inferences at the same time as it has lanes. Threads that share
/// a detector take turns.
pub struct Detector {
    info: ModelInfo,
    device: Device,
    passed_over: Vec<PassedOver>,
    batch: usize,
    decoder: Box<dyn Decoder>,
    /// Whether boxes are cut at the edges of the frame before they are compared.
    cuts_first: bool,
    /// For each class, the group whose boxes suppress each other.
    suppression_groups: Vec<u32>,
    lanes: Lanes<Lane>,
}

/// What one inference needs. All of its memory is reused for the next one.
struct Lane {
    engine: Engine,
    candidates: Candidates,
    suppressor: Suppressor,
}

/// A lane that no other thread uses. It is returned when it is dropped, also in a panic.
pub struct FreeLane<'a> {
    detector: &'a Detector,
    lane: Lent<'a, Lane>,
}

impl fmt::Debug for FreeLane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreeLane").field("detector", &self.detector).finish_non_exhaustive()
    }
}

impl Detector {
    /// Loads a model.
    ///
    /// The model runs once on an artificial picture (the trial), to find what its shapes do not say. The trial is
    /// skipped if [`DetectorOptions::always_tried`] is false and everything is known. On a GPU the trial also does what
    /// the runtime builds or searches in its first run. With TensorRT this can take minutes, once per model and GPU.
    ///
    /// # Errors
    ///
    /// Every variant of [`DetectorError`] but `Batch`; all are permanent, except for a failing disk or device.
    pub fn open(options: &DetectorOptions) -> Result<Self, DetectorError> {
        let path = &options.model;
        if path.is_dir() {
            return Err(DetectorError::NotOnnx {
                path: path.clone(),
                reason: "it is a directory: give the .onnx file in it".into(),
            });
        }
        if !path.is_file() {
            return Err(DetectorError::ModelNotFound { path: path.clone() });
        }
        let (card, card_sha256) = Card::read(&Card::path_for(path))?;
        let hash = || file_facts(path).map_err(|source| DetectorError::Read { path: path.clone(), source });
        // The result of an earlier start is stored under the model's hash. If there is none, the file is hashed while
        // it is loaded.
        let is_kept = options.graphs.is_some() || options.device != DeviceChoice::Only(Device::Cpu);
        let known = is_kept.then(hash).transpose()?;
        let known_hash = known.as_ref().map(|facts| facts.sha256.as_str());
        let opener = Opener::new(options, known_hash.unwrap_or_default())?;
        let (opened, hashed) = thread::scope(|scope| {
            let hashing = known.is_none().then(|| scope.spawn(hash));
            (opener.open(), hashing.and_then(|hashing| hashing.join().ok()))
        });
        let opened = opened?;
        let FileFacts { sha256, is_quantised } = match known {
            Some(known) => known,
            // A hash does not panic; were it to, it would be done again.
            None => hashed.unwrap_or_else(hash)?,
        };

        let (inputs, declared) = session::declared(path, &opened.session)?;
        // A model of batch 0 would be as open.
        let fixed = usize::try_from(declared.input[0]).ok().filter(|batch| *batch > 0);
        let batch = fixed.unwrap_or_else(|| options.batch_on(opened.device));
        let all_outputs = declared.outputs.clone();
        let (size, order, mean, std) = before_trial(path, &card, &declared)?;
        let is_settled = !options.always_tried && opened.device == Device::Cpu && !is_quantised;
        let (trial, session) = if is_settled && is_settled_by_its_words(&card, &declared, size) {
            (None, opened.session)
        } else {
            // On a GPU this also builds or searches what the runtime needs for batches of that size.
            let tried = if opened.device == Device::Cpu { fixed.unwrap_or(1) } else { batch };
            let normalizer = Normalizer::new(order, mean, std);
            let (trial, session) =
                Trial::run(opened.session, opened.device, &inputs, &all_outputs, (tried, size), normalizer)?;
            (Some(trial), session)
        };
        let sources = Sources { path: path.clone(), sha256, card, card_sha256 };
        let (info, fit) = resolve(sources, declared, trial.as_ref())?;
        drop(trial);
        for doubt in &info.doubts {
            tracing::warn!(model = info.name, doubt, "the model is ambiguous");
        }
        let batch = match (fit.has_batch, fixed) {
            (true, _) => batch,
            (false, None | Some(1)) => 1,
            (false, Some(fixed)) => {
                return Err(DetectorError::Outputs {
                    reason: format!(
                        "it takes {fixed} pictures and gives the objects of one: export it for a batch of 1"
                    ),
                });
            }
        };
        let spec = EngineSpec {
            device: opened.device,
            inputs,
            batch,
            size: info.input(),
            outputs: fit.outputs.iter().map(|&output| all_outputs[output].clone()).collect(),
            has_batch: fit.has_batch,
        };
        let normalizer = Normalizer::new(info.color_order, info.mean, info.std);
        let lane = |session| {
            let engine = Engine::new(session, spec.clone(), normalizer);
            let engine = engine.map_err(|error| DetectorError::inference(&error))?;
            Ok(Lane { engine, candidates: Candidates::default(), suppressor: Suppressor::default() })
        };
        // A GPU is filled by its batch.
        let count = if opened.device == Device::Cpu { options.lanes.max(1) } else { 1 };
        let mut lanes = vec![lane(session)?];
        for _ in 1..count {
            lanes.push(lane(opener.open_on_processor()?)?);
        }
        let suppression_groups = info.suppression_groups();
        let detector = Self {
            info,
            device: opened.device,
            passed_over: opened.passed_over,
            batch,
            decoder: fit.decoder,
            cuts_first: fit.cuts_first,
            suppression_groups,
            lanes: Lanes::new(lanes),
        };
        // The engine that TensorRT built is written now.
        drop(opened.engine_lock);
        let info = &detector.info;
        tracing::info!(
            model = info.name,
            family = info.family.name(),
            width = info.input_width,
            height = info.input_height,
            batch,
            device = %detector.device,
            lanes = detector.lanes.count(),
            threads = options.intra_threads,
            sha256 = info.sha256,
            "opened the detector"
        );
        Ok(detector)
    }

    /// The device on which the model runs.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// The devices that [`DeviceChoice::Auto`] prefers to the chosen one, and why they can't be used.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The facts about the model, and how its pictures must be.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// How many inferences run at the same time.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.count()
    }

    /// Pictures per inference. Batches of another size are refused, so that the shape never changes.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Returns the objects in the first `used` pictures of a batch, one list per picture. It allocates;
    /// [`Detector::detect_into`] does not.
    ///
    /// # Errors
    ///
    /// The same as of [`Detector::detect_into`].
    pub fn detect(
        &self,
        images: &ImageBatch,
        used: usize,
        min_score: f32,
    ) -> Result<Vec<Vec<Detection>>, DetectorError> {
        let mut found = BatchDetections::default();
        self.detect_into(images, used, min_score, &mut found)?;
        Ok(found.pictures().map(<[Detection]>::to_vec).collect())
    }

    /// Replaces `found` by the objects in the first `used` pictures of a batch, one list per picture, best score first.
    ///
    /// Boxes are in source pixels, within the frame. Scores are at least `min_score`. Unused slots take as long as used
    /// ones. Values that are not finite are left out. After the first pictures there are no more allocations.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Batch`] if the batch has another size, or is for another input. [`DetectorError::Outputs`] if
    /// the outputs are not as declared, or no score is a number. [`DetectorError::Inference`].
    pub fn detect_into(
        &self,
        images: &ImageBatch,
        used: usize,
        min_score: f32,
        found: &mut BatchDetections,
    ) -> Result<(), DetectorError> {
        self.wait_for_lane().detect_into(images, used, min_score, found)
    }

    /// Waits until a lane is free. For callers that measure the inference without the wait.
    pub fn wait_for_lane(&self) -> FreeLane<'_> {
        FreeLane { detector: self, lane: self.lanes.wait() }
    }

    /// Appends the detections of one picture from its outputs.
    #[expect(clippy::too_many_arguments, reason = "what a lane keeps and what the caller keeps, for one inner step")]
    fn read(
        &self,
        outputs: &[Output<'_>],
        images: &ImageBatch,
        slot: usize,
        min_score: f32,
        candidates: &mut Candidates,
        suppressor: &mut Suppressor,
        found: &mut BatchDetections,
    ) -> Result<(), DetectorError> {
        let wrong = |reason: String| DetectorError::Outputs { reason };
        candidates.boxes.clear();
        self.decoder.decode(outputs, self.info.input(), min_score, candidates).map_err(wrong)?;
        let boxes = &mut candidates.boxes;
        boxes.retain(|d| [d.x1, d.y1, d.x2, d.y2, d.score].iter().all(|value| value.is_finite()));
        // Only a picture without detections is examined. For a correct model the first number ends the search.
        if boxes.is_empty() && self.decoder.scores_are_lost(outputs) {
            return Err(wrong(format!(
                "{} gives no score that is a number. Its numbers overflow (use an export in f32, or --device cpu), or the \
                 file is damaged",
                self.info.name
            )));
        }
        let placement = images.placement(slot);
        if self.cuts_first {
            boxes.retain_mut(|detection| placement.cut(*detection).map(|cut| *detection = cut).is_some());
        }
        let (iou, most) = (self.info.nms_iou, self.info.max_detections);
        suppressor.suppress(boxes, iou, most, &self.suppression_groups, found.open());
        found.close(|detection| placement.to_source(detection));
        Ok(())
    }

    fn check(&self, images: &ImageBatch, used: usize) -> Result<(), DetectorError> {
        let reason = if images.slots() != self.batch {
            format!("it has {} slots, the model runs {}", images.slots(), self.batch)
        } else if used > self.batch {
            format!("{used} pictures are announced, it has {}", self.batch)
        } else if !images.fits(&self.info) {
            format!("its pictures are not {} x {} pixels", self.info.input_width, self.info.input_height)
        } else {
            return Ok(());
        };
        Err(DetectorError::Batch { reason })
    }
}

impl FreeLane<'_> {
    /// The same as of [`Detector::detect_into`].
    ///
    /// # Errors
    ///
    /// The same as of [`Detector::detect_into`].
    pub fn detect_into(
        &mut self,
        images: &ImageBatch,
        used: usize,
        min_score: f32,
        found: &mut BatchDetections,
    ) -> Result<(), DetectorError> {
        let detector = self.detector;
        found.clear();
        detector.check(images, used)?;
        let Some(Lane { engine, candidates, suppressor }) = self.lane.lane() else { return Ok(()) };
        engine.run(images, used, |numbers| {
            (0..used).try_for_each(|slot| {
                numbers.of_slot(slot, |outputs| {
                    detector.read(outputs, images, slot, min_score, candidates, suppressor, found)
                })
            })
        })
    }
}

/// Enough to fill an L4 with the usual detectors, at little memory.
const GPU_BATCH: usize = 16;

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("info", &self.info).field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// The facts about a file, from reading it once.
pub(crate) struct FileFacts {
    /// The SHA-256, in hexadecimal.
    pub(crate) sha256: String,
    /// It names an operator that makes whole numbers of 8 bits.
    is_quantised: bool,
}

pub(crate) fn file_facts(path: &Path) -> io::Result<FileFacts> {
    let (mut hasher, quantise) = (Sha256::new(), memmem::Finder::new("QuantizeLinear"));
    let mut is_quantised = false;
    let mut file = File::open(path)?;
    // The end of each part is examined again with the next part, so that no name is cut.
    let kept = quantise.needle().len() - 1;
    let mut buffer = vec![0; PART_BYTES];
    let mut start = 0;
    loop {
        let read = match file.read(&mut buffer[start..]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = start + read;
        hasher.update(&buffer[start..end]);
        is_quantised = is_quantised || quantise.find(&buffer[..end]).is_some();
        start = kept.min(end);
        buffer.copy_within(end - start..end, 0);
    }
    Ok(FileFacts { sha256: format!("{:x}", hasher.finalize()), is_quantised })
}

const PART_BYTES: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_and_searched_whatever_the_parts_it_is_read_in() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("model.onnx");
        // The name lies across the end of the first part, then of a later one.
        for at in [PART_BYTES - 5, 3 * PART_BYTES - 60, 0] {
            let mut bytes = vec![7u8; 3 * PART_BYTES + 11];
            bytes[at..at + 14].copy_from_slice(b"QuantizeLinear");
            std::fs::write(&path, &bytes).expect("written");
            let facts = file_facts(&path).expect("read");
            assert!(facts.is_quantised, "{at}");
            assert_eq!(facts.sha256, format!("{:x}", Sha256::digest(&bytes)));
        }
        std::fs::write(&path, b"").expect("written");
        assert!(!file_facts(&path).expect("read").is_quantised);
    }
}

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, TensorRef, ValueType};
use sha2::{Digest, Sha256};

use crate::convert::Normalizer;
use crate::family::{Output, OutputSpec};
use crate::model::{Declared, Sources, resolve};
use crate::{Card, Detection, DetectorError, ImageBatch, ModelInfo, default_model_path, nms, runtime};

/// What to open, and how it may use the machine.
#[derive(Debug, Clone)]
pub struct DetectorOptions {
    /// The ONNX file; its card lies beside it.
    pub model: PathBuf,
    /// The ONNX Runtime library; none looks for it with [`find_runtime`](crate::find_runtime).
    pub runtime: Option<PathBuf>,
    /// Threads for one inference.
    pub intra_threads: usize,
    /// Pictures per inference, for models that leave it open; others have their own.
    pub batch: usize,
}

impl Default for DetectorOptions {
    /// The default model, on all cores, one picture at a time.
    fn default() -> Self {
        Self {
            model: default_model_path(),
            runtime: None,
            intra_threads: thread::available_parallelism().map_or(1, usize::from),
            batch: 1,
        }
    }
}

/// A loaded model, ready for pictures. One inference runs at a time; threads that share a detector take turns.
pub struct Detector {
    info: ModelInfo,
    batch: usize,
    /// The outputs that the family reads, in its order.
    outputs: Vec<OutputSpec>,
    normalizer: Normalizer,
    engine: Mutex<Engine>,
}

struct Engine {
    session: Session,
    /// f32 [batch, 3, height, width], used again for every inference.
    input: Vec<f32>,
}

impl Detector {
    /// Loads a model.
    ///
    /// # Errors
    ///
    /// Every variant of [`DetectorError`] but `Batch` and `Inference`; all are permanent, except for a failing disk.
    pub fn open(options: &DetectorOptions) -> Result<Self, DetectorError> {
        let path = &options.model;
        if !path.is_file() {
            return Err(DetectorError::ModelNotFound { path: path.clone() });
        }
        let (card, card_sha256) = Card::read(&Card::path_for(path))?;
        let sha256 = sha256(path).map_err(|source| DetectorError::Read { path: path.clone(), source })?;
        let session = open_session(options)?;

        let declared = declared(path, &session)?;
        let outputs = declared.outputs.clone();
        let batch = usize::try_from(declared.input[0]).unwrap_or(options.batch).max(1);
        let info = resolve(Sources { path: path.clone(), sha256, card, card_sha256 }, declared)?;
        tracing::info!(
            model = info.name,
            family = info.family.head().name(),
            width = info.input_width,
            height = info.input_height,
            batch,
            threads = options.intra_threads,
            sha256 = info.sha256,
            "opened the detector"
        );
        let input = vec![0.0; batch * 3 * info.input_width as usize * info.input_height as usize];
        let normalizer = Normalizer::new(info.color_order, info.mean, info.std);
        Ok(Self { info, batch, outputs, normalizer, engine: Mutex::new(Engine { session, input }) })
    }

    /// What the model is and how it wants its pictures.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Pictures per inference. Batches of another size are refused, so that the shape never changes.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The objects in the first `used` pictures of a batch, one list per picture, best score first.
    ///
    /// Boxes are in source pixels, within the frame; scores are at least `min_score`. Unused slots cost as much as used
    /// ones. What the model gives that is not finite is dropped.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Batch`] if the batch is of another size or for another input; [`DetectorError::Inference`].
    pub fn detect(
        &self,
        images: &ImageBatch,
        used: usize,
        min_score: f32,
    ) -> Result<Vec<Vec<Detection>>, DetectorError> {
        self.check(images, used)?;
        // A panic of another thread leaves at worst a half-written input, which is written anew here.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let Engine { session, input } = &mut *engine;

        let picture = input.len() / self.batch;
        let (filled, padding) = input.split_at_mut(picture * used);
        for (slot, planes) in filled.chunks_exact_mut(picture).enumerate() {
            self.normalizer.convert(images.picture(slot), planes);
        }
        padding.fill(0.0);

        let shape = [self.batch, 3, self.info.input_height as usize, self.info.input_width as usize];
        let tensor =
            TensorRef::from_array_view((shape, &input[..])).map_err(|error| DetectorError::inference(&error))?;
        let results = session.run(ort::inputs![tensor]).map_err(|error| DetectorError::inference(&error))?;
        let mut tensors = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let (shape, data) = results[output.name.as_str()]
                .try_extract_tensor::<f32>()
                .map_err(|error| DetectorError::inference(&error))?;
            if !output.allows(shape, self.batch) {
                let reason = format!("output {} is {shape:?}, declared as {:?}", output.name, output.shape);
                return Err(DetectorError::Inference { reason, transient: false });
            }
            let shape: Vec<usize> = shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect();
            tensors.push((shape, data));
        }
        Ok((0..used).map(|slot| self.read(&tensors, images, slot, min_score)).collect())
    }

    /// The detections of one picture out of the outputs of the batch.
    fn read(
        &self,
        tensors: &[(Vec<usize>, &[f32])],
        images: &ImageBatch,
        slot: usize,
        min_score: f32,
    ) -> Vec<Detection> {
        let one = |(shape, data): &(Vec<usize>, &'_ [f32])| -> (Vec<usize>, std::ops::Range<usize>) {
            let length = data.len() / self.batch;
            (shape[1..].to_vec(), slot * length..(slot + 1) * length)
        };
        let slices: Vec<_> = tensors.iter().map(one).collect();
        let outputs: Vec<Output<'_>> = tensors
            .iter()
            .zip(&slices)
            .map(|((_, data), (shape, range))| Output { shape, data: &data[range.clone()] })
            .collect();

        let mut detections = Vec::new();
        self.info.family.head().decode(&outputs, min_score, &mut detections);
        detections.retain(|d| [d.x1, d.y1, d.x2, d.y2, d.score].iter().all(|value| value.is_finite()));
        nms::suppress(&mut detections, self.info.nms_iou, self.info.max_detections);
        let placement = images.placement(slot);
        detections.into_iter().filter_map(|detection| placement.to_source(detection)).collect()
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

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("info", &self.info).field("batch", &self.batch).finish_non_exhaustive()
    }
}

fn open_session(options: &DetectorOptions) -> Result<Session, DetectorError> {
    let environment = runtime::environment(options.runtime.as_deref())?;
    let builder = || -> Result<SessionBuilder, ort::Error> {
        Ok(Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(options.intra_threads.max(1))?
            // Between two inferences the cores belong to the video decoder, not to waiting threads.
            .with_config_entry("session.force_spinning_stop", "1")?)
    };
    let mut builder = builder().map_err(|error| DetectorError::inference(&error))?;
    builder
        .commit_from_file(&options.model)
        .map_err(|error| DetectorError::NotOnnx { path: options.model.clone(), reason: error.to_string() })
}

/// Reads what the model says about itself; an error if its input is not a batch of pictures.
fn declared(path: &Path, session: &Session) -> Result<Declared, DetectorError> {
    let input = match session.inputs() {
        [input] => picture_shape(input.dtype()),
        _ => None,
    };
    let Some(input) = input else {
        let seen = session.inputs().iter().map(|input| format!("{} {:?}", input.name(), input.dtype()));
        return Err(DetectorError::UnsupportedInput {
            path: path.to_owned(),
            seen: seen.collect::<Vec<_>>().join(", "),
        });
    };
    let floats = |(name, dtype): (&str, &ValueType)| match dtype {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            Some(OutputSpec { name: name.to_owned(), shape: shape.to_vec() })
        }
        _ => None,
    };
    let outputs = session.outputs().iter().filter_map(|output| floats((output.name(), output.dtype()))).collect();
    let metadata = session.metadata().map_err(|error| DetectorError::inference(&error))?;
    let [names, imgsz, task, version, description, license] =
        ["names", "imgsz", "task", "version", "description", "license"].map(|key| metadata.custom(key));
    Ok(Declared { input, outputs, names, imgsz, task, version, description, license })
}

/// `[batch, 3, height, width]` if the type is that, in f32; an open dimension is -1.
fn picture_shape(dtype: &ValueType) -> Option<[i64; 4]> {
    match dtype {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => match shape[..] {
            [batch, 3 | -1, height, width] => Some([batch, 3, height, width]),
            _ => None,
        },
        _ => None,
    }
}

/// The hash of a file in hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}

//! Opens an ONNX model on a device, and reads what it says about itself.

use std::{
    cell::{Cell, OnceCell},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider},
    logging::LogLevel,
    session::{
        Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{TensorElementType, ValueType},
};
use sha2::{Digest, Sha256};

use crate::{
    DetectorError, DetectorOptions, Device, DeviceChoice, PassedOver,
    engine::MOST_OUTPUTS,
    family::OutputSpec,
    graph_cache::{GraphCache, has_external_weights},
    inputs::{Inputs, MaskInput, NumberType, PictureInput, PictureLayout, SizeInput},
    metadata::Metadata,
    model::{Declared, dimensions},
    runtime,
};

/// A session, and what it was opened on.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) device: Device,
    /// What `auto` would have liked better.
    pub(crate) passed_over: Vec<PassedOver>,
    /// Held while TensorRT may write its engine: two processes must not write the same file.
    pub(crate) engine_lock: Option<File>,
}

/// Opens a model as often as it has lanes.
pub(crate) struct Opener<'a> {
    options: &'a DetectorOptions,
    environment: Environment,
    model_sha256: String,
    /// ONNX Runtime's optimised graph of the model for this processor; none if it is not available. It is made when the
    /// processor is first needed.
    graph: OnceCell<Option<Vec<u8>>>,
    /// The session in which the graph was tried.
    first: Cell<Option<Session>>,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(options: &'a DetectorOptions, model_sha256: &str) -> Result<Self, DetectorError> {
        let environment = runtime::environment(options.runtime.as_deref())?;
        let model_sha256 = model_sha256.to_owned();
        Ok(Self { options, environment, model_sha256, graph: OnceCell::new(), first: Cell::new(None) })
    }

    /// Opens the model on the first device of the choice that works, and says in the log which that is.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Device`] where the one that is asked for is not there; [`DetectorError::NotOnnx`].
    pub(crate) fn open(&self) -> Result<Opened, DetectorError> {
        let chosen = |device: Device| tracing::info!(%device, "auto chose the device");
        match self.options.device {
            DeviceChoice::Only(device) => self.open_on(device),
            DeviceChoice::Auto => {
                let mut passed_over = Vec::new();
                for device in Device::PREFERRED.into_iter().filter(|device| *device != Device::Cpu) {
                    match self.open_on(device) {
                        Ok(opened) => {
                            chosen(device);
                            return Ok(Opened { passed_over, ..opened });
                        }
                        Err(DetectorError::Device { reason, .. }) => {
                            tracing::info!(%device, reason, "device not available");
                            passed_over.push(PassedOver { device, reason });
                        }
                        Err(error) => return Err(error),
                    }
                }
                chosen(Device::Cpu);
                Ok(Opened { passed_over, ..self.open_on(Device::Cpu)? })
            }
        }
    }

    fn open_on(&self, device: Device) -> Result<Opened, DetectorError> {
        let optimised = with_level(self.builder()?, GraphOptimizationLevel::Level3);
        let mut builder = optimised.map_err(|error| DetectorError::inference(&error))?;
        let engine_lock = match device {
            Device::Cpu => {
                let session = self.open_on_processor()?;
                return Ok(Opened { session, device, passed_over: Vec::new(), engine_lock: None });
            }
            Device::Cuda(id) => {
                register(&mut builder, device, &cuda(id))?;
                None
            }
            Device::TensorRt(id) => {
                available::<ep::TensorRT>(device)?;
                let (folder, lock) = engine_folder(device, &self.model_sha256, self.options)?;
                let path = folder.display();
                let tensorrt = ep::TensorRT::default()
                    .with_device_id(i32::from(id))
                    .with_fp16(true)
                    .with_engine_cache(true)
                    .with_engine_cache_path(path)
                    .with_timing_cache(true)
                    .with_timing_cache_path(folder.display());
                register(&mut builder, device, &tensorrt)?;
                // For the operators that TensorRT lacks.
                register(&mut builder, device, &cuda(id))?;
                Some(lock)
            }
        };
        // The file may be as bad as the device: the processor would tell.
        let session = builder
            .commit_from_file(&self.options.model)
            .map_err(|error| DetectorError::Device { device, reason: error.to_string() })?;
        Ok(Opened { session, device, passed_over: Vec::new(), engine_lock })
    }

    /// A session on the processor. All sessions of a model use the same optimised graph, also after later starts.
    pub(crate) fn open_on_processor(&self) -> Result<Session, DetectorError> {
        let graph = self.graph.get_or_init(|| self.optimised_graph());
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let builder = self.builder()?;
        match graph {
            Some(graph) => from_graph(builder, graph),
            None => with_level(builder, GraphOptimizationLevel::Level3)
                .and_then(|mut builder| builder.commit_from_file(&self.options.model)),
        }
        .map_err(|error| self.not_onnx(&error))
    }

    /// The optimised graph. It is read from the cache, or made and stored there. None in three cases: there is no
    /// folder for graphs, the model's weights are in other files, or the graph can't be made or read back. Then only
    /// each start takes longer.
    fn optimised_graph(&self) -> Option<Vec<u8>> {
        let cache = GraphCache::of(self.options.graphs.as_deref()?, &self.model_sha256, ort::info());
        if has_external_weights(&self.options.model) {
            // The hash of the file does not include these weights.
            return None;
        }
        if let Some(graph) = cache.read() {
            match from_graph(self.builder().ok()?, &graph) {
                Ok(session) => {
                    tracing::debug!(file = %cache.file().display(), "took the optimised graph of an earlier start");
                    self.first.set(Some(session));
                    return Some(graph);
                }
                Err(error) => tracing::warn!(%error, "an optimised graph is unusable: it is recreated"),
            }
        }
        let made = cache.make(|path| {
            let builder = self.builder().map_err(|error| error.to_string())?;
            let builder = with_level(builder, GraphOptimizationLevel::Level3);
            // It warns that the graph is for this processor only, as the file's name says.
            let quiet = |builder: SessionBuilder| Ok(builder.with_log_level(LogLevel::Error)?);
            let builder = builder.and_then(quiet).and_then(|builder| Ok(builder.with_optimized_model_path(path)?));
            let session = builder.and_then(|mut builder| builder.commit_from_file(&self.options.model));
            session.map(drop).map_err(|error| error.to_string())
        });
        let graph = made.map_err(|reason| tracing::debug!(reason, "no optimised graph is stored")).ok()?;
        // What can't be read back is not used at all.
        self.first.set(Some(from_graph(self.builder().ok()?, &graph).ok()?));
        Some(graph)
    }

    fn builder(&self) -> Result<SessionBuilder, DetectorError> {
        let internal = |error: ort::Error| DetectorError::inference(&error);
        let builder = Session::builder(&self.environment).map_err(internal)?;
        with_settings(builder, self.options).map_err(internal)
    }

    fn not_onnx(&self, error: &ort::Error) -> DetectorError {
        crate::unreadable::why(&self.options.model, &error.to_string())
    }
}

fn with_level(builder: SessionBuilder, level: GraphOptimizationLevel) -> Result<SessionBuilder, ort::Error> {
    Ok(builder.with_optimization_level(level)?)
}

/// A session of a graph that is optimised already.
fn from_graph(builder: SessionBuilder, graph: &[u8]) -> Result<Session, ort::Error> {
    with_level(builder, GraphOptimizationLevel::Disable)?.commit_from_memory(graph)
}

fn with_settings(builder: SessionBuilder, options: &DetectorOptions) -> Result<SessionBuilder, ort::Error> {
    Ok(builder
        .with_intra_threads(options.intra_threads.max(1))?
        // Between two inferences the cores belong to the video decoder, not to waiting threads.
        .with_config_entry("session.force_spinning_stop", "1")?
        // This optimiser is wrong in 1.26.0. It merges a padding with zeros into the MaxPool after it, which then pads
        // with a number below all others. Models with negative activations there, such as the small YOLOv3, would
        // return other boxes.
        .with_config_entry("optimization.disable_specified_optimizers", "Pad_Fusion")?)
}

fn cuda(id: u16) -> ep::CUDA {
    // Without TF32 the scores are those of the processor, to the last digits of f32.
    ep::CUDA::default().with_device_id(i32::from(id)).with_tf32(false)
}

fn available<P: ExecutionProvider>(device: Device) -> Result<(), DetectorError> {
    let reason = match P::is_available() {
        Ok(true) => return Ok(()),
        Ok(false) => {
            "this ONNX Runtime was built without it; set ORT_DYLIB_PATH to the library of onnxruntime-gpu".into()
        }
        Err(error) => error.to_string(),
    };
    Err(DetectorError::Device { device, reason })
}

/// Adds a provider, or says why that can't be: by default ONNX Runtime would run on the processor instead, in silence.
fn register<P: ExecutionProvider>(
    builder: &mut SessionBuilder,
    device: Device,
    provider: &P,
) -> Result<(), DetectorError> {
    available::<P>(device)?;
    provider.register(builder).map_err(|error| DetectorError::Device { device, reason: error.to_string() })
}

/// Makes the folder that stores the engines of a model for this GPU, and locks it.
fn engine_folder(
    device: Device,
    model_sha256: &str,
    options: &DetectorOptions,
) -> Result<(PathBuf, File), DetectorError> {
    let base = runtime::cache_dir().unwrap_or_else(std::env::temp_dir).join("engines");
    let folder = base.join(engine_key(model_sha256, &gpu_name(), ort::info(), options.batch_on(device)));
    let file = folder.join(".lock");
    // Engines that came with a read-only image have their lock with them.
    let create = || File::create(&file).or_else(|error| File::open(&file).map_err(|_| error));
    let made = fs::create_dir_all(&folder).and_then(|()| create());
    let lock = made.and_then(|file| file.lock().map(|()| file));
    match lock {
        Ok(lock) => Ok((folder, lock)),
        Err(error) => Err(DetectorError::Device {
            device,
            reason: format!("its engine can't be stored in {}: {error}", folder.display()),
        }),
    }
}

/// The name of the folder of an engine. It differs for another model, GPU, ONNX Runtime or batch, because an engine
/// can't be used for these. ONNX Runtime names the file in it by graph, TensorRT version and compute capability.
fn engine_key(model_sha256: &str, gpu: &str, runtime: &str, batch: usize) -> String {
    let gpu: String =
        gpu.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let runtime = format!("{:x}", Sha256::digest(runtime));
    format!("{}-{gpu}-{}-batch{batch}", &model_sha256[..model_sha256.len().min(16)], &runtime[..8])
}

/// The names of this machine's NVIDIA GPUs, as the driver gives them.
fn gpu_name() -> String {
    let mut names: Vec<String> = fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten()
        .filter_map(|gpu| fs::read_to_string(gpu.ok()?.path().join("information")).ok())
        .filter_map(|text| Some(text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_owned()))
        .collect();
    if names.is_empty() {
        // Some sandboxes hide the driver's files.
        let asked = Command::new("nvidia-smi").args(["--query-gpu=name", "--format=csv,noheader"]).output();
        let told = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        names = told.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    }
    names.sort();
    names.dedup();
    if names.is_empty() { "gpu".into() } else { names.join("+") }
}

/// Reads what the model says about itself; an error if its inputs are not those of a detector.
pub(crate) fn declared(path: &Path, session: &Session) -> Result<(Inputs, Declared), DetectorError> {
    let mut pictures = None;
    let (mut sizes, mut masks) = (Vec::new(), Vec::new());
    let mut others = 0;
    for input in session.inputs() {
        match kind(input.name(), input.dtype()) {
            Some(Kind::Pictures(shape, number, layout)) if pictures.is_none() => {
                pictures = Some((shape, PictureInput { name: input.name().to_owned(), number, layout }));
            }
            Some(Kind::Size(number)) => sizes.push(SizeInput { name: input.name().to_owned(), number }),
            Some(Kind::Mask(shape, number)) => masks.push(MaskInput { name: input.name().to_owned(), number, shape }),
            _ => others += 1,
        }
    }
    let Some((input, pictures)) = pictures.filter(|_| others == 0) else {
        let seen = session.inputs().iter().map(|input| in_words(input.name(), input.dtype()));
        return Err(DetectorError::UnsupportedInput {
            path: path.to_owned(),
            seen: seen.collect::<Vec<_>>().join(", "),
        });
    };
    let spec = |(name, dtype): (&str, &ValueType)| {
        let ValueType::Tensor { ty, shape, .. } = dtype else { return None };
        let is_integer = match ty {
            TensorElementType::Float32 | TensorElementType::Float16 => false,
            TensorElementType::Int64 | TensorElementType::Int32 => true,
            _ => return None,
        };
        Some(OutputSpec { name: name.to_owned(), shape: shape.to_vec(), is_integer })
    };
    let outputs = session.outputs().iter().filter_map(|output| spec((output.name(), output.dtype())));
    let outputs = outputs.take(MOST_OUTPUTS).collect();
    let metadata = session.metadata().map_err(|error| DetectorError::inference(&error))?;
    let metadata = Metadata::read(|key| metadata.custom(key));
    let size_inputs = sizes.iter().map(|size| size.name.clone()).collect();
    let declared = Declared { input, number: pictures.number, outputs, size_inputs, metadata };
    Ok((Inputs { pictures, sizes, masks }, declared))
}

enum Kind {
    /// `[batch, 3, height, width]` with -1 for an open dimension.
    Pictures([i64; 4], NumberType, PictureLayout),
    Size(TensorElementType),
    /// `[batch, height, width]`
    Mask([i64; 3], TensorElementType),
}

fn kind(name: &str, dtype: &ValueType) -> Option<Kind> {
    use TensorElementType as Type;
    let ValueType::Tensor { ty, shape, .. } = dtype else { return None };
    if let &[batch, height, width] = &shape[..]
        && name.to_ascii_lowercase().contains("mask")
        && matches!(ty, Type::Int64 | Type::Int32 | Type::Float32 | Type::Bool)
    {
        return Some(Kind::Mask([batch, height, width], *ty));
    }
    let number = match ty {
        TensorElementType::Float32 => Some(NumberType::F32),
        TensorElementType::Float16 => Some(NumberType::F16),
        TensorElementType::Uint8 => Some(NumberType::U8),
        _ => None,
    };
    match (number, ty, &shape[..]) {
        (Some(number), _, &[batch, height, width, 3]) => {
            Some(Kind::Pictures([batch, 3, height, width], number, PictureLayout::Packed))
        }
        (Some(number), _, &[batch, 3 | -1, height, width]) => {
            Some(Kind::Pictures([batch, 3, height, width], number, PictureLayout::Planes))
        }
        (Some(number), _, &[3, height, width]) => {
            Some(Kind::Pictures([1, 3, height, width], number, PictureLayout::OnePicture))
        }
        (_, TensorElementType::Int64 | TensorElementType::Int32 | TensorElementType::Float32, &[_, 2 | -1]) => {
            Some(Kind::Size(*ty))
        }
        _ => None,
    }
}

/// An input for people: `images f32 [1, 3, ?, ?]`.
fn in_words(name: &str, dtype: &ValueType) -> String {
    let ValueType::Tensor { ty, shape, .. } = dtype else { return format!("{name} (no tensor)") };
    let ty = match ty {
        TensorElementType::Float32 => "f32",
        TensorElementType::Float16 => "f16",
        TensorElementType::Float64 => "f64",
        TensorElementType::Uint8 => "u8",
        TensorElementType::Int8 => "i8",
        TensorElementType::Int32 => "i32",
        TensorElementType::Int64 => "i64",
        TensorElementType::Bool => "bool",
        TensorElementType::String => "text",
        _ => "another type",
    };
    format!("{name} {ty} {}", dimensions(shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_kept_apart_for_each_model_gpu_runtime_and_batch() {
        let key = engine_key("0123456789abcdef0123", "NVIDIA L4", "1.26.0", 8);
        assert!(key.starts_with("0123456789abcdef-nvidia-l4-") && key.ends_with("-batch8"), "{key}");
        let others = [
            engine_key("1123456789abcdef0123", "NVIDIA L4", "1.26.0", 8),
            engine_key("0123456789abcdef0123", "NVIDIA H100 80GB HBM3", "1.26.0", 8),
            engine_key("0123456789abcdef0123", "NVIDIA L4", "1.27.0", 8),
            engine_key("0123456789abcdef0123", "NVIDIA L4", "1.26.0", 16),
        ];
        assert!(others.iter().all(|other| *other != key), "{others:?}");
        let hostile = engine_key("00", "../../etc", "", 1);
        assert!(!hostile.contains('/') && !hostile.contains('.'), "{hostile}");
    }
}

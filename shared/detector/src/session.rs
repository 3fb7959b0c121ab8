//! Opens an ONNX model on a device, and reads what it says about itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use ort::ep::{self, ExecutionProvider};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, ValueType};
use sha2::{Digest, Sha256};

use crate::family::OutputSpec;
use crate::model::Declared;
use crate::{DetectorError, DetectorOptions, Device, DeviceChoice, runtime};

/// A session, and what it was opened on.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) device: Device,
    /// Held while TensorRT may write its engine: two processes must not write the same file.
    pub(crate) engine_lock: Option<File>,
}

/// Opens the model on the first device of the choice that works, and says in the log which that is.
///
/// # Errors
///
/// [`DetectorError::Device`] where the one that is asked for is not there; [`DetectorError::NotOnnx`].
pub(crate) fn open(options: &DetectorOptions, model_sha256: &str) -> Result<Opened, DetectorError> {
    match options.device {
        DeviceChoice::Only(device) => open_on(device, options, model_sha256),
        DeviceChoice::Auto => {
            for device in Device::PREFERRED.into_iter().filter(|device| *device != Device::Cpu) {
                match open_on(device, options, model_sha256) {
                    Ok(opened) => {
                        tracing::info!(%device, "auto chose the device");
                        return Ok(opened);
                    }
                    Err(DetectorError::Device { reason, .. }) => tracing::info!(%device, reason, "not to be had"),
                    Err(error) => return Err(error),
                }
            }
            tracing::info!(device = %Device::Cpu, "auto chose the device");
            open_on(Device::Cpu, options, model_sha256)
        }
    }
}

fn open_on(device: Device, options: &DetectorOptions, model_sha256: &str) -> Result<Opened, DetectorError> {
    let environment = runtime::environment(options.runtime.as_deref())?;
    let internal = |error: ort::Error| DetectorError::inference(&error);
    let mut builder = Session::builder(&environment).map_err(internal)?;
    builder = with_settings(builder, options).map_err(internal)?;
    let engine_lock = match device {
        Device::Cpu => None,
        Device::Cuda(id) => {
            register(&mut builder, device, &cuda(id))?;
            None
        }
        Device::TensorRt(id) => {
            available::<ep::TensorRT>(device)?;
            let (folder, lock) = engine_folder(device, model_sha256, options)?;
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
    let session = builder.commit_from_file(&options.model).map_err(|error| match device {
        Device::Cpu => DetectorError::NotOnnx { path: options.model.clone(), reason: error.to_string() },
        // The file may be as bad as the device: the processor would tell.
        _ => DetectorError::Device { device, reason: error.to_string() },
    })?;
    Ok(Opened { session, device, engine_lock })
}

fn with_settings(builder: SessionBuilder, options: &DetectorOptions) -> Result<SessionBuilder, ort::Error> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(options.intra_threads.max(1))?
        // Between two inferences the cores belong to the video decoder, not to waiting threads.
        .with_config_entry("session.force_spinning_stop", "1")?)
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

/// Where the engines of a model for this GPU are kept, made and locked.
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
            reason: format!("its engine can't be kept in {}: {error}", folder.display()),
        }),
    }
}

/// A name that differs where an engine can't be used: for another model, GPU, ONNX Runtime or batch. (ONNX Runtime names
/// the file in it by graph, TensorRT version and compute capability.)
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

/// What the model takes.
pub(crate) struct Inputs {
    /// The name of the pictures.
    pub(crate) pictures: String,
    /// The name of the input for the size of the pictures.
    pub(crate) size: Option<String>,
}

/// Reads what the model says about itself; an error if its inputs are not those of a detector.
pub(crate) fn declared(path: &Path, session: &Session) -> Result<(Inputs, Declared), DetectorError> {
    let mut pictures = None;
    let mut size = None;
    let mut others = 0;
    for input in session.inputs() {
        match kind(input.dtype()) {
            Some(Kind::Pictures(shape, is_half)) if pictures.is_none() => {
                pictures = Some((input.name().to_owned(), shape, is_half));
            }
            Some(Kind::Size) if size.is_none() => size = Some(input.name().to_owned()),
            _ => others += 1,
        }
    }
    let Some((name, input, is_half)) = pictures.filter(|_| others == 0) else {
        let seen = session.inputs().iter().map(|input| format!("{} {:?}", input.name(), input.dtype()));
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
    let outputs = session.outputs().iter().filter_map(|output| spec((output.name(), output.dtype()))).collect();
    let metadata = session.metadata().map_err(|error| DetectorError::inference(&error))?;
    let [names, imgsz, task, version, description, license] =
        ["names", "imgsz", "task", "version", "description", "license"].map(|key| metadata.custom(key));
    let declared = Declared { input, is_half, outputs, names, imgsz, task, version, description, license };
    Ok((Inputs { pictures: name, size }, declared))
}

enum Kind {
    /// `[batch, 3, height, width]` with -1 for an open dimension, and whether it is f16.
    Pictures([i64; 4], bool),
    Size,
}

fn kind(dtype: &ValueType) -> Option<Kind> {
    let ValueType::Tensor { ty, shape, .. } = dtype else { return None };
    match (ty, &shape[..]) {
        (TensorElementType::Float32 | TensorElementType::Float16, &[batch, 3 | -1, height, width]) => {
            Some(Kind::Pictures([batch, 3, height, width], *ty == TensorElementType::Float16))
        }
        (TensorElementType::Int64, &[_, 2 | -1]) => Some(Kind::Size),
        _ => None,
    }
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

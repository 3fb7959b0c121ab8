//! Finds ONNX Runtime and loads it, once per process.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::environment::Environment;

use crate::DetectorError;

const LIBRARY: &str = "libonnxruntime.so";
/// What `scripts/setup` installs.
const VERSION: &str = "1.26.0";

/// The ONNX Runtime library to load: `ORT_DYLIB_PATH` if it is set, else beside the executable or in its `../lib`, else
/// what `scripts/setup` put into `${TRACKDROP_CACHE:-~/.cache/trackdrop}`.
///
/// # Errors
///
/// [`DetectorError::RuntimeNotFound`] with every path that was tried.
pub fn find_runtime() -> Result<PathBuf, DetectorError> {
    let searched = match env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        // Only this one: a user who sets it does not want another library to be used silently.
        Some(path) => vec![PathBuf::from(path)],
        None => {
            let executable = env::current_exe().ok();
            let beside = executable.as_deref().and_then(Path::parent);
            let beside = beside.map(|dir| [dir.join(LIBRARY), dir.join("../lib").join(LIBRARY)]);
            let cached = cache_dir().map(|dir| dir.join(format!("onnxruntime-{VERSION}")).join(LIBRARY));
            beside.into_iter().flatten().chain(cached).collect()
        }
    };
    match searched.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(DetectorError::RuntimeNotFound { searched }),
    }
}

/// Where `scripts/setup` keeps what it downloads; none without a home directory.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    match env::var_os("TRACKDROP_CACHE").filter(|path| !path.is_empty()) {
        Some(path) => Some(PathBuf::from(path)),
        None => env::home_dir().map(|home| home.join(".cache/trackdrop")),
    }
}

/// The only ONNX Runtime of the process. For callers that open other sessions than a detector does, for example to time
/// them.
///
/// # Errors
///
/// [`DetectorError::RuntimeNotFound`], [`DetectorError::RuntimeLoad`].
pub fn onnx_runtime() -> Result<Environment, DetectorError> {
    environment(None)
}

/// The environment of the process, made from the library at `runtime`, or at [`find_runtime`], by the first call.
///
/// Call this before any use of `ort`. Otherwise `ort` searches for a library itself, and panics if there is none.
pub(crate) fn environment(runtime: Option<&Path>) -> Result<Environment, DetectorError> {
    static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, environment)) = &*loaded {
        if runtime.is_some_and(|asked| asked != path) {
            tracing::warn!(loaded = %path.display(), ?runtime, "a process has one ONNX Runtime; the first one is used");
        }
        return Ok(environment.clone());
    }
    let path = match runtime {
        Some(path) if path.is_file() => path.to_owned(),
        Some(path) => return Err(DetectorError::RuntimeNotFound { searched: vec![path.to_owned()] }),
        None => find_runtime()?,
    };
    // `ort` resolves a relative path against the executable; ours is relative to the working directory.
    let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    let failed = |reason: String| DetectorError::RuntimeLoad { path: path.clone(), reason };
    let builder = ort::init_from(&absolute).map_err(|error| failed(error.to_string()))?;
    let environment =
        builder.with_telemetry(false).with_name("trackdrop").build().map_err(|error| failed(error.to_string()))?;
    tracing::debug!(path = %path.display(), "loaded ONNX Runtime");
    *loaded = Some((path, environment.clone()));
    Ok(environment)
}

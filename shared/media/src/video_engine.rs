//! What decodes and encodes video: the processor, or the video engine of an NVIDIA GPU.

use std::{
    collections::BTreeSet,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use crate::MediaError;

/// What decodes and encodes video. The default is software. If a GPU's engine can't process a video, software does it,
/// and the log says so.
///
/// A GPU returns the same pictures, but it conceals damage in a stream without reporting it. So only missing pictures
/// count as damaged. Use a GPU if the sources have no damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoEngine {
    /// FFmpeg's own decoders, and libx264.
    #[default]
    Software,
    /// NVDEC (`h264_cuvid`, `hevc_cuvid`) and NVENC (`h264_nvenc`) of the GPU of this number.
    Nvidia(u16),
}

impl VideoEngine {
    /// The engine that the variable `TRACKDROP_VIDEO_ENGINE` names: `software`, `nvidia`, or `nvidia:1` for the second
    /// GPU. Software if the variable is empty or not set.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] for anything else.
    pub fn from_environment() -> Result<Self, MediaError> {
        match std::env::var("TRACKDROP_VIDEO_ENGINE") {
            Ok(text) if !text.is_empty() => text.parse(),
            Ok(_) | Err(std::env::VarError::NotPresent) => Ok(Self::default()),
            Err(error) => Err(MediaError::Unsupported { reason: format!("TRACKDROP_VIDEO_ENGINE: {error}") }),
        }
    }
}

impl FromStr for VideoEngine {
    type Err = MediaError;

    fn from_str(text: &str) -> Result<Self, MediaError> {
        let gpu = match text.split_once(':') {
            Some(("nvidia", gpu)) => gpu.parse().ok(),
            _ if text == "nvidia" => Some(0),
            _ if text == "software" => return Ok(Self::Software),
            _ => None,
        };
        gpu.map(Self::Nvidia).ok_or_else(|| MediaError::Unsupported {
            reason: format!(
                "the video engine {text:?} in TRACKDROP_VIDEO_ENGINE; give software, nvidia, or nvidia:GPU"
            ),
        })
    }
}

/// Writes to the log, once per process, why software does the work instead of the GPU.
pub(crate) fn say_software(task: &'static str, reason: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(format!("{task}: {reason}")) {
        tracing::warn!(reason, "no video engine of a GPU: software {task}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_read_and_anything_else_is_told() {
        for (text, engine) in [
            ("software", VideoEngine::Software),
            ("nvidia", VideoEngine::Nvidia(0)),
            ("nvidia:3", VideoEngine::Nvidia(3)),
        ] {
            assert_eq!(text.parse::<VideoEngine>().unwrap(), engine);
        }
        for wrong in ["", "gpu", "nvidia:", "nvidia:-1", "nvidia:x", "software:0"] {
            let error = wrong.parse::<VideoEngine>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}

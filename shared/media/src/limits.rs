//! Bounds on what is accepted, checked before memory or time is spent.

use serde::{Deserialize, Serialize};

use crate::MediaError;

/// Bounds on a source. Each refusal is a [`MediaError::LimitExceeded`] that names the value and the bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of the file in bytes.
    pub max_bytes: u64,
    /// Width times height of a picture, in pixels.
    pub max_pixels: u64,
    /// The longer side of a picture, in pixels.
    pub max_dimension_px: u32,
    /// Pictures in the video.
    pub max_frames: u64,
    /// From the first shown picture to the end, in seconds.
    pub max_duration_s: u64,
    /// Streams in the file, of any kind.
    pub max_streams: u32,
}

impl Default for Limits {
    /// 1 TiB, 8192 x 8192 pixels, 16384 pixels a side, 10 million pictures, 48 hours, 100 streams.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_pixels: 8192 * 8192,
            max_dimension_px: 16_384,
            max_frames: 10_000_000,
            max_duration_s: 48 * 3600,
            max_streams: 100,
        }
    }
}

impl Limits {
    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<(), MediaError> {
        within("the file size in bytes", bytes, self.max_bytes)
    }

    pub(crate) fn check_picture(&self, width_px: u32, height_px: u32) -> Result<(), MediaError> {
        within("the longer side in pixels", width_px.max(height_px).into(), self.max_dimension_px.into())?;
        within("the picture size in pixels", u64::from(width_px) * u64::from(height_px), self.max_pixels)
    }

    pub(crate) fn check_frames(&self, frames: u64) -> Result<(), MediaError> {
        within("the number of pictures", frames, self.max_frames)
    }

    pub(crate) fn check_duration(&self, seconds: f64) -> Result<(), MediaError> {
        within("the duration in seconds", seconds.max(0.0).ceil() as u64, self.max_duration_s)
    }

    pub(crate) fn check_streams(&self, streams: u32) -> Result<(), MediaError> {
        within("the number of streams", streams.into(), self.max_streams.into())
    }
}

fn within(what: &'static str, value: u64, bound: u64) -> Result<(), MediaError> {
    if value > bound { Err(MediaError::LimitExceeded { what, value, bound }) } else { Ok(()) }
}

//! Bounds on sources. They are checked before memory or time is used.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MediaError;

/// Bounds on a source. A source beyond a bound is refused with [`MediaError::LimitExceeded`], which names the value and
/// the bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Seconds of decoding in which no picture comes out.
    pub max_decode_s: u64,
    /// Segments of a video.
    pub max_segments: u64,
    /// Memory for all pictures that one process works on at the same time, in bytes.
    pub max_memory_bytes: u64,
}

impl Default for Limits {
    /// 1 TiB, 8192 x 8192 pixels, 16384 pixels a side, 10 million pictures, 48 hours, 100 streams, 60 s without a
    /// picture, 20,000 segments, 5 GiB of memory.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_pixels: 8192 * 8192,
            max_dimension_px: 16_384,
            max_frames: 10_000_000,
            max_duration_s: 48 * 3600,
            max_streams: 100,
            max_decode_s: 60,
            max_segments: 20_000,
            max_memory_bytes: 5 << 30,
        }
    }
}

/// The defaults, with the changes of a text in the format of [`Limits::with`].
impl FromStr for Limits {
    type Err = MediaError;

    fn from_str(text: &str) -> Result<Self, MediaError> {
        Self::default().with(text)
    }
}

impl Limits {
    /// The defaults, with the changes of the variable `TRACKDROP_LIMITS`, such as
    /// `max_bytes=5000000000,max_frames=100000`. The names are those of the fields.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] if a name is not a bound, or a value is not a whole number.
    pub fn from_environment() -> Result<Self, MediaError> {
        match std::env::var("TRACKDROP_LIMITS") {
            Ok(text) => Self::default().with(&text),
            Err(std::env::VarError::NotPresent) => Ok(Self::default()),
            Err(error) => Err(MediaError::Unsupported { reason: format!("TRACKDROP_LIMITS: {error}") }),
        }
    }

    /// These bounds with some of them changed: `name=value`, separated by commas.
    ///
    /// # Errors
    /// The same as of [`Limits::from_environment`].
    pub fn with(mut self, text: &str) -> Result<Self, MediaError> {
        for setting in text.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let bad = |why: &str| MediaError::Unsupported {
                reason: format!("the bound {setting:?} in TRACKDROP_LIMITS, {why}; give such as max_frames=100000"),
            };
            let (name, value) = setting.split_once('=').ok_or_else(|| bad("it is not NAME=NUMBER"))?;
            let value: u64 = value.trim().parse().map_err(|_| bad("its value is not a whole number"))?;
            let small = || u32::try_from(value).map_err(|_| bad("its value is above 4294967295"));
            match name.trim() {
                "max_bytes" => self.max_bytes = value,
                "max_pixels" => self.max_pixels = value,
                "max_dimension_px" => self.max_dimension_px = small()?,
                "max_frames" => self.max_frames = value,
                "max_duration_s" => self.max_duration_s = value,
                "max_streams" => self.max_streams = small()?,
                "max_decode_s" => self.max_decode_s = value,
                "max_segments" => self.max_segments = value,
                "max_memory_bytes" => self.max_memory_bytes = value,
                _ => return Err(bad("there is no bound of that name")),
            }
        }
        Ok(self)
    }

    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<(), MediaError> {
        within("the file size in bytes", "max_bytes", bytes, self.max_bytes)
    }

    pub(crate) fn check_picture(&self, width_px: u32, height_px: u32) -> Result<(), MediaError> {
        within(
            "the longer side in pixels",
            "max_dimension_px",
            width_px.max(height_px).into(),
            self.max_dimension_px.into(),
        )?;
        within("the picture size in pixels", "max_pixels", u64::from(width_px) * u64::from(height_px), self.max_pixels)
    }

    pub(crate) fn check_frames(&self, frames: u64) -> Result<(), MediaError> {
        within("the number of pictures", "max_frames", frames, self.max_frames)
    }

    pub(crate) fn check_duration(&self, seconds: f64) -> Result<(), MediaError> {
        within("the duration in seconds", "max_duration_s", seconds.max(0.0).ceil() as u64, self.max_duration_s)
    }

    pub(crate) fn check_decoding(&self, since_last_picture: std::time::Duration) -> Result<(), MediaError> {
        if since_last_picture <= std::time::Duration::from_secs(self.max_decode_s) {
            return Ok(());
        }
        let seconds = since_last_picture.as_secs_f64().ceil() as u64;
        within("the time of decoding without a picture, in seconds,", "max_decode_s", seconds, self.max_decode_s)
    }

    pub(crate) fn check_memory(&self, bytes: u64) -> Result<(), MediaError> {
        within("the memory in bytes that its pictures need", "max_memory_bytes", bytes, self.max_memory_bytes)
    }

    pub(crate) fn check_streams(&self, streams: u32) -> Result<(), MediaError> {
        within("the number of streams", "max_streams", streams.into(), self.max_streams.into())
    }
}

fn within(what: &'static str, setting: &'static str, value: u64, bound: u64) -> Result<(), MediaError> {
    if value > bound { Err(MediaError::LimitExceeded { setting, what, value, bound }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_set_by_name_and_a_wrong_one_is_told() {
        let limits = Limits::default().with(" max_frames=7, max_streams = 3,").unwrap();
        assert_eq!(limits, Limits { max_frames: 7, max_streams: 3, ..Limits::default() });
        for wrong in ["max_frames", "max_frames=-1", "max_streams=5000000000", "frames=7", "=", "max_frames=7=8"] {
            let error = Limits::default().with(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn a_decoder_that_works_for_too_long_is_stopped() {
        let limits = Limits { max_decode_s: 5, ..Limits::default() };
        limits.check_decoding(std::time::Duration::from_secs(5)).unwrap();
        let error = limits.check_decoding(std::time::Duration::from_millis(5001)).unwrap_err();
        assert!(matches!(error, MediaError::LimitExceeded { value: 6, bound: 5, .. }), "{error}");
    }
}

//! Fractions as FFmpeg has them.

use ffmpeg_next::ffi::AVRational;

use crate::Rational;

/// To and from FFmpeg's fractions, which may have a denominator of 0.
pub(crate) trait FfmpegRational {
    /// FFmpeg's value; `otherwise` where it is not positive, which is how FFmpeg says that it is not known.
    fn from_ffmpeg(value: AVRational, otherwise: Self) -> Self;
    /// The C structure.
    fn to_ffmpeg(self) -> AVRational;
    /// The wrapper's type.
    fn to_wrapper(self) -> ffmpeg_next::Rational;
}

impl FfmpegRational for Rational {
    fn from_ffmpeg(value: AVRational, otherwise: Self) -> Self {
        if value.num > 0 && value.den > 0 { Self::of(value.num, value.den) } else { otherwise }
    }

    fn to_ffmpeg(self) -> AVRational {
        AVRational { num: self.num(), den: self.den() }
    }

    fn to_wrapper(self) -> ffmpeg_next::Rational {
        ffmpeg_next::Rational(self.num(), self.den())
    }
}

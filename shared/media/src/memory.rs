//! How much memory the work on pictures of a size needs, and how much work is done at the same time.
//!
//! The figures were measured with FFmpeg 5.1 and libx264 164, on pictures of 7680x4320 (HEVC, 10 bits, 4:2:0) and
//! 8192x8192 (HEVC, 12 bits, 4:4:4). They are rounded up. docs/video.md has them.

use std::ffi::CString;

use ffmpeg_next::ffi;

use crate::{Limits, MediaError, VideoParams};

/// Up to this size (a little more than 4096x2160) neither threads nor look-ahead are reduced.
const USUAL_PIXELS: u64 = 4096 * 2304;
/// From this size on there is one thread and no look-ahead.
const HUGE_PIXELS: u64 = 6144 * 6144;
/// Pictures that a decoder with one thread holds: references, pictures that wait to be shown, and the current one.
const DECODED: u64 = 8;
/// libx264 on one thread, without look-ahead.
const ENCODER_BYTES_A_PIXEL: u64 = 18;
const LOOKAHEAD_BYTES_A_PIXEL: u64 = 3;
const THREAD_BYTES_A_PIXEL: u64 = 8;
/// What its preset looks ahead, in pictures.
const USUAL_LOOKAHEAD: u32 = 10;
/// How many pictures drawing is ahead of the encoder. It is enough if one picture is slow to encode.
const USUAL_PICTURES_AHEAD: usize = 2;

/// How much of a video is processed at the same time. It depends only on the video and the machine, so all segments are
/// encoded alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Threads of a decoder or an encoder.
    pub threads: usize,
    /// How many pictures can be drawn before the encoder takes them.
    pub pictures_ahead: usize,
    /// How many pictures the encoder looks ahead, if this differs from its preset.
    pub(crate) lookahead: Option<u32>,
}

impl Effort {
    /// For pictures of this size, on a machine that would use this many threads.
    pub(crate) fn of(width: u32, height: u32, threads: usize) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        if pixels <= USUAL_PIXELS {
            Self { threads, pictures_ahead: USUAL_PICTURES_AHEAD, lookahead: None }
        } else if pixels <= HUGE_PIXELS {
            Self { threads: threads.min(2), pictures_ahead: 1, lookahead: Some(2) }
        } else {
            Self { threads: threads.min(1), pictures_ahead: 0, lookahead: Some(0) }
        }
    }
}

/// The memory that work on a video needs.
pub trait VideoWork {
    /// How much of the video is processed at a time, on a machine that would use this many threads.
    fn effort(&self, threads: usize) -> Effort;

    /// At most how many bytes decoding needs, with this many threads.
    fn decoding_bytes(&self, threads: usize) -> u64;

    /// How many bytes are needed for this many decoded pictures, in addition to those of the decoder.
    fn held_bytes(&self, pictures: u64) -> u64;

    /// At most how many bytes are needed for decoding with one thread, drawing, and encoding with this many threads.
    fn drawing_bytes(&self, threads: usize) -> u64;

    /// Refuses a video that the stages can't process within the bound on memory.
    ///
    /// # Errors
    /// [`MediaError::LimitExceeded`].
    fn check_memory(&self, limits: &Limits) -> Result<(), MediaError>;
}

impl VideoWork for VideoParams {
    fn effort(&self, threads: usize) -> Effort {
        Effort::of(self.width, self.height, threads)
    }

    fn decoding_bytes(&self, threads: usize) -> u64 {
        picture_bytes(self) * (DECODED + 2 * (threads.max(1) as u64 - 1))
    }

    fn held_bytes(&self, pictures: u64) -> u64 {
        picture_bytes(self).saturating_mul(pictures)
    }

    fn drawing_bytes(&self, threads: usize) -> u64 {
        let effort = self.effort(threads);
        let pixels = u64::from(self.width) * u64::from(self.height);
        let encoder = ENCODER_BYTES_A_PIXEL
            + LOOKAHEAD_BYTES_A_PIXEL * u64::from(effort.lookahead.unwrap_or(USUAL_LOOKAHEAD))
            + THREAD_BYTES_A_PIXEL * (effort.threads.max(1) as u64 - 1);
        // Pictures of 12 bits per pixel: those that are drawn ahead, the one that is drawn, and the one that is
        // encoded. A picture that must be turned needs twice as much.
        let each = if self.orientation.is_upright() { 1 } else { 2 };
        let canvases = each * (effort.pictures_ahead as u64 + 2) * 3 / 2;
        self.decoding_bytes(1) + pixels * (encoder + canvases)
    }

    fn check_memory(&self, limits: &Limits) -> Result<(), MediaError> {
        limits.check_memory(self.drawing_bytes(MOST_THREADS))
    }
}

/// The bytes of a decoded picture in its own format. A format that FFmpeg does not know counts as the largest one.
fn picture_bytes(params: &VideoParams) -> u64 {
    let largest = (u64::from(params.width) * u64::from(params.height)).saturating_mul(8);
    let Ok(name) = CString::new(params.pixel_format.as_str()) else { return largest };
    let [width, height] = [params.width, params.height].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
    // SAFETY: the name is NUL-terminated. The other function accepts any numbers, and returns a negative number if it
    // can't compute the size.
    let bytes = unsafe { ffi::av_image_get_buffer_size(ffi::av_get_pix_fmt(name.as_ptr()), width, height, 64) };
    u64::try_from(bytes).unwrap_or(largest)
}

/// The most threads to check for. For the largest pictures the number of threads is small on any machine. For other
/// pictures this many threads always fit.
const MOST_THREADS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rational;

    fn params(width: u32, height: u32, pixel_format: &str) -> VideoParams {
        let plain = VideoParams::plain(width, height, Rational::ONE, Rational::ONE);
        VideoParams { pixel_format: pixel_format.into(), ..plain }
    }

    #[test]
    fn large_pictures_get_fewer_threads_and_usual_ones_all() {
        assert_eq!(
            params(3840, 2160, "yuv420p").effort(16),
            Effort { threads: 16, pictures_ahead: 2, lookahead: None }
        );
        assert_eq!(
            params(7680, 4320, "yuv420p").effort(16),
            Effort { threads: 2, pictures_ahead: 1, lookahead: Some(2) }
        );
        assert_eq!(
            params(8192, 8192, "yuv420p").effort(16),
            Effort { threads: 1, pictures_ahead: 0, lookahead: Some(0) }
        );
    }

    #[test]
    fn the_largest_videos_fit_the_default_bound_and_a_refusal_names_the_bound() {
        let limits = Limits::default();
        params(7680, 4320, "yuv420p10le").check_memory(&limits).unwrap();
        params(8192, 8192, "yuv444p12le").check_memory(&limits).unwrap();
        for format in ["rgba64le", "no such format"] {
            let refused = params(8192, 8192, format).check_memory(&limits).unwrap_err().to_string();
            assert!(
                refused.contains(&limits.max_memory_bytes.to_string()) && refused.contains("max_memory_bytes"),
                "{refused}"
            );
        }
    }

    #[test]
    fn no_size_overflows() {
        let most = params(u32::MAX, u32::MAX, "rgba64le");
        assert!(most.effort(0).threads == 0);
        params(16_384, 16_384, "gbrapf32le").drawing_bytes(64);
    }
}

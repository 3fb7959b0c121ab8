//! A decoded frame and its way to packed RGB.

use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    ColorTags, MediaError,
    picture_format::pixel_format_name,
    scale::{Scaler, Target},
};

/// A decoded picture of the source.
pub struct Frame {
    /// When it is shown, in the source's time base.
    pub pts: i64,
    /// Whether the decoder had to conceal errors in it.
    pub is_damaged: bool,
    pub(crate) picture: frame::Video,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("pts", &self.pts)
            .field("is_damaged", &self.is_damaged)
            .field("width", &self.width())
            .field("height", &self.height())
            .field("pixel_format", &pixel_format_name(&self.picture))
            .finish()
    }
}

/// Scales frames to packed RGB; keeps its tables from frame to frame. One per thread.
#[derive(Debug, Default)]
pub struct RgbScaler(Scaler);

impl RgbScaler {
    /// A scaler that has seen no frame yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Frame {
    /// Width in pixels, before rotation.
    pub fn width(&self) -> u32 {
        self.picture.width()
    }

    /// Height in pixels, before rotation.
    pub fn height(&self) -> u32 {
        self.picture.height()
    }

    /// Whether the decoder calls it a key frame.
    pub fn is_key(&self) -> bool {
        self.picture.is_key()
    }

    /// What the numbers in the picture mean as colours.
    pub fn color(&self) -> ColorTags {
        ColorTags::of(&self.picture)
    }

    /// Writes the frame as packed RGB24, `inner_w` x `inner_h` pixels, bilinear, straight into `dst`: rows start
    /// `dst_stride_bytes` apart. The colours follow the frame's own matrix and range (BT.601 where it has none).
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if `dst` is too small for that size and stride.
    pub fn rgb_scaled_into(
        &self,
        scaler: &mut RgbScaler,
        inner_w: u32,
        inner_h: u32,
        dst: &mut [u8],
        dst_stride_bytes: usize,
    ) -> Result<(), MediaError> {
        let row = inner_w as usize * 3;
        let needed = (inner_h as usize).saturating_sub(1).saturating_mul(dst_stride_bytes).saturating_add(row);
        if inner_w == 0 || inner_h == 0 || dst_stride_bytes < row || dst.len() < needed {
            return Err(MediaError::Mismatch {
                reason: format!(
                    "{inner_w}x{inner_h} RGB pixels with a stride of {dst_stride_bytes} bytes do not fit {} bytes",
                    dst.len()
                ),
            });
        }
        scaler.0.run(&self.picture, Target::packed_rgb(inner_w, inner_h, dst, dst_stride_bytes))
    }

    /// MD5 of the decoded picture: its planes without padding, in its own pixel format, as `ffmpeg -f framemd5` has it.
    ///
    /// # Errors
    /// [`MediaError::Ffmpeg`] for a pixel format that has no such layout.
    pub fn md5(&self) -> Result<[u8; 16], MediaError> {
        let mut digest = [0u8; 16];
        // SAFETY: the frame is live and holds a picture of the format and size it states; the buffer has the size that
        // FFmpeg asks for; the digest has 16 bytes.
        unsafe {
            let raw = self.picture.as_ptr();
            let format = self.picture.format().into();
            let size = ffi::av_image_get_buffer_size(format, (*raw).width, (*raw).height, 1);
            let size = crate::error::check(size, "measure a picture", None)?;
            let mut bytes = vec![0u8; size as usize];
            let code = ffi::av_image_copy_to_buffer(
                bytes.as_mut_ptr(),
                size,
                (*raw).data.as_ptr().cast(),
                (*raw).linesize.as_ptr(),
                format,
                (*raw).width,
                (*raw).height,
                1,
            );
            crate::error::check(code, "copy a picture", None)?;
            ffi::av_md5_sum(digest.as_mut_ptr(), bytes.as_ptr(), bytes.len());
        }
        Ok(digest)
    }
}

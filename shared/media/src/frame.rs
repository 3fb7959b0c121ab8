//! A decoded frame, and its conversion to planes of RGB.

use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    ColorTags, MediaError, Orientation,
    orientation::copy_upright,
    picture_format::{FfmpegColors, pixel_format_name},
    rgb_scaler::RgbScaler,
};

/// A decoded picture of the source. Its size and its pixels are those of the upright picture, before its sample aspect
/// ratio is applied.
pub struct Frame {
    /// When it is shown, in the source's time base.
    pub pts: i64,
    /// Whether the decoder had to conceal errors in it.
    pub is_damaged: bool,
    /// How the decoded picture is stored.
    pub(crate) orientation: Orientation,
    pub(crate) picture: frame::Video,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("pts", &self.pts)
            .field("is_damaged", &self.is_damaged)
            .field("width", &self.width())
            .field("height", &self.height())
            .field("orientation", &self.orientation)
            .field("pixel_format", &pixel_format_name(&self.picture))
            .finish()
    }
}

impl Frame {
    /// Width of the upright picture in pixels.
    pub fn width(&self) -> u32 {
        self.size().0
    }

    /// Height of the upright picture in pixels.
    pub fn height(&self) -> u32 {
        self.size().1
    }

    fn size(&self) -> (u32, u32) {
        self.orientation.size((self.picture.width(), self.picture.height()))
    }

    /// Whether the decoder calls it a key frame.
    pub fn is_key(&self) -> bool {
        self.picture.is_key()
    }

    /// What the numbers in the picture mean as colours.
    pub fn color(&self) -> ColorTags {
        ColorTags::of(&self.picture)
    }

    /// Scales the upright frame to `width` x `height` pixels by the scaler's filter, and writes it into one plane each
    /// for red, green and blue. Rows start `stride_bytes` apart, and nothing is written between them. Colours are
    /// computed with the frame's own matrix and range, or BT.601 if it has none.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if a plane is too small for that size and stride.
    pub fn rgb_scaled_into(
        &self,
        scaler: &mut RgbScaler,
        width: u32,
        height: u32,
        rgb: [&mut [u8]; 3],
        stride_bytes: usize,
    ) -> Result<(), MediaError> {
        let row = width as usize;
        let needed = (height as usize).saturating_sub(1).saturating_mul(stride_bytes).saturating_add(row);
        if let Some(plane) =
            rgb.iter().find(|plane| row == 0 || height == 0 || stride_bytes < row || plane.len() < needed)
        {
            return Err(MediaError::Mismatch {
                reason: format!(
                    "{width}x{height} pixels with a stride of {stride_bytes} bytes do not fit {} bytes",
                    plane.len()
                ),
            });
        }
        // The scaler uses its own memory, because swscale writes beyond the ends of rows. Copying takes a fiftieth of
        // the time of scaling. The copy also turns the picture, because the scaled picture is smaller than the whole
        // one.
        let stored = self.orientation.size((width, height));
        let planes = scaler.run(&self.picture, stored)?;
        let size = (stored.0 as usize, stored.1 as usize);
        for (nth, target) in rgb.into_iter().enumerate() {
            let (plane, stride) = planes.plane(nth);
            copy_upright(self.orientation, plane, stride, size, target, stride_bytes);
        }
        Ok(())
    }

    /// MD5 of the decoded picture as `ffmpeg -f framemd5` computes it: of its planes without padding, in its own pixel
    /// format. The picture is as stored, not upright.
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

//! A yuv420p picture to draw on.

use ffmpeg::{ffi, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Frame, MediaError, Orientation, VideoParams,
    orientation::copy_upright,
    scale::{Scaler, Target},
};

/// An upright picture in yuv420p with even sides. It has the same size for every frame of a video, and is reused for
/// each frame.
pub struct Canvas {
    pub(crate) picture: frame::Video,
    scaler: Scaler,
    /// A buffer for pictures that are not stored upright: they are converted here, and then turned.
    stored: Option<frame::Video>,
    width: u32,
    height: u32,
    full_range: bool,
    matrix: Option<String>,
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canvas").field("width", &self.width).field("height", &self.height).finish_non_exhaustive()
    }
}

/// The planes of a canvas, borrowed for drawing. Sizes in pixels, without padding.
pub(crate) struct Surface<'a> {
    pub planes: [&'a mut [u8]; 3],
    pub strides: [usize; 3],
    pub width: i32,
    pub height: i32,
    pub full_range: bool,
    pub is_bt709: bool,
}

impl Surface<'_> {
    /// One plane (0 luma, 1 Cb, 2 Cr) to write to, and the bytes from row to row.
    #[inline]
    pub(crate) fn plane(&mut self, plane: usize) -> (&mut [u8], usize) {
        (self.planes[plane], self.strides[plane])
    }
}

impl Canvas {
    /// A canvas for the frames of one video.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] for a size of 0 or beyond 16384 pixels a side.
    pub fn new(params: &VideoParams) -> Result<Self, MediaError> {
        let sides = 1..=16_384;
        if !sides.contains(&params.width) || !sides.contains(&params.height) {
            return Err(MediaError::Unsupported {
                reason: format!("a picture of {}x{} pixels", params.width, params.height),
            });
        }
        let ((width, height), (even_width, even_height)) = (params.upright_size(), params.even_size());
        Ok(Self {
            picture: frame::Video::new(Pixel::YUV420P, even_width, even_height),
            scaler: Scaler::default(),
            stored: None,
            width,
            height,
            full_range: params.color.is_full_range(),
            matrix: params.color.matrix_for(params.width, params.height).map(str::to_owned),
        })
    }

    /// Replaces the picture by `frame`. The frame is converted to 8-bit 4:2:0 and turned upright. If the size of the
    /// video changed inside the stream, the frame is scaled. An odd side gets a copy of its last column or row.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] for a pixel format that cannot be converted.
    pub fn load(&mut self, frame: &Frame) -> Result<(), MediaError> {
        // SAFETY: the frame is live; an encoder that still refers to the old pixels keeps them.
        let code = unsafe { ffi::av_frame_make_writable(self.picture.as_mut_ptr()) };
        crate::error::check(code, "reuse a picture", None)?;
        if frame.orientation.is_upright() {
            let matrix = self.matrix.as_deref();
            let target = Target::yuv420p(self.width, self.height, &mut self.picture, matrix, self.full_range);
            self.scaler.run(&frame.picture, target)?;
        } else {
            self.load_turned(&frame.picture, frame.orientation)?;
        }
        self.pad_to_even();
        Ok(())
    }

    /// Converts the picture as it is stored, and then turns each plane. If an odd side is mirrored, colours are shifted
    /// by half a colour sample.
    fn load_turned(&mut self, picture: &frame::Video, orientation: Orientation) -> Result<(), MediaError> {
        let (width, height) = orientation.size((self.width, self.height));
        let stored = self.stored.get_or_insert_with(|| {
            frame::Video::new(Pixel::YUV420P, width.next_multiple_of(2), height.next_multiple_of(2))
        });
        let matrix = self.matrix.as_deref();
        self.scaler.run(picture, Target::yuv420p(width, height, stored, matrix, self.full_range))?;
        for plane in 0..3 {
            let half = usize::from(plane > 0);
            let size = ((width as usize + half) >> half, (height as usize + half) >> half);
            let stride = self.picture.stride(plane);
            copy_upright(
                orientation,
                stored.data(plane),
                stored.stride(plane),
                size,
                self.picture.data_mut(plane),
                stride,
            );
        }
        Ok(())
    }

    /// Width in pixels, without padding.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, without padding.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// One plane (0 luma, 1 Cb, 2 Cr) and the bytes from row to row.
    pub fn plane(&self, plane: usize) -> (&[u8], usize) {
        (self.picture.data(plane), self.picture.stride(plane))
    }

    /// All planes at once, to draw on.
    pub(crate) fn surface(&mut self) -> Surface<'_> {
        let strides = [0, 1, 2].map(|plane| self.picture.stride(plane));
        // SAFETY: the three planes of a yuv420p frame are separate memory of stride times rows bytes, owned by the
        // picture, which stays borrowed mutably as long as the surface lives.
        let planes = [0, 1, 2].map(|plane| unsafe {
            let bytes = self.picture.data_mut(plane);
            std::slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len())
        });
        Surface {
            planes,
            strides,
            width: self.width as i32,
            height: self.height as i32,
            full_range: self.full_range,
            is_bt709: self.colours().1,
        }
    }

    /// Whether the range is full, and whether the matrix is that of BT.709.
    pub(crate) fn colours(&self) -> (bool, bool) {
        (self.full_range, self.matrix.as_deref() == Some("bt709"))
    }

    fn pad_to_even(&mut self) {
        let (width, height) = (self.width as usize, self.height as usize);
        let stride = self.picture.stride(0);
        let luma = self.picture.data_mut(0);
        if !width.is_multiple_of(2) {
            luma.chunks_exact_mut(stride).take(height).for_each(|row| row[width] = row[width - 1]);
        }
        if !height.is_multiple_of(2) {
            luma.copy_within((height - 1) * stride..height * stride, height * stride);
        }
    }
}

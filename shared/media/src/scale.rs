//! Scales with swscale, by the picture's own colour matrix and range.

use ffmpeg::{ffi, frame, software::scaling::Flags};
use ffmpeg_next as ffmpeg;

use crate::{
    ColorTags, MediaError,
    picture_format::{FfmpegColors, pixel_format_name},
    resize::YuvMatrix,
};

/// The target of the scaled picture: up to three planes of borrowed memory, which the constructors check.
pub(crate) struct Target<'a> {
    format: ffi::AVPixelFormat,
    width: i32,
    height: i32,
    planes: [*mut u8; 4],
    strides: [i32; 4],
    full_range: bool,
    /// swscale's number of the YUV matrix that the target is in; none where it is RGB.
    matrix: Option<i32>,
    borrowed: std::marker::PhantomData<&'a mut [u8]>,
}

impl<'a> Target<'a> {
    /// Planar RGB: three planes of the same stride.
    pub(crate) fn planar_rgb(width: u32, height: u32, planes: &'a mut RgbPlanes) -> Self {
        let stride = planes.make_room(width, height);
        // FFmpeg's order is green, blue, red.
        let (red, rest) = planes.bytes.split_at_mut(planes.plane_bytes);
        let (green, blue) = rest.split_at_mut(planes.plane_bytes);
        Self {
            format: ffi::AVPixelFormat::AV_PIX_FMT_GBRP,
            width: width as i32,
            height: height as i32,
            planes: [green.as_mut_ptr(), blue.as_mut_ptr(), red.as_mut_ptr(), std::ptr::null_mut()],
            strides: [stride as i32, stride as i32, stride as i32, 0],
            full_range: true,
            matrix: None,
            borrowed: std::marker::PhantomData,
        }
    }

    /// Packed RGB24. The caller has checked that `dst` holds `height` rows.
    pub(crate) fn packed_rgb(width: u32, height: u32, dst: &'a mut [u8], stride: usize) -> Self {
        assert!(dst.len() >= (height as usize - 1) * stride + width as usize * 3 && stride <= i32::MAX as usize);
        let none = std::ptr::null_mut();
        Self {
            format: ffi::AVPixelFormat::AV_PIX_FMT_RGB24,
            width: width as i32,
            height: height as i32,
            planes: [dst.as_mut_ptr(), none, none, none],
            strides: [stride as i32, 0, 0, 0],
            full_range: true,
            matrix: None,
            borrowed: std::marker::PhantomData,
        }
    }

    /// The top left `width` x `height` pixels of a yuv420p picture that is at least as large, in the YUV of a matrix by FFmpeg's name.
    pub(crate) fn yuv420p(
        width: u32,
        height: u32,
        picture: &'a mut frame::Video,
        matrix: Option<&str>,
        full_range: bool,
    ) -> Self {
        assert!(picture.format() == ffmpeg::format::Pixel::YUV420P);
        assert!(picture.width() >= width && picture.height() >= height);
        let none = std::ptr::null_mut();
        let strides = [0, 1, 2].map(|plane| picture.stride(plane) as i32);
        let planes = [0, 1, 2].map(|plane| picture.data_mut(plane).as_mut_ptr());
        Self {
            format: ffi::AVPixelFormat::AV_PIX_FMT_YUV420P,
            width: width as i32,
            height: height as i32,
            planes: [planes[0], planes[1], planes[2], none],
            strides: [strides[0], strides[1], strides[2], 0],
            full_range,
            matrix: Some(matrix_number(matrix)),
            borrowed: std::marker::PhantomData,
        }
    }
}

/// Memory for a picture in planar RGB. Each row has room behind it, because swscale can write there.
#[derive(Debug, Default)]
pub(crate) struct RgbPlanes {
    bytes: Vec<u8>,
    /// From row to row.
    stride: usize,
    /// From plane to plane.
    plane_bytes: usize,
}

/// swscale writes whole vectors. If the width is not a multiple of a vector, it writes beyond the end of a row.
const VECTOR_BYTES: usize = 64;

impl RgbPlanes {
    fn make_room(&mut self, width: u32, height: u32) -> usize {
        self.stride = (width as usize).next_multiple_of(VECTOR_BYTES);
        self.plane_bytes = self.stride * height as usize + VECTOR_BYTES;
        self.bytes.resize(3 * self.plane_bytes, 0);
        self.stride
    }

    /// Red, green and blue, and the bytes from row to row.
    pub(crate) fn planes_mut(&mut self, width: u32, height: u32) -> ([&mut [u8]; 3], usize) {
        let stride = self.make_room(width, height);
        let bytes = stride * height as usize;
        let (red, rest) = self.bytes.split_at_mut(self.plane_bytes);
        let (green, blue) = rest.split_at_mut(self.plane_bytes);
        ([red, green, blue].map(|plane| &mut plane[..bytes]), stride)
    }

    /// A plane (0 red, 1 green, 2 blue), and the bytes from row to row.
    pub(crate) fn plane(&self, plane: usize) -> (&[u8], usize) {
        (&self.bytes[plane * self.plane_bytes..][..self.plane_bytes], self.stride)
    }
}

/// A swscale context that is rebuilt only when sizes, formats or colours change.
#[derive(Debug)]
pub(crate) struct Scaler {
    context: *mut ffi::SwsContext,
    key: Option<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Key {
    from: (i32, i32, i32),
    to: (i32, i32, ffi::AVPixelFormat, bool, Option<i32>),
    /// As the picture has them: their names would be built again for every picture.
    color: (ffi::AVColorRange, ffi::AVColorSpace),
}

impl Default for Scaler {
    fn default() -> Self {
        Self { context: std::ptr::null_mut(), key: None }
    }
}

// SAFETY: the context is owned by this value alone and has no tie to the thread that made it.
unsafe impl Send for Scaler {}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: the context is null or owned here and freed once.
        unsafe { ffi::sws_freeContext(self.context) }
    }
}

impl Scaler {
    /// Converts and scales the whole `picture` into `target`, bilinear, bit-exact on every machine.
    pub(crate) fn run(&mut self, picture: &frame::Video, target: Target<'_>) -> Result<(), MediaError> {
        self.prepare(picture, &target)?;
        // SAFETY: the source is a live frame of the size and format the context was made for; the target's planes were
        // checked by its constructor to hold the size the context writes.
        let rows = unsafe {
            let raw = picture.as_ptr();
            ffi::sws_scale(
                self.context,
                (*raw).data.as_ptr().cast(),
                (*raw).linesize.as_ptr(),
                0,
                (*raw).height,
                target.planes.as_ptr(),
                target.strides.as_ptr(),
            )
        };
        crate::error::check(rows, "scale a picture", None).map(|_| ())
    }

    fn prepare(&mut self, picture: &frame::Video, target: &Target<'_>) -> Result<(), MediaError> {
        // SAFETY: plain fields of a live frame.
        let (from, color) = unsafe {
            let raw = picture.as_ptr();
            (((*raw).width, (*raw).height, (*raw).format), ((*raw).color_range, (*raw).colorspace))
        };
        let key =
            Key { from, to: (target.width, target.height, target.format, target.full_range, target.matrix), color };
        if self.key == Some(key) {
            return Ok(());
        }
        let color = ColorTags::of(picture);
        self.key = None;
        // Exact arithmetic: different machines must give the detector the same pixels. Without full chroma
        // interpolation colours are wrong by up to six levels. With it they are right, and scaling takes a tenth
        // longer.
        let flags = Flags::BILINEAR | Flags::ACCURATE_RND | Flags::BITEXACT | Flags::FULL_CHR_H_INT;
        // SAFETY: the old context is null or owned here; the new one is checked; the coefficient tables are static.
        unsafe {
            ffi::sws_freeContext(self.context);
            self.context = ffi::sws_getContext(
                from.0,
                from.1,
                picture.format().into(),
                target.width,
                target.height,
                target.format,
                flags.bits(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            );
            if self.context.is_null() {
                return Err(MediaError::Unsupported {
                    reason: format!(
                        "pictures of {}x{} pixels in format {} cannot be converted",
                        from.0,
                        from.1,
                        pixel_format_name(picture)
                    ),
                });
            }
            let matrix = matrix_number(color.matrix_for(picture.width(), picture.height()));
            // A stream may change its matrix; what is encoded can't.
            let [matrix, target_matrix] =
                [matrix, target.matrix.unwrap_or(matrix)].map(|number| ffi::sws_getCoefficients(number));
            let source_range = i32::from(color.is_full_range());
            // Formats without a matrix (RGB, grey) refuse; they need none.
            ffi::sws_setColorspaceDetails(
                self.context,
                matrix,
                source_range,
                target_matrix,
                i32::from(target.full_range),
                0,
                1 << 16,
                1 << 16,
            );
        }
        self.key = Some(key);
        Ok(())
    }
}

/// What the numbers of a picture in YUV mean.
pub(crate) fn yuv_matrix(picture: &frame::Video) -> YuvMatrix {
    let color = ColorTags::of(picture);
    let number = matrix_number(color.matrix_for(picture.width(), picture.height()));
    // SAFETY: gives a static table of four numbers for any number.
    let chroma = unsafe { std::ptr::read(ffi::sws_getCoefficients(number).cast::<[i32; 4]>()) };
    YuvMatrix { chroma, is_full_range: color.is_full_range() }
}

/// swscale's number of a YUV matrix; BT.601 for one that it does not know.
fn matrix_number(name: Option<&str>) -> i32 {
    match name {
        Some("bt709") => ffi::SWS_CS_ITU709,
        Some("fcc") => ffi::SWS_CS_FCC,
        Some("smpte240m") => ffi::SWS_CS_SMPTE240M,
        Some("bt2020nc" | "bt2020c") => ffi::SWS_CS_BT2020,
        _ => ffi::SWS_CS_DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffmpeg::format::Pixel;

    const SIZE: (u32, u32) = (320, 180);

    /// A picture of noise in this format; the samples are the same in both.
    fn noise(format: Pixel) -> frame::Video {
        let mut picture = frame::Video::new(format, SIZE.0, SIZE.1);
        let sample =
            |plane: usize, x: usize, y: usize| (((x * 7919 + y * 104_729 + plane * 31) * 2_654_435_761) >> 16) as u8;
        for plane in 0..picture.planes() {
            let stride = picture.stride(plane);
            for (y, row) in picture.data_mut(plane).chunks_mut(stride).enumerate() {
                for (x, byte) in row.iter_mut().enumerate() {
                    // The second plane of nv12 has the samples of both chroma planes by turns.
                    let is_pair = format == Pixel::NV12 && plane == 1;
                    *byte = if is_pair { sample(1 + x % 2, x / 2, y) } else { sample(plane, x, y) };
                }
            }
        }
        picture
    }

    /// The pixels of a plane.
    fn shown(planes: &RgbPlanes, plane: usize, width: u32, height: u32) -> Vec<u8> {
        let (bytes, stride) = planes.plane(plane);
        bytes.chunks(stride).take(height as usize).flat_map(|row| row[..width as usize].to_vec()).collect()
    }

    /// swscale has vector code for planes, and none for packed pixels with as good colours.
    #[test]
    fn planes_hold_the_pixels_that_packed_rgb_holds() {
        for (picture, size) in [Pixel::YUV420P, Pixel::NV12]
            .iter()
            .flat_map(|&format| [(104, 58), (103, 57), (31, 7)].map(|s| (noise(format), s)))
        {
            let (width, height) = size;
            let mut packed = vec![0; (width * height * 3) as usize];
            let target = Target::packed_rgb(width, height, &mut packed, width as usize * 3);
            Scaler::default().run(&picture, target).unwrap();
            let mut planes = RgbPlanes::default();
            Scaler::default().run(&picture, Target::planar_rgb(width, height, &mut planes)).unwrap();
            for plane in 0..3 {
                let of_packed: Vec<u8> = packed.iter().skip(plane).step_by(3).copied().collect();
                assert!(shown(&planes, plane, width, height) == of_packed, "{size:?}, plane {plane}");
            }
        }
    }

    #[test]
    fn the_order_of_samples_that_a_gpu_gives_makes_the_same_rgb() {
        let rgb = |picture: &frame::Video, (width, height): (u32, u32)| {
            let mut planes = RgbPlanes::default();
            Scaler::default().run(picture, Target::planar_rgb(width, height, &mut planes)).unwrap();
            (0..3).flat_map(|plane| shown(&planes, plane, width, height)).collect::<Vec<u8>>()
        };
        let (planes, pairs) = (noise(Pixel::YUV420P), noise(Pixel::NV12));
        // Smaller as for a detector, larger, and as it is.
        for size in [(104, 58), (416, 234), SIZE] {
            assert!(rgb(&planes, size) == rgb(&pairs, size), "{size:?}");
        }
    }
}

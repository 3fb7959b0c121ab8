//! Stores pictures whose pixel format no lossless encoder accepts, as the bytes of a grey picture.

use std::{ffi::CString, fmt, str::FromStr};

use ffmpeg::{ffi, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{MediaError, error::check};

/// The format of pictures that are stored in this way. Their bytes, plane after plane and without padding, are sorted
/// by their place in a pixel (all blue ones, all green ones, ...), so that neighbours are similar. They fill the rows
/// of a grey picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    format: Pixel,
    width: u32,
    height: u32,
}

/// The grey picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grey {
    /// Bytes of the picture that is stored.
    bytes: usize,
    /// Bytes of a pixel.
    step: usize,
    width: usize,
    height: usize,
}

impl Packing {
    pub(crate) fn new(format: Pixel, width: u32, height: u32) -> Self {
        Self { format, width, height }
    }

    fn raw(self) -> (ffi::AVPixelFormat, i32, i32) {
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        (self.format.into(), side(self.width), side(self.height))
    }

    fn grey(self) -> Result<Grey, MediaError> {
        let (format, width, height) = self.raw();
        // SAFETY: the functions take any format and size, and answer with an error or null where there is none.
        let (bytes, row, step) = unsafe {
            let bytes = ffi::av_image_get_buffer_size(format, width, height, 1);
            let row = ffi::av_image_get_linesize(format, width, 0);
            let described = ffi::av_pix_fmt_desc_get(format);
            let is_bytes = !described.is_null() && (*described).flags & ffi::AV_PIX_FMT_FLAG_BITSTREAM as u64 == 0;
            (bytes, row, if is_bytes { (*described).comp[0].step } else { 1 })
        };
        let bytes = check(bytes, "measure a picture", None)? as usize;
        let row = check(row, "measure a picture", None)?.max(1) as usize;
        let step = step.max(1) as usize;
        let width = (row / step).max(1);
        let height = (bytes.div_ceil(step) * step).div_ceil(width);
        Ok(Grey { bytes, step, width, height })
    }

    /// Width and height of the grey picture.
    pub(crate) fn size(self) -> Result<(u32, u32), MediaError> {
        let Grey { width, height, .. } = self.grey()?;
        Ok((width.try_into().unwrap_or(u32::MAX), height.try_into().unwrap_or(u32::MAX)))
    }

    /// Whether a grey picture of that size is one of these.
    fn check(self, grey: &frame::Video) -> Result<(), MediaError> {
        let Grey { width, height, .. } = self.grey()?;
        if grey.format() == Pixel::GRAY8 && (grey.width() as usize, grey.height() as usize) == (width, height) {
            return Ok(());
        }
        Err(MediaError::Mismatch {
            reason: format!(
                "a chunk of {self} holds a picture of {}x{} {:?}",
                grey.width(),
                grey.height(),
                grey.format()
            ),
        })
    }

    /// The grey picture of one.
    pub(crate) fn pack(self, picture: &frame::Video) -> Result<frame::Video, MediaError> {
        let (format, width, height) = self.raw();
        let grey = self.grey()?;
        let mut bytes = vec![0u8; grey.bytes];
        // SAFETY: the picture is live and of the format and size it states, which are these; the buffer has the size that FFmpeg asks for.
        unsafe {
            let raw = picture.as_ptr();
            let planes = (*raw).data.as_ptr().cast::<*const u8>();
            let size = grey.bytes.try_into().unwrap_or(i32::MAX);
            let lines = (*raw).linesize.as_ptr();
            let code = ffi::av_image_copy_to_buffer(bytes.as_mut_ptr(), size, planes, lines, format, width, height, 1);
            check(code, "copy a picture", None)?;
        }
        let mut sorted = vec![0u8; grey.width * grey.height];
        let of_each = grey.bytes.div_ceil(grey.step);
        for (nth, part) in sorted.chunks_mut(of_each).take(grey.step).enumerate() {
            part.iter_mut().zip(bytes.iter().skip(nth).step_by(grey.step)).for_each(|(to, from)| *to = *from);
        }
        let mut out = frame::Video::new(Pixel::GRAY8, grey.width as u32, grey.height as u32);
        let stride = out.stride(0);
        let rows = out.data_mut(0).chunks_mut(stride).zip(sorted.chunks(grey.width));
        rows.for_each(|(to, from)| to[..grey.width].copy_from_slice(from));
        copy_properties(picture, &mut out)?;
        Ok(out)
    }

    /// The picture that a grey one encodes.
    pub(crate) fn unpack(self, stored: &frame::Video) -> Result<frame::Video, MediaError> {
        self.check(stored)?;
        let (format, width, height) = self.raw();
        let grey = self.grey()?;
        let mut sorted = Vec::with_capacity(grey.width * grey.height);
        stored.data(0).chunks(stored.stride(0)).take(grey.height).for_each(|row| sorted.extend(&row[..grey.width]));
        let mut bytes = vec![0u8; grey.bytes];
        let of_each = grey.bytes.div_ceil(grey.step);
        for (nth, part) in sorted.chunks(of_each).take(grey.step).enumerate() {
            bytes.iter_mut().skip(nth).step_by(grey.step).zip(part).for_each(|(to, from)| *to = *from);
        }
        let mut out = frame::Video::new(self.format, self.width, self.height);
        // SAFETY: the picture was allocated for this format and size; the buffer has as many bytes as such a picture has without padding.
        unsafe {
            let raw = out.as_mut_ptr();
            let (mut planes, mut lines) = ([std::ptr::null_mut(); 4], [0; 4]);
            let from = bytes.as_ptr();
            let code =
                ffi::av_image_fill_arrays(planes.as_mut_ptr(), lines.as_mut_ptr(), from, format, width, height, 1);
            check(code, "copy a picture", None)?;
            let planes = planes.as_ptr().cast::<*const u8>().cast_mut();
            ffi::av_image_copy(
                (*raw).data.as_mut_ptr(),
                (*raw).linesize.as_mut_ptr(),
                planes,
                lines.as_ptr(),
                format,
                width,
                height,
            );
        }
        copy_properties(stored, &mut out)?;
        Ok(out)
    }
}

fn copy_properties(from: &frame::Video, to: &mut frame::Video) -> Result<(), MediaError> {
    // SAFETY: both frames are live.
    let code = unsafe { ffi::av_frame_copy_props(to.as_mut_ptr(), from.as_ptr()) };
    check(code, "copy a picture", None).map(|_| ())
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.format.descriptor().map_or("unknown", |described| described.name());
        write!(f, "{name} {}x{}", self.width, self.height)
    }
}

impl FromStr for Packing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, size) = text.split_once(' ').ok_or(())?;
        let (width, height) = size.split_once('x').ok_or(())?;
        let name = CString::new(name).map_err(|_| ())?;
        // SAFETY: a NUL-terminated string; an unknown one gives no format.
        let format = Pixel::from(unsafe { ffi::av_get_pix_fmt(name.as_ptr()) });
        let side = |text: &str| text.parse().ok().filter(|side| (1..=1 << 16).contains(side)).ok_or(());
        if format == Pixel::None {
            return Err(());
        }
        Ok(Self { format, width: side(width)?, height: side(height)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_layout_comes_back_as_it_was() {
        crate::demux::quiet_ffmpeg();
        let formats = [
            "bgr24", "argb", "rgb565le", "pal8", "monow", "uyvy422", "nv12", "xyz12le", "rgb48le", "yuvj411p", "gbrp",
            "p010le",
        ];
        for (name, width, height) in formats.iter().flat_map(|name| [(name, 64, 48), (name, 33, 17), (name, 1, 1)]) {
            let packing: Packing = format!("{name} {width}x{height}").parse().unwrap();
            assert_eq!(packing.to_string(), format!("{name} {width}x{height}"));
            let mut picture = frame::Video::new(packing.format, width, height);
            for plane in 0..picture.planes() {
                picture
                    .data_mut(plane)
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, byte)| *byte = (at * 7 + at / 13 + plane) as u8);
            }
            let back = packing.unpack(&packing.pack(&picture).unwrap()).unwrap();
            let orientation = crate::Orientation::UPRIGHT;
            let md5 = |picture| crate::Frame { pts: 0, is_damaged: false, orientation, picture }.md5().unwrap();
            assert_eq!(md5(picture), md5(back), "{name} {width}x{height}");
        }
        for text in ["", "bgr24", "bgr24 0x4", "none 4x4", "bgr24 4x99999999", "bgr24 4"] {
            assert!(text.parse::<Packing>().is_err(), "{text:?}");
        }
    }
}

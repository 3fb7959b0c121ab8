//! Reads single pictures for a detector, and writes pictures with drawn boxes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ffmpeg::{Packet, codec, encoder, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Canvas, Frame, Limits, MediaError, Orientation, Rational, VideoParams,
    decoder::{Decoder, Step},
    demux::quiet_ffmpeg,
    orientation::{matrix_of_picture, of_exif, of_matrix},
    picture_format::pixel_format_name,
    scale::{Scaler, Target},
    source::check_file,
};

/// No picture that the limits allow needs more.
const MAX_BYTES: u64 = 1 << 30;
/// Near the best quality that JPEG has.
const FINEST: i32 = 2;
const TICK: Rational = Rational::of(1, 1);

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillFormat {
    /// Without loss.
    Png,
    /// Near the best quality that JPEG has.
    Jpeg,
}

/// Reads a picture: PNG, JPEG, BMP or WebP. The first bytes decide the format, and not the name. If EXIF data state the
/// orientation of a photograph, the result is upright.
///
/// # Errors
/// [`MediaError::Unsupported`] for any other file, [`MediaError::NoDecodableFrame`] for a broken one,
/// [`MediaError::LimitExceeded`], [`MediaError::Io`].
pub fn read_still(path: &Path, limits: &Limits) -> Result<Frame, MediaError> {
    quiet_ffmpeg();
    let limits = Limits { max_bytes: limits.max_bytes.min(MAX_BYTES), ..limits.clone() };
    check_file(path, path, &limits)?;
    let bytes = fs::read(path).map_err(|error| MediaError::io("read", path, error))?;
    decode_still(&bytes, path, &limits)
}

/// The picture in a file's bytes; `path` is what it is called.
pub(crate) fn decode_still(bytes: &[u8], path: &Path, limits: &Limits) -> Result<Frame, MediaError> {
    quiet_ffmpeg();
    let Some((id, name)) = format_of(bytes) else {
        return Err(MediaError::Unsupported {
            reason: format!("{path:?} as a picture; give a PNG, JPEG, BMP or WebP file"),
        });
    };
    let broken = |reason: &str| MediaError::NoDecodableFrame {
        path: path.to_owned(),
        codec: name.to_owned(),
        reason: reason.to_owned(),
    };
    let mut parameters = codec::Parameters::new();
    // SAFETY: the parameters are owned here; both are plain fields.
    unsafe {
        (*parameters.as_mut_ptr()).codec_type = ffmpeg::ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
        (*parameters.as_mut_ptr()).codec_id = id.into();
    }
    let mut decoder = Decoder::open(parameters, TICK, 1, limits, path)?;
    let mut picture = frame::Video::empty();
    decoder.send(&Packet::copy(bytes))?;
    decoder.send_eof()?;
    if decoder.receive(&mut picture)? != Step::Picture {
        return Err(broken("the picture is damaged or cut off"));
    }
    limits.check_picture(picture.width(), picture.height())?;
    Ok(Frame { pts: 0, is_damaged: picture.is_corrupt(), orientation: orientation(&picture), picture })
}

/// FFmpeg 5 to 7 give what EXIF says as a tag of the picture, FFmpeg 8 as a display matrix.
fn orientation(picture: &frame::Video) -> Orientation {
    match matrix_of_picture(picture) {
        Some(matrix) => of_matrix(&matrix).0,
        None => {
            let tag = picture.metadata().get("Orientation").and_then(|number| number.trim().parse().ok());
            tag.map_or(Orientation::UPRIGHT, of_exif)
        }
    }
}

fn format_of(bytes: &[u8]) -> Option<(codec::Id, &'static str)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((codec::Id::PNG, "png")),
        [0xff, 0xd8, 0xff, ..] => Some((codec::Id::MJPEG, "jpeg")),
        [b'B', b'M', ..] => Some((codec::Id::BMP, "bmp")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some((codec::Id::WEBP, "webp")),
        _ => None,
    }
}

impl Canvas {
    /// A canvas that holds a still picture, to draw on.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] for a size or pixel format that can't be drawn on.
    pub fn of_still(still: &Frame) -> Result<Self, MediaError> {
        let picture = &still.picture;
        let mut canvas = Self::new(&VideoParams {
            orientation: still.orientation,
            pixel_format: pixel_format_name(picture),
            ..VideoParams::plain(picture.width(), picture.height(), TICK, TICK)
        })?;
        canvas.load(still)?;
        Ok(canvas)
    }

    /// The picture as a file's bytes.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] where this FFmpeg has no such encoder, [`MediaError::Ffmpeg`].
    pub fn encode_still(&self, format: StillFormat) -> Result<Vec<u8>, MediaError> {
        match format {
            StillFormat::Png => encode(codec::Id::PNG, &self.rgb(self.width(), self.height())?, FINEST),
            StillFormat::Jpeg => {
                // With the padding to even sides: where a side is odd, the scaler leaves the last chroma samples out.
                let (width, height) = (self.picture.width(), self.picture.height());
                let mut yuv = frame::Video::new(Pixel::YUV420P, width, height);
                Scaler::default()
                    .run(&self.rgb(width, height)?, Target::yuv420p(width, height, &mut yuv, None, true))?;
                yuv.set_width(self.width());
                yuv.set_height(self.height());
                // The same planes, under the name that FFmpeg has for them where the range is full.
                yuv.set_format(Pixel::YUVJ420P);
                encode(codec::Id::MJPEG, &yuv, FINEST)
            }
        }
    }

    /// Writes the picture as PNG or JPEG, as the ending of the name says. The file is either complete, or does not
    /// exist.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] for another ending, [`MediaError::Ffmpeg`], [`MediaError::Io`].
    pub fn write_still(&self, path: &Path) -> Result<(), MediaError> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let format = match ending.to_str() {
            Some("png") => StillFormat::Png,
            Some("jpg" | "jpeg") => StillFormat::Jpeg,
            _ => {
                let reason = format!("a picture named {path:?}; end the name in .png or .jpg");
                return Err(MediaError::Unsupported { reason });
            }
        };
        let bytes = self.encode_still(format)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(|error| {
            fs::remove_file(&part).ok();
            MediaError::io("write", path, error)
        })
    }

    /// The picture's upper left `to_width` x `to_height` pixels in RGB24: the whole picture, or the picture without the
    /// padding to even sides.
    fn rgb(&self, to_width: u32, to_height: u32) -> Result<frame::Video, MediaError> {
        let (width, height) = (self.picture.width(), self.picture.height());
        let stride = width as usize * 3;
        let mut packed = vec![0; stride * height as usize];
        Scaler::default().run(&self.picture, Target::packed_rgb(width, height, &mut packed, stride))?;
        let mut rgb = frame::Video::new(Pixel::RGB24, to_width, to_height);
        let (target_stride, row) = (rgb.stride(0), to_width as usize * 3);
        for (target, source) in rgb.data_mut(0).chunks_mut(target_stride).zip(packed.chunks_exact(stride)) {
            target[..row].copy_from_slice(&source[..row]);
        }
        Ok(rgb)
    }
}

/// Encodes a picture; `quality` is FFmpeg's scale of JPEG's, from 2 on. PNG loses nothing anyway.
pub(crate) fn encode(id: codec::Id, picture: &frame::Video, quality: i32) -> Result<Vec<u8>, MediaError> {
    let failed = |error| MediaError::ffmpeg("encode a picture", None, error);
    let encoder = encoder::find(id)
        .ok_or_else(|| MediaError::Unsupported { reason: format!("this FFmpeg has no encoder for {id:?}") })?;
    let mut context = codec::Context::new_with_codec(encoder).encoder().video().map_err(failed)?;
    context.set_width(picture.width());
    context.set_height(picture.height());
    context.set_format(picture.format());
    context.set_time_base((1, 1));
    context.set_qmin(quality);
    context.set_qmax(quality);
    let mut context = context.open_as(encoder).map_err(failed)?;
    context.send_frame(picture).map_err(failed)?;
    context.send_eof().map_err(failed)?;
    let mut packet = Packet::empty();
    context.receive_packet(&mut packet).map_err(failed)?;
    Ok(packet.data().unwrap_or_default().to_vec())
}

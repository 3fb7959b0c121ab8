//! Re-encodes frames that can't be copied, without loss: the same pixels, in chunks that start with a key frame.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use ffmpeg::{Dictionary, Packet, codec, encoder, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    ChunkDescription, ColorTags, Effort, Frame, Limits, MediaError, Orientation, PlannedSegment, PtsList, Rational,
    VideoIndex,
    chunk_format::owned_times_ms,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline},
    mux::Muxer,
    packing::Packing,
    picture_format::FfmpegColors,
    rational::{FfmpegRational, MILLISECOND},
    scan::tag_packet,
};

/// Pixel formats that x264 stores as they are. It accepts others, and returns them as one of these.
const X264_FORMATS: [&str; 9] =
    ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"];
/// Pixel formats that FFV1 accepts, and returns as another one or with other bytes between the pixels.
const NOT_FFV1_FORMATS: [&str; 3] = ["rgb48le", "rgba64le", "bgr0"];

/// Opens the decoder of a stream.
struct Opener {
    parameters: codec::Parameters,
    time_base: Rational,
    path: PathBuf,
}

impl Opener {
    fn open(&self, threads: usize) -> Result<Decoder, MediaError> {
        let limits = Limits { max_bytes: u64::MAX, max_pixels: u64::MAX, ..Limits::default() };
        Decoder::open(self.parameters.clone(), self.time_base, threads, &limits, &self.path)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// A range of packets of the source, which is decoded from its first packet on.
#[derive(Debug)]
pub(crate) struct Reencoded {
    decoder: Decoder,
    /// Opens the decoder again.
    opener: Opener,
    /// All packets of the range.
    all: Range<usize>,
    /// Packets that are still to be decoded.
    packets: Range<usize>,
    at_end: bool,
    /// The first frame of a later segment.
    waiting: Option<Frame>,
    /// The time of the last frame.
    last_pts: i64,
}

/// Returns a packet of the source by its index.
pub(crate) type Packets<'a> = dyn FnMut(usize) -> Result<Packet, MediaError> + 'a;

impl Reencoded {
    /// Opens a decoder for packets of the source. Decoding must be able to start at the first of them.
    pub(crate) fn open(source: &Demuxer, index: &VideoIndex, packets: Range<usize>) -> Result<Self, MediaError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let Effort { threads, .. } = Effort::of(index.width, index.height, threads);
        let opener =
            Opener { parameters: source.parameters()?, time_base: source.time_base()?, path: source.path().to_owned() };
        let (decoder, all) = (opener.open(threads)?, packets.clone());
        Ok(Self { decoder, opener, all, packets, at_end: false, waiting: None, last_pts: i64::MIN })
    }

    /// Writes the chunk of a segment: its own frames, also damaged ones. Frames that can't be decoded are missing, as
    /// in a copied chunk.
    pub(crate) fn write_chunk(
        &mut self,
        segment: &PlannedSegment,
        index: &VideoIndex,
        out: &Path,
        packets: &mut Packets<'_>,
    ) -> Result<(), MediaError> {
        let times_ms = owned_times_ms(index.time_base, &segment.frame_pts);
        let mut description = ChunkDescription {
            window: segment.window(),
            frame_pts: segment.frame_pts.clone(),
            start_ms: 0,
            damaged_pts: PtsList::default(),
            packing: None,
        };
        let (mut chunk, mut damaged): (Option<LosslessChunk>, _) = (None, Vec::new());
        while let Some(mut frame) = self.next_before(segment.span.end_pts, index, packets)? {
            // Before the segment lie the frames of one that is not wanted.
            let Ok(place) = segment.frame_pts.binary_search(&frame.pts) else { continue };
            if frame.is_damaged {
                damaged.push(frame.pts);
            }
            let chunk = match &mut chunk {
                Some(chunk) => chunk,
                none => none.insert(LosslessChunk::create(out, &Shape::of(&frame.picture), index, &mut description)?),
            };
            chunk.write(&mut frame.picture, times_ms[place])?;
        }
        match chunk {
            Some(chunk) => chunk.finish()?,
            None => {
                // A Matroska file without pictures can't be opened. So it gets one black picture, which no segment
                // owns: all frames are missing.
                let shape = Shape::any();
                let mut nobodys = frame::Video::new(shape.format, shape.width, shape.height);
                (0..nobodys.planes()).for_each(|plane| nobodys.data_mut(plane).fill(16));
                let mut chunk = LosslessChunk::create(out, &shape, index, &mut description)?;
                chunk.write(&mut nobodys, times_ms.last().map_or(0, |last| last + 1))?;
                chunk.finish()?;
            }
        }
        if damaged.is_empty() {
            return Ok(());
        }
        description.damaged_pts =
            PtsList::new(damaged).map_err(|error| MediaError::Mismatch { reason: error.to_string() })?;
        describe_again(out, &description)
    }

    fn next_before(
        &mut self,
        end_pts: i64,
        index: &VideoIndex,
        packets: &mut Packets<'_>,
    ) -> Result<Option<Frame>, MediaError> {
        let next = match self.waiting.take() {
            Some(frame) => Some(frame),
            None => self.next(index, packets)?,
        };
        match next {
            Some(frame) if frame.pts >= end_pts => {
                self.waiting = Some(frame);
                Ok(None)
            }
            next => Ok(next),
        }
    }

    /// The next frame that the video shows, in the order of time.
    fn next(&mut self, index: &VideoIndex, packets: &mut Packets<'_>) -> Result<Option<Frame>, MediaError> {
        let mut picture = frame::Video::empty();
        loop {
            match self.decoder.receive(&mut picture)? {
                // What came out already is not later than what came out last.
                Step::IsDamaged => {
                    self.decoder = self.opener.open(1)?;
                    (self.packets, self.at_end) = (self.all.clone(), false);
                }
                Step::Picture => {
                    let place = picture.pts().and_then(|tag| usize::try_from(tag).ok());
                    let packet = place.and_then(|place| index.packets.get(place)).filter(|packet| !packet.is_lost);
                    // A frame that comes too late is missing, because shown times must increase.
                    let Some(pts) = packet.and_then(|packet| packet.pts).filter(|&pts| pts > self.last_pts) else {
                        continue;
                    };
                    self.last_pts = pts;
                    let is_damaged = picture.is_corrupt() || picture.has_decode_errors();
                    return Ok(Some(Frame { pts, is_damaged, orientation: Orientation::UPRIGHT, picture }));
                }
                Step::Error => {}
                Step::Finished => return Ok(None),
                Step::NeedsPacket if self.at_end => return Ok(None),
                Step::NeedsPacket => match self.packets.next() {
                    Some(at) => {
                        let mut packet = packets(at)?;
                        tag_packet(&mut packet, at);
                        self.decoder.send(&packet)?;
                    }
                    None => {
                        self.at_end = true;
                        self.decoder.send_eof()?;
                    }
                },
            }
        }
    }
}

/// The format for which an encoder is opened, and which all its pictures must have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    format: Pixel,
    color: ColorTags,
}

impl Shape {
    fn of(picture: &frame::Video) -> Self {
        let color = ColorTags::of(picture);
        Self { width: picture.width(), height: picture.height(), format: picture.format(), color }
    }

    /// Of a chunk without a picture.
    fn any() -> Self {
        Self { width: 16, height: 16, format: Pixel::YUV420P, color: ColorTags::default() }
    }
}

/// A chunk of pictures that are coded without loss.
struct LosslessChunk {
    encoder: encoder::Video,
    muxer: Muxer,
    shape: Shape,
    packing: Option<Packing>,
}

impl LosslessChunk {
    fn create(
        out: &Path,
        shape: &Shape,
        index: &VideoIndex,
        description: &mut ChunkDescription,
    ) -> Result<Self, MediaError> {
        let (encoder, packing) = open_encoder(shape, index)?;
        description.packing = packing;
        let parameters = codec::Parameters::from(&encoder);
        let muxer = Muxer::matroska(out, parameters, MILLISECOND, description.to_tags())?;
        Ok(Self { encoder, muxer, shape: shape.clone(), packing })
    }

    fn write(&mut self, picture: &mut frame::Video, time_ms: i64) -> Result<(), MediaError> {
        let found = Shape::of(picture);
        if (found.width, found.height, found.format) != (self.shape.width, self.shape.height, self.shape.format) {
            return Err(MediaError::Unsupported {
                reason: format!(
                    "the picture changes from {}x{} {:?} to {}x{} {:?} between two key frames that lie far apart; re-encode \
                     the video into one uniform stream",
                    self.shape.width, self.shape.height, self.shape.format, found.width, found.height, found.format
                ),
            });
        }
        picture.set_pts(Some(time_ms));
        picture.set_kind(ffmpeg::picture::Type::None);
        let packed = self.packing.map(|packing| packing.pack(picture)).transpose()?;
        self.encoder.send_frame(packed.as_ref().unwrap_or(picture)).map_err(fail)?;
        self.drain()
    }

    fn finish(mut self) -> Result<(), MediaError> {
        self.encoder.send_eof().map_err(fail)?;
        self.drain()?;
        self.muxer.finish()
    }

    fn drain(&mut self) -> Result<(), MediaError> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    packet.set_duration(0);
                    self.muxer.write(packet)?;
                }
                Err(ffmpeg::Error::Eof) => return Ok(()),
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::util::error::EAGAIN => return Ok(()),
                Err(error) => return Err(fail(error)),
            }
        }
    }
}

/// The encoder is x264 without quantisation if it stores the pixel format as it is, because x264 also uses the
/// similarity of pictures. Otherwise it is FFV1. For formats that FFV1 does not accept, it is FFV1 with grey pictures
/// of the same bytes.
fn open_encoder(shape: &Shape, index: &VideoIndex) -> Result<(encoder::Video, Option<Packing>), MediaError> {
    const FFV1: (&str, &[(&str, &str)]) = ("ffv1", &[("level", "3"), ("slicecrc", "1")]);
    let name = shape.format.descriptor().map_or("", |described| described.name());
    let mut encoders = Vec::new();
    if X264_FORMATS.contains(&name) {
        encoders.push(("libx264", &[("preset", "ultrafast"), ("qp", "0")][..]));
    }
    if !NOT_FFV1_FORMATS.contains(&name) {
        encoders.push(FFV1);
    }
    for (name, settings) in encoders {
        if let Ok(encoder) = try_encoder(name, settings, shape, index) {
            return Ok((encoder, None));
        }
    }
    let packing = Packing::new(shape.format, shape.width, shape.height);
    let (width, height) = packing.size()?;
    let grey = Shape { width, height, format: Pixel::GRAY8, color: shape.color.clone() };
    match try_encoder(FFV1.0, FFV1.1, &grey, index) {
        Ok(encoder) => Ok((encoder, Some(packing))),
        Err(_) => Err(MediaError::Unsupported {
            reason: format!(
                "a video of {packing} that can't be copied into chunks, which no lossless encoder takes; re-encode it, as H.264 \
                 with a key frame every few seconds",
            ),
        }),
    }
}

fn try_encoder(
    name: &str,
    settings: &[(&str, &str)],
    shape: &Shape,
    index: &VideoIndex,
) -> Result<encoder::Video, ffmpeg::Error> {
    let codec = encoder::find_by_name(name).ok_or(ffmpeg::Error::EncoderNotFound)?;
    let mut context = codec::context::Context::new_with_codec(codec);
    shape.color.apply(&mut context);
    let mut video = context.encoder().video()?;
    video.set_width(shape.width);
    video.set_height(shape.height);
    video.set_format(shape.format);
    video.set_time_base(MILLISECOND.to_wrapper());
    video.set_aspect_ratio(index.sample_aspect_ratio.to_wrapper());
    video.set_max_b_frames(0);
    video.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
    let Effort { threads, .. } = Effort::of(shape.width, shape.height, threads);
    // SAFETY: a plain field of a context that is owned here and not open yet.
    unsafe { (*video.as_mut_ptr()).thread_count = threads as i32 };
    let mut options = Dictionary::new();
    settings.iter().for_each(|(key, value)| options.set(key, value));
    video.open_with(options)
}

/// Rewrites the chunk with the final description. A container has its description before its pictures.
fn describe_again(chunk: &Path, description: &ChunkDescription) -> Result<(), MediaError> {
    let limits = Limits { max_bytes: u64::MAX, max_pixels: u64::MAX, ..Limits::default() };
    let mut demuxer = Demuxer::open(chunk, Timeline::Media, &limits)?;
    let part = chunk.with_extension("described.mkv");
    let mut rewrite = || {
        let mut muxer = Muxer::matroska(&part, demuxer.parameters()?, MILLISECOND, description.to_tags())?;
        let mut packet = Packet::empty();
        while demuxer.read(&mut packet)? {
            muxer.write(packet.clone())?;
        }
        muxer.finish()?;
        std::fs::rename(&part, chunk).map_err(|error| MediaError::io("replace", chunk, error))
    };
    rewrite().inspect_err(|_| drop(std::fs::remove_file(&part)))
}

fn fail(error: ffmpeg::Error) -> MediaError {
    MediaError::ffmpeg("re-encode a segment without loss", None, error)
}

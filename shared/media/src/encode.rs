//! Encodes the annotated frames of one segment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ffmpeg::{Dictionary, Packet, codec, encoder, format::Pixel};
use ffmpeg_next as ffmpeg;

use crate::{
    Canvas, FieldOrder, MediaError, VideoEngine, VideoParams, Window,
    memory::VideoWork,
    mux::Muxer,
    params::{OutputClock, coded_fields},
    picture_format::FfmpegColors,
    rational::FfmpegRational,
    video_engine::say_software,
};

/// Encodes one segment to H.264 in an MP4, with libx264, preset veryfast, CRF 23 (or with NVENC, see [`VideoEngine`]).
/// Groups of pictures are closed, and about two seconds long. There are no B-frames, so pictures are stored in the
/// order in which they are shown.
///
/// The settings depend only on the video and not on the segment. So the parts can be joined by packet copy.
pub struct SegmentEncoder {
    encoder: encoder::Video,
    muxer: Muxer,
    path: PathBuf,
    clock: OutputClock,
    window: Window,
    fields: Option<FieldOrder>,
    last_pts: Option<i64>,
    /// The last packet. It is written when the next one shows how long it lasts.
    waiting: Option<Packet>,
    /// Packets that are in the file.
    frames: u64,
    /// Pictures that were given to the encoder.
    written: u64,
}

impl std::fmt::Debug for SegmentEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentEncoder").field("path", &self.path).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl SegmentEncoder {
    /// Starts the file of the segment that owns `window`. Its time 0 is `window.start_pts`. `threads` encode in
    /// parallel; use the same number for all segments of a video.
    ///
    /// # Errors
    /// I/O errors; [`MediaError::Ffmpeg`] if this FFmpeg has no libx264.
    pub fn create(out: &Path, params: &VideoParams, window: &Window, threads: usize) -> Result<Self, MediaError> {
        Self::create_on(VideoEngine::Software, out, params, window, threads)
    }

    /// The same as [`SegmentEncoder::create`], but on a video engine if possible, and otherwise in software. One
    /// encoder must encode all segments of a video. So a process that has encoded pictures of a size on a GPU continues
    /// on the GPU.
    ///
    /// # Errors
    /// The same as of [`SegmentEncoder::create`]. [`MediaError::Io`], which is transient, if the GPU encoded such
    /// pictures before and now refuses them.
    pub fn create_on(
        engine: VideoEngine,
        out: &Path,
        params: &VideoParams,
        window: &Window,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let encoder = match engine {
            VideoEngine::Software => open_encoder(params, threads)?,
            VideoEngine::Nvidia(_) if coded_fields(params).is_some() => {
                say_software("encodes", "interlaced pictures are not encoded there");
                open_encoder(params, threads)?
            }
            VideoEngine::Nvidia(gpu) => match open_nvidia(gpu, params, out)? {
                Some(encoder) => encoder,
                None => open_encoder(params, threads)?,
            },
        };
        let clock = OutputClock::exact(params.time_base);
        let mut muxer = Muxer::create(out, c"mp4")?;
        muxer.add_stream(codec::Parameters::from(&encoder), clock.time_base())?;
        muxer.write_header(mp4_options(clock, false))?;
        Ok(Self {
            encoder,
            muxer,
            path: out.to_owned(),
            clock,
            window: *window,
            fields: coded_fields(params),
            last_pts: None,
            waiting: None,
            frames: 0,
            written: 0,
        })
    }

    /// Encodes the canvas as the frame shown at `pts`, in the source's time base.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if `pts` is outside the window or not after the frame before.
    pub fn write(&mut self, canvas: &mut Canvas, pts: i64) -> Result<(), MediaError> {
        let Window { start_pts, end_pts, .. } = self.window;
        if !(start_pts..end_pts).contains(&pts) || self.last_pts.is_some_and(|last| pts <= last) {
            return Err(MediaError::Mismatch {
                reason: format!(
                    "frame {pts} does not follow {:?} inside the segment {start_pts}..{end_pts}",
                    self.last_pts
                ),
            });
        }
        self.last_pts = Some(pts);
        canvas.picture.set_pts(Some(pts - start_pts));
        canvas.picture.set_kind(ffmpeg::picture::Type::None);
        set_fields(&mut canvas.picture, self.fields);
        self.encoder.send_frame(&canvas.picture).map_err(|e| self.error(e))?;
        self.written += 1;
        self.drain()
    }

    /// Completes the file; returns the number of frames in it. The last frame lasts until the end of the window.
    ///
    /// # Errors
    /// I/O errors, a full disk above all.
    pub fn finish(mut self) -> Result<u64, MediaError> {
        self.encoder.send_eof().map_err(|e| self.error(e))?;
        self.drain()?;
        let end = self.window.end_pts - self.window.start_pts;
        self.flush_waiting(end)?;
        if self.frames != self.written {
            return Err(MediaError::Mismatch {
                reason: format!("the encoder was given {} pictures and gave {} packets", self.written, self.frames),
            });
        }
        self.muxer.finish()?;
        Ok(self.frames)
    }

    fn drain(&mut self) -> Result<(), MediaError> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    self.flush_waiting(packet.pts().unwrap_or_default())?;
                    self.waiting = Some(packet);
                }
                Err(ffmpeg::Error::Eof) => return Ok(()),
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::util::error::EAGAIN => return Ok(()),
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Writes the packet that waits, shown until `next_pts` (local to the segment, source ticks).
    fn flush_waiting(&mut self, next_pts: i64) -> Result<(), MediaError> {
        let Some(mut packet) = self.waiting.take() else { return Ok(()) };
        let pts = packet.pts().unwrap_or_default();
        if next_pts <= pts {
            return Err(MediaError::Mismatch {
                reason: format!("the encoder gave a picture of {next_pts} after that of {pts}, out of its order"),
            });
        }
        packet.set_duration((next_pts - pts) * self.clock.factor);
        packet.set_pts(Some(pts * self.clock.factor));
        packet.set_dts(Some(pts * self.clock.factor));
        self.frames += 1;
        self.muxer.write(packet)
    }

    fn error(&self, error: ffmpeg::Error) -> MediaError {
        MediaError::ffmpeg("encode", Some(&self.path), error)
    }
}

/// Options of every MP4 written here: the exact clock for the track and for the movie, in which start offsets count.
pub(crate) fn mp4_options(clock: OutputClock, for_streaming: bool) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("video_track_timescale", &clock.timescale.to_string());
    options.set("movie_timescale", &clock.timescale.to_string());
    if for_streaming {
        options.set("movflags", "+faststart");
    }
    options
}

fn open_encoder(params: &VideoParams, threads: usize) -> Result<encoder::Video, MediaError> {
    let fail = |error: ffmpeg::Error| MediaError::ffmpeg("open the H.264 encoder", None, error);
    let mut video = context("libx264", params).map_err(fail)?;
    let effort = params.effort(threads);
    // SAFETY: a plain field of a context that is owned here and not open yet.
    unsafe { (*video.as_mut_ptr()).thread_count = effort.threads.clamp(1, 64) as i32 };
    let mut options = Dictionary::new();
    options.set("preset", "veryfast");
    options.set("crf", "23");
    if let Some(pictures) = effort.lookahead {
        options.set("rc-lookahead", &pictures.to_string());
    }
    // FFmpeg tells x264 that fields are coded, but not which of them is first.
    let fields = (coded_fields(params) == Some(FieldOrder::BottomFirst)).then_some("bff=1");
    let parameters: Vec<&str> = instructions().into_iter().chain(fields).collect();
    if !parameters.is_empty() {
        options.set("x264-params", &parameters.join(":"));
    }
    video.open_with(options).map_err(fail)
}

/// Why AVX-512 is not used: if the number of macroblocks in a row is not a multiple of a vector, libx264's macroblock
/// tree in AVX-512 reads memory that was never written. Then a segment that is encoded again would be another video.
/// The AVX2 code has the same results as the AVX-512 code where those are defined, at nine tenths of its speed
/// (docs/speed.md). We saw this in versions 164 and 165, the newest one, so it applies to all versions. None if the
/// processor has no AVX-512.
fn instructions() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return Some("asm=AVX2");
    }
    None
}

/// An encoder on an NVIDIA GPU. None if the GPU can't encode pictures of this size. The first attempt of the process
/// decides this.
fn open_nvidia(gpu: u16, params: &VideoParams, out: &Path) -> Result<Option<encoder::Video>, MediaError> {
    static WORKS: Mutex<BTreeMap<(u16, u32, u32), bool>> = Mutex::new(BTreeMap::new());
    let (width, height) = params.even_size();
    // Held while opening: segments that start together must not decide differently.
    let mut works = WORKS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = works.get(&(gpu, width, height)).copied();
    if before == Some(false) {
        return Ok(None);
    }
    let open = || {
        let mut video = context("h264_nvenc", params)?;
        // The quality decides, not a rate.
        video.set_bit_rate(0);
        let mut options = Dictionary::new();
        for (option, value) in [("gpu", &*gpu.to_string()), ("preset", "p4"), ("rc", "vbr"), ("cq", "25")] {
            options.set(option, value);
        }
        video.open_with(options)
    };
    match open() {
        Ok(encoder) => {
            works.insert((gpu, width, height), true);
            Ok(Some(encoder))
        }
        Err(error) if before == Some(true) => Err(MediaError::Io {
            operation: "open the GPU's encoder for",
            path: out.to_owned(),
            source: std::io::Error::other(error),
        }),
        Err(error) => {
            works.insert((gpu, width, height), false);
            say_software("encodes", &format!("h264_nvenc does not open for {width}x{height} on GPU {gpu} ({error})"));
            Ok(None)
        }
    }
}

/// The settings of every encoder.
fn context(encoder: &str, params: &VideoParams) -> Result<encoder::video::Video, ffmpeg::Error> {
    crate::demux::quiet_ffmpeg();
    let codec = encoder::find_by_name(encoder).ok_or(ffmpeg::Error::EncoderNotFound)?;
    let mut context = codec::context::Context::new_with_codec(codec);
    params.color.apply(&mut context);
    let mut video = context.encoder().video()?;
    let (width, height) = params.even_size();
    let two_seconds = (2.0 * params.frame_rate.to_f64()).round().clamp(1.0, 250.0) as u32;
    video.set_width(width);
    video.set_height(height);
    video.set_format(Pixel::YUV420P);
    video.set_time_base(params.time_base.to_wrapper());
    video.set_frame_rate(Some(params.frame_rate.to_wrapper()));
    video.set_aspect_ratio(params.upright_aspect().to_wrapper());
    video.set_gop(two_seconds);
    video.set_max_b_frames(0);
    let mut flags = codec::Flags::GLOBAL_HEADER | codec::Flags::CLOSED_GOP;
    if coded_fields(params).is_some() {
        flags |= codec::Flags::INTERLACED_DCT | codec::Flags::INTERLACED_ME;
    }
    video.set_flags(flags);
    Ok(video)
}

/// Which field of a picture is first; none for a picture that is not coded in fields.
fn set_fields(picture: &mut ffmpeg::frame::Video, fields: Option<FieldOrder>) {
    let (interlaced, top_first) = (fields.is_some(), fields == Some(FieldOrder::TopFirst));
    // SAFETY: plain fields of a live frame.
    unsafe { write_fields(&mut *picture.as_mut_ptr(), interlaced, top_first) }
}

#[cfg(frame_flags)]
fn write_fields(raw: &mut ffmpeg::ffi::AVFrame, interlaced: bool, top_first: bool) {
    use ffmpeg::ffi::{AV_FRAME_FLAG_INTERLACED, AV_FRAME_FLAG_TOP_FIELD_FIRST};
    raw.flags &= !(AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST);
    if interlaced {
        raw.flags |= AV_FRAME_FLAG_INTERLACED;
    }
    if top_first {
        raw.flags |= AV_FRAME_FLAG_TOP_FIELD_FIRST;
    }
}

#[cfg(not(frame_flags))]
fn write_fields(raw: &mut ffmpeg::ffi::AVFrame, interlaced: bool, top_first: bool) {
    raw.interlaced_frame = i32::from(interlaced);
    raw.top_field_first = i32::from(top_first);
}

//! Joining annotated segments into one video.

use std::path::{Path, PathBuf};

use ffmpeg::{Packet, codec, ffi, format::context::Input, media};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};

use crate::{
    Limits, MediaError, Rational, VideoParams,
    demux::{self, Demuxer, Timeline, codec_name},
    encode::mp4_options,
    mux::Muxer,
    params::OutputClock,
};

/// One annotated segment, as [`crate::SegmentEncoder`] wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinPart<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The source PTS of its time 0: the segment's `start_pts`.
    pub start_pts: i64,
}

/// What went into the joined video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Pictures written.
    pub video_frames: u64,
    /// Audio packets copied.
    pub audio_packets: u64,
    /// Why the source's audio is not in the video, if it has any and it is not.
    pub audio_left_out: Option<String>,
}

/// Joins the parts, in the order given, by packet copy into an MP4 that plays while it loads. Each frame is shown at its
/// source time relative to the presentation's time 0. The audio that belongs to the video is copied from
/// `source_for_audio` once, bit by bit; a codec that MP4 cannot hold is left out and the report says so.
///
/// # Errors
/// [`MediaError::Mismatch`] if the parts overlap or were encoded with different settings; I/O errors.
pub fn join(
    parts: &[JoinPart<'_>],
    source_for_audio: Option<&Path>,
    params: &VideoParams,
    out: &Path,
) -> Result<JoinReport, MediaError> {
    let clock = params.output_clock();
    let mut video = VideoParts::open(parts, params, clock)?;
    let mut audio_left_out = None;
    let audio = match source_for_audio {
        Some(source) => Audio::open(source, params, &mut audio_left_out)?,
        None => None,
    };
    let mut muxer = Muxer::create(out, c"mp4")?;
    let video_stream = muxer.add_stream(video.parameters.clone(), clock.time_base())?;
    muxer.set_picture_shape(video_stream, params)?;
    let audio_stream = match &audio {
        Some(audio) => Some(muxer.add_stream(audio.parameters.clone(), audio.time_base)?),
        None => None,
    };
    muxer.write_header(mp4_options(clock, true))?;

    let mut report = JoinReport { video_frames: 0, audio_packets: 0, audio_left_out };
    let mut pending_video = video.next()?;
    let mut audio = audio.zip(audio_stream);
    let mut pending_audio = match &mut audio {
        Some((audio, _)) => audio.next()?,
        None => None,
    };
    loop {
        let video_first = match (&pending_video, &pending_audio, &audio) {
            (Some(v), Some(a), Some((audio, _))) => starts_before(v, clock.time_base(), a, audio.time_base),
            (video, _, _) => video.is_some(),
        };
        if video_first {
            let Some(mut packet) = pending_video.take() else { break };
            packet.set_stream(video_stream);
            rescale(&mut packet, clock.time_base(), muxer.time_base(video_stream));
            muxer.write_interleaved(packet)?;
            report.video_frames += 1;
            pending_video = video.next()?;
        } else {
            let (Some(mut packet), Some((audio, stream))) = (pending_audio.take(), &mut audio) else { break };
            packet.set_stream(*stream);
            rescale(&mut packet, audio.time_base, muxer.time_base(*stream));
            muxer.write_interleaved(packet)?;
            report.audio_packets += 1;
            pending_audio = audio.next()?;
        }
    }
    muxer.finish()?;
    Ok(report)
}

fn rescale(packet: &mut Packet, from: Rational, to: Rational) {
    packet.rescale_ts(ffmpeg::Rational(from.num, from.den), ffmpeg::Rational(to.num, to.den));
}

/// Whether `a` is decoded before `b`, each in its own time base.
fn starts_before(a: &Packet, a_base: Rational, b: &Packet, b_base: Rational) -> bool {
    let common = Rational { num: 1, den: 1_000_000 };
    let time = |packet: &Packet, base: Rational| base.rescale(packet.dts().or(packet.pts()).unwrap_or(0), common);
    time(a, a_base) <= time(b, b_base)
}

/// The packets of all parts in order, at their source times.
struct VideoParts<'a> {
    parts: std::slice::Iter<'a, JoinPart<'a>>,
    parameters: codec::Parameters,
    current: Option<(Demuxer, i64)>,
    clock: OutputClock,
    origin_pts: i64,
    last_pts: Option<i64>,
}

impl<'a> VideoParts<'a> {
    fn open(parts: &'a [JoinPart<'a>], params: &VideoParams, clock: OutputClock) -> Result<Self, MediaError> {
        let Some(first) = parts.first() else {
            return Err(MediaError::Mismatch { reason: "there are no parts to join".into() });
        };
        let parameters = open_part(first.path)?.parameters()?;
        let origin_pts = params.origin_pts;
        Ok(Self { parts: parts.iter(), parameters, current: None, clock, origin_pts, last_pts: None })
    }

    fn next(&mut self) -> Result<Option<Packet>, MediaError> {
        loop {
            if let Some((demuxer, start)) = &mut self.current {
                let mut packet = Packet::empty();
                if demuxer.read(&mut packet)? {
                    let base = demuxer.time_base()?;
                    let local = base.rescale(packet.pts().unwrap_or_default(), self.clock.time_base());
                    let pts = local + (*start - self.origin_pts) * self.clock.factor;
                    if self.last_pts.is_some_and(|last| pts <= last) {
                        let path = demuxer.path();
                        return Err(MediaError::Mismatch {
                            reason: format!("the part {path:?} begins before the part before it ends"),
                        });
                    }
                    self.last_pts = Some(pts);
                    packet.set_duration(base.rescale(packet.duration(), self.clock.time_base()));
                    packet.set_pts(Some(pts));
                    packet.set_dts(Some(pts));
                    return Ok(Some(packet));
                }
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            let demuxer = open_part(part.path)?;
            if extradata(&demuxer.parameters()?) != extradata(&self.parameters) {
                return Err(MediaError::Mismatch {
                    reason: format!("the part {:?} was encoded with other settings than the first", part.path),
                });
            }
            self.current = Some((demuxer, part.start_pts));
        }
    }
}

/// Parts are our own files; only their shape is checked.
fn open_part(path: &Path) -> Result<Demuxer, MediaError> {
    Demuxer::open(path, Timeline::Presented, &Limits { max_bytes: u64::MAX, ..Limits::default() })
}

fn extradata(parameters: &codec::Parameters) -> Vec<u8> {
    // SAFETY: extradata points to extradata_size readable bytes, or the size is 0.
    unsafe {
        let raw = parameters.as_ptr();
        match usize::try_from((*raw).extradata_size) {
            Ok(size) if size > 0 && !(*raw).extradata.is_null() => {
                std::slice::from_raw_parts((*raw).extradata, size).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// The source's audio on the presentation's clock.
struct Audio {
    input: Input,
    path: PathBuf,
    stream_index: usize,
    parameters: codec::Parameters,
    time_base: Rational,
    /// Ticks of the presentation's time 0.
    origin: i64,
}

impl Audio {
    fn open(source: &Path, params: &VideoParams, left_out: &mut Option<String>) -> Result<Option<Self>, MediaError> {
        let limits = Limits { max_bytes: u64::MAX, max_streams: 1000, ..Limits::default() };
        let mut input = demux::open_input(source, Timeline::Presented, &limits)?;
        let Some(stream) = input.streams().best(media::Type::Audio) else { return Ok(None) };
        let (stream_index, parameters) = (stream.index(), stream.parameters());
        let time_base = Rational::from_ffmpeg(stream.time_base().into(), Rational { num: 1, den: 48_000 });
        if !fits_mp4(&parameters) {
            *left_out = Some(format!(
                "the audio is {}, which an MP4 cannot hold; the annotated video is silent",
                codec_name(&parameters)
            ));
            return Ok(None);
        }
        // Read as a player does, an MP4's presentation already starts at 0.
        let is_mp4 = input.format().name().contains("mp4");
        let origin = if is_mp4 { 0 } else { params.time_base.rescale(params.origin_pts, time_base) };
        for (index, mut stream) in input.streams_mut().enumerate() {
            if index != stream_index {
                // SAFETY: the stream belongs to `input`, which is borrowed mutably; `discard` is a plain field.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL }
            }
        }
        Ok(Some(Self { input, path: source.to_owned(), stream_index, parameters, time_base, origin }))
    }

    fn next(&mut self) -> Result<Option<Packet>, MediaError> {
        let mut packet = Packet::empty();
        loop {
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() != self.stream_index || packet.size() == 0 => {}
                Ok(()) => {
                    let (pts, dts) = (packet.pts(), packet.dts().or(packet.pts()));
                    packet.set_pts(pts.or(dts).map(|t| t - self.origin));
                    packet.set_dts(dts.map(|t| t - self.origin));
                    return Ok(Some(packet));
                }
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => {
                    let error = MediaError::ffmpeg("read the audio of", Some(&self.path), error);
                    // A cut-off tail of the source ends the audio; the video is complete without it.
                    return if error.is_transient() { Err(error) } else { Ok(None) };
                }
            }
        }
    }
}

/// Whether an MP4 can hold the codec.
pub(crate) fn fits_mp4(parameters: &codec::Parameters) -> bool {
    // SAFETY: the format name is a static string; a format that is not built in is null, which is checked.
    unsafe {
        let format = ffi::av_guess_format(c"mp4".as_ptr(), std::ptr::null(), std::ptr::null());
        !format.is_null() && ffi::avformat_query_codec(format, (*parameters.as_ptr()).codec_id, 0) == 1
    }
}

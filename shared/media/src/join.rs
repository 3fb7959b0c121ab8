//! Joins annotated segments into one video.

use std::path::Path;

use ffmpeg::{Packet, codec};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};

use crate::{
    Limits, MediaError, Rational, Source, VideoParams,
    audio::{Audio, Sound, SoundCoding},
    demux::{Demuxer, Timeline},
    encode::mp4_options,
    mux::Muxer,
    params::OutputClock,
    rational::FfmpegRational,
};

/// One annotated segment, as [`crate::SegmentEncoder`] wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinPart<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The source PTS of its time 0: the segment's `start_pts`.
    pub start_pts: i64,
}

/// What the joined video contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Pictures written.
    pub video_frames: u64,
    /// Audio packets written.
    pub audio_packets: u64,
    /// The source's audio codec, if an MP4 can't hold it, so that the audio was converted to AAC. None if it was
    /// copied.
    pub audio_transcoded_from: Option<String>,
    /// Why the source's audio, or a part of it, is not in the video. None if all of it is, or if the source has none.
    pub audio_left_out: Option<String>,
}

/// The codings that are tried for the sound, in this order.
const CODINGS: [SoundCoding; 2] = [SoundCoding::Copied, SoundCoding::Aac];

/// Joins the parts, in the given order, by packet copy into an MP4 that plays while it loads. Each frame is shown at
/// its source time relative to the presentation's time 0.
///
/// The audio that belongs to the video is copied from `source_for_audio` once, bit by bit. If an MP4 can't hold the
/// codec, or if not every FFmpeg can write it there, such as PCM, the audio is converted to AAC, and the report says
/// so. If neither is possible, the audio is left out, and the report says why.
///
/// # Errors
/// [`MediaError::Mismatch`] if the parts overlap or were encoded with different settings; I/O errors.
pub fn join(
    parts: &[JoinPart<'_>],
    source_for_audio: Option<&Source>,
    params: &VideoParams,
    out: &Path,
) -> Result<JoinReport, MediaError> {
    let mut why = None;
    for coding in CODINGS {
        let Some(source) = source_for_audio else { break };
        let audio = match Audio::open(source, params, coding) {
            Ok(Sound::Audio(audio)) => audio,
            Ok(Sound::None) => break,
            Ok(Sound::NotSo(reason)) => {
                why = Some(reason);
                continue;
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                why = Some(error.to_string());
                continue;
            }
        };
        match join_with(parts, Some(*audio), params, out) {
            Ok(report) if report.audio_packets > 0 => return Ok(report),
            Ok(_) => why = Some("not one packet of it can be read".into()),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => why = Some(error.to_string()),
        }
    }
    let report = join_with(parts, None, params, out)?;
    let audio_left_out = why.map(|why| format!("the annotated video is silent: {why}"));
    Ok(JoinReport { audio_left_out, ..report })
}

/// Joins with this sound.
fn join_with(
    parts: &[JoinPart<'_>],
    audio: Option<Audio>,
    params: &VideoParams,
    out: &Path,
) -> Result<JoinReport, MediaError> {
    let clock = OutputClock::exact(params.time_base);
    let mut video = VideoParts::open(parts, params, clock)?;
    let mut muxer = Muxer::create(out, c"mp4")?;
    let video_stream = muxer.add_stream(video.parameters.clone(), clock.time_base())?;
    muxer.set_pixel_shape(video_stream, params.upright_aspect());
    let audio_stream = match &audio {
        Some(audio) => Some(muxer.add_stream(audio.parameters.clone(), audio.time_base)?),
        None => None,
    };
    if let Some(time) = &params.creation_time {
        muxer.set_creation_time(time);
    }
    muxer.write_header(mp4_options(clock, true))?;

    let audio_transcoded_from = audio.as_ref().and_then(|a| a.transcoded_from.clone());
    let mut report = JoinReport { video_frames: 0, audio_packets: 0, audio_transcoded_from, audio_left_out: None };
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
    let skipped_s = audio.map_or(0.0, |(audio, _)| audio.skipped_s());
    if skipped_s > 0.0 {
        report.audio_left_out = Some(format!(
            "{skipped_s:.1} s of the sound are left out: their rate or number of channels is another than at the start"
        ));
    }
    Ok(report)
}

fn rescale(packet: &mut Packet, from: Rational, to: Rational) {
    packet.rescale_ts(from.to_wrapper(), to.to_wrapper());
}

/// Whether `a` is decoded before `b`, each in its own time base.
fn starts_before(a: &Packet, a_base: Rational, b: &Packet, b_base: Rational) -> bool {
    let common = Rational::of(1, 1_000_000);
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

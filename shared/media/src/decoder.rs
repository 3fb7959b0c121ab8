//! A video decoder that continues after errors.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ffmpeg::{Packet, codec, ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Limits, MediaError, Rational, VideoEngine, h264, log::Complaints, rational::FfmpegRational, spares::Spares,
    video_engine::say_software,
};

/// The answer of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A picture was written to the frame.
    Picture,
    /// It needs another packet first.
    NeedsPacket,
    /// Part of the stream could not be decoded; the decoder can continue.
    Error,
    /// Something is damaged. With several threads the decoder can't say what exactly, so the caller decodes again with
    /// one thread. All pictures so far are undamaged.
    IsDamaged,
    /// All pictures were returned.
    Finished,
}

/// A decoder of one video stream. Without damage, several threads return the same pixels as one. With damage, see
/// [`Step::IsDamaged`].
pub(crate) struct Decoder {
    inner: codec::decoder::Video,
    /// Dropped after `inner`, which points to it.
    complaints: Complaints,
    threads: usize,
    limits: Limits,
    /// Time spent in the decoder since the last picture, without the time of the caller.
    without_picture: Duration,
    is_in_hardware: bool,
    spares: Spares,
}

impl Decoder {
    pub(crate) fn open(
        parameters: codec::Parameters,
        time_base: Rational,
        threads: usize,
        limits: &Limits,
        path: &Path,
    ) -> Result<Self, MediaError> {
        let codec = crate::demux::codec_name(&parameters);
        let refuse = |_: ffmpeg::Error| {
            MediaError::NoDecodableFrame {
            path: path.to_owned(),
            codec: codec.clone(),
            reason: "its decoder does not take what the file says of the stream, which is damaged or of a kind that it does not know".into(),
        }
        };
        let spares = Spares::of(&parameters);
        let mut context = context(parameters, &codec, time_base, threads, limits).map_err(refuse)?;
        let complaints = Complaints::default();
        // SAFETY: the decoder is dropped before its field `complaints`.
        unsafe { complaints.listen_to(&mut context) };
        let inner = context.decoder().video().map_err(refuse)?;
        Ok(Self {
            inner,
            complaints,
            threads,
            limits: limits.clone(),
            without_picture: Duration::ZERO,
            is_in_hardware: false,
            spares,
        })
    }

    /// Opens a decoder on the requested video engine, or in software if the engine can't decode the stream.
    pub(crate) fn open_on(
        engine: VideoEngine,
        parameters: codec::Parameters,
        time_base: Rational,
        threads: usize,
        limits: &Limits,
        path: &Path,
    ) -> Result<Self, MediaError> {
        if let VideoEngine::Nvidia(gpu) = engine {
            match open_nvidia(gpu, parameters.clone(), time_base, limits) {
                Ok(inner) => {
                    let limits = limits.clone();
                    let (without_picture, is_in_hardware, spares) = (Duration::ZERO, true, Spares::Unknown);
                    let complaints = Complaints::default();
                    return Ok(Self { inner, complaints, threads: 1, limits, without_picture, is_in_hardware, spares });
                }
                Err(reason) => say_software("decodes", &reason),
            }
        }
        Self::open(parameters, time_base, threads, limits, path)
    }

    /// Whether a GPU decodes. A GPU does not report damage.
    pub(crate) fn is_in_hardware(&self) -> bool {
        self.is_in_hardware
    }

    /// Pictures a second, where the stream itself has said so by now.
    pub(crate) fn frame_rate(&self) -> Option<Rational> {
        // SAFETY: a plain field of a live context.
        let rate = unsafe { (*self.inner.as_ptr()).framerate };
        (rate.num > 0 && rate.den > 0).then_some(Rational::of(rate.num, rate.den))
    }

    /// Sends a packet to the decoder. If it can't be decoded, the result is `Ok(false)`, and its picture will be
    /// missing.
    pub(crate) fn send(&mut self, packet: &Packet) -> Result<bool, MediaError> {
        let began = Instant::now();
        let outcome = self.inner.send_packet(packet);
        self.without_picture += began.elapsed();
        self.limits.check_decoding(self.without_picture)?;
        settle(outcome)
    }

    /// Sends a packet whose picture is not needed. It is not decoded if no other picture refers to it.
    pub(crate) fn send_unwanted(&mut self, packet: &Packet) -> Result<bool, MediaError> {
        match self.spares {
            Spares::All => Ok(true),
            Spares::Unknown => self.send(packet),
            Spares::Unreferenced => {
                self.leave_out(ffi::AVDiscard::AVDISCARD_NONREF);
                let outcome = self.send(packet);
                self.leave_out(ffi::AVDiscard::AVDISCARD_DEFAULT);
                outcome
            }
        }
    }

    /// Sets which pictures are not decoded, from the next packet on.
    fn leave_out(&mut self, what: ffi::AVDiscard) {
        // SAFETY: a plain field of a live context, which FFmpeg reads when it takes a packet, also for its threads.
        unsafe { (*self.inner.as_mut_ptr()).skip_frame = what };
    }

    /// Says that no more packets follow.
    pub(crate) fn send_eof(&mut self) -> Result<bool, MediaError> {
        settle(self.inner.send_eof())
    }

    pub(crate) fn receive(&mut self, picture: &mut frame::Video) -> Result<Step, MediaError> {
        let began = Instant::now();
        let outcome = self.inner.receive_frame(picture);
        self.without_picture += began.elapsed();
        if self.threads > 1 && self.complaints.are_there() {
            return Ok(Step::IsDamaged);
        }
        match outcome {
            Ok(()) => {
                self.without_picture = Duration::ZERO;
                Ok(Step::Picture)
            }
            Err(ffmpeg::Error::Eof) => Ok(Step::Finished),
            Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::util::error::EAGAIN => Ok(Step::NeedsPacket),
            other => settle(other).map(|_| Step::Error),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// The settings of every decoder.
fn context(
    parameters: codec::Parameters,
    codec: &str,
    time_base: Rational,
    threads: usize,
    limits: &Limits,
) -> Result<codec::context::Context, ffmpeg::Error> {
    // If fields and frames alternate in a stream, FFmpeg 5.1 with one thread per picture reports intact pictures as
    // damaged.
    let may_hold_fields = codec == "h264" && h264::may_hold_fields(h264::extradata(&parameters));
    let mut context = codec::context::Context::from_parameters(parameters)?;
    context.set_threading(codec::threading::Config {
        kind: codec::threading::Type::Frame,
        count: threads.clamp(1, 64),
        ..Default::default()
    });
    // SAFETY: the context is owned here and not open yet, when these plain fields may be set.
    unsafe {
        let raw = context.as_mut_ptr();
        let by_picture = if may_hold_fields { 0 } else { ffi::FF_THREAD_FRAME };
        (*raw).thread_type = by_picture | ffi::FF_THREAD_SLICE;
        (*raw).pkt_timebase = time_base.to_ffmpeg();
        (*raw).max_pixels = limits.max_pixels.min(i32::MAX as u64) as i64;
        // Without this flag the decoder withholds pictures that may be damaged. One example: pictures after a recovery
        // point, if the stream ends before the key frame is returned. Then a chunk would lose frames that the whole
        // video shows.
        (*raw).flags |= ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT as i32;
        if codec == "h264" {
            // Streams that do not state their reorder depth get the largest one: a guess that is too small makes
            // the decoder drop pictures, and the guess would depend on where a chunk starts.
            (*raw).strict_std_compliance = ffi::FF_COMPLIANCE_STRICT;
        }
    }
    Ok(context)
}

/// A decoder on an NVIDIA GPU that returns pictures in main memory, or the reason why there is none. Only for streams
/// whose pictures are the same, bit for bit, as those of the software decoder: progressive, 8 bits, 4:2:0.
fn open_nvidia(
    gpu: u16,
    parameters: codec::Parameters,
    time_base: Rational,
    limits: &Limits,
) -> Result<codec::decoder::Video, String> {
    let codec = crate::demux::codec_name(&parameters);
    let sets = h264::extradata(&parameters);
    let may_hold_fields = codec == "h264" && !sets.is_empty() && h264::may_hold_fields(sets);
    // SAFETY: plain fields of live parameters.
    let (format, is_progressive) = unsafe {
        let raw = parameters.as_ptr();
        use ffi::AVFieldOrder::{AV_FIELD_PROGRESSIVE, AV_FIELD_UNKNOWN};
        ((*raw).format, [AV_FIELD_PROGRESSIVE, AV_FIELD_UNKNOWN].contains(&(*raw).field_order))
    };
    let name = match codec.as_str() {
        "h264" => "h264_cuvid",
        "hevc" => "hevc_cuvid",
        _ => return Err(format!("only H.264 and HEVC are decoded there, not {codec}")),
    };
    if format != ffi::AVPixelFormat::AV_PIX_FMT_YUV420P as i32 || !is_progressive || may_hold_fields {
        return Err("only progressive pictures of 8 bits in 4:2:0 are decoded there".into());
    }
    let decoder = ffmpeg::decoder::find_by_name(name).ok_or(format!("this FFmpeg has no {name}"))?;
    let failed = |error: ffmpeg::Error| format!("{name} does not open on GPU {gpu} ({error})");
    let mut options = ffmpeg::Dictionary::new();
    options.set("gpu", &gpu.to_string());
    let context = context(parameters, &codec, time_base, 1, limits).map_err(failed)?;
    context.decoder().open_as_with(decoder, options).and_then(|opened| opened.video()).map_err(failed)
}

/// Errors of the stream are part of the data. Only a lack of memory stops the work.
fn settle(result: Result<(), ffmpeg::Error>) -> Result<bool, MediaError> {
    match result {
        Ok(()) => Ok(true),
        Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::util::error::ENOMEM => {
            let source = std::io::Error::from(std::io::ErrorKind::OutOfMemory);
            Err(MediaError::Io { operation: "allocate a picture of", path: "the video".into(), source })
        }
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_a_gpu_can_not_take_is_told_by_what_it_is() {
        ffmpeg::init().unwrap();
        let refusal = |id: codec::Id, format: ffi::AVPixelFormat| {
            let mut parameters = codec::Parameters::new();
            // SAFETY: plain fields of parameters that are owned here.
            unsafe {
                let raw = parameters.as_mut_ptr();
                (*raw).codec_type = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
                (*raw).codec_id = id.into();
                (*raw).format = format as i32;
            }
            open_nvidia(99, parameters, Rational::of(1, 1000), &Limits::default()).err().unwrap()
        };
        let (plain, deep) = (ffi::AVPixelFormat::AV_PIX_FMT_YUV420P, ffi::AVPixelFormat::AV_PIX_FMT_YUV420P10LE);
        assert!(refusal(codec::Id::MPEG4, plain).contains("not mpeg4"));
        assert!(refusal(codec::Id::HEVC, deep).contains("8 bits"));
        // No machine has a hundred GPUs; this one's FFmpeg may lack the decoder, too.
        assert!(refusal(codec::Id::H264, plain).contains("h264_cuvid"));
    }
}

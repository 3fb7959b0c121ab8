//! A video decoder that goes on after errors.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ffmpeg::{Packet, codec, ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{Limits, MediaError, Rational};

/// What the decoder answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A picture was written to the frame.
    Picture,
    /// It needs another packet first.
    NeedsPacket,
    /// Part of the stream could not be decoded; go on.
    Error,
    /// Everything has come out.
    Finished,
}

/// A decoder of one video stream. Frame threads and slice threads give the same pixels as one thread.
pub(crate) struct Decoder {
    inner: codec::decoder::Video,
    limits: Limits,
    /// Time spent inside the decoder since the last picture; what the caller does meanwhile does not count.
    without_picture: Duration,
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
        let refuse = |error: ffmpeg::Error| MediaError::NoDecodableFrame {
            path: path.to_owned(),
            codec: codec.clone(),
            reason: format!("the decoder does not open ({error})"),
        };
        let mut context = codec::context::Context::from_parameters(parameters).map_err(refuse)?;
        context.set_threading(codec::threading::Config {
            kind: codec::threading::Type::Frame,
            count: threads.clamp(1, 64),
            ..Default::default()
        });
        // SAFETY: the context is owned here and not open yet, when these plain fields may be set.
        unsafe {
            let raw = context.as_mut_ptr();
            (*raw).thread_type = ffi::FF_THREAD_FRAME | ffi::FF_THREAD_SLICE;
            (*raw).pkt_timebase = time_base.to_ffmpeg();
            (*raw).max_pixels = limits.max_pixels.min(i32::MAX as u64) as i64;
            // Without it the decoder withholds pictures that it is not sure of, such as those after a recovery point whose key
            // frame has not come out when the stream ends: a chunk would lose frames that the whole video shows.
            (*raw).flags |= ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT as i32;
            if codec == "h264" {
                // Streams that do not state their reorder depth get the largest one: a guess that is too small makes
                // the decoder drop pictures, and the guess would depend on where a chunk starts.
                (*raw).strict_std_compliance = ffi::FF_COMPLIANCE_STRICT;
            }
        }
        let inner = context.decoder().video().map_err(refuse)?;
        Ok(Self { inner, limits: limits.clone(), without_picture: Duration::ZERO })
    }

    /// Feeds a packet. An undecodable one is `Ok(false)`: the loss shows as a missing picture.
    pub(crate) fn send(&mut self, packet: &Packet) -> Result<bool, MediaError> {
        let began = Instant::now();
        let outcome = self.inner.send_packet(packet);
        self.without_picture += began.elapsed();
        self.limits.check_decoding(self.without_picture)?;
        settle(outcome)
    }

    /// Says that no more packets follow.
    pub(crate) fn send_eof(&mut self) -> Result<bool, MediaError> {
        settle(self.inner.send_eof())
    }

    pub(crate) fn receive(&mut self, picture: &mut frame::Video) -> Result<Step, MediaError> {
        let began = Instant::now();
        let outcome = self.inner.receive_frame(picture);
        self.without_picture += began.elapsed();
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

/// Errors of the stream are part of the data; only a machine out of memory stops the work.
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

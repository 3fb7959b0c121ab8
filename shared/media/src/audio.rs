//! The source's audio, copied or encoded as AAC, with times of the presentation's clock.

use std::collections::VecDeque;

use ffmpeg::{Packet, codec, ffi, media};
use ffmpeg_next as ffmpeg;

use crate::{
    Limits, MediaError, Rational, Source, VideoParams,
    demux::{self, OpenInput, Timeline, read_packet},
    rational::FfmpegRational,
    streams,
    transcode::AacTranscoder,
};

/// The source's audio, with times of the presentation's clock.
pub(crate) struct Audio {
    input: OpenInput,
    source: Source,
    stream_index: usize,
    pub parameters: codec::Parameters,
    /// Of the packets that [`Audio::next`] gives.
    pub time_base: Rational,
    /// The source's codec, if the packets are AAC made from it.
    pub transcoded_from: Option<String>,
    transcoder: Option<AacTranscoder>,
    encoded: VecDeque<Packet>,
    at_end: bool,
    /// Ticks of the presentation's time 0.
    origin: i64,
}

/// How the source's sound is written into the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoundCoding {
    /// Copied bit by bit.
    Copied,
    /// Decoded and encoded again.
    Aac,
}

/// The sound of a source, in the requested coding.
pub(crate) enum Sound {
    /// It has none.
    None,
    /// There is one, but it can't have this coding. The text says why.
    NotSo(String),
    /// The sound.
    Audio(Box<Audio>),
}

impl Audio {
    /// Opens the sound that belongs to the picture.
    pub(crate) fn open(source: &Source, params: &VideoParams, coding: SoundCoding) -> Result<Sound, MediaError> {
        let limits = Limits { max_bytes: u64::MAX, max_streams: 1000, ..Limits::default() };
        let mut input = demux::open_input(source, Timeline::Presented, &limits)?;
        let (video, _) = streams::choose(&input, source.name(), source.reading().video_stream)?;
        let Some(stream) = streams::sound_of(&input, video) else {
            let has_others = input.streams().any(|stream| stream.parameters().medium() == media::Type::Audio);
            let why = "all sound in the file is of other programmes than the picture".to_owned();
            return Ok(if has_others { Sound::NotSo(why) } else { Sound::None });
        };
        let (stream_index, parameters) = (stream.index(), stream.parameters());
        let time_base = Rational::from_ffmpeg(stream.time_base().into(), Rational::of(1, 48_000));
        let codec = streams::codec_name(&parameters);
        let (mut transcoder, mut transcoded_from) = (None, None);
        match coding {
            SoundCoding::Copied if fits_mp4(&parameters) => {}
            SoundCoding::Copied => return Ok(Sound::NotSo(format!("an MP4 can't hold {codec}"))),
            SoundCoding::Aac => match AacTranscoder::open(parameters.clone(), time_base) {
                Ok(opened) => (transcoder, transcoded_from) = (Some(opened), Some(codec)),
                Err(why) => return Ok(Sound::NotSo(format!("an MP4 can't hold {codec} as it is, and {why}"))),
            },
        }
        // Earlier plans had the PTS of the media's own clock instead of the presented ones. In such a plan the origin
        // of an MP4 is not on the audio's clock.
        let has_presented_times = params.has_presented_times || !input.format().name().contains("mp4");
        let origin = if has_presented_times { params.time_base.rescale(params.origin_pts, time_base) } else { 0 };
        for (index, mut stream) in input.streams_mut().enumerate() {
            if index != stream_index {
                // SAFETY: the stream belongs to `input`, which is borrowed mutably; `discard` is a plain field.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL }
            }
        }
        let out = transcoder.as_ref().map(|t| (t.parameters(), t.time_base()));
        let (parameters, out_base) = out.unwrap_or((parameters, time_base));
        Ok(Sound::Audio(Box::new(Self {
            input,
            source: source.clone(),
            stream_index,
            parameters,
            time_base: out_base,
            transcoded_from,
            transcoder,
            encoded: VecDeque::new(),
            at_end: false,
            origin,
        })))
    }

    /// Seconds of sound that are not in the AAC stream, because their sample rate or number of channels differs from
    /// that of the stream.
    pub(crate) fn skipped_s(&self) -> f64 {
        self.transcoder.as_ref().map_or(0.0, AacTranscoder::skipped_s)
    }

    /// The next packet, on the presentation's clock.
    pub(crate) fn next(&mut self) -> Result<Option<Packet>, MediaError> {
        let Some(mut transcoder) = self.transcoder.take() else { return self.read() };
        while self.encoded.is_empty() && !self.at_end {
            let packet = self.read()?;
            self.at_end = packet.is_none();
            self.encoded.extend(transcoder.push(packet.as_ref())?);
        }
        self.transcoder = Some(transcoder);
        Ok(self.encoded.pop_front())
    }

    /// The next packet of the source, on the presentation's clock.
    fn read(&mut self) -> Result<Option<Packet>, MediaError> {
        let mut packet = Packet::empty();
        loop {
            let outcome = read_packet(&mut self.input, &mut packet);
            self.input.check_reading(self.source.name())?;
            match outcome {
                Ok(()) if packet.stream() != self.stream_index || packet.size() == 0 => {}
                Ok(()) => {
                    let (pts, dts) = (packet.pts(), packet.dts().or(packet.pts()));
                    packet.set_pts(pts.or(dts).map(|t| t - self.origin));
                    packet.set_dts(dts.map(|t| t - self.origin));
                    return Ok(Some(packet));
                }
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => {
                    let error = MediaError::ffmpeg("read the audio of", Some(self.source.name()), error);
                    // A cut-off tail of the source ends the audio; the video is complete without it.
                    return if error.is_transient() { Err(error) } else { Ok(None) };
                }
            }
        }
    }
}

/// Whether an MP4 can hold the codec. Also true for codecs that FFmpeg writes only as an experiment.
///
/// It is always false for PCM, FLAC and TrueHD. FFmpeg 7 writes the first two into an MP4; FFmpeg 5.1 can't, or only as
/// an experiment. The sound of a video must not depend on the installed FFmpeg. All browsers and players can play AAC.
pub(crate) fn fits_mp4(parameters: &codec::Parameters) -> bool {
    let codec = streams::codec_name(parameters);
    if codec.starts_with("pcm_") || ["flac", "truehd"].contains(&codec.as_str()) {
        return false;
    }
    // SAFETY: the format name is a static string; a format that is not built in is null, which is checked.
    unsafe {
        let format = ffi::av_guess_format(c"mp4".as_ptr(), std::ptr::null(), std::ptr::null());
        !format.is_null() && ffi::avformat_query_codec(format, (*parameters.as_ptr()).codec_id, 0) == 1
    }
}

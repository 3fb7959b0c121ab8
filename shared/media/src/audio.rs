//! The source's audio, copied or as AAC, on the presentation's clock.

use std::collections::VecDeque;

use ffmpeg::{Packet, codec, ffi, media};
use ffmpeg_next as ffmpeg;

use crate::{
    Limits, MediaError, Rational, Source, VideoParams,
    demux::{self, OpenInput, Timeline, codec_name, read_packet},
    transcode::AacTranscoder,
};

/// The source's audio on the presentation's clock.
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

impl Audio {
    /// `None` if there is no audio, or none that an MP4 can hold; then `left_out` says why.
    pub(crate) fn open(
        source: &Source,
        params: &VideoParams,
        left_out: &mut Option<String>,
    ) -> Result<Option<Self>, MediaError> {
        let limits = Limits { max_bytes: u64::MAX, max_streams: 1000, ..Limits::default() };
        let mut input = demux::open_input(source, Timeline::Presented, &limits)?;
        let Some(stream) = input.streams().best(media::Type::Audio) else { return Ok(None) };
        let (stream_index, parameters) = (stream.index(), stream.parameters());
        let time_base = Rational::from_ffmpeg(stream.time_base().into(), Rational { num: 1, den: 48_000 });
        let codec = codec_name(&parameters);
        let (mut transcoder, mut transcoded_from) = (None, None);
        if !fits_mp4(&parameters) {
            transcoder = AacTranscoder::open(parameters.clone(), time_base);
            if transcoder.is_none() {
                *left_out = Some(format!(
                    "the audio is {codec}, which an MP4 cannot hold and AAC cannot express; the annotated video is silent"
                ));
                return Ok(None);
            }
            transcoded_from = Some(codec);
        }
        // In a plan of before PTS were the presented ones, an MP4's origin is that of the media's own clock, which is not the audio's.
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
        Ok(Some(Self {
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
        }))
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
            self.input.check_reading(self.source.path())?;
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
                    let error = MediaError::ffmpeg("read the audio of", Some(self.source.path()), error);
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

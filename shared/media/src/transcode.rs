//! Converts audio that an MP4 can't hold to AAC, with the same sample rate and number of channels.

use std::collections::VecDeque;

use ffmpeg::{
    Packet, codec, decoder, encoder, ffi,
    format::{Sample, sample::Type},
    frame,
};
use ffmpeg_next as ffmpeg;

use crate::{MediaError, Rational};

/// A jump in the source's clock longer than this is filled with silence; shorter ones are rounding.
const MAX_DRIFT_S: f64 = 0.05;
/// The longest silence that is filled in; a longer one is a broken clock.
const MAX_SILENCE_S: f64 = 3600.0;

/// Decodes packets and encodes AAC. Times are samples.
pub(crate) struct AacTranscoder {
    decoder: decoder::Audio,
    encoder: encoder::Audio,
    time_base: Rational,
    rate: u32,
    /// Samples of each channel that wait for a full AAC frame.
    waiting: Vec<VecDeque<f32>>,
    /// Time of the first waiting sample, on the presentation's clock; set by the first decoded samples.
    position: Option<i64>,
    skipped_s: f64,
}

impl AacTranscoder {
    /// The reason if the audio cannot be decoded, or AAC has no such sample rate or channel count.
    pub(crate) fn open(parameters: codec::Parameters, time_base: Rational) -> Result<Self, String> {
        let decoder = codec::context::Context::from_parameters(parameters)
            .and_then(|context| context.decoder().audio())
            .map_err(|_| "the FFmpeg in use can't decode it".to_owned())?;
        let (rate, channels) = (decoder.rate(), i32::from(decoder.channels()));
        let refused =
            || format!("AAC takes no sound of {rate} Hz with {channels} channels: at most 96000 Hz and 8 channels");
        let signed_rate = i32::try_from(rate).map_err(|_| refused())?;
        if rate == 0 || !(1..=8).contains(&channels) {
            return Err(refused());
        }
        let aac = encoder::find(codec::Id::AAC).ok_or("the FFmpeg in use has no AAC encoder")?;
        let context = codec::context::Context::new_with_codec(aac);
        let mut audio = context.encoder().audio().map_err(|_| refused())?;
        audio.set_rate(signed_rate);
        audio.set_format(Sample::F32(Type::Planar));
        audio.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
        audio.set_time_base(ffmpeg::Rational(1, signed_rate));
        audio.set_bit_rate(96_000 * channels as usize);
        // SAFETY: the layout is a field of a context that is owned here and not open yet.
        unsafe { ffi::av_channel_layout_default(&mut (*audio.as_mut_ptr()).ch_layout, channels) };
        let encoder = audio.open().map_err(|_| refused())?;
        let waiting = vec![VecDeque::new(); channels as usize];
        Ok(Self { decoder, encoder, time_base, rate, waiting, position: None, skipped_s: 0.0 })
    }

    pub(crate) fn parameters(&self) -> codec::Parameters {
        codec::Parameters::from(&self.encoder)
    }

    /// One sample.
    pub(crate) fn time_base(&self) -> Rational {
        Rational::of(1, self.rate.min(i32::MAX as u32) as i32)
    }

    /// Seconds of sound that came out of the decoder with another rate or number of channels than at the start.
    pub(crate) fn skipped_s(&self) -> f64 {
        self.skipped_s
    }

    /// Takes a packet of the source, or `None` at the end; returns what is encoded by then.
    pub(crate) fn push(&mut self, packet: Option<&Packet>) -> Result<Vec<Packet>, MediaError> {
        // An undecodable packet leaves a hole that the next time stamp turns into silence.
        match packet {
            Some(packet) => self.decoder.send_packet(packet).ok(),
            None => self.decoder.send_eof().ok(),
        };
        let mut decoded = frame::Audio::empty();
        while self.decoder.receive_frame(&mut decoded).is_ok() {
            self.take(&decoded);
        }
        let mut packets = Vec::new();
        let frame_size = (self.encoder.frame_size() as usize).max(1);
        while self.waiting[0].len() >= frame_size || packet.is_none() && !self.waiting[0].is_empty() {
            let samples = frame_size.min(self.waiting[0].len());
            self.encode(samples)?;
            self.collect(&mut packets);
        }
        if packet.is_none() {
            self.encoder.send_eof().map_err(fail)?;
            self.collect(&mut packets);
        }
        Ok(packets)
    }

    fn collect(&mut self, packets: &mut Vec<Packet>) {
        let mut packet = Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            packets.push(std::mem::replace(&mut packet, Packet::empty()));
        }
    }

    /// Queues decoded samples at their time, with silence for what is missing before them.
    fn take(&mut self, decoded: &frame::Audio) {
        let channels = usize::from(decoded.channels());
        if channels != self.waiting.len() || decoded.rate() != self.rate {
            self.skipped_s += decoded.samples() as f64 / f64::from(decoded.rate().max(1));
            return;
        }
        let end = self.position.map(|start| start + self.waiting[0].len() as i64);
        if let Some(time) = decoded.pts().map(|pts| self.time_base.rescale(pts, self.time_base())) {
            let missing = end.map_or(0, |end| time - end);
            let seconds = missing as f64 / f64::from(self.rate);
            if (MAX_DRIFT_S..MAX_SILENCE_S).contains(&seconds) {
                self.waiting.iter_mut().for_each(|queue| queue.extend(std::iter::repeat_n(0.0, missing as usize)));
            }
            self.position.get_or_insert(time);
        }
        self.position.get_or_insert(0);
        for (channel, queue) in self.waiting.iter_mut().enumerate() {
            let is_planar = decoded.is_planar();
            let (plane, first, step) = if is_planar { (channel, 0, 1) } else { (0, channel, channels) };
            let width = match decoded.format() {
                Sample::U8(_) => 1,
                Sample::I16(_) => 2,
                Sample::I32(_) | Sample::F32(_) => 4,
                Sample::I64(_) | Sample::F64(_) => 8,
                Sample::None => return,
            };
            let count = decoded.samples() * step;
            // SAFETY: a decoded frame has `samples` samples of `width` bytes for each channel of a plane.
            let bytes =
                unsafe { std::slice::from_raw_parts(*(*decoded.as_ptr()).extended_data.add(plane), count * width) };
            let samples = bytes.chunks_exact(width).skip(first).step_by(step);
            queue.extend(samples.map(|bytes| to_f32(decoded.format(), bytes)));
        }
    }

    fn encode(&mut self, samples: usize) -> Result<(), MediaError> {
        let start = self.position.unwrap_or(0);
        let mut planar = frame::Audio::empty();
        // SAFETY: the frame is new; its buffers are allocated for the format, layout and number of samples set before.
        unsafe {
            let raw = planar.as_mut_ptr();
            (*raw).nb_samples = samples as i32;
            (*raw).format = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32;
            (*raw).sample_rate = self.rate as i32;
            ffi::av_channel_layout_copy(&mut (*raw).ch_layout, &(*self.encoder.as_ptr()).ch_layout);
            crate::error::check(ffi::av_frame_get_buffer(raw, 0), "allocate audio", None)?;
            for (channel, queue) in self.waiting.iter_mut().enumerate() {
                let plane = std::slice::from_raw_parts_mut((*(*raw).extended_data.add(channel)).cast::<f32>(), samples);
                plane.iter_mut().zip(queue.drain(..samples)).for_each(|(to, from)| *to = from);
            }
        }
        planar.set_pts(Some(start));
        self.position = Some(start + samples as i64);
        self.encoder.send_frame(&planar).map_err(fail)
    }
}

fn fail(error: ffmpeg::Error) -> MediaError {
    MediaError::ffmpeg("encode the audio as AAC", None, error)
}

/// A sample in -1..1.
fn to_f32(format: Sample, bytes: &[u8]) -> f32 {
    let wide = |sign_extend: bool| {
        let mut word = [0u8; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let shift = 64 - 8 * bytes.len() as u32;
        let value = u64::from_ne_bytes(word);
        if sign_extend { (value << shift) as i64 >> shift } else { value as i64 }
    };
    match format {
        Sample::U8(_) => (wide(false) as f32 - 128.0) / 128.0,
        Sample::I16(_) => wide(true) as f32 / 32_768.0,
        Sample::I32(_) => wide(true) as f32 / 2_147_483_648.0,
        Sample::I64(_) => wide(true) as f32 / 9.223_372e18,
        Sample::F32(_) => f32::from_bits(wide(false) as u32),
        Sample::F64(_) => f64::from_bits(wide(false) as u64) as f32,
        Sample::None => 0.0,
    }
}

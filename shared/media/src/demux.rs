//! Opens a file as hostile input, and reads the packets of one video stream.

use std::{
    collections::BTreeMap,
    ffi::CString,
    ops::{Deref, DerefMut},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::{Arc, Once},
};

use ffmpeg::{
    Dictionary, Packet, Stream, codec, ffi,
    format::context::{Input, StreamIo},
    packet::Mut,
};
use ffmpeg_next as ffmpeg;

use crate::{
    Limits, MediaError, Rational, Source,
    avio::{Bytes, Line},
    error::check,
    log,
    rational::{FfmpegRational, MILLISECOND},
    streams::{self, VideoStreams},
    ts_watch::TsWatch,
};

pub(crate) use crate::streams::codec_name;

/// Demuxers that read one media file and nothing else. Playlists, scripts and image patterns, which can make FFmpeg
/// open other files, are left out on purpose.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,nut,ivf,\
                       h264,hevc,mpegvideo,m4v,mjpeg,jpeg_pipe,vc1,obu,av1,dhav,dv,\
                       mp3,wav,flac,aac,ac3,eac3,w64,aiff,amr,caf";
/// Those among them that read a bare stream of pictures, which has no clock.
const RAW_FORMATS: [&str; 9] = ["h264", "hevc", "mpegvideo", "m4v", "mjpeg", "jpeg_pipe", "vc1", "obu", "av1"];
const PROBE_BYTES: &str = "33554432";
const ANALYZE_US: &str = "10000000";
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;
/// Codecs for which an MP4 has one picture per packet, and marks the key frames. So no parser has to read the data.
const INDEXED_CODECS: [&str; 7] = ["h264", "hevc", "av1", "mpeg4", "mjpeg", "prores", "dnxhd"];

/// The clock whose times are read from an MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeline {
    /// The media's own clock. Every stored picture is read, and edit lists are ignored.
    Media,
    /// The clock of players. Edit lists are applied, and hidden pictures are flagged.
    Presented,
}

/// One open source, positioned at the packets of its video stream.
pub(crate) struct Demuxer {
    input: OpenInput,
    stream_index: usize,
    source: Source,
    broken_places: u64,
    choice: Option<VideoStreams>,
    /// For each other video stream, where its first packet is.
    other_videos: BTreeMap<usize, i64>,
}

impl Demuxer {
    /// Opens `source`, and chooses its video stream. A path is taken literally, with all characters.
    pub(crate) fn open(source: impl Into<Source>, timeline: Timeline, limits: &Limits) -> Result<Self, MediaError> {
        let source = source.into();
        let input = open_input(&source, timeline, limits)?;
        let (stream_index, choice) = streams::choose(&input, source.name(), source.reading().video_stream)?;
        let opened = Self { choice, ..Self::of(input, stream_index, source) };
        opened.refuse_what_no_decoder_can_read()?;
        Ok(opened)
    }

    /// Refuses a stream that certainly can't be decoded.
    fn refuse_what_no_decoder_can_read(&self) -> Result<(), MediaError> {
        let stream = self.stream()?;
        let path = self.path().to_owned();
        if stream.metadata().get("enc_key_id").is_some() {
            return Err(MediaError::Encrypted { path, how: "the track has a ContentEncryption".into() });
        }
        let parameters = stream.parameters();
        if ffmpeg::decoder::find(parameters.id()).is_none() {
            return Err(MediaError::NoDecoder { path, codec: streams::codec_name(&parameters) });
        }
        Ok(())
    }

    /// Opens a chunk that [`crate::cut`] wrote. Its container usually states what a software decoder needs. Otherwise,
    /// or if more is needed (`with_probe`), FFmpeg examines the packets. This is avoided where possible: for H.264,
    /// FFmpeg decodes up to twenty pictures, which are then decoded again.
    pub(crate) fn open_chunk(chunk: Source, with_probe: bool, limits: &Limits) -> Result<Self, MediaError> {
        let mut input = open_header(&chunk, Timeline::Media, limits)?;
        if with_probe || !states_its_decoder(&input) {
            look_into_streams(&mut input, chunk.name(), limits)?;
        }
        let (stream_index, _) = streams::choose(&input, chunk.name(), None)?;
        Ok(Self::of(input, stream_index, chunk))
    }

    fn of(mut input: OpenInput, stream_index: usize, source: Source) -> Self {
        // SAFETY: a plain field of a live context.
        let may_get_more_streams = unsafe { (*input.as_ptr()).ctx_flags } & ffi::AVFMTCTX_NOHEADER != 0;
        for (index, mut stream) in input.streams_mut().enumerate() {
            // In a format where streams come and go, another stream may continue this one.
            let may_follow = may_get_more_streams && streams::is_film(&stream);
            if index != stream_index && !may_follow {
                // SAFETY: the stream belongs to `input`, which is borrowed mutably; `discard` is a plain field.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL }
            }
        }
        Self { input, stream_index, source, broken_places: 0, choice: None, other_videos: BTreeMap::new() }
    }

    /// Opens the same stream again, from its start, with packets whose data are zeros and are not read. Their times,
    /// positions, sizes and flags are right. None if the data of packets are needed.
    pub(crate) fn hollow(&self, timeline: Timeline, limits: &Limits) -> Result<Option<Self>, MediaError> {
        let codec = codec_name(&self.parameters()?);
        if !self.is_mp4() || !INDEXED_CODECS.contains(&codec.as_str()) {
            return Ok(None);
        }
        let input =
            OpenInput::open(&self.source, timeline, limits, ffi::AVFMT_FLAG_NOPARSE | ffi::AVFMT_FLAG_NOFILLIN)?;
        if input.nb_streams() != self.input.nb_streams() {
            return Ok(None);
        }
        input.line.hollow_out();
        Ok(Some(Self::of(input, self.stream_index, self.source.clone())))
    }

    /// Whether the container is one of the MP4 family.
    pub(crate) fn is_mp4(&self) -> bool {
        self.input.format().name().contains("mp4")
    }

    /// Whether the source is a bare stream of pictures, without a clock.
    pub(crate) fn is_raw(&self) -> bool {
        RAW_FORMATS.contains(&self.input.format().name())
    }

    /// The video streams of the file, if it has several.
    pub(crate) fn choice(&self) -> Option<&VideoStreams> {
        self.choice.as_ref()
    }

    /// The facts about the packets of a transport stream that were read so far.
    pub(crate) fn transport(&self) -> std::sync::MutexGuard<'_, TsWatch> {
        self.input.line.transport()
    }

    /// Whether the packets' data are zeros.
    pub(crate) fn is_hollow(&self) -> bool {
        self.input.line.is_hollow()
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// Its name in messages.
    pub(crate) fn path(&self) -> &Path {
        self.source.name()
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The length of the video that a Matroska header states: in the statistics of the stream, or as the length of the
    /// file if the video is its only stream. None for other containers: their frame counts state it, or nothing
    /// reliable does.
    pub(crate) fn declared_duration_s(&self) -> Option<f64> {
        if !self.input.format().name().contains("matroska") {
            return None;
        }
        let stream = self.input.stream(self.stream_index)?;
        if let Some(text) = stream.metadata().get("DURATION") {
            let parts = text.split(':').map(|part| part.parse::<f64>().ok()).collect::<Option<Vec<_>>>()?;
            return Some(parts.iter().fold(0.0, |seconds, part| seconds * 60.0 + part));
        }
        let whole = self.input.duration();
        (self.input.streams().count() == 1 && whole > 0).then(|| whole as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE))
    }

    /// The video stream.
    pub(crate) fn stream(&self) -> Result<Stream<'_>, MediaError> {
        self.input.stream(self.stream_index).ok_or_else(|| MediaError::Damaged {
            path: self.path().to_owned(),
            reason: "its video stream disappeared while reading".into(),
        })
    }

    /// Seconds per tick of the video stream's timestamps.
    pub(crate) fn time_base(&self) -> Result<Rational, MediaError> {
        Ok(Rational::from_ffmpeg(self.stream()?.time_base().into(), MILLISECOND))
    }

    /// The codec parameters of the video stream.
    pub(crate) fn parameters(&self) -> Result<codec::Parameters, MediaError> {
        Ok(self.stream()?.parameters())
    }

    /// Reads the next packet of the video stream. `Ok(false)` at the end of what can be read.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, MediaError> {
        let mut bad_in_a_row = 0;
        loop {
            let outcome = read_packet(&mut self.input, packet);
            self.broken_places += log::take_demuxer_errors();
            self.input.check_reading(self.source.name())?;
            match outcome {
                Ok(()) if packet.stream() == self.stream_index => return Ok(true),
                Ok(()) => {
                    bad_in_a_row = 0;
                    self.note_other(packet);
                }
                Err(ffmpeg::Error::Eof) => return Ok(false),
                Err(error) => {
                    let error = MediaError::ffmpeg("read", Some(self.path()), error);
                    if error.is_transient() {
                        return Err(error);
                    }
                    // A broken part: FFmpeg resynchronises on the next call. The ledger counts what is lost.
                    bad_in_a_row += 1;
                    if bad_in_a_row > 100 {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn note_other(&mut self, packet: &Packet) {
        let index = packet.stream();
        if !self.other_videos.contains_key(&index) && self.input.stream(index).is_some_and(|s| streams::is_film(&s)) {
            self.other_videos.insert(index, packet.position() as i64);
        }
    }

    /// The other video streams that were found while reading, and where their first packets are in the file. Only
    /// formats in which a stream can begin later have them.
    pub(crate) fn other_videos(&self) -> impl Iterator<Item = (Stream<'_>, i64)> {
        self.other_videos.iter().filter_map(|(&index, &place)| Some((self.input.stream(index)?, place)))
    }

    /// How many broken places the demuxer has found and passed so far.
    pub(crate) fn broken_places(&self) -> u64 {
        self.broken_places
    }

    /// Continues to count from this number.
    pub(crate) fn set_broken_places(&mut self, places: u64) {
        self.broken_places = places;
    }

    /// Moves to a packet that was read before, or to a place before it. In containers that can be read from any place
    /// it uses the position, otherwise the decoding time. `Ok(false)` if the format can't do that. Broken places are
    /// counted from 0 again.
    pub(crate) fn go_to(&mut self, position: i64, dts: i64) -> Result<bool, MediaError> {
        let moved = match self.input.format().name() {
            // SAFETY: `input` owns a live AVFormatContext; no stream is named.
            "mpegts" | "mpeg" | "flv" => unsafe {
                ffi::av_seek_frame(self.input.as_mut_ptr(), -1, position, ffi::AVSEEK_FLAG_BYTE) >= 0
            },
            _ => self.seek(dts),
        };
        log::take_demuxer_errors();
        self.broken_places = 0;
        self.input.check_reading(self.source.name())?;
        Ok(moved)
    }

    /// Moves to the last place at or before `pts` where reading can start. `false` if the format cannot.
    pub(crate) fn seek(&mut self, pts: i64) -> bool {
        // SAFETY: `input` owns a live AVFormatContext and the stream index was checked when it was opened.
        let code = unsafe {
            ffi::av_seek_frame(self.input.as_mut_ptr(), self.stream_index as i32, pts, ffi::AVSEEK_FLAG_BACKWARD)
        };
        code >= 0
    }
}

impl std::fmt::Debug for Demuxer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demuxer").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Reads the next packet of any stream. The earlier content of `packet` is freed first. FFmpeg does not free it, so a
/// reused packet would hold the whole file in memory.
pub(crate) fn read_packet(input: &mut Input, packet: &mut Packet) -> Result<(), ffmpeg::Error> {
    // SAFETY: the packet is live and owns what it holds, which is not looked at any more.
    unsafe { ffi::av_packet_unref(packet.as_mut_ptr()) };
    packet.read(input)
}

/// A path that FFmpeg takes literally. With the prefix `file:`, it does not interpret `concat:`, `-` or `%03d`.
pub(crate) fn literal_url(path: &Path) -> Result<CString, MediaError> {
    let bytes = [b"file:", path.as_os_str().as_bytes()].concat();
    CString::new(bytes)
        .map_err(|_| MediaError::Unsupported { reason: format!("the path {path:?} holds a NUL character") })
}

/// Registers FFmpeg once and keeps its log off the terminal.
pub(crate) fn quiet_ffmpeg() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Only fills tables, among them the texts of error numbers; it cannot fail.
        ffmpeg::init().ok();
        log::install();
    });
}

/// An open container, and what it is read through.
pub(crate) struct OpenInput {
    input: Input,
    line: Arc<Line>,
}

impl Deref for OpenInput {
    type Target = Input;

    fn deref(&self) -> &Input {
        &self.input
    }
}

impl DerefMut for OpenInput {
    fn deref_mut(&mut self) -> &mut Input {
        &mut self.input
    }
}

impl OpenInput {
    /// The one place where a source is opened for reading.
    fn open(source: &Source, timeline: Timeline, limits: &Limits, flags: i32) -> Result<Self, MediaError> {
        quiet_ffmpeg();
        let (path, bytes) = (source.name(), source.check(limits)?);
        // FFmpeg opens nothing by it: it looks at the ending.
        let url = literal_url(source.path())?;
        let line = Arc::new(Line::default());
        let stream = Bytes::new(source.open()?, bytes, line.clone());
        let failed = |error| MediaError::ffmpeg("open", Some(path), error);
        let mut io = StreamIo::from_read_seek_with_capacity(stream, BUFFER_BYTES).map_err(failed)?;
        let mut options = Dictionary::new();
        // None: what a demuxer would open beside the bytes that it is given is refused.
        options.set("protocol_whitelist", "none");
        options.set("format_whitelist", FORMATS);
        options.set("probesize", PROBE_BYTES);
        options.set("analyzeduration", ANALYZE_US);
        options.set("max_streams", &(limits.max_streams.saturating_add(1)).to_string());
        options.set("ignore_editlist", if timeline == Timeline::Media { "1" } else { "0" });

        // SAFETY: the context is new, and null is checked. `io` outlives it, because `Input` owns both and closes the
        // context first. `url` is a NUL-terminated string that outlives the call. The dictionary is passed, and the
        // rest that avformat_open_input leaves of it is owned again afterwards. On failure avformat_open_input frees
        // the context and sets the pointer to null. It does not free the I/O, which belongs to the caller.
        let (code, context) = unsafe {
            let mut context = ffi::avformat_alloc_context();
            if context.is_null() {
                return Err(failed(ffmpeg::Error::Other { errno: ffmpeg::util::error::ENOMEM }));
            }
            (*context).pb = io.as_mut_ptr();
            (*context).flags |= flags;
            let mut raw_options = options.disown();
            let code = ffi::avformat_open_input(&mut context, url.as_ptr(), ptr::null_mut(), &mut raw_options);
            drop(Dictionary::own(raw_options));
            (code, context)
        };
        // SAFETY: avformat_open_input gave a live context, whose I/O is `io`.
        let input = (code >= 0).then(|| unsafe { Input::wrap_with_custom_io(context, io) });
        if let Some(error) = line.take_error() {
            return Err(MediaError::io("read", path, error));
        }
        input.map(|input| Self { input, line }).ok_or_else(|| not_a_video(source, code))
    }

    /// The error that reading met: demuxers may take it for the end of the file.
    pub(crate) fn check_reading(&self, path: &Path) -> Result<(), MediaError> {
        self.line.take_error().map_or(Ok(()), |error| Err(MediaError::io("read", path, error)))
    }
}

/// Opens a source and looks into its streams.
pub(crate) fn open_input(source: &Source, timeline: Timeline, limits: &Limits) -> Result<OpenInput, MediaError> {
    let mut input = OpenInput::open(source, timeline, limits, 0)?;
    look_into_streams(&mut input, source.name(), limits)?;
    Ok(input)
}

/// Opens a source and reads only what comes before its packets.
pub(crate) fn open_header(source: &Source, timeline: Timeline, limits: &Limits) -> Result<OpenInput, MediaError> {
    let input = OpenInput::open(source, timeline, limits, 0)?;
    log::take_demuxer_errors();
    limits.check_streams(input.nb_streams())?;
    Ok(input)
}

fn look_into_streams(input: &mut OpenInput, path: &Path, limits: &Limits) -> Result<(), MediaError> {
    let outcome = find_stream_info(input, path, limits);
    input.check_reading(path)?;
    outcome?;
    log::take_demuxer_errors();
    limits.check_streams(input.nb_streams())
}

/// Whether the container and the packets have all that a decoder needs. The check is useful only for H.264, because
/// FFmpeg needs at most one picture of any other codec. Our H.264 decoder runs in strict mode: it takes the reorder
/// depth from the parameter sets, or the largest one if they do not state it. So it needs no guess.
fn states_its_decoder(input: &Input) -> bool {
    let is_stated = |stream: Stream<'_>| {
        let parameters = stream.parameters();
        // SAFETY: a plain field of live parameters.
        let has_parameter_sets = unsafe { (*parameters.as_ptr()).extradata_size > 0 };
        parameters.id() == codec::Id::H264 && has_parameter_sets
    };
    input.format().name().contains("matroska") && input.nb_streams() == 1 && input.streams().all(is_stated)
}

/// Lets FFmpeg look into the streams, with decoders that refuse oversized pictures.
fn find_stream_info(input: &mut Input, path: &Path, limits: &Limits) -> Result<(), MediaError> {
    let streams = input.nb_streams() as usize;
    let max_pixels = limits.max_pixels.min(i32::MAX as u64).to_string();
    // SAFETY: the array has one dictionary per stream known now, as the function asks for; each is freed after it.
    let code = unsafe {
        let mut options: Vec<*mut ffi::AVDictionary> = (0..streams)
            .map(|_| {
                let mut one = Dictionary::new();
                one.set("max_pixels", &max_pixels);
                one.set("threads", "1");
                one.disown()
            })
            .collect();
        let code = ffi::avformat_find_stream_info(input.as_mut_ptr(), options.as_mut_ptr());
        options.into_iter().for_each(|one| drop(Dictionary::own(one)));
        code
    };
    check(code, "look into the streams of", Some(path)).map(|_| ())
}

/// Why a source was refused by its first bytes.
fn not_a_video(source: &Source, code: i32) -> MediaError {
    let path = source.name();
    let (error, code) = (MediaError::ffmpeg("open", Some(path), ffmpeg::Error::from(code)), ffmpeg::Error::from(code));
    if !matches!(error, MediaError::Ffmpeg { .. }) {
        return error;
    }
    let reason = match (code, recognised_format(source)) {
        (ffmpeg::Error::InvalidData, Some(name)) if is_accepted(&name) => {
            format!("it looks like {name}, but its index is cut off or damaged")
        }
        (_, Some(name)) if !is_accepted(&name) => {
            format!("it looks like {name}, which is not among the accepted formats")
        }
        _ => "no supported format recognises it".into(),
    };
    MediaError::NotAVideo { path: path.to_owned(), reason }
}

fn is_accepted(format: &str) -> bool {
    format.split(',').any(|name| FORMATS.split(',').any(|accepted| accepted == name))
}

/// The format that FFmpeg recognises by the first bytes, among all formats that it knows.
fn recognised_format(source: &Source) -> Option<String> {
    const PADDING: usize = ffi::AVPROBE_PADDING_SIZE as usize;
    let mut bytes = vec![0; BUFFER_BYTES + PADDING];
    let read = source.open().ok()?.read_at(0, &mut bytes[..BUFFER_BYTES]).ok()?;
    bytes[read..].fill(0);
    let mut score = 0;
    // SAFETY: the buffer has the stated number of bytes, followed by zeros, as the function requires. All strings end
    // in NUL. The function returns a static description, or null, which is checked.
    unsafe {
        let data = ffi::AVProbeData {
            filename: c"".as_ptr(),
            buf: bytes.as_mut_ptr(),
            buf_size: read as i32,
            mime_type: ptr::null(),
        };
        let format = ffi::av_probe_input_format3(&data, 1, &mut score);
        if format.is_null() || score <= ffi::AVPROBE_SCORE_MAX / 8 {
            return None;
        }
        Some(std::ffi::CStr::from_ptr((*format).name).to_string_lossy().into_owned())
    }
}

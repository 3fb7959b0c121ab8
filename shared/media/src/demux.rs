//! Opening a file as hostile input, and reading the packets of its one video stream.

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::Once,
};

use ffmpeg::{Dictionary, Packet, Stream, codec, ffi, format::context::Input, media, packet::Mut};
use ffmpeg_next as ffmpeg;

use crate::{Limits, MediaError, Rational, error::check, log};

/// Demuxers that read one media file and nothing else. Playlists, scripts and image patterns, which can make FFmpeg
/// open other files, are left out on purpose.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,nut,ivf,\
                       mp3,wav,flac,aac,ac3,eac3,w64,aiff,amr,caf";
const PROBE_BYTES: &str = "33554432";
const ANALYZE_US: &str = "10000000";
const MILLISECOND: Rational = Rational { num: 1, den: 1000 };

/// Which clock an MP4 is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timeline {
    /// The media's own clock: every stored picture, edit lists ignored.
    Media,
    /// What a player shows: edit lists honoured, hidden pictures flagged.
    Presented,
}

/// One open file, positioned at the packets of its video stream.
pub(crate) struct Demuxer {
    input: Input,
    stream_index: usize,
    path: PathBuf,
    broken_places: u64,
}

impl Demuxer {
    /// Opens `path` literally, whatever characters it holds, and picks its video stream.
    pub(crate) fn open(path: &Path, timeline: Timeline, limits: &Limits) -> Result<Self, MediaError> {
        let mut input = open_input(path, timeline, limits)?;
        let stream_index = video_stream(&input, path)?;
        for (index, mut stream) in input.streams_mut().enumerate() {
            if index != stream_index {
                // SAFETY: the stream belongs to `input`, which is borrowed mutably; `discard` is a plain field.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL }
            }
        }
        Ok(Self { input, stream_index, path: path.to_owned(), broken_places: 0 })
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The video stream.
    /// How long a Matroska header says that the video is: the stream's own statistics, else the whole file's length where the
    /// video is its only stream. Other containers are told by their frame counts, or say nothing that can be relied on.
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

    pub(crate) fn stream(&self) -> Result<Stream<'_>, MediaError> {
        self.input.stream(self.stream_index).ok_or_else(|| MediaError::Damaged {
            path: self.path.clone(),
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
            match outcome {
                Ok(()) if packet.stream() == self.stream_index => return Ok(true),
                Ok(()) => bad_in_a_row = 0,
                Err(ffmpeg::Error::Eof) => return Ok(false),
                Err(error) => {
                    let error = MediaError::ffmpeg("read", Some(&self.path), error);
                    if error.is_transient() {
                        return Err(error);
                    }
                    // A broken stretch: FFmpeg resynchronises on the next call. The ledger counts what is lost.
                    bad_in_a_row += 1;
                    if bad_in_a_row > 100 {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Places read so far where the demuxer found the file broken and went on behind.
    pub(crate) fn broken_places(&self) -> u64 {
        self.broken_places
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
        f.debug_struct("Demuxer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads the next packet of any stream. What the packet held is freed: FFmpeg itself would leave it behind, so that a packet used again
/// would keep the whole file in memory.
pub(crate) fn read_packet(input: &mut Input, packet: &mut Packet) -> Result<(), ffmpeg::Error> {
    // SAFETY: the packet is live and owns what it holds, which is not looked at any more.
    unsafe { ffi::av_packet_unref(packet.as_mut_ptr()) };
    packet.read(input)
}

/// Refuses what needs no demuxer to refuse; returns the size in bytes.
pub(crate) fn check_file(path: &Path, limits: &Limits) -> Result<u64, MediaError> {
    let metadata = fs::metadata(path).map_err(|e| MediaError::io("open", path, e))?;
    if !metadata.is_file() {
        let reason = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(MediaError::NotAVideo { path: path.to_owned(), reason: reason.into() });
    }
    fs::File::open(path).map_err(|e| MediaError::io("open", path, e))?;
    if metadata.len() == 0 {
        return Err(MediaError::Empty { path: path.to_owned() });
    }
    limits.check_bytes(metadata.len())?;
    Ok(metadata.len())
}

/// A path as FFmpeg takes it literally: the `file:` prefix keeps `concat:`, `-`, `%03d` and the like mere characters.
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
        let _ = ffmpeg::init();
        log::install();
    });
}

/// The one place where a file is opened for reading.
pub(crate) fn open_input(path: &Path, timeline: Timeline, limits: &Limits) -> Result<Input, MediaError> {
    quiet_ffmpeg();
    check_file(path, limits)?;
    let url = literal_url(path)?;
    let mut options = Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    options.set("probesize", PROBE_BYTES);
    options.set("analyzeduration", ANALYZE_US);
    options.set("max_streams", &(limits.max_streams.saturating_add(1)).to_string());
    options.set("ignore_editlist", if timeline == Timeline::Media { "1" } else { "0" });

    // SAFETY: `url` is a NUL-terminated string that outlives the call, the dictionary is handed over and whatever
    // avformat_open_input leaves of it is taken back; on failure it frees the context and nulls the pointer.
    let mut input = unsafe {
        let mut context = ptr::null_mut();
        let mut raw_options = options.disown();
        let code = ffi::avformat_open_input(&mut context, url.as_ptr(), ptr::null_mut(), &mut raw_options);
        drop(Dictionary::own(raw_options));
        if code < 0 {
            return Err(not_a_video(path, code));
        }
        Input::wrap(context)
    };
    find_stream_info(&mut input, path, limits)?;
    log::take_demuxer_errors();
    limits.check_streams(input.nb_streams())?;
    Ok(input)
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

fn not_a_video(path: &Path, code: i32) -> MediaError {
    let error = MediaError::ffmpeg("open", Some(path), ffmpeg::Error::from(code));
    match error {
        MediaError::Ffmpeg { message, .. } if ffmpeg::Error::from(code) == ffmpeg::Error::InvalidData => {
            MediaError::NotAVideo {
                path: path.to_owned(),
                reason: format!("no supported format recognises it, or its index is cut off ({message})"),
            }
        }
        MediaError::Ffmpeg { message, .. } => MediaError::NotAVideo {
            path: path.to_owned(),
            reason: format!("its format is not among the accepted ones ({message})"),
        },
        other => other,
    }
}

/// FFmpeg's best video stream that is not a cover picture.
fn video_stream(input: &Input, path: &Path) -> Result<usize, MediaError> {
    let is_film = |s: &Stream<'_>| {
        s.parameters().medium() == media::Type::Video
            && !s.disposition().contains(ffmpeg::format::stream::Disposition::ATTACHED_PIC)
    };
    let best = input.streams().best(media::Type::Video).filter(is_film);
    best.or_else(|| input.streams().find(is_film))
        .map(|s| s.index())
        .ok_or_else(|| MediaError::NoVideoStream { path: path.to_owned(), found: describe_streams(input) })
}

fn describe_streams(input: &Input) -> String {
    let kinds: Vec<_> =
        input.streams().map(|s| format!("{:?}: {}", s.parameters().medium(), codec_name(&s.parameters()))).collect();
    if kinds.is_empty() { "no streams at all".into() } else { kinds.join(", ") }
}

/// FFmpeg's short name of a codec, such as `h264`.
pub(crate) fn codec_name(parameters: &codec::Parameters) -> String {
    // SAFETY: avcodec_get_name returns a static NUL-terminated string for any id.
    unsafe { CStr::from_ptr(ffi::avcodec_get_name((*parameters.as_ptr()).codec_id)) }.to_string_lossy().into_owned()
}

//! Writes a container, packet by packet.

use std::{
    io::{Seek, Write},
    path::{Path, PathBuf},
};

use ffmpeg::{
    Dictionary, Packet, codec, ffi,
    format::context::{Output, StreamIo},
};
use ffmpeg_next as ffmpeg;

use crate::{
    MediaError, Rational,
    demux::{literal_url, quiet_ffmpeg},
    error::check,
    rational::FfmpegRational,
};

/// A container being written. Dropping it without [`Muxer::finish`] leaves an unusable file.
pub(crate) struct Muxer {
    output: Output,
    path: PathBuf,
    is_file: bool,
}

impl Muxer {
    /// A container of FFmpeg's format `name` at `path`, taken literally; an existing file is replaced.
    pub(crate) fn create(path: &Path, name: &std::ffi::CStr) -> Result<Self, MediaError> {
        let url = literal_url(path)?;
        let context = allocate(path, name)?;
        // SAFETY: the context is new, and owned by `Output` from here on, which closes `pb` when it is dropped.
        let mut output = unsafe { Output::wrap(context) };
        // SAFETY: the context has no I/O yet.
        let code = unsafe {
            let raw = output.as_mut_ptr();
            ffi::avio_open(&mut (*raw).pb, url.as_ptr(), ffi::AVIO_FLAG_WRITE)
        };
        check(code, "create", Some(path))?;
        Ok(Self { output, path: path.to_owned(), is_file: true })
    }

    /// A Matroska file with one video stream, whose header is already written.
    pub(crate) fn matroska(
        path: &Path,
        parameters: codec::Parameters,
        source_time_base: Rational,
        tags: Dictionary<'_>,
    ) -> Result<Self, MediaError> {
        let mut muxer = Self::create(path, c"matroska")?;
        muxer.output.set_metadata(tags);
        muxer.begin_matroska(parameters, source_time_base)?;
        Ok(muxer)
    }

    /// The same in memory instead of a file.
    pub(crate) fn matroska_in_memory(
        memory: impl Write + Seek + Send + 'static,
        parameters: codec::Parameters,
        source_time_base: Rational,
    ) -> Result<Self, MediaError> {
        let path = Path::new("chunk.mkv");
        let failed = |error| MediaError::ffmpeg("create", Some(path), error);
        let mut io = StreamIo::from_write_seek(memory).map_err(failed)?;
        let context = allocate(path, c"matroska")?;
        // SAFETY: the context is new, and `io` goes with it to `Output`, which frees the context first.
        let output = unsafe {
            (*context).pb = io.as_mut_ptr();
            Output::wrap_with_custom_io(context, io)
        };
        let mut muxer = Self { output, path: path.to_owned(), is_file: false };
        muxer.begin_matroska(parameters, source_time_base)?;
        Ok(muxer)
    }

    fn begin_matroska(&mut self, parameters: codec::Parameters, source_time_base: Rational) -> Result<(), MediaError> {
        self.add_stream(parameters, source_time_base)?;
        let mut options = Dictionary::new();
        // A chunk's SHA-256 is in the manifest; a sum in every cluster took a third of the time of cutting.
        options.set("write_crc32", "0");
        self.write_header(options)
    }

    /// Adds a stream that copies packets coded as `parameters`; returns its index.
    pub(crate) fn add_stream(
        &mut self,
        parameters: codec::Parameters,
        time_base: Rational,
    ) -> Result<usize, MediaError> {
        // SAFETY: the context is live; a null codec is allowed; the stream that comes back belongs to the context, and
        // its codec parameters are allocated. The tag is cleared so that the muxer picks the one its format knows.
        unsafe {
            let stream = ffi::avformat_new_stream(self.output.as_mut_ptr(), std::ptr::null());
            if stream.is_null() {
                return Err(self.error("add a stream to", ffmpeg::Error::Other { errno: ffmpeg::util::error::ENOMEM }));
            }
            let code = ffi::avcodec_parameters_copy((*stream).codecpar, parameters.as_ptr());
            check(code, "add a stream to", Some(&self.path))?;
            (*(*stream).codecpar).codec_tag = 0;
            (*stream).time_base = time_base.to_ffmpeg();
            Ok((*stream).index as usize)
        }
    }

    /// Sets the shape of a stream's pixels. Call it before the header is written. The pictures are upright, so there is
    /// no display matrix.
    pub(crate) fn set_pixel_shape(&mut self, stream: usize, shape: Rational) {
        let Some(mut stream) = self.output.stream_mut(stream) else { return };
        // SAFETY: the stream is live and has codec parameters; both are plain fields.
        unsafe {
            let raw = stream.as_mut_ptr();
            (*raw).sample_aspect_ratio = shape.to_ffmpeg();
            (*(*raw).codecpar).sample_aspect_ratio = shape.to_ffmpeg();
        }
    }

    /// Sets the time of recording. Call it before the header is written.
    pub(crate) fn set_creation_time(&mut self, time: &str) {
        let mut tags = Dictionary::new();
        tags.set("creation_time", time);
        self.output.set_metadata(tags);
    }

    /// Writes the header. Options that the muxer does not know are ignored.
    pub(crate) fn write_header(&mut self, options: Dictionary<'_>) -> Result<(), MediaError> {
        match self.output.write_header_with(options).map(drop) {
            Ok(()) => Ok(()),
            Err(ffmpeg::Error::InvalidData | ffmpeg::Error::Other { errno: 22 }) => Err(MediaError::Unsupported {
                reason: "the output container cannot hold one of the codecs; re-encode the source".into(),
            }),
            Err(error) => Err(self.error("write the header of", error)),
        }
    }

    /// Seconds per tick that the container chose for a stream.
    pub(crate) fn time_base(&self, stream: usize) -> Rational {
        let fallback = Rational::of(1, 1000);
        self.output.stream(stream).map_or(fallback, |s| Rational::from_ffmpeg(s.time_base().into(), fallback))
    }

    /// Writes a packet of stream 0, as it is.
    pub(crate) fn write(&mut self, mut packet: Packet) -> Result<(), MediaError> {
        packet.set_stream(0);
        packet.set_position(-1);
        packet.write(&mut self.output).map(|_| ()).map_err(|error| self.error("write", error))
    }

    /// Writes a packet of the stream that it names. The muxer orders the streams by time.
    pub(crate) fn write_interleaved(&mut self, mut packet: Packet) -> Result<(), MediaError> {
        packet.set_position(-1);
        packet.write_interleaved(&mut self.output).map_err(|error| self.error("write", error))
    }

    /// Completes the file. If the disk is full, this fails at the latest.
    pub(crate) fn finish(mut self) -> Result<(), MediaError> {
        self.output.write_trailer().map_err(|error| self.error("finish", error))?;
        if !self.is_file {
            return Ok(());
        }
        // SAFETY: `pb` is the context's own I/O; closing nulls it, so that dropping the context does not close it again.
        let code = unsafe { ffi::avio_closep(&mut (*self.output.as_mut_ptr()).pb) };
        check(code, "close", Some(&self.path)).map(|_| ())
    }

    fn error(&self, operation: &'static str, error: ffmpeg::Error) -> MediaError {
        MediaError::ffmpeg(operation, Some(&self.path), error)
    }
}

/// A new context for a container of that format. It writes no random ids and no version strings, so the same input
/// gives the same bytes.
fn allocate(path: &Path, name: &std::ffi::CStr) -> Result<*mut ffi::AVFormatContext, MediaError> {
    quiet_ffmpeg();
    let url = literal_url(path)?;
    let mut context = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, which gives a live context or an error.
    unsafe {
        let code = ffi::avformat_alloc_output_context2(&mut context, std::ptr::null(), name.as_ptr(), url.as_ptr());
        check(code, "create", Some(path))?;
        (*context).flags |= ffi::AVFMT_FLAG_BITEXACT;
        (*context).avoid_negative_ts = 0;
    }
    Ok(context)
}

impl std::fmt::Debug for Muxer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Muxer").field("path", &self.path).finish_non_exhaustive()
    }
}

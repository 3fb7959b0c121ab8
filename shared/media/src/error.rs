//! Why a video was refused or could not be processed.

use std::{
    io,
    path::{Path, PathBuf},
};

use ffmpeg_next as ffmpeg;

/// What went wrong. [`MediaError::is_transient`] says whether trying again can help.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file is no media file of a supported format.
    #[error("{path:?} is not a video: {reason}. Upload an MP4, MOV, MKV, WebM, AVI or MPEG-TS file")]
    NotAVideo {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file has no bytes.
    #[error("{path:?} is empty (0 bytes); the upload probably broke off. Upload it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A media file without moving pictures; a cover image does not count.
    #[error("{path:?} has no video stream ({found}); only files with moving pictures can be tracked")]
    NoVideoStream {
        /// The file.
        path: PathBuf,
        /// What the file holds instead.
        found: String,
    },
    /// There is a video stream, but no picture of it can be decoded.
    #[error("no picture of {path:?} can be decoded (codec {codec}): {reason}")]
    NoDecodableFrame {
        /// The file.
        path: PathBuf,
        /// The codec's short name.
        codec: String,
        /// What the decoder met.
        reason: String,
    },
    /// A bound of [`crate::Limits`] is exceeded.
    #[error(
        "{what} is {value}, more than the limit of {bound}; shorten or shrink the video, or raise the limit in TRACKDROP_LIMITS"
    )]
    LimitExceeded {
        /// What was measured, with its unit.
        what: &'static str,
        /// The value found.
        value: u64,
        /// The bound it exceeds.
        bound: u64,
    },
    /// The file is broken in a way that leaves nothing to work on.
    #[error("{path:?} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is broken.
        reason: String,
    },
    /// A valid file that this library does not handle.
    #[error("not supported: {reason}")]
    Unsupported {
        /// What it is, and what to do about it.
        reason: String,
    },
    /// Two things that belong together do not agree, such as a chunk and its description.
    #[error("inconsistent input: {reason}")]
    Mismatch {
        /// Which two, and how they differ.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("could not {operation} {path:?}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the device while writing {path:?}; free some space and try again")]
    OutOfSpace {
        /// The file being written.
        path: PathBuf,
    },
    /// FFmpeg failed in a way that has no better name.
    #[error("FFmpeg could not {operation}{}: {message}", path.as_ref().map(|p| format!(" {p:?}")).unwrap_or_default())]
    Ffmpeg {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// FFmpeg's message.
        message: String,
    },
}

impl MediaError {
    /// Whether trying again can help: I/O trouble and a full disk pass, bad input stays bad.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::OutOfSpace { .. })
    }

    /// Names the operation and file of an operating-system error.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::OutOfSpace { path: path.to_owned() };
        }
        Self::Io { operation, path: path.to_owned(), source }
    }

    /// Sorts an FFmpeg error: errors of the operating system become [`MediaError::Io`], the rest keeps its message.
    pub(crate) fn ffmpeg(operation: &'static str, path: Option<&Path>, error: ffmpeg::Error) -> Self {
        use ffmpeg::util::error::{EACCES, EIO, EMFILE, ENFILE, ENOENT, ENOSPC, EROFS, ETIMEDOUT};
        match (error, path) {
            (ffmpeg::Error::Other { errno }, Some(path)) if errno == ENOSPC => {
                Self::OutOfSpace { path: path.to_owned() }
            }
            (ffmpeg::Error::Other { errno }, Some(path))
                if [EIO, EACCES, ENOENT, EROFS, EMFILE, ENFILE, ETIMEDOUT].contains(&errno) =>
            {
                Self::io(operation, path, io::Error::from_raw_os_error(errno))
            }
            _ => Self::Ffmpeg { operation, path: path.map(Path::to_owned), message: error.to_string() },
        }
    }
}

/// Turns a negative FFmpeg return code into an error.
pub(crate) fn check(code: i32, operation: &'static str, path: Option<&Path>) -> Result<i32, MediaError> {
    if code < 0 { Err(MediaError::ffmpeg(operation, path, ffmpeg::Error::from(code))) } else { Ok(code) }
}

//! Why a video was refused or could not be processed.

use std::{
    io,
    path::{Path, PathBuf},
};

use ffmpeg_next as ffmpeg;

/// What went wrong. [`MediaError::is_transient`] says whether another attempt can succeed.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file is no media file of a supported format.
    #[error("{} is not a video: {reason}. Provide an MP4, MOV, MKV, WebM, AVI or MPEG-TS file", Shown(path))]
    NotAVideo {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file has no bytes.
    #[error("{} is empty (0 bytes); a copy or upload probably broke off. Provide the file again", Shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A media file without moving pictures; a cover image does not count.
    #[error("{} has no video stream ({found}); only files with moving pictures can be tracked", Shown(path))]
    NoVideoStream {
        /// The file.
        path: PathBuf,
        /// What the file holds instead.
        found: String,
    },
    /// The pictures are encrypted, and there is no key.
    #[error(
        "{} is encrypted ({how}): its pictures can't be seen. Decrypt it, or provide the recording without copy protection",
        Shown(path)
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
        /// How that is known.
        how: String,
    },
    /// FFmpeg knows no decoder for the video stream.
    #[error(
        "{} has video of the codec {codec}, for which the FFmpeg in use has no decoder; re-encode it with one that has, for instance \
         `ffmpeg -i FILE -c:v libx264 -crf 18 -c:a copy OUT.mkv`",
        Shown(path)
    )]
    NoDecoder {
        /// The file.
        path: PathBuf,
        /// The codec's short name, or what the container calls it.
        codec: String,
    },
    /// There is a video stream, but none of its pictures can be decoded.
    #[error("no picture of {} can be decoded (codec {codec}): {reason}", Shown(path))]
    NoDecodableFrame {
        /// The file.
        path: PathBuf,
        /// The codec's short name.
        codec: String,
        /// The decoder's reason.
        reason: String,
    },
    /// A bound of [`crate::Limits`] is exceeded.
    #[error(
        "{what} is {value}, more than the limit of {bound}; shorten or shrink the video, or raise the limit ({setting} in TRACKDROP_LIMITS)"
    )]
    LimitExceeded {
        /// The bound's name in [`crate::Limits`].
        setting: &'static str,
        /// What was measured, with its unit.
        what: &'static str,
        /// The value found.
        value: u64,
        /// The bound it exceeds.
        bound: u64,
    },
    /// The file is broken in a way that leaves nothing to work on.
    #[error("{} is damaged: {reason}", Shown(path))]
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
    #[error("could not {operation} {}: {source}", Shown(path))]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the device while writing {}; free some space and try again", Shown(path))]
    OutOfSpace {
        /// The file being written.
        path: PathBuf,
    },
    /// FFmpeg failed in a way that has no better name.
    #[error("FFmpeg could not {operation}{}: {message}", path.as_ref().map(|p| format!(" {}", Shown(p))).unwrap_or_default())]
    Ffmpeg {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// FFmpeg's message.
        message: String,
    },
}

/// A path as messages show it. The folder of a temporary file is of no use to readers.
pub(crate) struct Shown<'a>(pub &'a Path);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_temporary = self.0.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
        if is_temporary { f.write_str("a temporary file") } else { write!(f, "{:?}", self.0) }
    }
}

impl MediaError {
    /// Whether another attempt can succeed. It can after I/O errors and after a full disk. It can't with bad input, nor
    /// if the source says that it can't return the bytes ([`io::ErrorKind::Unsupported`]).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() != io::ErrorKind::Unsupported,
            Self::OutOfSpace { .. } => true,
            _ => false,
        }
    }

    /// Names the operation and file of an operating-system error.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::OutOfSpace { path: path.to_owned() };
        }
        Self::Io { operation, path: path.to_owned(), source }
    }

    /// Converts an FFmpeg error. Errors of the operating system become [`MediaError::Io`], and all others have FFmpeg's
    /// message.
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
            // FFmpeg's text for this error, "Invalid argument", names an argument that no user gave.
            (ffmpeg::Error::Other { errno: ffmpeg::util::error::EINVAL }, _) => Self::Ffmpeg {
                operation,
                path: path.map(Path::to_owned),
                message: "it does not take what it is given, and says no more".into(),
            },
            _ => Self::Ffmpeg { operation, path: path.map(Path::to_owned), message: error.to_string() },
        }
    }
}

/// Turns a negative FFmpeg return code into an error.
pub(crate) fn check(code: i32, operation: &'static str, path: Option<&Path>) -> Result<i32, MediaError> {
    if code < 0 { Err(MediaError::ffmpeg(operation, path, ffmpeg::Error::from(code))) } else { Ok(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_temporary_path_or_an_argument_that_nobody_gave() {
        let error = MediaError::ffmpeg(
            "write",
            Some(Path::new("/data/scratch/.tmpx1Yz.mkv")),
            ffmpeg::Error::Other { errno: ffmpeg::util::error::EINVAL },
        );
        let text = error.to_string();
        assert!(text.starts_with("FFmpeg could not write a temporary file: "), "{text}");
        assert!(!text.contains("Invalid argument") && !text.contains("scratch"), "{text}");
        let text = MediaError::Empty { path: "clip.mp4".into() }.to_string();
        assert!(text.starts_with("\"clip.mp4\" is empty"), "{text}");
    }
}

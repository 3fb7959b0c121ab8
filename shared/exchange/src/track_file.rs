//! A file of tracks that exists only when it is complete.

use crate::{
    behind::Behind,
    error::ExchangeError,
    retrack::TrackSink,
    track_parquet::ParquetSink,
    track_text::{TextFormat, TextSink},
};
use std::{
    fmt,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::{Builder, NamedTempFile};
use trackdrop_tracker::Track;

/// Tracks into a file, in the format of its ending: `.csv`, `.txt` (MOTChallenge) or `.parquet`.
///
/// The file gets its name in [`finish`](TrackSink::finish), which replaces an older one; without that nothing is left.
pub struct TrackFile {
    path: PathBuf,
    sink: Box<dyn TrackSink>,
    /// `None` once it has its name.
    pending: Option<NamedTempFile>,
}

impl fmt::Debug for TrackFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TrackFile {
    /// Starts a file. `is_refined` says that rows may be added to those of the tracker, so that the file must distinguish them.
    ///
    /// # Errors
    /// The ending is none of the three, or the folder does not exist or take a file.
    pub fn create(path: &Path, is_refined: bool) -> Result<Self, ExchangeError> {
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Some(TextFormat::Csv),
            Some("txt") => Some(TextFormat::MotChallenge),
            Some("parquet") => None,
            _ => return Err(ExchangeError::UnknownEnding { path: path.into() }),
        };
        // What a link points to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let start = || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut builder = Builder::new();
            builder.prefix(".tracks-").permissions(Permissions::from_mode(0o666)); // Less the umask, as any new file.
            let pending = builder.tempfile_in(folder)?;
            let out = Behind::new(pending.as_file().try_clone()?);
            let sink: Box<dyn TrackSink> = match format {
                Some(format) => Box::new(TextSink::new(out, format, is_refined)),
                None => Box::new(ParquetSink::new(out, is_refined)?),
            };
            Ok((pending, sink))
        };
        let (pending, sink) = start().map_err(|error| ExchangeError::Write(with_path(&path, error)))?;
        Ok(Self { path, sink, pending: Some(pending) })
    }
}

impl TrackSink for TrackFile {
    fn frame(&mut self, number: u32, tracks: &[Track], added: &[Track]) -> io::Result<()> {
        self.sink.frame(number, tracks, added).map_err(|error| with_path(&self.path, error))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.sink.finish().map_err(|error| with_path(&self.path, error))?;
        match self.pending.take() {
            Some(pending) => pending.persist(&self.path).map(drop).map_err(|error| with_path(&self.path, error.error)),
            None => Ok(()),
        }
    }
}

fn with_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

//! Every export by name: a format of a file, or an archive of such files.

use super::{ExportError, VideoMeta, export, export_mot_ground_truth};
use std::{
    borrow::Borrow,
    fmt,
    io::{self, Write},
    path::Path,
    str::FromStr,
};
use trackdrop_pipeline::export_format::{ExportFormat, UnknownFormat};
use trackdrop_tables::{TableError, tracks::TrackRow};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// How the archive is called.
const CVAT_MOT: &str = "cvat-mot";

/// What tracks can be exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportChoice {
    /// A file.
    File(ExportFormat),
    /// CVAT's "MOT 1.1": a ZIP archive of `gt/gt.txt` and `gt/labels.txt`.
    CvatMot,
}

impl ExportChoice {
    /// Every choice.
    pub fn all() -> impl Iterator<Item = Self> {
        ExportFormat::ALL.into_iter().map(Self::File).chain([Self::CvatMot])
    }

    /// Its name, in commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File(format) => format.name(),
            Self::CvatMot => CVAT_MOT,
        }
    }

    /// The usual name of its file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::File(format) => format.file_name(),
            Self::CvatMot => "cvat-mot.zip",
        }
    }

    /// The MIME type of its file.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::File(format) => format.content_type(),
            Self::CvatMot => "application/zip",
        }
    }

    /// Writes the rows, which come in frame order, as [`export`] does.
    ///
    /// # Errors
    /// As [`export`].
    pub fn write<R: Borrow<TrackRow>>(
        self,
        meta: &VideoMeta,
        rows: impl IntoIterator<Item = Result<R, TableError>>,
        scratch: &Path,
        out: impl Write,
    ) -> Result<(), ExportError> {
        match self {
            Self::File(format) => export(format, meta, rows, scratch, out),
            Self::CvatMot => cvat_mot(meta, rows, out),
        }
    }
}

/// The archive that CVAT imports as "MOT 1.1", whose bytes depend on the rows only.
fn cvat_mot<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl IntoIterator<Item = Result<R, TableError>>,
    out: impl Write,
) -> Result<(), ExportError> {
    // Of any size, and of the time 0 of archives.
    let options = SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .large_file(true);
    let mut archive = ZipWriter::new_stream(out);
    archive.start_file("gt/gt.txt", options).map_err(io::Error::from)?;
    let labels = export_mot_ground_truth(meta, rows, &mut archive)?;
    archive.start_file("gt/labels.txt", options).map_err(io::Error::from)?;
    for label in labels {
        writeln!(archive, "{label}")?;
    }
    Ok(archive.finish().map_err(io::Error::from)?.flush()?)
}

impl fmt::Display for ExportChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`ExportChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or {CVAT_MOT}")]
pub struct UnknownChoice(#[from] UnknownFormat);

impl FromStr for ExportChoice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        match name {
            CVAT_MOT => Ok(Self::CvatMot),
            _ => Ok(Self::File(name.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_choice_is_read_by_its_name_and_has_a_file_of_its_own() {
        for choice in ExportChoice::all() {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        let files: BTreeSet<_> = ExportChoice::all().map(ExportChoice::file_name).collect();
        assert_eq!(files.len(), ExportFormat::ALL.len() + 1);
        let said = "yolo".parse::<ExportChoice>().unwrap_err().to_string();
        assert!(said.contains("yolo") && said.ends_with("rekognition-persons, or cvat-mot"), "{said}");
    }
}

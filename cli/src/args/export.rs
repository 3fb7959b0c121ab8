//! What `--format` of `trackdrop export` takes.

use std::str::FromStr;
use trackdrop_exchange::ExportFormat;

/// What `--format` takes: a file's format, or an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportChoice {
    /// A file.
    File(ExportFormat),
    /// CVAT's "MOT 1.1": a ZIP archive of `gt/gt.txt` and `gt/labels.txt`.
    CvatMot,
}

/// How the archive is called.
const CVAT_MOT: &str = "cvat-mot";

impl FromStr for ExportChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.parse() {
            _ if name == CVAT_MOT => Ok(Self::CvatMot),
            Ok(format) => Ok(Self::File(format)),
            Err(error) => Err(format!("{error}, or {CVAT_MOT}")),
        }
    }
}

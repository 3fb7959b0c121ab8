//! One JSON object a line.

use super::{ExportError, VideoMeta, record::Record};
use std::{
    borrow::Borrow,
    io::{self, Write},
};
use trackdrop_tables::tracks::TrackRow;

pub(super) fn write<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    for row in rows {
        serde_json::to_writer(&mut *out, &Record::new(meta, row?.borrow())).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

//! Comma-separated values with a header, quoted as in RFC 4180 where a class name needs it.

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
    // The header is there without a row, too, which serde's would not be.
    let mut out = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    out.write_record(Record::COLUMNS).map_err(io::Error::from)?;
    for row in rows {
        out.serialize(Record::new(meta, row?.borrow())).map_err(io::Error::from)?;
    }
    Ok(out.flush()?)
}

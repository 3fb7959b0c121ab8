//! MOTChallenge text.
//!
//! <https://motchallenge.net/instructions/>: frames and ids from 1. That page calls boxes 1-based, too; but trackers, detectors
//! and TrackEval write and read plain pixel coordinates, and so do we. See the README for readers that subtract 1.

use super::{ExportError, tlwh};
use crate::track_text::{MOT_ENDING, push_line};
use std::{borrow::Borrow, io::Write};
use trackdrop_tables::tracks::TrackRow;

pub(super) fn write<R: Borrow<TrackRow>>(
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut line = Vec::new();
    for row in rows {
        let row = row?;
        let row = row.borrow();
        line.clear();
        push_line(&mut line, row.frame_index + 1, row.track_id, tlwh(row), row.score, MOT_ENDING);
        out.write_all(&line)?;
    }
    Ok(())
}

//! MOTChallenge text.
//!
//! <https://motchallenge.net/instructions/>: frames and ids from 1. That page calls boxes 1-based, too; but trackers, detectors
//! and TrackEval write and read plain pixel coordinates, and so do we. See the README for readers that subtract 1.

use super::{ExportError, tlwh};
use crate::track_text::{MOT_ENDING, push_box, push_line};
use std::{borrow::Borrow, collections::HashMap, io::Write};
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

/// MOTChallenge ground truth as CVAT's "MOT 1.1" and datumaro read and write it: `frame,id,x,y,w,h,1,class,visibility`. Gives the names of the
/// classes for `labels.txt`; a class is the line there, from 1, in the order in which they appear.
///
/// Visibility is 1, and 0 in rows that were not observed: both readers take 0 for occluded.
pub(super) fn write_ground_truth<R: Borrow<TrackRow>>(
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<Vec<String>, ExportError> {
    let (mut line, mut labels, mut number_of) = (Vec::new(), Vec::new(), HashMap::new());
    for row in rows {
        let row = row?;
        let row = row.borrow();
        let class = *number_of.entry(row.class_id).or_insert_with(|| {
            labels.push(one_line(&row.class_name));
            labels.len()
        });
        line.clear();
        push_box(&mut line, row.frame_index + 1, row.track_id, tlwh(row));
        writeln!(line, ",1,{class},{}", u8::from(row.observed))?;
        out.write_all(&line)?;
    }
    Ok(labels)
}

/// A name as a line of its own: readers take off what is white at its ends.
fn one_line(name: &str) -> String {
    name.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

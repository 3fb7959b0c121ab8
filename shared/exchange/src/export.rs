//! The tracks of a request in the formats of other tools.

mod coco;
mod csv;
mod cvat;
mod mot;
mod ndjson;
mod record;

use std::{
    borrow::Borrow,
    fmt,
    io::{self, BufWriter, Write},
    str::FromStr,
};
use trackdrop_pipeline::Rational;
use trackdrop_tables::tracks::TrackRow;

/// A format of another tool. Boxes are in pixels of the source, with the origin in its upper left corner.
///
/// | format | frames from | box | ids |
/// |---|---|---|---|
/// | MOTChallenge | 1 | left, top, width, height | track id |
/// | COCO | 0 (`frame_index`, `frame_id`); image `id` from 1 | left, top, width, height | track id; category = class + 1 |
/// | CVAT | 0 | left, top, right, bottom | track id; label = class name |
/// | CSV, NDJSON | 0 | left, top, right, bottom | as in `tracks.parquet` |
///
/// Every number is the shortest that reads back as the same `f32`; widths and heights are differences in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// MOTChallenge text: `frame,id,x,y,w,h,score,-1,-1,-1`. Classes are left out.
    MotChallenge,
    /// COCO JSON with `videos`, and `track_id` in the annotations.
    CocoVideo,
    /// CVAT for video 1.1, XML. All rows are held in memory, since CVAT wants them by track.
    CvatVideo,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::MotChallenge, Self::CocoVideo, Self::CvatVideo, Self::Csv, Self::Ndjson];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MotChallenge => "mot",
            Self::CocoVideo => "coco",
            Self::CvatVideo => "cvat",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The usual ending of its files, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::MotChallenge => "txt",
            Self::CocoVideo => "json",
            Self::CvatVideo => "xml",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A name that is no [`ExportFormat`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a format: expected mot, coco, cvat, csv or ndjson")]
pub struct UnknownFormat(String);

/// What the formats want to know about the video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoMeta {
    /// File name.
    pub name: String,
    /// Width of a frame, px.
    pub width: u32,
    /// Height of a frame, px.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: Rational,
    /// Frames in the whole video, also those without a track.
    pub frame_count: u64,
    /// Seconds a tick of PTS.
    pub time_base: Rational,
    /// The PTS of the presentation's time 0.
    pub origin_pts: i64,
}

impl VideoMeta {
    fn time_s(&self, row: &TrackRow) -> f64 {
        self.time_base.seconds(row.pts - self.origin_pts)
    }
}

/// Rows that can't be exported, or an output that can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The output failed.
    #[error("cannot write the export: {0}")]
    Io(#[from] io::Error),
    /// The row lies outside the video: rows and video do not belong together.
    #[error("track {track_id} has a row in frame_index {frame_index}, but the video has {frame_count} frames, from 0")]
    NoSuchFrame {
        /// Index from 0, as in the row.
        frame_index: i64,
        /// As in the row.
        track_id: i64,
        /// Frames of the video.
        frame_count: u64,
    },
    /// A coordinate or score is NaN or infinite, which JSON cannot hold and no tool expects.
    #[error("track {track_id}, frame_index {frame_index}: a coordinate or the score is not a finite number")]
    NotFinite {
        /// Index from 0, as in the row.
        frame_index: i64,
        /// As in the row.
        track_id: i64,
    },
    /// A track has two boxes in one frame.
    #[error("track {track_id} has two rows in frame_index {frame_index}")]
    TwiceInFrame {
        /// Index from 0, as in the rows.
        frame_index: i64,
        /// As in the rows.
        track_id: i64,
    },
}

/// Writes the rows, which come in frame order, in a format. `out` needs no buffer; it is flushed.
///
/// # Errors
/// A row outside the video or with a value that is not finite; a track twice in a frame (found by CVAT only); or `out`
/// fails. What was written by then is no complete file.
pub fn export<R: Borrow<TrackRow>>(
    format: ExportFormat,
    meta: &VideoMeta,
    rows: impl IntoIterator<Item = R>,
    out: impl Write,
) -> Result<(), ExportError> {
    let mut out = BufWriter::with_capacity(1 << 18, out);
    let rows = rows.into_iter().map(|row| checked(meta, row));
    match format {
        ExportFormat::MotChallenge => mot::write(rows, &mut out)?,
        ExportFormat::CocoVideo => coco::write(meta, rows, &mut out)?,
        ExportFormat::CvatVideo => cvat::write(meta, rows, &mut out)?,
        ExportFormat::Csv => csv::write(meta, rows, &mut out)?,
        ExportFormat::Ndjson => ndjson::write(meta, rows, &mut out)?,
    }
    Ok(out.flush()?)
}

fn checked<R: Borrow<TrackRow>>(meta: &VideoMeta, row: R) -> Result<R, ExportError> {
    let TrackRow { frame_index, track_id, bbox, score, .. } = *row.borrow();
    if u64::try_from(frame_index).is_ok_and(|index| index < meta.frame_count) {
        let finite = bbox.iter().chain([&score]).all(|value| value.is_finite());
        return finite.then_some(row).ok_or(ExportError::NotFinite { frame_index, track_id });
    }
    Err(ExportError::NoSuchFrame { frame_index, track_id, frame_count: meta.frame_count })
}

/// Left, top, width and height.
fn tlwh(row: &TrackRow) -> [f32; 4] {
    let [x1, y1, x2, y2] = row.bbox;
    [x1, y1, x2 - x1, y2 - y1]
}

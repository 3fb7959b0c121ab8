//! The tracks of a request in the formats of other tools. Boxes are in pixels of the source, with the origin in its upper left corner.
//!
//! | format | frames from | box | ids |
//! |---|---|---|---|
//! | MOTChallenge, and its ground truth | 1 | left, top, width, height | track id |
//! | COCO | 0 (`frame_index`, `frame_id`); image `id` from 1 | left, top, width, height | track id; category = class + 1 |
//! | CVAT | 0 | left, top, right, bottom | track id; label = class name |
//! | CSV, NDJSON | 0 | left, top, right, bottom | as in `tracks.parquet` |
//! | Video Intelligence | time in nanoseconds | left, top, right, bottom as fractions of the picture's sides, clipped to it | one annotation a track, in the order of track ids |
//! | the same, streaming | time in nanoseconds | the same | `trackId` = track id |
//! | Rekognition | time in milliseconds | left, top, width, height as fractions of the picture's sides, clipped to it | `Index` = track id |
//!
//! Every number is the shortest that reads back as the same `f32`; widths and heights are differences in `f32`.

mod by_track;
#[cfg(feature = "archive")]
mod choice;
mod coco;
mod csv;
mod cvat;
mod mot;
mod ndjson;
mod record;
mod rekognition;
mod video_intelligence;

#[cfg(feature = "archive")]
pub use choice::{ExportChoice, UnknownChoice};
use serde::Serialize;
use std::{
    borrow::Borrow,
    io::{self, BufWriter, Write},
    path::Path,
};
use trackdrop_pipeline::{ExportFormat, Manifest, Rational, manifest::VideoInfo};
use trackdrop_tables::{TableError, tracks::TrackRow};

/// What the formats want to know about the video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoMeta {
    /// The request's id.
    pub request: String,
    /// Path of the upload, with its bucket's role: `uploads/clip.mp4`.
    pub uri: String,
    /// File name.
    pub name: String,
    /// Container format, as FFmpeg calls it.
    pub container: String,
    /// Codec of the video stream, as FFmpeg calls it.
    pub codec: String,
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
    /// End of the shown interval, exclusive, as a PTS.
    pub end_pts: i64,
}

impl VideoMeta {
    /// Of a planned request; `name` is the upload's.
    #[must_use]
    pub fn new(manifest: &Manifest, video: &VideoInfo, name: String) -> Self {
        Self {
            request: manifest.request_id.to_string(),
            uri: manifest.source.uri.clone(),
            name,
            container: video.container.clone(),
            codec: video.codec.clone(),
            width: video.width_px,
            height: video.height_px,
            frame_rate: video.frame_rate,
            frame_count: video.frame_count,
            time_base: video.time_base,
            origin_pts: video.origin_pts,
            end_pts: video.end_pts,
        }
    }

    /// A PTS on the presentation's clock, in units of which a second has this many, rounded to the nearest.
    fn time_in(&self, pts: i64, units_a_second: i128) -> i128 {
        let ticks = i128::from(pts) - i128::from(self.origin_pts);
        let (scaled, den) =
            (ticks * i128::from(self.time_base.num()) * units_a_second, i128::from(self.time_base.den()));
        (2 * scaled + den).div_euclid(2 * den)
    }

    /// Left, top, right and bottom as fractions of the picture's sides, from 0 to 1: what is beyond its edges is cut off.
    fn ltrb_of_picture(&self, row: &TrackRow) -> [f32; 4] {
        let part = |edge: f32, whole: u32| (f64::from(edge) / f64::from(whole.max(1))).clamp(0.0, 1.0) as f32;
        let [x1, y1, x2, y2] = row.bbox;
        [part(x1, self.width), part(y1, self.height), part(x2, self.width), part(y2, self.height)]
    }

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
    /// The rows can't be read.
    #[error("the tracks can't be read: {0}")]
    Table(#[from] TableError),
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

/// Writes the rows, which come in frame order, in a format. `out` needs no buffer; it is flushed. What is held does not grow with the rows, but
/// for CVAT's; where a format wants them by track, they are sorted in temporary files in `scratch`, of 44 bytes a row.
///
/// # Errors
/// A row that can't be read, is outside the video or has a value that is not finite; a track twice in a frame (found by the formats that go by
/// track); or `out` or `scratch` fails. What was written by then is no complete file.
pub fn export<R: Borrow<TrackRow>>(
    format: ExportFormat,
    meta: &VideoMeta,
    rows: impl IntoIterator<Item = Result<R, TableError>>,
    scratch: &Path,
    out: impl Write,
) -> Result<(), ExportError> {
    let mut out = BufWriter::with_capacity(1 << 18, out);
    let rows = rows.into_iter().map(|row| checked(meta, row?));
    match format {
        ExportFormat::MotChallenge => mot::write(rows, &mut out)?,
        ExportFormat::CocoVideo => coco::write(meta, rows, &mut out)?,
        ExportFormat::CvatVideo => cvat::write(meta, rows, &mut out)?,
        ExportFormat::Csv => csv::write(meta, rows, &mut out)?,
        ExportFormat::Ndjson => ndjson::write(meta, rows, &mut out)?,
        ExportFormat::VideoIntelligence => video_intelligence::write(meta, rows, scratch, &mut out)?,
        ExportFormat::VideoIntelligenceStreaming => video_intelligence::write_streaming(meta, rows, &mut out)?,
        ExportFormat::RekognitionPersons => rekognition::write(meta, rows, &mut out)?,
    }
    Ok(out.flush()?)
}

/// Writes the rows, which come in frame order, as MOTChallenge ground truth with classes (`gt/gt.txt`), and gives the lines of `gt/labels.txt`: CVAT's
/// format "MOT 1.1" is an archive of these two. `out` needs no buffer; it is flushed.
///
/// # Errors
/// As [`export`].
pub fn export_mot_ground_truth<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl IntoIterator<Item = Result<R, TableError>>,
    out: impl Write,
) -> Result<Vec<String>, ExportError> {
    let mut out = BufWriter::with_capacity(1 << 18, out);
    let labels = mot::write_ground_truth(rows.into_iter().map(|row| checked(meta, row?)), &mut out)?;
    out.flush()?;
    Ok(labels)
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

fn json(out: &mut impl Write, value: &impl Serialize) -> Result<(), ExportError> {
    Ok(serde_json::to_writer(out, value).map_err(io::Error::from)?)
}

//! The answers of Google's Video Intelligence API.
//!
//! JSON of the messages `AnnotateVideoResponse` of `google.cloud.videointelligence.v1` and `StreamingAnnotateVideoResponse` of `v1p3beta1`
//! (<https://cloud.google.com/video-intelligence/docs/reference/rpc>), by protobuf's JSON mapping: a `Duration`
//! is text, 64-bit integers are text, and what has its default value may be left out. `segment` and `track_id` of an annotation are one `oneof`
//! there: an annotation of a file has the segment, one of a stream the track id, and one with both is no message at all.

use super::{
    ExportError, VideoMeta,
    by_track::{ByTrack, KeptRow},
    json,
};
use serde::{Serialize, Serializer};
use std::{borrow::Borrow, io::Write, path::Path};
use trackdrop_tables::tracks::TrackRow;

/// Nanoseconds, written as a `Duration` is: with no decimals, three, six or nine.
struct Offset(i128);

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (seconds, nanos) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        to.collect_str(&match (nanos, nanos % 1_000_000, nanos % 1_000) {
            (0, ..) => format!("{sign}{seconds}s"),
            (_, 0, _) => format!("{sign}{seconds}.{:03}s", nanos / 1_000_000),
            (.., 0) => format!("{sign}{seconds}.{:06}s", nanos / 1_000),
            _ => format!("{sign}{seconds}.{nanos:09}s"),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    start_time_offset: Offset,
    end_time_offset: Offset,
}

#[derive(Serialize)]
struct Entity<'a> {
    description: &'a str,
}

#[derive(Serialize)]
struct NormalizedBoundingBox {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    normalized_bounding_box: NormalizedBoundingBox,
    time_offset: Offset,
}

impl Frame {
    fn new(meta: &VideoMeta, pts: i64, [left, top, right, bottom]: [f32; 4]) -> Self {
        let normalized_bounding_box = NormalizedBoundingBox { left, top, right, bottom };
        Self { normalized_bounding_box, time_offset: offset(meta, pts) }
    }
}

fn offset(meta: &VideoMeta, pts: i64) -> Offset {
    Offset(meta.time_in(pts, 1_000_000_000))
}

/// One `AnnotateVideoResponse`. Streams: a track's confidence, the mean of its scores, follows its frames, since the order of a JSON object's
/// keys is free.
pub(super) fn write<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    scratch: &Path,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut sorted = ByTrack::sort(rows, |row| meta.ltrb_of_picture(row), scratch)?;
    out.write_all(b"{\"annotationResults\":[{\"inputUri\":")?;
    json(out, &format!("/{}", meta.uri))?;
    out.write_all(b",\"segment\":")?;
    json(out, &Segment { start_time_offset: Offset(0), end_time_offset: offset(meta, meta.end_pts) })?;
    out.write_all(b",\"objectAnnotations\":[")?;
    let mut track: Option<Track> = None;
    while let Some(row) = sorted.next()? {
        match &mut track {
            Some(track) if track.id == row.track_id => {
                out.write_all(b",\n")?;
                track.take(&row);
            }
            other => {
                if let Some(ended) = other.replace(Track::begin(&row)) {
                    ended.end(meta, out)?;
                    out.write_all(b",")?;
                }
                out.write_all(b"\n{\"entity\":")?;
                json(out, &Entity { description: sorted.class_of(row.track_id) })?;
                out.write_all(b",\"frames\":[\n")?;
            }
        }
        json(out, &Frame::new(meta, row.pts, row.ltrb))?;
    }
    if let Some(ended) = track {
        ended.end(meta, out)?;
    }
    Ok(out.write_all(b"]}]}\n")?)
}

/// What is said of a track after its frames.
struct Track {
    id: i64,
    first_pts: i64,
    last_pts: i64,
    score_sum: f64,
    rows: u64,
}

impl Track {
    fn begin(row: &KeptRow) -> Self {
        let mut track = Self { id: row.track_id, first_pts: row.pts, last_pts: row.pts, score_sum: 0.0, rows: 0 };
        track.take(row);
        track
    }

    fn take(&mut self, row: &KeptRow) {
        self.last_pts = row.pts;
        self.score_sum += f64::from(row.score);
        self.rows += 1;
    }

    fn end(self, meta: &VideoMeta, out: &mut impl Write) -> Result<(), ExportError> {
        out.write_all(b"],\"segment\":")?;
        json(
            out,
            &Segment { start_time_offset: offset(meta, self.first_pts), end_time_offset: offset(meta, self.last_pts) },
        )?;
        out.write_all(b",\"confidence\":")?;
        json(out, &((self.score_sum / self.rows as f64) as f32))?;
        Ok(out.write_all(b"}")?)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamedAnnotation<'a> {
    track_id: String,
    entity: Entity<'a>,
    confidence: f32,
    frames: [Frame; 1],
}

/// A `StreamingAnnotateVideoResponse` a line: the objects of one frame.
pub(super) fn write_streaming<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut frame = None;
    for row in rows {
        let row = row?;
        let row = row.borrow();
        if frame == Some(row.frame_index) {
            out.write_all(b",")?;
        } else {
            if frame.replace(row.frame_index).is_some() {
                out.write_all(b"]}}\n")?;
            }
            out.write_all(b"{\"annotationResults\":{\"objectAnnotations\":[")?;
        }
        let annotation = StreamedAnnotation {
            track_id: row.track_id.to_string(),
            entity: Entity { description: &row.class_name },
            confidence: row.score,
            frames: [Frame::new(meta, row.pts, meta.ltrb_of_picture(row))],
        };
        json(out, &annotation)?;
    }
    if frame.is_some() {
        out.write_all(b"]}}\n")?;
    }
    Ok(())
}

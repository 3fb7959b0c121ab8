//! The answer of Amazon Rekognition's `GetPersonTracking`.
//!
//! <https://docs.aws.amazon.com/rekognition/latest/APIReference/API_GetPersonTracking.html>: a page has at most 1,000 persons, by time, and the
//! `NextToken` that the next page is asked for with. Here a page is a line, and its token the number of the next line, from 0.

use super::{ExportError, VideoMeta, json};
use serde::Serialize;
use std::{borrow::Borrow, io::Write};
use trackdrop_tables::tracks::TrackRow;

/// The service's limit of `MaxResults`.
const PERSONS_A_PAGE: usize = 1_000;
/// The class whose objects are persons.
const PERSON: &str = "person";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Page<'a> {
    job_status: &'a str,
    video_metadata: VideoMetadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    persons: &'a [PersonDetection],
    job_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VideoMetadata<'a> {
    codec: &'a str,
    duration_millis: i64,
    format: &'a str,
    frame_rate: f32,
    frame_height: u32,
    frame_width: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PersonDetection {
    /// Milliseconds.
    timestamp: i64,
    person: PersonDetail,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PersonDetail {
    index: i64,
    bounding_box: BoundingBox,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BoundingBox {
    width: f32,
    height: f32,
    left: f32,
    top: f32,
}

/// Streams: one page is held.
pub(super) fn write<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut persons = Vec::with_capacity(PERSONS_A_PAGE);
    let mut number = 0;
    for row in rows {
        let row = row?;
        let row = row.borrow();
        if !row.class_name.eq_ignore_ascii_case(PERSON) {
            continue;
        }
        // Only now is it known that another page follows.
        if persons.len() == PERSONS_A_PAGE {
            number += 1;
            write_page(meta, &persons, Some(number), out)?;
            persons.clear();
        }
        persons.push(detection(meta, row));
    }
    write_page(meta, &persons, None, out)
}

fn detection(meta: &VideoMeta, row: &TrackRow) -> PersonDetection {
    let [left, top, right, bottom] = meta.ltrb_of_picture(row);
    let bounding_box = BoundingBox { width: right - left, height: bottom - top, left, top };
    PersonDetection { timestamp: millis(meta, row.pts), person: PersonDetail { index: row.track_id, bounding_box } }
}

fn millis(meta: &VideoMeta, pts: i64) -> i64 {
    // A PTS of 64 bits at any time base that videos have; beyond it the last moment there is.
    i64::try_from(meta.time_in(pts, 1_000)).unwrap_or(i64::MAX)
}

fn write_page(
    meta: &VideoMeta,
    persons: &[PersonDetection],
    next: Option<u64>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let page = Page {
        job_status: "SUCCEEDED",
        video_metadata: VideoMetadata {
            codec: &meta.codec,
            duration_millis: millis(meta, meta.end_pts),
            format: &meta.container,
            frame_rate: meta.frame_rate.to_f64() as f32,
            frame_height: meta.height,
            frame_width: meta.width,
        },
        next_token: next.map(|number| number.to_string()),
        persons,
        job_id: &meta.request,
    };
    json(out, &page)?;
    Ok(out.write_all(b"\n")?)
}

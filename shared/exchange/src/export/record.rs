//! A row with the columns of `tracks.parquet` that differ within a request.

use super::VideoMeta;
use serde::Serialize;
use trackdrop_tables::tracks::TrackRow;

#[derive(Serialize)]
pub(super) struct Record<'a> {
    frame_index: i64,
    pts: i64,
    time_s: f64,
    track_id: i64,
    class_id: i32,
    class_name: &'a str,
    score: f32,
    x1: f32,
    y1: f32,
    x2: f32,
    y2: f32,
    observed: bool,
}

impl<'a> Record<'a> {
    pub(super) const COLUMNS: [&'static str; 12] = [
        "frame_index",
        "pts",
        "time_s",
        "track_id",
        "class_id",
        "class_name",
        "score",
        "x1",
        "y1",
        "x2",
        "y2",
        "observed",
    ];

    pub(super) fn new(meta: &VideoMeta, row: &'a TrackRow) -> Self {
        let [x1, y1, x2, y2] = row.bbox;
        Self {
            frame_index: row.frame_index,
            pts: row.pts,
            time_s: meta.time_s(row),
            track_id: row.track_id,
            class_id: row.class_id,
            class_name: &row.class_name,
            score: row.score,
            x1,
            y1,
            x2,
            y2,
            observed: row.observed,
        }
    }
}

//! Defines every column of every table and of `detections.parquet`, once. Two definitions are elsewhere. The optional
//! column `appearance` is in [`crate::detections`]. The columns of `crops.parquet`, which is not a table, are in
//! [`crate::crops`].

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::{Value, json};
use std::sync::Arc;

/// The type of a column. Parquet, BigQuery and DuckDB all have these types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit integer.
    Int64,
    /// A signed 32-bit integer (BigQuery: INTEGER).
    Int32,
    /// A 32-bit float (BigQuery: FLOAT).
    Float32,
    /// A 64-bit float.
    Float64,
    /// True or false.
    Bool,
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it holds, with its unit.
    pub description: &'static str,
}

/// A table: its name and its columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The columns, in order.
    pub columns: &'static [Column],
}

const fn column(name: &'static str, column_type: ColumnType, description: &'static str) -> Column {
    Column { name, column_type, nullable: false, description }
}

const fn nullable(name: &'static str, column_type: ColumnType, description: &'static str) -> Column {
    Column { name, column_type, nullable: true, description }
}

use ColumnType::{Bool, Float32, Float64, Int32, Int64, Text, Timestamp};

/// One row per object per frame.
pub const TRACKS: Table = Table {
    name: "tracks",
    columns: &[
        column("request_id", Text, "The request that made the row"),
        column("video", Text, "Object name of the uploaded video"),
        column("uploaded_at", Timestamp, "Creation time of the uploaded object"),
        column("frame_index", Int64, "Index of the frame in the whole video, from 0"),
        column(
            "pts",
            Int64,
            "Presentation timestamp of the frame, in ticks of the time base: as ffprobe and PyAV give it, after an edit list",
        ),
        column("time_base_num", Int32, "Numerator of the time base (seconds per tick)"),
        column("time_base_den", Int32, "Denominator of the time base"),
        column(
            "time_s",
            Float64,
            "Seconds from the video's beginning: the zero of its clock if it starts within a second of it, else the first shown frame; with source_clock always the zero",
        ),
        column("track_id", Int64, "Identity of the object over the whole video, from 1"),
        column("class_id", Int32, "Class index of the model"),
        column("class_name", Text, "Class name of the model"),
        column("score", Float32, "Score of the detection, 0 to 1; 0 where the row was interpolated"),
        column("x1", Float32, "Left edge of the box in pixels of the upright picture"),
        column("y1", Float32, "Top edge of the box in pixels of the upright picture"),
        column("x2", Float32, "Right edge of the box in pixels of the upright picture"),
        column("y2", Float32, "Bottom edge of the box in pixels of the upright picture"),
        column(
            "observed",
            Bool,
            "False where the tracker did not return the row: a refinement or detect_every added it",
        ),
    ],
};

/// One row per finished request.
pub const REQUESTS: Table = Table {
    name: "requests",
    columns: &[
        column("request_id", Text, "The request"),
        nullable(
            "retrack_of",
            Text,
            "The request whose detections it was made from, where it is a version of that one's tracks",
        ),
        column("video", Text, "Object name of the uploaded video"),
        column("uploaded_at", Timestamp, "Creation time of the uploaded object"),
        column("finished_at", Timestamp, "When the request ended"),
        column("state", Text, "done, done_without_video (the rows exist, the annotated video is missing) or failed"),
        nullable("error_stage", Text, "The stage that failed"),
        nullable("error", Text, "Why it failed"),
        column("segments", Int64, "Segments that the video was cut into"),
        column("frames", Int64, "Frames of the ledger"),
        column("frames_damaged", Int64, "Frames that were decoded with errors or not at all"),
        column("detections", Int64, "Detections stored"),
        column("track_rows", Int64, "Rows in tracks"),
        column("track_count", Int64, "Identities"),
        nullable("model", Text, "Name of the model"),
        nullable("model_sha256", Text, "SHA-256 of the model file"),
        column("version", Text, "Release of Trackdrop"),
        column("split_s", Float64, "Seconds of work in split"),
        column("track_s", Float64, "Seconds of work in track, all segments together"),
        column("merge_s", Float64, "Seconds of work in merge"),
        column("annotate_s", Float64, "Seconds of work in annotate, all segments together"),
        column("join_s", Float64, "Seconds of work in join"),
        nullable("width_px", Int64, "Width of the picture that boxes are in: upright, before its sample aspect ratio"),
        nullable("height_px", Int64, "Height of that picture"),
        nullable("stored_width_px", Int64, "Width of the decoded picture, as it is stored"),
        nullable("stored_height_px", Int64, "Height of the decoded picture, as it is stored"),
        nullable(
            "mirrored",
            Bool,
            "Whether the stored picture is mirrored left to right, before it is turned, to be upright",
        ),
        nullable("rotation_degrees", Int64, "Degrees by which it is turned clockwise to be upright: 0, 90, 180 or 270"),
        nullable(
            "sample_aspect_ratio",
            Text,
            "Width of a pixel of the upright picture divided by its height, as num/den",
        ),
        nullable("shown_width_px", Int64, "Width that a player shows the upright picture at"),
        nullable("shown_height_px", Int64, "Height that a player shows the upright picture at"),
    ],
};

/// One row per scene, and one for each part of it: its geometry as numbers, in pixels of the picture on which it was
/// drawn.
pub const SCENES: Table = Table {
    name: "scenes",
    columns: &[
        column("scene", Text, "The scene"),
        column("kind", Text, "scene (one row), reference (a point of a box), line (a segment) or zone (a trapezoid)"),
        column("name", Text, "The line or zone; of a reference point the class, or empty for all others"),
        column("part", Int64, "Number of the segment or trapezoid, from 0"),
        nullable("definition", Text, "Of a scene: the file, as JSON"),
        nullable("videos", Text, "Of a scene: regular expression of the names of its videos"),
        nullable("width_px", Float64, "Width of the picture that it was drawn on"),
        nullable("height_px", Float64, "Height of that picture"),
        nullable(
            "hysteresis",
            Float64,
            "Distance from a line beyond which an object counts as being on one side, in heights of its box",
        ),
        nullable("absence_s", Float64, "Longest absence in seconds that does not end a visit"),
        nullable("settle_s", Float64, "Shortest stay in seconds that counts as a visit"),
        nullable("interval_s", Float64, "Seconds of an interval of line_counts"),
        nullable("cell_px", Float64, "Side of a cell of heatmap"),
        nullable("near_distance", Float64, "Distance of an encounter, in metres or pixels"),
        nullable("near_s", Float64, "Shortest encounter in seconds"),
        nullable("h11", Float64, "Row 1, column 1 of the homography from pixels to metres"),
        nullable("h12", Float64, "Row 1, column 2 of the homography from pixels to metres"),
        nullable("h13", Float64, "Row 1, column 3 of the homography from pixels to metres"),
        nullable("h21", Float64, "Row 2, column 1 of the homography from pixels to metres"),
        nullable("h22", Float64, "Row 2, column 2 of the homography from pixels to metres"),
        nullable("h23", Float64, "Row 2, column 3 of the homography from pixels to metres"),
        nullable("h31", Float64, "Row 3, column 1 of the homography from pixels to metres"),
        nullable("h32", Float64, "Row 3, column 2 of the homography from pixels to metres"),
        nullable("h33", Float64, "Row 3, column 3 of the homography from pixels to metres"),
        nullable("residual_m", Float64, "Residual of the calibration, root mean square in metres"),
        nullable("in_name", Text, "Of a line: name of a crossing from left to right"),
        nullable("out_name", Text, "Of a line: name of a crossing from right to left"),
        nullable("tie", Int64, "Of a segment: 1 if a point on it counts as right of it, otherwise -1"),
        nullable(
            "extend_first",
            Float64,
            "Of a segment: the share of its length by which it is extended at its first point",
        ),
        nullable(
            "extend_last",
            Float64,
            "Of a segment: the share of its length by which it is extended at its last point",
        ),
        nullable("lo_x", Float64, "Left end of the part's box"),
        nullable("hi_x", Float64, "Right end of that box"),
        nullable("lo_y", Float64, "Top of the part"),
        nullable("hi_y", Float64, "Bottom of the part; a zone's does not belong to it"),
        nullable(
            "ax",
            Float64,
            "x of the first point of the segment, of the upper point of the left side, or of the reference point",
        ),
        nullable("ay", Float64, "y of that point"),
        nullable("zx", Float64, "x of the last point of the segment, or of the lower point of the left side"),
        nullable("zy", Float64, "y of that point"),
        nullable("right_ax", Float64, "x of the upper point of the right side"),
        nullable("right_ay", Float64, "y of that point"),
        nullable("right_zx", Float64, "x of the lower point of the right side"),
        nullable("right_zy", Float64, "y of that point"),
    ],
};

/// One row per detection, for each segment and for the whole video.
pub const DETECTIONS: Table = Table {
    name: "detections",
    columns: &[
        column("frame_index", Int64, "Index of the frame in the whole video, from 0"),
        column(
            "pts",
            Int64,
            "Presentation timestamp of the frame, in ticks of the time base: as ffprobe and PyAV give it, after an edit list",
        ),
        column("x1", Float32, "Left edge of the box in pixels of the upright picture"),
        column("y1", Float32, "Top edge of the box in pixels of the upright picture"),
        column("x2", Float32, "Right edge of the box in pixels of the upright picture"),
        column("y2", Float32, "Bottom edge of the box in pixels of the upright picture"),
        column("score", Float32, "Score, 0 to 1"),
        column("class_id", Int32, "Class index of the model"),
    ],
};

/// Views over the tables, in SQL for both DuckDB and BigQuery. `frames_damaged` is the number of damaged frames of the
/// whole video.
pub const VIEWS: &[(&str, &str)] = &[
    (
        "track_summary",
        "SELECT request_id, track_id,
       MAX(video) AS video,
       MAX(class_name) AS class_name,
       MIN(frame_index) AS first_frame,
       MAX(frame_index) AS last_frame,
       MIN(time_s) AS first_seen_s,
       MAX(time_s) AS last_seen_s,
       MAX(time_s) - MIN(time_s) AS dwell_s,
       COUNT(*) AS frames_seen,
       AVG(score) AS mean_score,
       COALESCE(SUM(SQRT(step_x * step_x + step_y * step_y)), 0) AS path_length_px,
       MAX(frames_damaged) AS frames_damaged
FROM (
  SELECT request_id, track_id, video, frame_index, time_s, score,
         FIRST_VALUE(class_name) OVER (PARTITION BY request_id, track_id ORDER BY class_votes DESC, class_name) AS class_name,
         (x1 + x2) / 2 - LAG((x1 + x2) / 2) OVER (PARTITION BY request_id, track_id ORDER BY frame_index) AS step_x,
         (y1 + y2) / 2 - LAG((y1 + y2) / 2) OVER (PARTITION BY request_id, track_id ORDER BY frame_index) AS step_y
  FROM (
    SELECT *, COUNT(*) OVER (PARTITION BY request_id, track_id, class_name) AS class_votes FROM tracks
  ) AS voted
) AS steps
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)
GROUP BY request_id, track_id",
    ),
    (
        "objects_per_second",
        "SELECT request_id, MAX(video) AS video, CAST(FLOOR(time_s) AS BIGINT) AS second, class_name,
       COUNT(DISTINCT track_id) AS objects, MAX(frames_damaged) AS frames_damaged
FROM tracks
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)
GROUP BY request_id, CAST(FLOOR(time_s) AS BIGINT), class_name",
    ),
    (
        "tracking_results",
        "SELECT request_id, track_id, frame_index AS frame_id, class_name, class_id, score AS confidence,
       time_s AS timestamp, STRUCT(x1 AS x1, y1 AS y1, x2 AS x2, y2 AS y2) AS box, frames_damaged
FROM tracks
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)",
    ),
];

/// Name and SQL of every view, for DuckDB. [`VIEWS`] are for both engines; only the constructor of a struct differs.
pub fn duckdb_views() -> impl Iterator<Item = (&'static str, String)> {
    const STRUCT: [&str; 2] =
        ["STRUCT(x1 AS x1, y1 AS y1, x2 AS x2, y2 AS y2)", "{'x1': x1, 'y1': y1, 'x2': x2, 'y2': y2}"];
    VIEWS.iter().map(|&(name, sql)| (name, sql.replace(STRUCT[0], STRUCT[1])))
}

impl ColumnType {
    fn arrow(self) -> DataType {
        match self {
            Text => DataType::Utf8,
            Int64 => DataType::Int64,
            Int32 => DataType::Int32,
            Float32 => DataType::Float32,
            Float64 => DataType::Float64,
            Bool => DataType::Boolean,
            Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn bigquery(self) -> &'static str {
        match self {
            Text => "STRING",
            Int64 | Int32 => "INTEGER",
            Float32 | Float64 => "FLOAT",
            Bool => "BOOLEAN",
            Timestamp => "TIMESTAMP",
        }
    }

    fn duckdb(self) -> &'static str {
        match self {
            Text => "VARCHAR",
            Int64 => "BIGINT",
            Int32 => "INTEGER",
            Float32 => "FLOAT",
            Float64 => "DOUBLE",
            Bool => "BOOLEAN",
            Timestamp => "TIMESTAMPTZ",
        }
    }
}

impl Table {
    /// The schema of Arrow and Parquet.
    pub fn arrow(&self) -> Arc<Schema> {
        let field = |column: &Column| Field::new(column.name, column.column_type.arrow(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The schema file of BigQuery.
    pub fn bigquery(&self) -> Value {
        let field = |column: &Column| {
            json!({
                "name": column.name,
                "type": column.column_type.bigquery(),
                "mode": if column.nullable { "NULLABLE" } else { "REQUIRED" },
                "description": column.description,
            })
        };
        self.columns.iter().map(field).collect()
    }

    /// The column list of a DuckDB `CREATE TABLE`.
    pub fn duckdb(&self) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|column| format!("{} {}", column.name, column.column_type.duckdb())).collect();
        columns.join(", ")
    }
}

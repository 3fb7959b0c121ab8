//! The boxes of a span of frames, as columns of little-endian numbers that the page reads in place.
//!
//! ```text
//! u32 magic "TDB1", u32 rows, u32 from, u32 frames
//! u32[frames + 1]  where each frame's rows begin
//! u32[rows]        track ids
//! f32[5 * rows]    x1, y1, x2, y2, score: column by column
//! u16[rows]        classes
//! u8[rows]         1 where the row was observed, 0 where a refinement added it
//! ```

use crate::{Console, problem::Problem, requests};
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use duckdb::arrow::{
    array::AsArray,
    datatypes::{Float32Type, Int32Type, Int64Type},
    record_batch::RecordBatch,
};
use std::sync::Arc;
use trackdrop_database::quoted;
use trackdrop_pipeline::names::ResultFile;

const MAGIC: u32 = u32::from_le_bytes(*b"TDB1");
/// Frames of an answer at most.
const MOST_FRAMES: i64 = 4096;
/// Boxes of an answer at most: 27 bytes each.
const MOST_ROWS: usize = 2_000_000;

pub(crate) async fn span(
    State(console): State<Arc<Console>>,
    Path((request, from, to)): Path<(String, i64, i64)>,
) -> Result<Response, Problem> {
    if from < 0 || to <= from || to - from > MOST_FRAMES {
        return Err(Problem::bad(format!(
            "no span of frames: {from} to {to}; give the first one and the one after the last, at most {MOST_FRAMES} apart"
        )));
    }
    let manifest = requests::found(&console, &request).await?;
    let file = console.files.get(&*console.cloud.storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
    let bytes = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, Problem> {
        let sql = format!(
            "SELECT frame_index, track_id, x1, y1, x2, y2, score, class_id, observed FROM read_parquet({})
             WHERE frame_index >= {from} AND frame_index < {to} ORDER BY frame_index, track_id LIMIT {}",
            quoted(&file.path().to_string_lossy()),
            MOST_ROWS + 1
        );
        let connection = console.connection()?;
        let mut statement = connection.prepare(&sql)?;
        let batches: Vec<RecordBatch> = statement.query_arrow([])?.collect();
        packed(&batches, from, (to - from) as usize)
    })
    .await??;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")], bytes)
        .into_response())
}

/// Columns that lie in their batches, in one piece each.
fn packed(batches: &[RecordBatch], from: i64, frames: usize) -> Result<Vec<u8>, Problem> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows > MOST_ROWS {
        return Err(Problem::bad(format!("the span has more than {MOST_ROWS} boxes: ask for fewer frames")));
    }
    let strange = |what: &str| Problem::bad(format!("{what} is larger than the page can show"));
    let mut starts = vec![0u32; frames + 1];
    let mut bytes = Vec::with_capacity(16 + 4 * (frames + 1) + 27 * rows);
    for batch in batches {
        for frame in batch.column(0).as_primitive::<Int64Type>().values() {
            starts[(frame - from) as usize + 1] += 1;
        }
    }
    for place in 1..=frames {
        starts[place] += starts[place - 1];
    }
    let from = u32::try_from(from).map_err(|_| strange("a frame's index"))?;
    for number in [MAGIC, rows as u32, from, frames as u32].into_iter().chain(starts) {
        bytes.extend(number.to_le_bytes());
    }
    for batch in batches {
        for &track in batch.column(1).as_primitive::<Int64Type>().values() {
            bytes.extend(u32::try_from(track).map_err(|_| strange("a track's id"))?.to_le_bytes());
        }
    }
    for column in 2..7 {
        for batch in batches {
            for number in batch.column(column).as_primitive::<Float32Type>().values() {
                bytes.extend(number.to_le_bytes());
            }
        }
    }
    for batch in batches {
        for &class in batch.column(7).as_primitive::<Int32Type>().values() {
            bytes.extend(u16::try_from(class).map_err(|_| strange("a class's index"))?.to_le_bytes());
        }
    }
    for batch in batches {
        let observed = batch.column(8).as_boolean();
        bytes.extend((0..observed.len()).map(|row| u8::from(observed.value(row))));
    }
    Ok(bytes)
}

//! The best picture of each object, if the request has them.

use crate::{Console, problem::Problem, requests};
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use duckdb::params;
use std::sync::Arc;
use trackdrop_database::quoted;
use trackdrop_pipeline::names::ResultFile;

pub(crate) async fn picture(
    State(console): State<Arc<Console>>,
    Path((request, track)): Path<(String, i64)>,
) -> Result<Response, Problem> {
    let manifest = requests::found(&console, &request).await?;
    let file = console.files.get(&*console.cloud.storage, &ResultFile::Crops.object(&manifest.request_id)).await?;
    let jpeg = tokio::task::spawn_blocking(move || -> Result<Option<Vec<u8>>, Problem> {
        let sql = format!(
            "SELECT jpeg FROM read_parquet({}) WHERE track_id = ? LIMIT 1",
            quoted(&file.path().to_string_lossy())
        );
        let connection = console.connection()?;
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params![track])?;
        Ok(match rows.next()? {
            Some(row) => Some(row.get(0)?),
            None => None,
        })
    })
    .await??;
    let jpeg = jpeg.ok_or_else(|| Problem::not_found(format!("there is no crop of track {track}")))?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, max-age=600")];
    Ok((headers, jpeg).into_response())
}

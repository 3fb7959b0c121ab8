//! The local warehouse. The catalog lists the loaded Parquet files, and DuckDB reads these files.

use super::catalog::LocalCloud;
use crate::{LoadOutcome, StorageError, TracksFile, Warehouse, WarehouseError};
use async_trait::async_trait;
use rusqlite::params;
use std::path::PathBuf;
use trackdrop_pipeline::{RequestId, Timestamp};
use trackdrop_tables::requests::RequestRow;

/// A file whose rows belong to the table `tracks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// The request that made it.
    pub request_id: String,
    /// Its path.
    pub path: PathBuf,
}

#[async_trait]
impl Warehouse for LocalCloud {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        let files = files.to_vec();
        self.insert_once("INSERT OR IGNORE INTO loaded_tracks VALUES (?1, ?2, ?3)", move |insert| {
            let one = |file: &TracksFile| {
                insert.execute(params![file.request_id.as_str(), file.generation, file.object.name.as_bytes()])
            };
            files.iter().map(one).sum()
        })
        .await
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        let unavailable = |error: serde_json::Error| WarehouseError::Unavailable {
            doing: "recording requests".into(),
            reason: error.to_string(),
        };
        let to_json = |row: &RequestRow| Ok((row.request_id.to_string(), serde_json::to_string(row)?));
        let rows: Vec<_> = rows.iter().map(to_json).collect::<Result<_, _>>().map_err(unavailable)?;
        // Of two ends the later one remains. The earlier one was withdrawn when the request was reopened, and a process
        // that records it now is too late.
        let sql = "INSERT INTO request_rows VALUES (?1, ?2) ON CONFLICT (request) DO UPDATE SET row = excluded.row \
                   WHERE json_extract(excluded.row, '$.finished_at') > json_extract(request_rows.row, '$.finished_at')";
        self.insert_once(sql, move |insert| {
            rows.iter().map(|(request, json)| insert.execute(params![request, json])).sum()
        })
        .await
    }

    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        let (request, before) = (request.to_string(), before.to_string());
        // Times are written so that their order is the order of their texts.
        let sql = "DELETE FROM request_rows WHERE request = ?1 AND json_extract(row, '$.state') <> 'done' \
                   AND json_extract(row, '$.finished_at') < ?2";
        self.insert_once(sql, move |delete| delete.execute(params![request, before])).await.map(drop)
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        for sql in ["DELETE FROM loaded_tracks WHERE request = ?1", "DELETE FROM request_rows WHERE request = ?1"] {
            let request = request.to_string();
            self.insert_once(sql, move |delete| delete.execute(params![request])).await?;
        }
        Ok(())
    }
}

impl LocalCloud {
    async fn insert_once(
        &self,
        sql: &'static str,
        execute: impl FnOnce(&mut rusqlite::Statement<'_>) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<LoadOutcome, WarehouseError> {
        let doing = "loading rows";
        let outcome = self
            .on_catalog(move |inner| {
                inner.transaction(doing, |transaction| {
                    transaction
                        .prepare(sql)
                        .and_then(|mut insert| execute(&mut insert))
                        .map_err(|error| inner.sql_error(doing, error))
                })
            })
            .await;
        match outcome {
            Ok(0) => Ok(LoadOutcome::AlreadyLoaded),
            Ok(_) => Ok(LoadOutcome::Loaded),
            Err(StorageError::OutOfSpace { place, .. }) => Err(WarehouseError::OutOfSpace(place)),
            Err(error) => Err(WarehouseError::Unavailable { doing: doing.into(), reason: error.to_string() }),
        }
    }

    /// The files that make up the table `tracks`, in order of their requests.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn loaded_tracks(&self) -> Result<Vec<LoadedFile>, StorageError> {
        self.on_catalog(|inner| {
            let rows: Vec<(String, i64)> = inner
                .connection()
                .prepare("SELECT request, generation FROM loaded_tracks ORDER BY request")
                .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
                .map_err(|error| inner.sql_error("reading the warehouse", error))?;
            let to_file = |(request_id, generation)| LoadedFile { request_id, path: inner.blob(generation) };
            Ok(rows.into_iter().map(to_file).collect())
        })
        .await
    }

    /// The rows of the table `requests` as JSON, in order of the requests.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn request_rows(&self) -> Result<Vec<String>, StorageError> {
        self.on_catalog(|inner| {
            inner
                .connection()
                .prepare("SELECT row FROM request_rows ORDER BY request")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(|error| inner.sql_error("reading the warehouse", error))
        })
        .await
    }
}

//! `trackdrop query`: SQL over the results, by DuckDB.

use crate::{
    args::{Format, QueryArguments},
    host::open_existing,
};
use anyhow::Context;
use duckdb::{Connection, arrow::util::pretty::pretty_format_batches, params_from_iter};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};
use trackdrop_cloud::local::LoadedFile;
use trackdrop_tables::schema::{REQUESTS, TRACKS, duckdb_views};

pub(crate) async fn query(data: &Path, arguments: &QueryArguments) -> anyhow::Result<()> {
    let (files, rows) = match open_existing(data)? {
        Some(local) => (local.loaded_tracks().await?, local.request_rows().await?),
        None => Default::default(),
    };
    let (sql, format) = (arguments.sql.clone(), arguments.format);
    tokio::task::spawn_blocking(move || print(&open(&files, &rows)?, &sql, format)).await?
}

/// An in-memory database whose tables are the warehouse's.
fn open(files: &[LoadedFile], rows: &[String]) -> anyhow::Result<Connection> {
    let database = Connection::open_in_memory().context("DuckDB can't start")?;
    database.execute_batch("SET TimeZone = 'UTC'")?;
    if files.is_empty() {
        database.execute_batch(&format!("CREATE TABLE tracks ({})", TRACKS.duckdb()))?;
    } else {
        let paths: Vec<_> = files.iter().map(|file| quoted(&file.path.to_string_lossy())).collect();
        let sql = format!("CREATE VIEW tracks AS SELECT * FROM read_parquet([{}])", paths.join(", "));
        database.execute_batch(&sql)?;
    }
    database.execute_batch(&format!("CREATE TABLE requests ({})", REQUESTS.duckdb()))?;
    let marks: Vec<_> = REQUESTS.columns.iter().map(|_| "?").collect();
    let mut insert = database.prepare(&format!("INSERT INTO requests VALUES ({})", marks.join(", ")))?;
    for row in rows {
        let row: serde_json::Value = serde_json::from_str(row).context("a row of requests can't be read")?;
        // As text: DuckDB casts each value to its column's type.
        let values = REQUESTS.columns.iter().map(|column| match &row[column.name] {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
        insert.execute(params_from_iter(values))?;
    }
    drop(insert);
    for (name, sql) in duckdb_views() {
        database.execute_batch(&format!("CREATE VIEW {name} AS {sql}"))?;
    }
    Ok(database)
}

fn print(database: &Connection, sql: &str, format: Format) -> anyhow::Result<()> {
    let sql = sql.trim().trim_end_matches(';');
    let mut out = io::stdout().lock();
    match format {
        Format::Table => {
            let mut statement = database.prepare(sql).map_err(explain)?;
            let batches: Vec<_> = statement.query_arrow([]).map_err(explain)?.collect();
            let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            writeln!(out, "{}", pretty_format_batches(&batches)?)?;
            writeln!(out, "{rows} row{}", if rows == 1 { "" } else { "s" })?;
        }
        Format::Csv | Format::Json => {
            // DuckDB's own writers know how every type is written.
            let folder = tempfile::tempdir().context("making a temporary folder")?;
            let file = folder.path().join("rows");
            let options = if format == Format::Csv { "FORMAT csv, HEADER" } else { "FORMAT json" };
            let to = quoted(&file.to_string_lossy());
            // Prepared by itself first: an error then speaks of the user's words and not of ours.
            drop(database.prepare(sql).map_err(explain)?);
            let copy = format!("COPY (SELECT * FROM ({sql}\n)) TO {to} ({options})");
            database.execute_batch(&copy).map_err(explain)?;
            io::copy(&mut File::open(&file)?, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn explain(error: duckdb::Error) -> anyhow::Error {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => anyhow::anyhow!("the query failed: {message}"),
        other => anyhow::anyhow!("the query failed: {other}"),
    }
}

//! `trackdrop query`: SQL over the results, by DuckDB.

use crate::{
    args::{Format, QueryArguments},
    host::{cloud_of, open_existing},
};
use anyhow::{Context, bail};
use duckdb::{Connection, arrow::util::pretty::pretty_format_batches, params_from_iter};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};
use trackdrop_cloud::local::LoadedFile;
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::{REQUESTS, SCENES, TRACKS, Table, duckdb_views};

/// Lines of what does not fit, at most.
const MOST_NOTES: usize = 5;

pub(crate) async fn query(data: &Path, arguments: &QueryArguments) -> anyhow::Result<()> {
    let (files, rows, scenes) = match open_existing(data)? {
        Some(local) => {
            let scenes = crate::scene::stored(&*cloud_of(&local).storage).await?;
            (local.loaded_tracks().await?, local.request_rows().await?, scenes)
        }
        None => Default::default(),
    };
    let (sql, format) = (arguments.sql.clone(), arguments.format);
    let span = Span { since: arguments.since.clone(), until: arguments.until.clone() };
    tokio::task::spawn_blocking(move || {
        let database = open(&files, &rows, &span)?;
        ask_about(&database, &scenes, &sql)?;
        print(&database, &sql, format)
    })
    .await?
}

/// Which uploads' tracks are read, by their time; all where it says nothing.
struct Span {
    since: Option<String>,
    until: Option<String>,
}

impl Span {
    /// What follows the table's name.
    fn condition(&self, database: &Connection) -> anyhow::Result<String> {
        let mut conditions = Vec::new();
        for (name, time, compared) in [("--since", &self.since, ">="), ("--until", &self.until, "<")] {
            let Some(time) = time else { continue };
            let literal = format!("CAST({} AS TIMESTAMPTZ)", quoted(time));
            if database.execute_batch(&format!("SELECT {literal}")).is_err() {
                bail!("{name} {time:?} is no time: give such as 2026-11-23 or \"2026-11-23 18:00:00\", in UTC");
            }
            conditions.push(format!("uploaded_at {compared} {literal}"));
        }
        Ok(if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) })
    }
}

/// The table of scenes and their views: those that the statement speaks of are made of it before it runs.
fn ask_about(database: &Connection, scenes: &[Scene], statement: &str) -> anyhow::Result<()> {
    create(database, &SCENES)?;
    for scene in scenes {
        insert(database, &SCENES, scene.rows().into_iter().map(serde_json::Value::Object))?;
    }
    database.execute_batch(&sql::duckdb_start())?;
    // Without a scene every view is empty, however it is made.
    let asked = if scenes.is_empty() { Vec::new() } else { sql::views_in(statement) };
    for statement in sql::duckdb_views(&asked) {
        database.execute_batch(&statement).map_err(explain)?;
    }
    if asked.is_empty() { Ok(()) } else { say_what_does_not_fit(database) }
}

/// Says which requests a scene is for by their names and was not asked of, since their pictures have another shape.
fn say_what_does_not_fit(database: &Connection) -> anyhow::Result<()> {
    let mut statement = database.prepare(
        "SELECT 'the scene ' || scene || ' was drawn on ' || s.width_px::BIGINT || 'x' || s.height_px::BIGINT || ' and is not asked of '
                || request_id || ', whose picture is ' || COALESCE(r.width_px || 'x' || r.height_px, 'of unknown size')
                || ': draw another scene for it, or narrow the scene''s videos'
         FROM scenes AS s, requests AS r
         WHERE kind = 'scene' AND r.state <> 'failed' AND REGEXP_CONTAINS(r.video, s.videos)
           AND COALESCE(ABS(s.width_px * r.height_px - s.height_px * r.width_px) > GREATEST(s.width_px, s.height_px), true)
         ORDER BY 1",
    )?;
    let notes: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for note in notes.iter().take(MOST_NOTES) {
        eprintln!("trackdrop: {note}");
    }
    if notes.len() > MOST_NOTES {
        eprintln!("trackdrop: and {} more like these", notes.len() - MOST_NOTES);
    }
    Ok(())
}

/// A table of the warehouse, empty.
fn create(database: &Connection, table: &Table) -> anyhow::Result<()> {
    Ok(database.execute_batch(&format!("CREATE TABLE {} ({})", table.name, table.duckdb()))?)
}

/// Rows into a table, each a JSON object of columns.
fn insert(database: &Connection, table: &Table, rows: impl Iterator<Item = serde_json::Value>) -> anyhow::Result<()> {
    let marks: Vec<_> = table.columns.iter().map(|_| "?").collect();
    let mut insert = database.prepare(&format!("INSERT INTO {} VALUES ({})", table.name, marks.join(", ")))?;
    for row in rows {
        // As text: DuckDB casts each value to its column's type.
        let values = table.columns.iter().map(|column| match &row[column.name] {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}

/// An in-memory database whose tables are the warehouse's.
fn open(files: &[LoadedFile], rows: &[String], span: &Span) -> anyhow::Result<Connection> {
    let database = Connection::open_in_memory().context("DuckDB can't start")?;
    database.execute_batch("SET TimeZone = 'UTC'")?;
    if files.is_empty() {
        span.condition(&database)?;
        create(&database, &TRACKS)?;
    } else {
        let paths: Vec<_> = files.iter().map(|file| quoted(&file.path.to_string_lossy())).collect();
        let sql = format!(
            "CREATE VIEW tracks AS SELECT * FROM read_parquet([{}]){}",
            paths.join(", "),
            span.condition(&database)?
        );
        database.execute_batch(&sql)?;
    }
    create(&database, &REQUESTS)?;
    let rows: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row))
        .collect::<Result<_, _>>()
        .context("a row of requests can't be read")?;
    insert(&database, &REQUESTS, rows.into_iter())?;
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

//! `trackdrop query`: SQL over the results, with DuckDB.

use crate::{
    args::{Format, QueryArguments},
    host::open_existing,
};
use anyhow::Context;
use duckdb::{Connection, arrow::util::pretty::pretty_format_batches};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};
use trackdrop_database::{
    Contents, DatabaseError, NearBirthOrEnd, Span, Tables, ask_about, near_birth_or_end, open, quoted,
};

/// Lines of what does not fit, at most.
const MOST_NOTES: usize = 5;

pub(crate) async fn query(data: &Path, arguments: &QueryArguments) -> anyhow::Result<()> {
    let contents = match open_existing(data)? {
        Some(local) => local.contents().await?,
        None => Contents::default(),
    };
    let (sql, format) = (arguments.sql.clone(), arguments.format);
    let span = Span { since: arguments.since.clone(), until: arguments.until.clone() };
    tokio::task::spawn_blocking(move || {
        let database = open(&contents, &span)?;
        say(&ask_about(&database, &contents.scenes, &sql)?);
        if let Some(share) = near_birth_or_end(&database, &contents.scenes, &sql)? {
            say_share(share);
        }
        print(&database, &sql, format)
    })
    .await?
}

/// Prints which scenes were not applied to which requests.
fn say(notes: &[String]) {
    for note in notes.iter().take(MOST_NOTES) {
        eprintln!("trackdrop: {note}");
    }
    if notes.len() > MOST_NOTES {
        eprintln!("trackdrop: and {} more like these", notes.len() - MOST_NOTES);
    }
}

/// Prints the share of crossings that depend on the tracker. It is the share of all crossings in the views, also if the statement
/// selects only some.
fn say_share(NearBirthOrEnd { crossings, near }: NearBirthOrEnd) {
    let percent = (100.0 * near as f64 / crossings as f64).round();
    eprintln!(
        "trackdrop: of {crossings} crossings of lines, {near} ({percent} %) are within a second of their track's first or last position"
    );
}

fn print(database: &Connection, sql: &str, format: Format) -> anyhow::Result<()> {
    let sql = sql.trim().trim_end_matches(';');
    let mut out = io::stdout().lock();
    match format {
        Format::Table => {
            let mut statement = database.prepare(sql).map_err(DatabaseError::from)?;
            let batches: Vec<_> = statement.query_arrow([]).map_err(DatabaseError::from)?.collect();
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
            // Prepared alone first: an error then names the user's words and not ours.
            drop(database.prepare(sql).map_err(DatabaseError::from)?);
            let copy = format!("COPY (SELECT * FROM ({sql}\n)) TO {to} ({options})");
            database.execute_batch(&copy).map_err(DatabaseError::from)?;
            io::copy(&mut File::open(&file)?, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

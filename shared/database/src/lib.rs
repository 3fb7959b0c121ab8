//! The warehouse's tables and views as a DuckDB database in memory, over Parquet files that stay where they are.
//!
//! `trackdrop query` and the console query the same database. [`open`] creates the tables and views. [`ask_about`] creates the
//! views of scenes that a statement names. [`Draft`] queries one request about a scene while a person draws it. [`bounded`] runs
//! an untrusted statement with limits. [`scenes`] names and reads the stored scenes.
//!
//! ```no_run
//! use trackdrop_database::{Contents, Span, open};
//!
//! let database = open(&Contents::default(), &Span::default())?;
//! let rows: i64 = database.query_row("SELECT COUNT(*) FROM tracks", [], |row| row.get(0))?;
//! assert_eq!(rows, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bounded;
mod draft;
pub mod scenes;

use async_trait::async_trait;
pub use draft::{Draft, RETURNS_MEMORY};
use duckdb::{Connection, params_from_iter};
use std::{collections::BTreeSet, path::Path};
pub use trackdrop_cloud::local::LoadedFile;
use trackdrop_cloud::{StorageError, local::LocalCloud};
use trackdrop_scenes::{Scene, SceneError, sql};
use trackdrop_tables::schema::{REQUESTS, SCENES, TRACKS, Table, duckdb_views};

/// What the tables hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Parquet files whose rows are the table `tracks`, one a request.
    pub tracks: Vec<LoadedFile>,
    /// Rows of `requests`, each a JSON object.
    pub requests: Vec<String>,
    /// The scenes.
    pub scenes: Vec<Scene>,
}

/// Why an operation of the database failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// DuckDB can't start.
    #[error("DuckDB can't start: {0}")]
    Start(#[source] duckdb::Error),
    /// A statement failed.
    #[error("the query failed: {0}")]
    Query(String),
    /// It is no SELECT, or there is more than one statement.
    #[error(
        "only one SELECT statement is allowed: nothing is written, set, attached or loaded here, and a second statement is refused"
    )]
    NotOne,
    /// A statement was stopped since its time was over.
    #[error(
        "the query was stopped after {0} s: ask about fewer rows, such as one request, or use `trackdrop query`, which has no such bound"
    )]
    TooLong(f64),
    /// Nobody waits for the answer any longer.
    #[error("the query was stopped, because nobody waits for its answer")]
    Left,
    /// The folder of a summary can't be made or removed.
    #[error("the folder {path:?} for a summary of tracks can't be used: {source}")]
    Scratch {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row of the table `requests` is not JSON.
    #[error("a row of requests can't be read: {0}")]
    Row(#[from] serde_json::Error),
    /// A bound of time can't be read as a time.
    #[error("{name} {time:?} is not a time: give one such as 2026-11-23 or \"2026-11-23 18:00:00\", in UTC")]
    Time {
        /// The option.
        name: &'static str,
        /// What it was given.
        time: String,
    },
    /// A stored scene can't be read.
    #[error("the stored scene {name:?}: {source}")]
    Scene {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: SceneError,
    },
    /// A stored scene is not text.
    #[error("the stored scene {0:?} is no text")]
    NoText(String),
    /// The store did not give what the tables hold.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<duckdb::Error> for DatabaseError {
    fn from(error: duckdb::Error) -> Self {
        match error {
            duckdb::Error::DuckDBFailure(_, Some(message)) => Self::Query(message),
            other => Self::Query(other.to_string()),
        }
    }
}

/// Where the tables' contents come from.
#[async_trait]
pub trait Tables: Send + Sync + std::fmt::Debug {
    /// What the tables hold now.
    ///
    /// # Errors
    /// Those of the store, and [`DatabaseError::Scene`].
    async fn contents(&self) -> Result<Contents, DatabaseError>;
}

#[async_trait]
impl Tables for LocalCloud {
    async fn contents(&self) -> Result<Contents, DatabaseError> {
        Ok(Contents {
            tracks: self.loaded_tracks().await?,
            requests: self.request_rows().await?,
            scenes: scenes::stored(self).await?,
        })
    }
}

/// Which uploads' tracks are read, by their time; all where it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// From then on.
    pub since: Option<String>,
    /// Before then.
    pub until: Option<String>,
}

impl Span {
    /// What follows the table's name.
    fn condition(&self, database: &Connection) -> Result<String, DatabaseError> {
        let mut conditions = Vec::new();
        for (name, time, compared) in [("--since", &self.since, ">="), ("--until", &self.until, "<")] {
            let Some(time) = time else { continue };
            let literal = format!("CAST({} AS TIMESTAMPTZ)", quoted(time));
            if database.execute_batch(&format!("SELECT {literal}")).is_err() {
                return Err(DatabaseError::Time { name, time: time.clone() });
            }
            conditions.push(format!("uploaded_at {compared} {literal}"));
        }
        Ok(if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) })
    }
}

/// An in-memory database whose tables are the warehouse's. Of a span, no file of another upload is opened.
///
/// # Errors
/// [`DatabaseError::Start`], [`DatabaseError::Time`], [`DatabaseError::Row`], and [`DatabaseError::Query`] where a file of tracks can't be read.
pub fn open(contents: &Contents, span: &Span) -> Result<Connection, DatabaseError> {
    let database = Connection::open_in_memory().map_err(DatabaseError::Start)?;
    database.execute_batch("SET TimeZone = 'UTC'")?;
    let condition = span.condition(&database)?;
    create(&database, &REQUESTS)?;
    let rows: Vec<serde_json::Value> =
        contents.requests.iter().map(|row| serde_json::from_str(row)).collect::<Result<_, _>>()?;
    insert(&database, &REQUESTS, rows.into_iter())?;
    let outside = outside(&database, &condition)?;
    let files = contents.tracks.iter().filter(|file| !outside.contains(&file.request_id));
    let files: Vec<_> = files.map(|file| &file.path).collect();
    if files.is_empty() {
        create(&database, &TRACKS)?;
    } else {
        let sql = format!("CREATE VIEW tracks AS SELECT * FROM read_parquet([{}]){condition}", list(&files));
        database.execute_batch(&sql)?;
    }
    for (name, sql) in duckdb_views() {
        database.execute_batch(&format!("CREATE VIEW {name} AS {sql}"))?;
    }
    Ok(database)
}

/// The requests whose uploads are known not to be of the span.
fn outside(database: &Connection, condition: &str) -> Result<BTreeSet<String>, DatabaseError> {
    if condition.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut statement = database
        .prepare(&format!("SELECT request_id FROM requests EXCEPT SELECT request_id FROM requests{condition}"))?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Creates the table of scenes, and the views that the statement names, before the statement runs. Returns what does not fit: the requests whose
/// names match a scene, but to which the scene was not applied.
///
/// # Errors
/// [`DatabaseError::Query`].
pub fn ask_about(database: &Connection, scenes: &[Scene], statement: &str) -> Result<Vec<String>, DatabaseError> {
    create(database, &SCENES)?;
    insert_scenes(database, scenes)?;
    database.execute_batch(&sql::duckdb_start())?;
    // Without a scene every view is empty, however it is made.
    let asked = if scenes.is_empty() { Vec::new() } else { sql::views_in(statement) };
    for statement in sql::duckdb_views(&asked) {
        database.execute_batch(&statement)?;
    }
    if asked.is_empty() { Ok(Vec::new()) } else { what_does_not_fit(database) }
}

/// The requests whose names match a scene, but to which it was not applied, because their pictures have another shape.
fn what_does_not_fit(database: &Connection) -> Result<Vec<String>, DatabaseError> {
    let mut statement = database.prepare(
        "SELECT 'the scene ' || scene || ' was drawn on ' || s.width_px::BIGINT || 'x' || s.height_px::BIGINT || ' and is not applied to '
                || request_id || ', whose picture is ' || COALESCE(r.width_px || 'x' || r.height_px, 'of unknown size')
                || ': draw another scene for it, or narrow the scene''s videos'
         FROM scenes AS s, requests AS r
         WHERE kind = 'scene' AND r.state <> 'failed' AND REGEXP_CONTAINS(r.video, s.videos)
           AND COALESCE(ABS(s.width_px * r.height_px - s.height_px * r.width_px) > GREATEST(s.width_px, s.height_px), true)
         ORDER BY 1",
    )?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// How many crossings of lines depend on where the tracker begins and ends tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearBirthOrEnd {
    /// All crossings that the views have.
    pub crossings: i64,
    /// Those within a second of their track's first or last position.
    pub near: i64,
}

/// The share of the crossings that a statement's views have, after [`ask_about`]; none where the statement names no view of crossings, or there is
/// no crossing.
///
/// # Errors
/// [`DatabaseError::Query`].
pub fn near_birth_or_end(
    database: &Connection,
    scenes: &[Scene],
    statement: &str,
) -> Result<Option<NearBirthOrEnd>, DatabaseError> {
    let asked = sql::views_in(statement);
    if scenes.is_empty() || !["line_crossings", "line_counts"].iter().any(|view| asked.contains(view)) {
        return Ok(None);
    }
    let schema = sql::DUCKDB_SCHEMA;
    let counts = format!("SELECT COUNT(*), COUNT(*) FILTER (near_birth_or_end) FROM {schema}.line_crossings");
    let share =
        database.query_row(&counts, [], |row| Ok(NearBirthOrEnd { crossings: row.get(0)?, near: row.get(1)? }))?;
    Ok((share.crossings > 0).then_some(share))
}

/// A table of the warehouse, empty.
fn create(database: &Connection, table: &Table) -> Result<(), DatabaseError> {
    Ok(database.execute_batch(&format!("CREATE TABLE {} ({})", table.name, table.duckdb()))?)
}

fn insert_scenes(database: &Connection, scenes: &[Scene]) -> Result<(), DatabaseError> {
    let rows = scenes.iter().flat_map(Scene::rows);
    insert(database, &SCENES, rows.map(serde_json::Value::Object))
}

/// Rows into a table, each a JSON object of columns.
fn insert(
    database: &Connection,
    table: &Table,
    rows: impl Iterator<Item = serde_json::Value>,
) -> Result<(), DatabaseError> {
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

fn list(paths: &[impl AsRef<Path>]) -> String {
    paths.iter().map(|path| quoted(&path.as_ref().to_string_lossy())).collect::<Vec<_>>().join(", ")
}

/// A text as SQL has it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

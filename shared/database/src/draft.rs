//! Queries one request about a scene while a person draws it: many times, with changing lines and zones.

use crate::{Contents, DatabaseError, Span, create, insert_scenes, open, quoted};
use duckdb::Connection;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::SCENES;

/// Seconds of tracks that are summarised at once. All of an hour with 50 objects at once would need as much memory as an answer.
const SUMMARISED_S: i64 = 600;
/// The setting with which memory that a query has freed goes back to the operating system, above a megabyte, and not after seconds or never.
pub const RETURNS_MEMORY: &str = "SET allocator_flush_threshold = '1MB'";

/// The tables of a request, and a summary of its tracks in a folder.
///
/// More than half of the time of an answer is spent on this summary, which does not depend on lines and zones. It is made for the
/// first answer, and read by the next ones while only lines and zones change. Nothing stays in memory between two answers.
#[derive(Debug)]
pub struct Draft {
    contents: Contents,
    settings: String,
    summary: PathBuf,
    /// What the summary was made for: the scene without its lines and zones.
    summarised: Option<Scene>,
}

impl Draft {
    /// Over these tables; their scenes are passed over. The summary comes into the folder, which must be of this draft alone, and so does what `threads`
    /// do not hold in `memory` (such as `256MB`).
    pub fn new(contents: Contents, folder: &Path, threads: usize, memory: &str) -> Self {
        let scratch = quoted(&folder.join("scratch").to_string_lossy());
        let settings = format!(
            "SET threads = {threads}; SET memory_limit = '{memory}'; SET temp_directory = {scratch}; {RETURNS_MEMORY}"
        );
        Self { contents, settings, summary: folder.join("summary"), summarised: None }
    }

    /// A database with these views of the scene and of no other.
    ///
    /// # Errors
    /// Those of [`open`], [`DatabaseError::Query`] and [`DatabaseError::Scratch`].
    pub fn ask(&mut self, scene: &Scene, views: &[&str]) -> Result<Connection, DatabaseError> {
        self.prepare(scene)?;
        let database = self.database(scene)?;
        for statement in sql::duckdb_views_with(views, &self.files()) {
            database.execute_batch(&statement)?;
        }
        Ok(database)
    }

    /// Makes the summary, unless it is made: before a scene has a line or a zone, so that the first answer is quick, too.
    ///
    /// # Errors
    /// Those of [`open`], [`DatabaseError::Query`] and [`DatabaseError::Scratch`].
    pub fn prepare(&mut self, scene: &Scene) -> Result<(), DatabaseError> {
        let undrawn = Scene { lines: Vec::new(), zones: Vec::new(), ..scene.clone() };
        if self.summarised.as_ref() == Some(&undrawn) {
            return Ok(());
        }
        // None until it is whole: after an error it is written again.
        self.summarised = None;
        self.write(&undrawn)?;
        self.summarised = Some(undrawn);
        Ok(())
    }

    /// Writes the summary, one file for each stretch of time.
    fn write(&self, undrawn: &Scene) -> Result<(), DatabaseError> {
        let failed = |source| DatabaseError::Scratch { path: self.summary.clone(), source };
        match fs::remove_dir_all(&self.summary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir_all(&self.summary).map_err(failed)?,
        }
        let database = self.database(undrawn)?;
        for statement in sql::duckdb_before_summary() {
            database.execute_batch(&statement)?;
        }
        let stretches = format!(
            "SELECT FLOOR(COALESCE(MIN(time_s), 0) / {SUMMARISED_S})::BIGINT, FLOOR(COALESCE(MAX(time_s), 0) / {SUMMARISED_S})::BIGINT FROM tracks"
        );
        let (first, last): (i64, i64) = database.query_row(&stretches, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // Each has a file, with or without rows, so that there is one to read.
        for stretch in first..=last {
            let seconds = stretch * SUMMARISED_S..(stretch + 1) * SUMMARISED_S;
            let file = quoted(&self.summary.join(format!("{stretch}.parquet")).to_string_lossy());
            database.execute_batch(&sql::duckdb_write_summary(seconds, &file))?;
        }
        Ok(())
    }

    fn files(&self) -> String {
        quoted(&self.summary.join("*.parquet").to_string_lossy())
    }

    /// The tables with this scene, and no view.
    fn database(&self, scene: &Scene) -> Result<Connection, DatabaseError> {
        let database = open(&self.contents, &Span::default())?;
        database.execute_batch(&self.settings)?;
        create(&database, &SCENES)?;
        insert_scenes(&database, std::slice::from_ref(scene))?;
        database.execute_batch(&sql::duckdb_start())?;
        Ok(database)
    }
}

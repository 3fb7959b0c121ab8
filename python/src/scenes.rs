//! Scenes and their views, as in the `trackdrop` command.

use crate::error;
use pyo3::prelude::*;
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::SCENES;

/// Converts a scene (YAML or JSON) to the rows of the table `scenes`, one line of JSON per row.
#[pyfunction]
pub(crate) fn scene_rows(text: &str) -> PyResult<String> {
    Ok(Scene::parse(text).map_err(error::value)?.ndjson())
}

/// What a DuckDB connection needs for scenes: the column list of `scenes`, and the statements that create the views.
#[pyfunction]
pub(crate) fn scene_schema() -> (String, Vec<String>) {
    let views = std::iter::once(sql::duckdb_start()).chain(sql::duckdb_views(&[]));
    (SCENES.duckdb(), views.collect())
}

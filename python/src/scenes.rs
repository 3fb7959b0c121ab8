//! Scenes and the questions about them, as the `trackdrop` command has them.

use crate::error;
use pyo3::prelude::*;
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::SCENES;

/// The rows of the table `scenes` that a scene, YAML or JSON, is: a line of JSON each.
#[pyfunction]
pub(crate) fn scene_rows(text: &str) -> PyResult<String> {
    Ok(Scene::parse(text).map_err(error::value)?.ndjson())
}

/// What a DuckDB connection needs to be asked about scenes: the column list of `scenes`, and the statements that make the views.
#[pyfunction]
pub(crate) fn scene_schema() -> (String, Vec<String>) {
    let views = std::iter::once(sql::duckdb_start()).chain(sql::duckdb_views(&[]));
    (SCENES.duckdb(), views.collect())
}

//! The warehouse's schema files come from the definition that the Parquet files come from.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, path::Path};
use support::Scene;

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

#[test]
fn terraform_builds_the_tables_that_the_parquet_files_fit() {
    let scene = Scene::new();
    let out = scene.path("schema");
    scene.data().trackdrop(["schema", "bigquery", "--out", out.to_str().unwrap()]).expect_success();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../terraform/modules/warehouse/schema");
    assert_eq!(
        files(&committed),
        files(&out),
        "write them again: trackdrop schema bigquery --out terraform/modules/warehouse/schema"
    );
}

#[test]
fn without_a_folder_the_schema_is_one_json_object() {
    let printed = Scene::new().data().trackdrop(["schema", "bigquery"]).expect_success();
    let schema: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
    let column = schema["tables"]["tracks"].as_array().unwrap().iter().find(|column| column["name"] == "x1").unwrap();
    assert_eq!((&column["type"], &column["mode"]), (&"FLOAT".into(), &"REQUIRED".into()));
    assert!(schema["views"]["track_summary"].as_str().unwrap().starts_with("SELECT"));
}

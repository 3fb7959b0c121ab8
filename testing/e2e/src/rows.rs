//! Rows of BigQuery's and DuckDB's JSON in one form, so that they can be compared value by value.

use serde_json::Value;
use std::collections::BTreeMap;
use trackdrop_tables::schema::{ColumnType, Table};

/// Rows as text by column; equal text is an equal value.
pub type Rows = Vec<BTreeMap<String, String>>;

/// The columns that the upload decides and not the video.
const OF_THE_UPLOAD: [&str; 2] = ["request_id", "uploaded_at"];

/// The rows of an answer of BigQuery's `jobs.query`.
pub fn of_bigquery(table: &Table, answer: &Value) -> Rows {
    let names: Vec<_> =
        array(&answer["schema"]["fields"]).iter().map(|field| field["name"].as_str().unwrap()).collect();
    let rows = array(&answer["rows"]).iter().map(|row| {
        let values = array(&row["f"]).iter().map(|value| &value["v"]);
        row_of(table, names.iter().copied().zip(values))
    });
    rows.collect()
}

/// The rows of `trackdrop query --format json`.
pub fn of_lines(table: &Table, lines: &str) -> Rows {
    let row = |line: &str| {
        let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        row_of(table, object.iter().map(|(name, value)| (name.as_str(), value)))
    };
    lines.lines().map(row).collect()
}

/// Values with commas between, each number in one form.
pub(crate) fn plain<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let one = |value: &str| value.parse::<f64>().map_or_else(|_| value.to_owned(), |number| format!("{number:?}"));
    values.map(one).collect::<Vec<_>>().join(",")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn row_of<'a>(table: &Table, values: impl Iterator<Item = (&'a str, &'a Value)>) -> BTreeMap<String, String> {
    values
        .filter(|(name, _)| !OF_THE_UPLOAD.contains(name))
        .map(|(name, value)| {
            let column = table.columns.iter().find(|column| column.name == name).unwrap();
            (name.to_owned(), text_of(column.column_type, value))
        })
        .collect()
}

/// BigQuery writes every value as text, DuckDB's JSON writes numbers as numbers: the bits of what was meant.
fn text_of(column_type: ColumnType, value: &Value) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let number = || text.parse::<f64>().unwrap_or_else(|_| panic!("{text:?} is not a number"));
    match column_type {
        ColumnType::Float32 => format!("{:?}", number() as f32),
        ColumnType::Float64 => format!("{:?}", number()),
        ColumnType::Int64 | ColumnType::Int32 => text.parse::<i64>().unwrap_or_else(|_| panic!("{text:?}")).to_string(),
        ColumnType::Text | ColumnType::Bool | ColumnType::Timestamp => text,
    }
}

//! The definition of every view, as SQL that both DuckDB and BigQuery accept.
//!
//! A view is composed of pieces. Each file of `sql/` is one piece: a SELECT over tables and other pieces, whose names
//! are in braces. For BigQuery the pieces of a view are its common table expressions. For DuckDB they are tables, which
//! are made when a statement needs them. So DuckDB knows how many rows each has, and several views in one session share
//! their pieces.

use std::ops::Range;

macro_rules! pieces {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("sql/", $name, ".sql")))),+] };
}

/// The pieces, in an order in which each comes after those that it needs.
const PIECES: &[(&str, &str)] = pieces![
    "picked",
    "seconds",
    "subjects",
    "elements",
    "parts",
    "cuts",
    "line_seconds",
    "touches",
    "nears",
    "crossings",
    "line_crossings",
    "line_counts",
    "zone_seconds",
    "insides",
    "stays",
    "zone_visits",
    "zone_occupancy",
    "events",
    "flows",
    "placed",
    "track_speeds",
    "frames",
    "heatmap",
    "encounters",
];

/// The views.
pub const VIEWS: &[&str] = &[
    "line_crossings",
    "line_counts",
    "zone_visits",
    "zone_occupancy",
    "flows",
    "track_speeds",
    "heatmap",
    "encounters",
];

/// The piece that takes most of the time: a summary of each second of each track. It does not depend on lines and
/// zones.
const SUMMARY: &str = "seconds";

/// The schema of DuckDB in which the pieces are tables.
pub const DUCKDB_SCHEMA: &str = "asked";

/// The tables that the pieces read.
const TABLES: &[&str] = &["tracks", "requests", "scenes"];

/// The text of a piece.
fn text(name: &str) -> &'static str {
    PIECES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

/// The pieces that a piece needs, and the piece itself, in the order in which they are made.
fn needed(name: &str) -> Vec<&'static str> {
    let mut wanted = vec![name];
    // From the last to the first, because every piece comes after those that it needs.
    let mut found: Vec<&'static str> = Vec::new();
    for (piece, sql) in PIECES.iter().rev() {
        if wanted.contains(piece) {
            found.push(piece);
            wanted.extend(PIECES.iter().map(|(other, _)| *other).filter(|other| sql.contains(&format!("{{{other}}}"))));
        }
    }
    found.reverse();
    found
}

/// The text, with the names in braces replaced.
fn named(sql: &str, piece: impl Fn(&str) -> String, table: impl Fn(&str) -> String) -> String {
    let mut named = sql.trim_end().to_owned();
    for (name, _) in PIECES {
        named = named.replace(&format!("{{{name}}}"), &piece(name));
    }
    for name in TABLES {
        named = named.replace(&format!("{{{name}}}"), &table(name));
    }
    named
}

/// A view of BigQuery. With `between` it is a table function with the parameters `since` and `until`, which reads only
/// the tracks of uploads from `since` to before `until`.
pub fn bigquery(view: &str, between: bool) -> String {
    let needed = needed(view);
    let table = |name: &str| match name {
        "tracks" if between => "tracks WHERE uploaded_at >= since AND uploaded_at < until".to_owned(),
        name => name.to_owned(),
    };
    let one = |name: &str| named(text(name), str::to_owned, table);
    let (last, before) = (view, &needed[..needed.len().saturating_sub(1)]);
    let expressions: Vec<_> = before.iter().map(|name| format!("{name} AS (\n{}\n)", one(name))).collect();
    match expressions.is_empty() {
        true => one(last),
        false => format!("WITH {}\n{}", expressions.join(",\n"), one(last)),
    }
}

/// Replaces what DuckDB writes differently.
fn in_duckdb(sql: &str) -> String {
    sql.replace("UNNEST(GENERATE_ARRAY(", "UNNEST(GENERATE_SERIES(").replace(")) AS second", ")) AS series(second)")
}

/// For DuckDB: the statements before all others.
pub fn duckdb_start() -> String {
    format!(
        "CREATE SCHEMA {DUCKDB_SCHEMA};
         CREATE MACRO REGEXP_CONTAINS(value, expression) AS regexp_matches(value, expression);"
    )
}

/// For DuckDB: creates the views. Those of `asked` use pieces that are tables. The others compute their pieces whenever
/// they are read, which takes longer.
pub fn duckdb_views(asked: &[&str]) -> Vec<String> {
    duckdb_views_over(asked, None)
}

/// For DuckDB: creates the pieces that [`duckdb_write_summary`] reads.
pub fn duckdb_before_summary() -> Vec<String> {
    let before: Vec<_> = needed(SUMMARY).into_iter().filter(|name| *name != SUMMARY).collect();
    made(&before, None)
}

/// For DuckDB: writes the summary of these whole seconds of the tracks into a Parquet file. It comes after
/// [`duckdb_before_summary`]. `file` is quoted.
pub fn duckdb_write_summary(seconds: Range<i64>, file: &str) -> String {
    let table = |name: &str| match name {
        "tracks" => format!("tracks WHERE time_s >= {} AND time_s < {}", seconds.start, seconds.end),
        name => name.to_owned(),
    };
    format!("COPY (\n{}\n) TO {file} (FORMAT parquet)", in_pieces_over(text(SUMMARY), table))
}

/// For DuckDB: creates the views as [`duckdb_views`] does, with the summary of files. The files must have been written
/// for the same tracks, and for scenes that differ only in lines and zones. `files` is their quoted name, with a `*` if
/// there are several.
pub fn duckdb_views_with(asked: &[&str], files: &str) -> Vec<String> {
    duckdb_views_over(asked, Some(files))
}

fn duckdb_views_over(asked: &[&str], summary: Option<&str>) -> Vec<String> {
    let wanted: Vec<_> = asked.iter().flat_map(|view| needed(view)).collect();
    let view = |view: &&str| match asked.contains(view) {
        true => format!("CREATE VIEW {view} AS SELECT * FROM {DUCKDB_SCHEMA}.{view}"),
        false => format!("CREATE VIEW {view} AS\n{}", in_duckdb(&bigquery(view, false))),
    };
    let mut statements = made(&wanted, summary);
    statements.extend(VIEWS.iter().map(view));
    statements
}

/// Creates these pieces, in their order. If the summary is in a file, it is read from there. A piece that is no view is
/// dropped after the last piece that reads it was created, because all pieces together take more memory than the
/// answer.
fn made(wanted: &[&str], summary: Option<&str>) -> Vec<String> {
    let wanted: Vec<_> = PIECES.iter().filter(|(name, _)| wanted.contains(name)).collect();
    let is_in_file = |name: &str| summary.is_some() && name == SUMMARY;
    let mut statements = Vec::new();
    for (index, (name, sql)) in wanted.iter().enumerate() {
        statements.push(match summary.filter(|_| is_in_file(name)) {
            Some(file) => format!("CREATE VIEW {DUCKDB_SCHEMA}.{name} AS SELECT * FROM read_parquet({file})"),
            None => format!("CREATE TABLE {DUCKDB_SCHEMA}.{name} AS\n{}", in_pieces(sql)),
        });
        let is_last_reader = |piece: &str| {
            let reads = |sql: &str| sql.contains(&format!("{{{piece}}}"));
            reads(sql) && !wanted[index + 1..].iter().any(|(_, later)| reads(later))
        };
        let is_done = |name: &str| is_last_reader(name) && !VIEWS.contains(&name) && !is_in_file(name);
        let done = wanted[..index].iter().filter(|(name, _)| is_done(name));
        statements.extend(done.map(|(name, _)| format!("DROP TABLE {DUCKDB_SCHEMA}.{name}")));
    }
    statements
}

/// A piece that uses existing pieces.
fn in_pieces(sql: &str) -> String {
    in_pieces_over(sql, str::to_owned)
}

fn in_pieces_over(sql: &str, table: impl Fn(&str) -> String) -> String {
    in_duckdb(&named(sql, |piece| format!("{DUCKDB_SCHEMA}.{piece}"), table))
}

/// The views that a statement names, as words of its text.
pub fn views_in(statement: &str) -> Vec<&'static str> {
    let lower = statement.to_ascii_lowercase();
    let words: Vec<_> = lower.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    VIEWS.iter().copied().filter(|view| words.contains(view)).collect()
}

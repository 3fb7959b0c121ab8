//! SQL of the page over the tables that `trackdrop query` has.

use crate::{Console, json::Json, problem::Problem};
use axum::{body::Bytes, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use trackdrop_database::{
    Contents, DatabaseError, Span, ask_about,
    bounded::{Answer, Bounds, answer, asker},
    open,
};
use trackdrop_scenes::sql;
use trackdrop_tables::schema::{self, REQUESTS, SCENES, TRACKS};

/// What a statement of the page may take. 10 s: a person waits for it. 512 MB: the bound of the other questions twice, so that the console stays as
/// small as a browser's tab. 10,000 rows: more than a person reads. 16 MB of values: a browser shows them at once. `trackdrop query` has none of
/// these bounds.
const BOUNDS: Bounds =
    Bounds { time: Duration::from_secs(10), memory_bytes: 512_000_000, threads: 2, rows: 10_000, bytes: 16_000_000 };
/// Bytes of a statement at most.
const MOST_SQL_BYTES: usize = 100_000;

#[derive(Debug, Deserialize)]
struct Question {
    sql: String,
}

/// Answers a statement. One at a time: the bounds are those of the page, and not of each of its tabs.
pub(crate) async fn ask(State(console): State<Arc<Console>>, body: Bytes) -> Result<Json, Problem> {
    let Question { sql } = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad(format!("no question: {error}; send {{\"sql\": \"SELECT ...\"}}")))?;
    if sql.len() > MOST_SQL_BYTES {
        return Err(Problem::bad(format!("the statement has {} bytes, of {MOST_SQL_BYTES} at most", sql.len())));
    }
    let closed = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the console is ending");
    let turn = console.turns.clone().acquire_owned().await.map_err(closed)?;
    let contents = console.tables.contents().await?;
    let (asker, asked) = asker();
    let began = Instant::now();
    let answered = tokio::task::spawn_blocking(move || {
        // It is somebody else's turn when the statement has ended, and not when nobody waits for it.
        let _turn = turn;
        answer(&contents, &sql, BOUNDS, asked)
    })
    .await?;
    drop(asker);
    Ok(Json(written(&answered?, began.elapsed())))
}

fn written(answer: &Answer, took: Duration) -> Value {
    let columns: Vec<_> =
        answer.columns.iter().map(|one| json!({ "name": one.name, "type": one.column_type })).collect();
    json!({
        "columns": columns, "rows": answer.rows, "is_cut": answer.is_cut,
        "notes": answer.notes, "seconds": took.as_secs_f64(),
    })
}

/// The tables and views with their columns, each with what it holds.
pub(crate) async fn tables() -> Result<Json, Problem> {
    Ok(Json(tokio::task::spawn_blocking(described).await??))
}

fn described() -> Result<Value, DatabaseError> {
    let database = open(&Contents::default(), &Span::default())?;
    ask_about(&database, &[], "")?;
    let views = schema::VIEWS.iter().map(|(name, _)| *name);
    let names = [TRACKS.name, REQUESTS.name].into_iter().chain(views).chain(sql::VIEWS.iter().copied());
    let known = || [TRACKS, REQUESTS, SCENES].into_iter().flat_map(|table| table.columns);
    let mut tables = Vec::new();
    for table in names.chain([SCENES.name]) {
        let mut statement = database.prepare(&format!("DESCRIBE {table}"))?;
        let mut rows = statement.query([])?;
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, column_type): (String, String) = (row.get(0)?, row.get(1)?);
            let holds = known().find(|column| column.name == name).map(|column| column.description);
            columns.push(json!({ "name": name, "type": column_type, "holds": holds }));
        }
        tables.push(json!({ "name": table, "columns": columns }));
    }
    Ok(json!({ "tables": tables }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_view_is_described_and_can_be_asked() {
        let described = described().unwrap();
        let tables = described["tables"].as_array().unwrap();
        assert_eq!(tables.len(), 3 + schema::VIEWS.len() + sql::VIEWS.len());
        for table in tables {
            let name = table["name"].as_str().unwrap();
            let columns: Vec<_> =
                table["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
            assert!(!columns.is_empty(), "{name}");
            let (_asker, asked) = asker();
            let sql = format!("SELECT {} FROM {name}", columns.join(", "));
            let answered = answer(&Contents::default(), &sql, BOUNDS, asked).unwrap();
            assert_eq!(answered.columns.len(), columns.len(), "{name}");
        }
        assert_eq!(tables[0]["columns"][0]["holds"], "The request that made the row");
    }

    #[test]
    fn an_answer_is_written_with_texts_and_nulls() {
        let (_asker, asked) = asker();
        let sql =
            "SELECT 1 AS one, NULL AS nothing, '<b>' AS markup, 9007199254740993 AS large, 'NaN'::DOUBLE AS strange";
        let answered = answer(&Contents::default(), sql, BOUNDS, asked).unwrap();
        let written = written(&answered, Duration::from_millis(250));
        assert_eq!(written["rows"], json!([["1", null, "<b>", "9007199254740993", "nan"]]));
        assert_eq!(written["columns"][3], json!({ "name": "large", "type": "BIGINT" }));
        assert_eq!((&written["is_cut"], &written["seconds"]), (&json!(false), &json!(0.25)));
    }
}

//! Runs SQL from the page over the tables of `trackdrop query`.
//!
//! On one machine DuckDB runs every query, without cost. On Google Cloud DuckDB runs queries about one request, over that
//! request's file. The warehouse runs queries about all requests: a dry run says how many bytes the query would read, and it runs
//! only if the page has agreed to that number.

use crate::{Console, json::Json, problem::Problem, requests, scenes::contents_of};
use axum::{body::Bytes, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use trackdrop_cloud::{Answered, Price, QuestionBounds, QuestionError, Questions};
use trackdrop_database::{
    Contents, DatabaseError, Span, Tables, ask_about,
    bounded::{Answer, AnswerColumn, Bounds, answer, asker},
    open, scenes,
};
use trackdrop_pipeline::names::ResultFile;
use trackdrop_scenes::sql;
use trackdrop_tables::schema::{self, REQUESTS, SCENES, TRACKS};

/// What a statement of the page may take. 10 s: a person waits for it. 512 MB: the bound of the other questions twice, so that the console stays as
/// small as a browser's tab. 10,000 rows: more than a person reads. 16 MB of values: a browser shows them at once. `trackdrop query` has none of
/// these bounds.
const BOUNDS: Bounds =
    Bounds { time: Duration::from_secs(10), memory_bytes: 512_000_000, threads: 2, rows: 10_000, bytes: 16_000_000 };
/// Bytes of a statement at most.
const MOST_SQL_BYTES: usize = 100_000;

/// Time of a statement that the warehouse answers.
const PAID_TIME: Duration = Duration::from_secs(30);
const TIB: f64 = (1u64 << 40) as f64;

/// A warehouse that bills for the bytes that it reads.
#[derive(Clone, Debug)]
pub struct Billed {
    /// The warehouse.
    pub questions: Arc<dyn Questions>,
    /// Bytes that a statement may be billed for.
    pub most_bytes: u64,
    /// What a TiB costs.
    pub usd_per_tib: f64,
}

/// Where the rows of all requests are asked.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// In files of this machine.
    Files(Arc<dyn Tables>),
    /// In a warehouse.
    Billed(Billed),
}

#[derive(Debug, Deserialize)]
struct Question {
    sql: String,
    /// The request that it is about, where it is about one.
    request: Option<String>,
    /// Bytes that may be paid for; without it the price is the answer.
    agreed_bytes: Option<u64>,
}

impl From<QuestionError> for Problem {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::NotAllowed(_) | QuestionError::Refused(_) => Self::bad(error.to_string()),
            QuestionError::TooLong(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            QuestionError::Unavailable { .. } => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }
}

/// Answers a statement. One at a time: the bounds are those of the page, and not of each of its tabs.
pub(crate) async fn ask(State(console): State<Arc<Console>>, body: Bytes) -> Result<Json, Problem> {
    let Question { sql, request, agreed_bytes } = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad(format!("no question: {error}; send {{\"sql\": \"SELECT ...\"}}")))?;
    if sql.len() > MOST_SQL_BYTES {
        return Err(Problem::bad(format!("the statement has {} bytes; the maximum is {MOST_SQL_BYTES}", sql.len())));
    }
    let contents = match (&console.rows, request) {
        (Rows::Files(tables), _) => tables.contents().await?,
        (Rows::Billed(_), Some(request)) => {
            let manifest = requests::found(&console, &request).await?;
            let storage = &*console.cloud.storage;
            let file = console.files.get(storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
            let contents = contents_of(&console, &manifest, &file).await?;
            let contents = Contents { scenes: scenes::stored(storage).await?, ..contents };
            return from_files(&console, sql, contents).await;
        }
        (Rows::Billed(billed), None) => return paid(billed, &sql, agreed_bytes).await,
    };
    from_files(&console, sql, contents).await
}

/// DuckDB's answer. The files must be there until it is given.
async fn from_files(console: &Console, sql: String, contents: Contents) -> Result<Json, Problem> {
    let closed = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the console is ending");
    let turn = console.turns.clone().acquire_owned().await.map_err(closed)?;
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

/// The warehouse's answer, or what it would cost.
async fn paid(billed: &Billed, sql: &str, agreed_bytes: Option<u64>) -> Result<Json, Problem> {
    let Some(agreed) = agreed_bytes else {
        let price = billed.questions.price(sql).await?;
        billed.check(price)?;
        return Ok(Json(json!({ "price": billed.told(price) })));
    };
    let bounds = QuestionBounds { paid_bytes: agreed.min(billed.most_bytes), rows: BOUNDS.rows, time: PAID_TIME };
    let began = Instant::now();
    let Answered { columns, rows, is_cut } = billed.questions.answer(sql, bounds).await?;
    let columns = columns.into_iter().map(|(name, column_type)| AnswerColumn { name, column_type }).collect();
    Ok(Json(written(&Answer { columns, rows, is_cut, notes: Vec::new() }, began.elapsed())))
}

impl Billed {
    fn usd(&self, bytes: u64) -> f64 {
        bytes as f64 / TIB * self.usd_per_tib
    }

    fn told(&self, price: Price) -> Value {
        json!({ "bytes": price.bytes, "paid_bytes": price.paid_bytes, "usd": self.usd(price.paid_bytes) })
    }

    fn check(&self, price: Price) -> Result<(), Problem> {
        match price.paid_bytes > self.most_bytes {
            false => Ok(()),
            true => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!(
                    "the statement would read {} bytes and be billed for {}, which is ${:.2}; at most {} may be billed: ask about fewer days with \
                     `WHERE uploaded_at >= ...`, name fewer columns, or raise `max_bytes_billed` of the Terraform variable `console`",
                    price.bytes,
                    price.paid_bytes,
                    self.usd(price.paid_bytes),
                    self.most_bytes
                ),
            )),
        }
    }
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
    use async_trait::async_trait;
    use std::sync::Mutex;

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

    /// A warehouse that says a price, and writes down how much may be paid.
    #[derive(Debug, Default)]
    struct Priced {
        bytes: u64,
        paid_bytes: u64,
        agreed: Mutex<Vec<u64>>,
    }

    #[async_trait]
    impl Questions for Priced {
        async fn price(&self, _statement: &str) -> Result<Price, QuestionError> {
            Ok(Price { bytes: self.bytes, paid_bytes: self.paid_bytes })
        }

        async fn answer(&self, _statement: &str, bounds: QuestionBounds) -> Result<Answered, QuestionError> {
            self.agreed.lock().unwrap().push(bounds.paid_bytes);
            Ok(Answered::default())
        }
    }

    fn billed(questions: Arc<Priced>) -> Billed {
        Billed { questions, most_bytes: 1 << 40, usd_per_tib: 6.25 }
    }

    #[tokio::test]
    async fn a_statement_is_priced_and_refused_where_more_would_be_billed_than_may_be() {
        let price = |bytes, paid_bytes| async move {
            let questions = Arc::new(Priced { bytes, paid_bytes, ..Priced::default() });
            let answer = paid(&billed(questions.clone()), "SELECT 1", None).await;
            assert!(questions.agreed.lock().unwrap().is_empty(), "nothing runs before it is agreed to");
            answer.map(|Json(answer)| answer).map_err(|problem| (problem.status, format!("{problem:?}")))
        };
        // The bound itself may be billed.
        let whole = json!({ "price": { "bytes": 1_099_511_627_775u64, "paid_bytes": 1u64 << 40, "usd": 6.25 } });
        assert_eq!(price((1 << 40) - 1, 1 << 40).await, Ok(whole));
        // What counts is what is billed, and not what is read.
        let (status, said) = price(3, (1 << 41) + (1 << 40)).await.unwrap_err();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        for value in
            ["read 3 bytes", "billed for 3298534883328", "$18.75", "at most 1099511627776 may", "max_bytes_billed"]
        {
            assert!(said.contains(value), "{value}: {said}");
        }
        assert!(price(1, (1 << 40) + 1).await.is_err());
    }

    #[tokio::test]
    async fn no_more_is_billed_than_was_agreed_to_nor_than_may_be() {
        let questions = Arc::new(Priced::default());
        for agreed in [7, 1 << 40, 1 << 50] {
            paid(&billed(questions.clone()), "SELECT 1", Some(agreed)).await.unwrap();
        }
        assert_eq!(*questions.agreed.lock().unwrap(), [7, 1 << 40, 1 << 40]);
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

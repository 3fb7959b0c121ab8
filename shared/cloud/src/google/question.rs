//! Queries to BigQuery. A dry run comes first: it says what kind of statement it is, which tables it reads, and how many bytes.

use super::{
    BigQuery,
    api::{ApiError, Repeat, json},
};
use crate::{Answered, Price, QuestionBounds, QuestionError, Questions};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use trackdrop_pipeline::Timestamp;

/// BigQuery bills at least this for each table that a statement names, and whole megabytes.
const LEAST_OF_A_TABLE: u64 = 10 << 20;
const MEGABYTE: u64 = 1 << 20;
const DOING: &str = "asking BigQuery";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DryRun {
    statement_type: String,
    total_bytes_processed: String,
    referenced_tables: Vec<Table>,
    referenced_routines: Vec<Routine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Table {
    project_id: String,
    dataset_id: String,
    table_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Routine {
    project_id: String,
    dataset_id: String,
    routine_id: String,
}

#[async_trait]
impl Questions for BigQuery {
    async fn price(&self, statement: &str) -> Result<Price, QuestionError> {
        let (dataset, location) = (self.default_dataset(), self.location(DOING).await.map_err(failed)?);
        let url = format!("{}/bigquery/v2/projects/{}/jobs", self.api().endpoint(), self.project());
        let job = json!({
            "jobReference": { "projectId": self.project(), "location": location },
            "configuration": { "dryRun": true, "query": { "query": statement, "useLegacySql": false, "defaultDataset": dataset } },
        });
        let answer = self.api().call(DOING, Repeat::Safe, |http| http.post(&url).json(&job)).await.map_err(failed)?;
        let mut answer: Value = json(DOING, answer).await.map_err(failed)?;
        let run: DryRun = serde_json::from_value(answer["statistics"]["query"].take()).unwrap_or_default();
        self.check(&run)?;
        Ok(price_of(&run))
    }

    async fn answer(&self, statement: &str, bounds: QuestionBounds) -> Result<Answered, QuestionError> {
        self.price(statement).await?;
        let (dataset, location) = (self.default_dataset(), self.location(DOING).await.map_err(failed)?);
        let url = format!("{}/bigquery/v2/projects/{}/queries", self.api().endpoint(), self.project());
        let query = query_of(statement, &dataset, location, bounds);
        // The call is made once, because each run of a query is paid for.
        let answer =
            self.api().call(DOING, Repeat::Never, |http| http.post(&url).json(&query)).await.map_err(failed)?;
        let answer: Value = json(DOING, answer).await.map_err(failed)?;
        if answer["jobComplete"] != true {
            return Err(QuestionError::TooLong(bounds.time.as_secs()));
        }
        Ok(answered(&answer, bounds.rows))
    }
}

impl BigQuery {
    /// Refuses everything but a SELECT over Trackdrop's tables. Other tables may be public, and a routine of another dataset
    /// could do anything.
    fn check(&self, run: &DryRun) -> Result<(), QuestionError> {
        if run.statement_type != "SELECT" {
            return Err(QuestionError::NotAllowed(format!(
                "only one SELECT statement is allowed, and this is {}: this page can't change anything",
                if run.statement_type.is_empty() { "none" } else { &run.statement_type }
            )));
        }
        let (project, dataset) = self.dataset();
        let is_ours = |of: (&str, &str)| of == (project, dataset);
        let tables = run.referenced_tables.iter().map(|table| (&table.project_id, &table.dataset_id, &table.table_id));
        let routines = run.referenced_routines.iter().map(|one| (&one.project_id, &one.dataset_id, &one.routine_id));
        for (of_project, of_dataset, name) in tables.chain(routines) {
            if !is_ours((of_project, of_dataset)) {
                return Err(QuestionError::NotAllowed(format!(
                    "{of_project}.{of_dataset}.{name} is not of {project}.{dataset}: only Trackdrop's tables can be queried here"
                )));
            }
        }
        Ok(())
    }
}

/// The bytes that BigQuery bills for a statement, from its dry run.
fn price_of(run: &DryRun) -> Price {
    let bytes: u64 = run.total_bytes_processed.parse().unwrap_or_default();
    let paid_bytes = match bytes {
        0 => 0,
        bytes => bytes.next_multiple_of(MEGABYTE).max(LEAST_OF_A_TABLE * run.referenced_tables.len().max(1) as u64),
    };
    Price { bytes, paid_bytes }
}

/// The body of `jobs.query`. BigQuery itself refuses a statement that would be billed for more than is agreed.
fn query_of(statement: &str, dataset: &Value, location: &str, bounds: QuestionBounds) -> Value {
    let millis = bounds.time.as_millis() as u64;
    json!({
        "query": statement, "useLegacySql": false, "location": location, "defaultDataset": dataset,
        "maximumBytesBilled": bounds.paid_bytes.max(LEAST_OF_A_TABLE).to_string(), "maxResults": bounds.rows + 1,
        "timeoutMs": millis, "jobTimeoutMs": millis.to_string(), "labels": { "app": "trackdrop-console" },
    })
}

/// Columns and rows of an answer of `jobs.query`.
fn answered(answer: &Value, most_rows: usize) -> Answered {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let columns: Vec<_> =
        all(&answer["schema"]["fields"]).iter().map(|field| (text(&field["name"]), text(&field["type"]))).collect();
    let mut rows: Vec<_> = all(&answer["rows"])
        .iter()
        .map(|row| {
            let values = all(&row["f"]);
            columns.iter().zip(&values).map(|((_, kind), value)| text_of(kind, &value["v"])).collect()
        })
        .collect();
    let is_cut = rows.len() > most_rows || answer["pageToken"].is_string();
    rows.truncate(most_rows);
    Answered { columns, rows, is_cut }
}

/// A value as a person reads it; none for NULL.
fn text_of(kind: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        // BigQuery returns timestamps as seconds since 1970.
        Value::String(text) if kind == "TIMESTAMP" => {
            let micros = text.parse::<f64>().ok().map(|seconds| (seconds * 1e6).round() as i64);
            Some(micros.map_or_else(|| text.clone(), |micros| Timestamp::from_micros(micros).to_string()))
        }
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn failed(error: ApiError) -> QuestionError {
    let is_of_statement = matches!(error.status, Some(400 | 403 | 404));
    match is_of_statement {
        true => QuestionError::Refused(error.reason),
        false => QuestionError::Unavailable { doing: error.doing, reason: error.reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google::{Api, Buckets};
    use std::time::Duration;

    fn bigquery() -> BigQuery {
        let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
        BigQuery::new(Api::new("", Some("127.0.0.1:1")).unwrap(), "p".into(), ("p".into(), "d".into()), buckets)
    }

    fn run(json: Value) -> DryRun {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_a_select_over_our_own_tables_and_routines_is_allowed() {
        let table = |dataset: &str| json!([{ "projectId": "p", "datasetId": dataset, "tableId": "t" }]);
        let own = run(json!({ "statementType": "SELECT", "referencedTables": table("d") }));
        assert_eq!(bigquery().check(&own), Ok(()));
        for (wrong, said) in [
            (json!({}), "only one SELECT"),
            (json!({ "statementType": "INSERT", "referencedTables": table("d") }), "this is INSERT"),
            (json!({ "statementType": "SCRIPT" }), "this is SCRIPT"),
            (json!({ "statementType": "SELECT", "referencedTables": table("other") }), "p.other.t is not of p.d"),
            (
                json!({ "statementType": "SELECT", "referencedRoutines": [{ "projectId": "q", "datasetId": "d", "routineId": "f" }] }),
                "q.d.f is not of p.d",
            ),
        ] {
            let error = bigquery().check(&run(wrong.clone())).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn ten_megabytes_are_paid_for_each_table_at_least_and_whole_megabytes_beyond_that() {
        let table = |name: &str| json!({ "projectId": "p", "datasetId": "d", "tableId": name });
        let one = json!([table("tracks")]);
        let three = json!([table("tracks"), table("requests"), table("scenes")]);
        for (bytes, tables, paid_bytes) in [
            (0, &three, 0),
            (1, &one, 10 << 20),
            (1, &json!([]), 10 << 20),
            (10 << 20, &one, 10 << 20),
            ((10 << 20) + 1, &one, 11 << 20),
            ((10 << 20) + 1, &three, 30 << 20),
            (30 << 20, &three, 30 << 20),
            ((30 << 20) + 1, &three, 31 << 20),
            (5_000_000_000_000, &three, 4_768_372 << 20),
        ] {
            let run = run(json!({ "totalBytesProcessed": bytes.to_string(), "referencedTables": tables }));
            assert_eq!(price_of(&run), Price { bytes, paid_bytes }, "{tables}");
        }
    }

    #[test]
    fn bigquery_is_told_how_much_may_be_billed_and_how_long_and_how_much_is_answered() {
        let bounds = |paid_bytes| QuestionBounds { paid_bytes, rows: 100, time: Duration::from_secs(30) };
        let dataset = json!({ "projectId": "p", "datasetId": "d" });
        let query = query_of("SELECT 1", &dataset, "EU", bounds(50 << 20));
        assert_eq!(query["maximumBytesBilled"], "52428800");
        assert_eq!((&query["query"], &query["useLegacySql"]), (&json!("SELECT 1"), &json!(false)));
        assert_eq!((&query["defaultDataset"], &query["location"]), (&dataset, &json!("EU")));
        assert_eq!((&query["timeoutMs"], &query["jobTimeoutMs"]), (&json!(30_000), &json!("30000")));
        // One row more says that there are more.
        assert_eq!(query["maxResults"], 101);
        // What is billed least; a bound below it would refuse what nothing is paid for.
        assert_eq!(query_of("SELECT 1", &dataset, "EU", bounds(0))["maximumBytesBilled"], "10485760");
    }

    #[test]
    fn values_are_texts_and_more_rows_than_may_be_are_cut() {
        let answer = json!({
            "schema": { "fields": [{ "name": "n", "type": "INTEGER" }, { "name": "at", "type": "TIMESTAMP" }] },
            "rows": [
                { "f": [{ "v": "9007199254740993" }, { "v": "1.7e9" }] },
                { "f": [{ "v": null }, { "v": null }] },
            ],
        });
        let all = answered(&answer, 2);
        assert_eq!(all.columns[1], ("at".to_owned(), "TIMESTAMP".to_owned()));
        assert_eq!(all.rows[0][0].as_deref(), Some("9007199254740993"));
        assert!(all.rows[0][1].as_deref().unwrap().starts_with("2023-11-14"), "{:?}", all.rows[0]);
        assert_eq!((&all.rows[1], all.is_cut), (&vec![None, None], false));
        let cut = answered(&answer, 1);
        assert_eq!((cut.rows.len(), cut.is_cut), (1, true));
    }
}

//! What is in the tables of a deployment.

use super::{DATASET, Deployment, PROJECT, expect};
use crate::rows::{Rows, of_bigquery, plain};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackdrop_pipeline::{RequestId, names::Bucket};
use trackdrop_tables::schema::{REQUESTS, SCENES, TRACKS, Table};

impl Deployment {
    /// The load jobs of a table, with how many files each loads.
    pub async fn load_jobs(&self, table: &Table) -> Vec<usize> {
        let host = self.bigquery.host();
        let url = format!("http://{host}/bigquery/v2/projects/{PROJECT}/jobs?projection=full&maxResults=1000");
        let page: Value = serde_json::from_slice(&expect(self.http.get(url)).await).unwrap();
        let jobs = page["jobs"].as_array().cloned().unwrap_or_default();
        let loads = jobs.iter().map(|job| &job["configuration"]["load"]);
        let into = |load: &&Value| load["destinationTable"]["tableId"] == table.name;
        loads.filter(into).map(|load| load["sourceUris"].as_array().map_or(0, Vec::len)).collect()
    }

    /// The rows of a request in BigQuery, without what the upload decides.
    pub async fn rows(&self, table: &Table, request: &RequestId) -> Rows {
        let order = if table.name == TRACKS.name { " ORDER BY frame_index, track_id" } else { "" };
        let query = format!("SELECT * FROM `{PROJECT}.{DATASET}.{}` WHERE request_id = '{request}'{order}", table.name);
        let answer = self.answer(&query).await;
        of_bigquery(table, &answer)
    }

    /// The table `scenes` with what is stored in the bucket of results now. BigQuery reads those objects itself whenever it is asked; the emulator
    /// has no such tables.
    pub async fn read_scenes(&self) {
        let fields: Value = serde_json::from_str(&self.schema("scenes.json")).unwrap();
        let table = json!({
            "tableReference": { "projectId": PROJECT, "datasetId": DATASET, "tableId": SCENES.name },
            "schema": { "fields": fields },
        });
        let url = format!("http://{}/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}/tables", self.bigquery.host());
        expect(self.http.post(url).json(&table)).await;
        for (name, _) in self.list(Bucket::Results, "scenes/").await {
            let object = self.object(Bucket::Results, &name).await.unwrap();
            for line in std::str::from_utf8(&object).unwrap().lines() {
                let row: Map<String, Value> = serde_json::from_str(line).unwrap();
                let names: Vec<_> = row.keys().map(String::as_str).collect();
                let literal = |value: &Value| match value {
                    Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
                    other => other.to_string(),
                };
                let values: Vec<_> = row.values().map(literal).collect();
                let table = format!("`{PROJECT}.{DATASET}.{}`", SCENES.name);
                self.answer(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", ")))
                    .await;
            }
        }
    }

    /// Columns of a view for a request, their values with commas between; the view's text is that which Terraform gives to BigQuery.
    pub async fn asked(&self, view: &str, columns: &str, request: &RequestId) -> Vec<String> {
        let mut sql = self.schema(&format!("{view}.sql"));
        for table in [&TRACKS, &REQUESTS, &SCENES] {
            let word = format!("FROM {}", table.name);
            assert!(!sql.contains(&format!("{word}_")), "{word} is the beginning of another name");
            sql = sql.replace(&word, &format!("FROM `{PROJECT}.{DATASET}.{}`", table.name));
        }
        let query = format!("SELECT {columns} FROM (\n{sql}\n) AS asked WHERE request_id = '{request}'");
        let answer = self.answer(&query).await;
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        let values = |row: &Value| {
            let values = row["f"].as_array().unwrap().iter();
            plain(values.map(|value| value["v"].as_str().unwrap_or_default()))
        };
        rows.iter().map(values).collect()
    }

    /// A file that `trackdrop schema bigquery` wrote.
    fn schema(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("schema").join(file)).unwrap()
    }

    async fn answer(&self, query: &str) -> Value {
        let url = format!("http://{}/bigquery/v2/projects/{PROJECT}/queries", self.bigquery.host());
        let ask = json!({ "query": query, "useLegacySql": false, "maxResults": 1_000_000 });
        let answer: Value = serde_json::from_slice(&expect(self.http.post(url).json(&ask)).await).unwrap();
        assert_eq!(answer["jobComplete"], true, "{answer}");
        answer
    }

    /// The row of the table `requests`; there must be exactly one.
    pub async fn request_row(&self, request: &RequestId) -> BTreeMap<String, String> {
        let mut rows = self.rows(&REQUESTS, request).await;
        assert_eq!(rows.len(), 1, "{request}: {rows:?}");
        rows.remove(0)
    }
}

//! What is in the tables of a deployment.

use super::{DATASET, Deployment, PROJECT, expect};
use crate::rows::{Rows, of_bigquery};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackdrop_pipeline::RequestId;
use trackdrop_tables::schema::{REQUESTS, TRACKS, Table};

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
        let url = format!("http://{}/bigquery/v2/projects/{PROJECT}/queries", self.bigquery.host());
        let ask = json!({ "query": query, "useLegacySql": false, "maxResults": 1_000_000 });
        let answer: Value = serde_json::from_slice(&expect(self.http.post(url).json(&ask)).await).unwrap();
        assert_eq!(answer["jobComplete"], true, "{answer}");
        of_bigquery(table, &answer)
    }

    /// The row of the table `requests`; there must be exactly one.
    pub async fn request_row(&self, request: &RequestId) -> BTreeMap<String, String> {
        let mut rows = self.rows(&REQUESTS, request).await;
        assert_eq!(rows.len(), 1, "{request}: {rows:?}");
        rows.remove(0)
    }
}

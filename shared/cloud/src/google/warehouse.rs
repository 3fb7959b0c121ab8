//! Rows in BigQuery, by load jobs whose ids are computed from what they load.
//!
//! A job id can be used once in a project. So a repeated load meets 409, and the state of the existing job decides: done means
//! that the rows exist, running means to wait, failed means to try under the next id (`..._r1`), because a failed id stays taken.
//! A load job is atomic, so the rows of a request exist exactly once or not at all. Files that are loaded together share a job,
//! whose id is made from all of them.

use super::{
    Buckets,
    api::{Api, ApiError, Repeat, json},
};
use crate::{LoadOutcome, TracksFile, Warehouse, WarehouseError};
use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::sync::OnceCell;
use trackdrop_pipeline::{RequestId, Timestamp};
use trackdrop_tables::{
    requests::RequestRow,
    schema::{REQUESTS, TRACKS, Table},
};

/// Largest number of jobs of one load. Every delivery resumes where the last one stopped, and skips the ids of failed
/// jobs. The number is larger than that of the deliveries of some days. So it is enough until somebody creates a
/// missing table.
const LARGEST_SUFFIX: u32 = 200;
/// The time between two checks of a running job: the first one and the longest one.
const LOOK_FIRST: Duration = Duration::from_millis(100);
const LOOK_LONGEST: Duration = Duration::from_secs(5);
/// If a load takes longer, the next delivery finds it by its id.
const WAIT_WITHIN: Duration = Duration::from_secs(240);

/// BigQuery.
#[derive(Debug)]
pub struct BigQuery {
    api: Api,
    project: String,
    dataset: (String, String),
    buckets: Buckets,
    location: OnceCell<String>,
}

/// The source of the rows of a load.
enum Rows<'a> {
    /// Parquet files in Cloud Storage.
    Parquet(Vec<String>),
    /// Rows as JSON, one per line, which are sent with the job.
    Lines(&'a [String]),
}

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    state: String,
    error_result: Option<JobError>,
    #[serde(default)]
    errors: Vec<JobError>,
}

#[derive(Deserialize)]
struct JobError {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    location: Option<String>,
}

impl JobError {
    fn may_pass(&self) -> bool {
        may_pass(&self.reason, &self.message)
    }
}

impl BigQuery {
    /// Load jobs of `project` into the tables of a dataset.
    pub fn new(api: Api, project: String, dataset: (String, String), buckets: Buckets) -> Self {
        Self { api, project, dataset, buckets, location: OnceCell::new() }
    }

    /// Sets the location of the dataset. Without it the location is read from BigQuery, which needs the right
    /// `bigquery.datasets.get`.
    #[must_use]
    pub fn in_location(mut self, location: &str) -> Self {
        self.location = OnceCell::new_with(Some(location.to_owned()));
        self
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// The project that jobs run in.
    pub(super) fn project(&self) -> &str {
        &self.project
    }

    /// The dataset of the tables, with its project.
    pub(super) fn dataset(&self) -> (&str, &str) {
        (&self.dataset.0, &self.dataset.1)
    }

    /// Where the tables are that a statement names without a dataset.
    pub(super) fn default_dataset(&self) -> Value {
        json!({ "projectId": self.dataset.0, "datasetId": self.dataset.1 })
    }

    /// Loads rows under an id made from `identity`, once.
    async fn load(&self, table: &Table, identity: &str, source: Rows<'_>) -> Result<LoadOutcome, WarehouseError> {
        let doing = format!("loading into {}.{}.{}", self.dataset.0, self.dataset.1, table.name);
        let digest: String = Sha256::digest(identity).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let are_several = match &source {
            Rows::Parquet(uris) => uris.len() > 1,
            Rows::Lines(lines) => lines.len() > 1,
        };
        let mut last = None;
        for suffix in 0..=LARGEST_SUFFIX {
            let id = match suffix {
                0 => format!("trackdrop_{}_{digest}", table.name),
                _ => format!("trackdrop_{}_{digest}_r{suffix}", table.name),
            };
            let (job, outcome) = match self.insert(&doing, table, &id, &source).await {
                Ok(job) => (job, LoadOutcome::Loaded),
                Err(ApiError { status: Some(409), .. }) => (self.job(&doing, &id).await?, LoadOutcome::AlreadyLoaded),
                Err(error) => return Err(failed(&doing, error)),
            };
            let status = self.wait(&doing, &id, job).await?;
            let Some(error) = status.error_result else {
                tracing::info!(job = id, ?outcome, "{doing}");
                return Ok(outcome);
            };
            let all = status.errors.iter().map(describe).collect::<Vec<_>>().join("; ");
            let reason = format!("job {id} failed: {}", if all.is_empty() { describe(&error) } else { all });
            // Some of these files can have been loaded separately after their common job was refused. Every process
            // that examines the job must get the same result.
            let are_refused = are_several && !error.may_pass();
            match outcome {
                // An earlier failure of any process: try again with the next id.
                LoadOutcome::AlreadyLoaded if !are_refused => {
                    tracing::debug!("{doing}: {reason}");
                    last = Some((reason, error.may_pass()));
                }
                _ if error.may_pass() => {
                    return Err(WarehouseError::Unavailable { doing, reason });
                }
                _ => return Err(WarehouseError::Refused { doing, reason }),
            }
        }
        let (last, may_pass) = last.unwrap_or_default();
        let reason =
            format!("{} jobs have failed, and there are no more ids; the last one: {last}", LARGEST_SUFFIX + 1);
        // Several are refused together, because each file alone has ids left.
        if may_pass && !are_several {
            Err(WarehouseError::Unavailable { doing, reason })
        } else {
            Err(WarehouseError::Refused { doing, reason })
        }
    }

    async fn insert(&self, doing: &str, table: &Table, id: &str, source: &Rows<'_>) -> Result<Job, ApiError> {
        let location = self.location(doing).await?;
        let mut load = json!({
            "destinationTable": { "projectId": self.dataset.0, "datasetId": self.dataset.1, "tableId": table.name },
            "createDisposition": "CREATE_NEVER",
            "writeDisposition": "WRITE_APPEND",
        });
        match source {
            Rows::Parquet(uris) => {
                load["sourceFormat"] = "PARQUET".into();
                load["sourceUris"] = json!(uris);
            }
            Rows::Lines(_) => load["sourceFormat"] = "NEWLINE_DELIMITED_JSON".into(),
        }
        let job = json!({
            "jobReference": { "projectId": self.project, "jobId": id, "location": location },
            "configuration": { "load": load, "labels": { "app": "trackdrop" } },
        });
        let (endpoint, project) = (self.api.endpoint(), &self.project);
        // Idempotent, because only one job can have the id.
        let answer = match source {
            Rows::Parquet(_) => {
                let url = format!("{endpoint}/bigquery/v2/projects/{project}/jobs");
                self.api.call(doing, Repeat::Safe, |http| http.post(&url).json(&job)).await?
            }
            Rows::Lines(lines) => {
                let url = format!("{endpoint}/upload/bigquery/v2/projects/{project}/jobs?uploadType=multipart");
                let boundary = format!("trackdrop-{:032x}", fastrand::u128(..));
                let kind = format!("multipart/related; boundary={boundary}");
                let lines = lines.join("\n");
                let body = format!(
                    "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{job}\r\n\
                     --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n{lines}\n\r\n--{boundary}--\r\n"
                );
                let post = |http: &reqwest::Client| http.post(&url).header(CONTENT_TYPE, &kind).body(body.clone());
                self.api.call(doing, Repeat::Safe, post).await?
            }
        };
        json(doing, answer).await
    }

    async fn job(&self, doing: &str, id: &str) -> Result<Job, WarehouseError> {
        let read = async || -> Result<Job, ApiError> {
            let location = self.location(doing).await?;
            let url = format!("{}/bigquery/v2/projects/{}/jobs/{id}", self.api.endpoint(), self.project);
            let query = [("location", location)];
            json(doing, self.api.call(doing, Repeat::Safe, |http| http.get(&url).query(&query)).await?).await
        };
        read().await.map_err(|error| failed(doing, error))
    }

    async fn wait(&self, doing: &str, id: &str, mut job: Job) -> Result<Status, WarehouseError> {
        let (mut pause, mut waited) = (LOOK_FIRST, Duration::ZERO);
        while job.status.state != "DONE" {
            if waited >= WAIT_WITHIN {
                let reason = format!("job {id} is still {} after {} s", job.status.state, waited.as_secs());
                return Err(WarehouseError::Unavailable { doing: doing.to_owned(), reason });
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LOOK_LONGEST);
            job = self.job(doing, id).await?;
        }
        Ok(job.status)
    }

    /// Deletes those rows of a request for which the condition `which` is true, with these parameters. Only the
    /// partitions of the upload's day are read. The table may require that a query names its partitions.
    async fn delete_rows(
        &self,
        table: &Table,
        request: &RequestId,
        which: &str,
        parameters: &[(&str, String)],
    ) -> Result<(), WarehouseError> {
        let doing = format!("deleting rows of {request} from {}", table.name);
        let table = format!("{}.{}.{}", self.dataset.0, self.dataset.1, table.name);
        let url = format!("{}/bigquery/v2/projects/{}/queries", self.api.endpoint(), self.project);
        let location = self.location(&doing).await.map_err(|error| failed(&doing, error))?;
        let parameter = |(name, value): &(&str, String)| json!({ "name": name, "parameterType": { "type": "STRING" }, "parameterValue": { "value": value } });
        let around = |days: i64| {
            let at = request.uploaded_at().map_or(0, Timestamp::micros);
            Timestamp::from_micros(at.saturating_add(days * 86_400_000_000)).to_string()
        };
        let mut all = vec![("request", request.to_string()), ("from", around(-1)), ("until", around(1))];
        all.extend_from_slice(parameters);
        let of_request =
            "request_id = @request AND uploaded_at >= TIMESTAMP(@from) AND uploaded_at < TIMESTAMP(@until)";
        let query = json!({
            "query": format!("DELETE FROM `{table}` WHERE {of_request} AND {which}"),
            "useLegacySql": false, "location": location, "parameterMode": "NAMED", "timeoutMs": 60_000,
            "queryParameters": all.iter().map(parameter).collect::<Vec<_>>(),
        });
        // Idempotent, because deleted rows remain deleted.
        let answer = self.api.call(&doing, Repeat::Safe, |http| http.post(&url).json(&query)).await;
        let answer = async { json::<Value>(&doing, answer?).await }.await.map_err(|error| failed(&doing, error))?;
        match answer["jobComplete"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(WarehouseError::Unavailable { doing, reason: "the query did not end within a minute".into() }),
        }
    }

    /// The location of the dataset, which its jobs must name.
    pub(super) async fn location(&self, doing: &str) -> Result<&str, ApiError> {
        let read = async || -> Result<String, ApiError> {
            let (project, dataset) = &self.dataset;
            let url = format!("{}/bigquery/v2/projects/{project}/datasets/{dataset}", self.api.endpoint());
            // The default view includes the access policy, so it needs the right `bigquery.datasets.getIamPolicy` in
            // addition to `bigquery.datasets.get`.
            let query = [("datasetView", "METADATA")];
            let answer = self.api.call(doing, Repeat::Safe, |http| http.get(&url).query(&query)).await?;
            let dataset: Value = json(doing, answer).await?;
            Ok(dataset["location"].as_str().unwrap_or("US").to_owned())
        };
        self.location.get_or_try_init(read).await.map(String::as_str)
    }
}

#[async_trait]
impl Warehouse for BigQuery {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        let mut files = files.to_vec();
        files.sort();
        let uri = |file: &TracksFile| format!("gs://{}/{}", self.buckets.name_of(file.object.bucket), file.object.name);
        let uris: Vec<_> = files.iter().map(uri).collect();
        let of_file = |(file, uri): (&TracksFile, &String)| format!("{} {uri} {}", file.request_id, file.generation);
        let identity = files.iter().zip(&uris).map(of_file).collect::<Vec<_>>().join("\n");
        self.load(&TRACKS, &identity, Rows::Parquet(uris)).await
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
        let lines = lines.map_err(|error| WarehouseError::Refused {
            doing: "recording requests".into(),
            reason: error.to_string(),
        })?;
        // The first row remains, even if a later one differs. A reopened request ends at another time.
        let ends = rows.iter().map(|row| format!("{} {}", row.request_id, row.finished_at));
        let identity = ends.collect::<Vec<_>>().join("\n");
        self.load(&REQUESTS, &identity, Rows::Lines(&lines)).await
    }

    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        let which = "state <> 'done' AND finished_at < TIMESTAMP(@before)";
        self.delete_rows(&REQUESTS, request, which, &[("before", before.to_string())]).await
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        for table in [&TRACKS, &REQUESTS] {
            self.delete_rows(table, request, "TRUE", &[]).await?;
        }
        Ok(())
    }
}

/// Whether another attempt can succeed. That is so if the error is temporary, or about a table or a right that somebody
/// can repair. It is not so if the error is about the rows.
fn may_pass(code: &str, message: &str) -> bool {
    // A deleted file remains deleted, and its rows exist nowhere else.
    let is_about_file = ["gs://", "/bigstore/"].iter().any(|address| message.contains(address));
    matches!(
        code,
        "accessDenied"
            | "backendError"
            | "billingNotEnabled"
            | "blocked"
            | "internalError"
            | "jobBackendError"
            | "jobInternalError"
            | "jobRateLimitExceeded"
            | "quotaExceeded"
            | "rateLimitExceeded"
            | "resourcesExceeded"
            | "stopped"
            | "tableUnavailable"
            | "timeout"
    ) || (code == "notFound" && !is_about_file)
}

fn describe(error: &JobError) -> String {
    let place = error.location.as_deref().filter(|place| !place.is_empty()).map(|place| format!(" at {place}"));
    format!("{}{}: {}", error.reason, place.unwrap_or_default(), error.message)
}

fn failed(doing: &str, error: ApiError) -> WarehouseError {
    let (doing, reason) = (doing.to_owned(), error.reason.clone());
    // A table or a right is missing: the rows are not at fault, and somebody can repair it while deliveries continue.
    // And its word for what is wrong says more than the status, which may be 400 where the moment is wrong.
    let may_pass = error.code.as_deref().is_some_and(|code| may_pass(code, &error.reason));
    let is_transient = error.is_transient() || may_pass || matches!(error.status, Some(401 | 403 | 404));
    if is_transient { WarehouseError::Unavailable { doing, reason } } else { WarehouseError::Refused { doing, reason } }
}

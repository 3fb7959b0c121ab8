//! Which permissions a call of Google's APIs needs.
//!
//! Cloud Storage by "IAM permissions for JSON methods"; Pub/Sub by "Access control with IAM", required permissions; BigQuery by the pages of the
//! methods, and for load jobs by "Loading Parquet data from Cloud Storage", required permissions; telemetry by "Telemetry API roles and permissions".

use super::grants::Need;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The parts of a call.
#[derive(Debug)]
pub struct Call<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The path's segments, decoded: an object's name is one of them.
    pub path: Vec<String>,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
    /// The body.
    pub body: &'a [u8],
}

/// The permissions that a call needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// In any case.
    pub needs: Vec<Need>,
    /// The object whose replacement takes `storage.objects.delete`, too, where it exists: bucket and name. Asked before any precondition.
    pub replaces: Option<(String, String)>,
    /// The object whose absence is answered with 404 only to accounts that may list its bucket.
    pub reads: Option<(String, String)>,
    /// The job that its creator may read without `bigquery.jobs.get`.
    pub job: Option<String>,
    /// The job that it makes.
    pub makes_job: Option<String>,
    /// Whether its address is its authorisation: no token is asked for.
    pub is_session: bool,
}

/// Which API a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Cloud Storage.
    Storage,
    /// Pub/Sub.
    PubSub,
    /// BigQuery.
    BigQuery,
    /// Telemetry.
    Telemetry,
}

impl Call<'_> {
    /// The API and what the call takes; none where this does not know the call: it must be looked up, not guessed.
    pub fn takes(&self) -> Option<(Api, Takes)> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let takes = match &path[..] {
            ["storage", "v1", "b", rest @ ..] => (Api::Storage, self.storage(rest)?),
            ["upload", "storage", "v1", "b", bucket, "o"] if self.method == "POST" => {
                let name = self.query.get("name").cloned().or_else(|| text(&self.description()?["name"]))?;
                (Api::Storage, writes(bucket, &name))
            }
            // The right was looked at when the session was opened.
            ["upload", "resumable", _] if matches!(self.method, "PUT" | "DELETE") => (Api::Storage, session()),
            ["upload", "storage", "v1", "b", _, "o"]
                if self.method == "PUT" && self.query.contains_key("upload_id") =>
            {
                (Api::Storage, session())
            }
            ["v1", "projects", _, kind, name] => (Api::PubSub, self.pubsub(kind, name)?),
            ["bigquery", "v2", "projects", project, rest @ ..] => (Api::BigQuery, self.bigquery(project, rest)?),
            ["upload", "bigquery", "v2", "projects", project, "jobs"] if self.method == "POST" => {
                (Api::BigQuery, self.job(project)?)
            }
            ["v1", "traces"] if self.method == "POST" => {
                (Api::Telemetry, always(vec![need("telemetry.traces.write", "project PROJECT")]))
            }
            _ => return None,
        };
        Some(takes)
    }

    fn storage(&self, rest: &[&str]) -> Option<Takes> {
        Some(match (self.method, rest) {
            ("GET", [bucket]) => always(vec![need("storage.buckets.get", &on_bucket(bucket))]),
            ("GET", [bucket, "o"]) => always(
                self.and_policy(vec![need("storage.objects.list", &on_bucket(bucket))], "storage.objects.getIamPolicy"),
            ),
            ("GET", [bucket, "o", name]) => Takes {
                needs: self
                    .and_policy(vec![of_object("storage.objects.get", bucket, name)], "storage.objects.getIamPolicy"),
                reads: Some(((*bucket).to_owned(), (*name).to_owned())),
                ..Takes::default()
            },
            ("DELETE", [bucket, "o", name]) => Takes {
                needs: vec![of_object("storage.objects.delete", bucket, name)],
                reads: Some(((*bucket).to_owned(), (*name).to_owned())),
                ..Takes::default()
            },
            ("PATCH" | "PUT", [bucket, "o", name]) => always(vec![
                of_object("storage.objects.get", bucket, name),
                of_object("storage.objects.update", bucket, name),
            ]),
            ("POST", [bucket, "o", name, "compose"]) => {
                let sources = self.description()?;
                let sources = sources["sourceObjects"].as_array()?.iter().filter_map(|source| text(&source["name"]));
                let read = sources.map(|source| of_object("storage.objects.get", bucket, &source)).collect();
                and(writes(bucket, name), read)
            }
            ("POST", [from, "o", source, "copyTo" | "rewriteTo", "b", to, "o", name]) => {
                and(writes(to, name), vec![of_object("storage.objects.get", from, source)])
            }
            ("GET", [bucket, "notificationConfigs", ..]) => {
                always(vec![need("storage.buckets.get", &on_bucket(bucket))])
            }
            ("POST" | "DELETE", [bucket, "notificationConfigs", ..]) => {
                always(vec![need("storage.buckets.update", &on_bucket(bucket))])
            }
            ("GET", [_, "iam", "testPermissions"]) => Takes::default(),
            _ => return None,
        })
    }

    /// `projection=full` shows who may do what.
    fn and_policy(&self, mut needs: Vec<Need>, permission: &'static str) -> Vec<Need> {
        if self.query.get("projection").is_some_and(|projection| projection == "full") {
            let of = Need { permission, ..needs[0].clone() };
            needs.push(of);
        }
        needs
    }

    fn pubsub(&self, kind: &str, name: &str) -> Option<Takes> {
        let (name, verb) = name.split_once(':').unwrap_or((name, ""));
        let on = |kind: &str| format!("{kind} {name}");
        let needs = match (self.method, kind, verb) {
            ("POST", _, "testIamPermissions") => vec![],
            ("POST", "topics", "publish") => vec![need("pubsub.topics.publish", &on("topic"))],
            ("GET", "topics", "") => vec![need("pubsub.topics.get", &on("topic"))],
            ("POST", "subscriptions", "pull" | "acknowledge" | "modifyAckDeadline") => {
                vec![need("pubsub.subscriptions.consume", &on("subscription"))]
            }
            ("GET", "subscriptions", "") => vec![need("pubsub.subscriptions.get", &on("subscription"))],
            _ => return None,
        };
        Some(always(needs))
    }

    fn bigquery(&self, project: &str, rest: &[&str]) -> Option<Takes> {
        Some(match (self.method, rest) {
            ("POST", ["jobs"]) => self.job(project)?,
            ("GET", ["jobs", id]) => Takes { job: Some((*id).to_owned()), ..Takes::default() },
            ("GET", ["datasets", dataset]) => {
                let on = format!("dataset {dataset}");
                let (get, policy) = (need("bigquery.datasets.get", &on), need("bigquery.datasets.getIamPolicy", &on));
                always(match self.query.get("datasetView").map(String::as_str) {
                    Some("METADATA") => vec![get],
                    Some("ACL") => vec![policy],
                    _ => vec![get, policy],
                })
            }
            ("GET", ["datasets", _, "tables", table]) => {
                always(vec![need("bigquery.tables.get", &format!("table {table}"))])
            }
            ("POST", ["queries"]) => self.query_job()?,
            _ => return None,
        })
    }

    /// A load job, or a dry run of a query. A load needs the creator's own rights to the table and to the loaded objects.
    fn job(&self, _project: &str) -> Option<Takes> {
        let job = self.description()?;
        let query = &job["configuration"]["query"];
        if !query.is_null() {
            // What runs goes through `queries`, and only what does not may be of another kind.
            let is_dry = job["configuration"]["dryRun"] == true;
            return is_dry.then(|| always(reading(&text(&query["query"]).unwrap_or_default())));
        }
        let load = &job["configuration"]["load"];
        let table = format!("table {}", text(&load["destinationTable"]["tableId"])?);
        let mut needs =
            vec![need("bigquery.jobs.create", "project PROJECT"), need("bigquery.tables.updateData", &table)];
        // Without a schema of its own the load takes the table's.
        if load["schema"].is_null() {
            needs.push(need("bigquery.tables.get", &table));
        }
        if load["createDisposition"] != "CREATE_NEVER" {
            needs.push(need("bigquery.tables.create", &table));
        }
        if !load["schemaUpdateOptions"].is_null() {
            needs.push(need("bigquery.tables.update", &table));
        }
        for uri in load["sourceUris"].as_array().into_iter().flatten() {
            let (bucket, name) = uri.as_str()?.strip_prefix("gs://")?.split_once('/')?;
            let on = on_bucket(bucket);
            needs.push(of_object("storage.objects.get", bucket, name));
            if !needs.iter().any(|need| need.permission == "storage.buckets.get" && need.on == on) {
                needs.push(need("storage.buckets.get", &on));
            }
            if name.contains('*') {
                needs.push(need("storage.objects.list", &on));
            }
        }
        Some(Takes { needs, makes_job: text(&job["jobReference"]["jobId"]), ..Takes::default() })
    }

    /// A query: this knows reading a table and deleting rows of one.
    fn query_job(&self) -> Option<Takes> {
        let description = self.description()?;
        let query = text(&description["query"])?;
        if !description["defaultDataset"].is_null() {
            // Names without a dataset: only reading is known of them.
            return query.trim_start().starts_with("SELECT").then(|| always(reading(&query)));
        }
        let table = query.split('`').nth(1)?.rsplit('.').next()?.to_owned();
        let on = format!("table {table}");
        let mut needs = vec![need("bigquery.jobs.create", "project PROJECT"), need("bigquery.tables.getData", &on)];
        match query.split_whitespace().next()? {
            "SELECT" => {}
            "DELETE" => needs.push(need("bigquery.tables.updateData", &on)),
            _ => return None,
        }
        Some(always(needs))
    }

    /// The JSON of the body, or of its first part.
    fn description(&self) -> Option<Value> {
        let at = self.body.iter().position(|&byte| byte == b'{')?;
        serde_json::Deserializer::from_slice(&self.body[at..]).into_iter::<Value>().next()?.ok()
    }
}

/// What a statement takes that reads tables by their names alone: a job, and the data of each.
fn reading(query: &str) -> Vec<Need> {
    let words: Vec<_> = query.split_whitespace().collect();
    let names =
        words.windows(2).filter(|pair| ["FROM", "JOIN", "INTO", "TABLE"].contains(&pair[0])).map(|pair| pair[1]);
    let names = names.map(|name| name.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let tables: BTreeSet<_> = names.filter(|name| !name.is_empty()).collect();
    let data = tables.into_iter().map(|table| need("bigquery.tables.getData", &format!("table {table}")));
    [need("bigquery.jobs.create", "project PROJECT")].into_iter().chain(data).collect()
}

/// An upload, or whatever else makes an object.
fn writes(bucket: &str, name: &str) -> Takes {
    Takes {
        needs: vec![of_object("storage.objects.create", bucket, name)],
        replaces: Some((bucket.to_owned(), name.to_owned())),
        ..Takes::default()
    }
}

/// A call of an upload that is open.
fn session() -> Takes {
    Takes { is_session: true, ..Takes::default() }
}

fn and(mut takes: Takes, more: Vec<Need>) -> Takes {
    takes.needs.extend(more);
    takes
}

fn always(needs: Vec<Need>) -> Takes {
    Takes { needs, ..Takes::default() }
}

fn need(permission: &'static str, on: &str) -> Need {
    Need { permission, on: on.to_owned(), object: None }
}

/// Of an object.
pub(super) fn of_object(permission: &'static str, bucket: &str, name: &str) -> Need {
    Need { permission, on: on_bucket(bucket), object: Some(name.to_owned()) }
}

pub(super) fn on_bucket(bucket: &str) -> String {
    format!("bucket {bucket}")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call takes, as text; "unknown" for one that is not known.
    fn takes(method: &str, path: &str, query: &[(&str, &str)], body: &str) -> Vec<String> {
        let path = path.trim_start_matches('/').split('/').map(|part| part.replace("%2F", "/")).collect();
        let query = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let Some((_, takes)) = (Call { method, path, query, body: body.as_bytes() }).takes() else {
            return vec!["unknown".to_owned()];
        };
        let needs = takes.needs.iter().map(|need| format!("{} {}", need.permission, need.on));
        let replaces = takes.replaces.iter().map(|(bucket, name)| format!("replaces {bucket}/{name}"));
        needs.chain(replaces).chain(takes.job.iter().map(|job| format!("job {job}"))).collect()
    }

    #[test]
    fn every_call_of_an_object_takes_what_google_documents() {
        let object = "/storage/v1/b/w/o/ended%2Freq";
        for (method, path, query, body, expected) in [
            ("GET", object, &[][..], "", &["storage.objects.get bucket w"][..]),
            ("GET", object, &[("alt", "media")], "", &["storage.objects.get bucket w"]),
            ("GET", "/storage/v1/b/w/o", &[], "", &["storage.objects.list bucket w"]),
            (
                "GET",
                "/storage/v1/b/w/o",
                &[("projection", "full")],
                "",
                &["storage.objects.list bucket w", "storage.objects.getIamPolicy bucket w"],
            ),
            ("GET", "/storage/v1/b/w", &[], "", &["storage.buckets.get bucket w"]),
            ("DELETE", object, &[], "", &["storage.objects.delete bucket w"]),
            ("PATCH", object, &[], "{}", &["storage.objects.get bucket w", "storage.objects.update bucket w"]),
            (
                "POST",
                "/upload/storage/v1/b/w/o",
                &[("uploadType", "multipart")],
                "--x\r\n\r\n{\"name\":\"ended/req\"}\r\n",
                &["storage.objects.create bucket w", "replaces w/ended/req"],
            ),
            (
                "POST",
                "/upload/storage/v1/b/w/o",
                &[("uploadType", "media"), ("name", "a b")],
                "content",
                &["storage.objects.create bucket w", "replaces w/a b"],
            ),
            (
                "POST",
                "/storage/v1/b/w/o/whole/compose",
                &[],
                r#"{"sourceObjects":[{"name":"part"}]}"#,
                &["storage.objects.create bucket w", "storage.objects.get bucket w", "replaces w/whole"],
            ),
            (
                "POST",
                "/storage/v1/b/u/o/a/rewriteTo/b/w/o/b",
                &[],
                "",
                &["storage.objects.create bucket w", "storage.objects.get bucket u", "replaces w/b"],
            ),
            ("POST", "/storage/v1/b/u/notificationConfigs", &[], "{}", &["storage.buckets.update bucket u"]),
            ("PUT", "/storage/v1/b/u/acl/allUsers", &[], "{}", &["unknown"]),
        ] {
            assert_eq!(takes(method, path, query, body), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_call_of_topics_and_tables_takes_what_google_documents() {
        let load = r#"{"jobReference":{"jobId":"j"},"configuration":{"load":{"destinationTable":{"tableId":"tracks"},
            "createDisposition":"CREATE_NEVER","sourceUris":["gs://r/a.parquet","gs://r/b.parquet"]}}}"#;
        let jobs = "/bigquery/v2/projects/p/jobs";
        for (method, path, query, body, expected) in [
            ("POST", "/v1/projects/p/topics/t:publish", &[][..], "{}", &["pubsub.topics.publish topic t"][..]),
            (
                "POST",
                "/v1/projects/p/subscriptions/s:pull",
                &[],
                "{}",
                &["pubsub.subscriptions.consume subscription s"],
            ),
            (
                "POST",
                "/v1/projects/p/subscriptions/s:acknowledge",
                &[],
                "{}",
                &["pubsub.subscriptions.consume subscription s"],
            ),
            ("DELETE", "/v1/projects/p/topics/t", &[], "", &["unknown"]),
            (
                "GET",
                "/bigquery/v2/projects/p/datasets/d",
                &[("datasetView", "METADATA")],
                "",
                &["bigquery.datasets.get dataset d"],
            ),
            // What no account was ever granted, and every load asked for.
            (
                "GET",
                "/bigquery/v2/projects/p/datasets/d",
                &[],
                "",
                &["bigquery.datasets.get dataset d", "bigquery.datasets.getIamPolicy dataset d"],
            ),
            (
                "POST",
                jobs,
                &[],
                load,
                &[
                    "bigquery.jobs.create project PROJECT",
                    "bigquery.tables.updateData table tracks",
                    "bigquery.tables.get table tracks",
                    "storage.objects.get bucket r",
                    "storage.buckets.get bucket r",
                    "storage.objects.get bucket r",
                ],
            ),
            ("GET", "/bigquery/v2/projects/p/jobs/j", &[("location", "EU")], "", &["job j"]),
            (
                "POST",
                "/bigquery/v2/projects/p/queries",
                &[],
                r#"{"query":"DELETE FROM `p.d.requests` WHERE TRUE"}"#,
                &[
                    "bigquery.jobs.create project PROJECT",
                    "bigquery.tables.getData table requests",
                    "bigquery.tables.updateData table requests",
                ],
            ),
            ("POST", "/bigquery/v2/projects/p/queries", &[], r#"{"query":"DROP TABLE `p.d.requests`"}"#, &["unknown"]),
            (
                "POST",
                "/bigquery/v2/projects/p/queries",
                &[],
                r#"{"query":"SELECT 1 FROM tracks JOIN requests USING (x)","defaultDataset":{"datasetId":"d"}}"#,
                &[
                    "bigquery.jobs.create project PROJECT",
                    "bigquery.tables.getData table requests",
                    "bigquery.tables.getData table tracks",
                ],
            ),
            (
                "POST",
                jobs,
                &[],
                r#"{"configuration":{"dryRun":true,"query":{"query":"DELETE FROM tracks WHERE TRUE"}}}"#,
                &["bigquery.jobs.create project PROJECT", "bigquery.tables.getData table tracks"],
            ),
            ("POST", jobs, &[], r#"{"configuration":{"query":{"query":"SELECT 1"}}}"#, &["unknown"]),
            ("POST", "/v1/traces", &[], "", &["telemetry.traces.write project PROJECT"]),
            ("POST", "/v1/metrics", &[], "", &["unknown"]),
        ] {
            assert_eq!(takes(method, path, query, body), expected, "{method} {path}");
        }
    }
}

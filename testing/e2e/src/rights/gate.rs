//! A proxy between one service and Google Cloud. It says who the service is, as Cloud Run's metadata server does, and lets through what this account
//! may do.

use super::{
    calls::{Api, Call, Takes, of_object, on_bucket},
    grants::{Grants, Need, Right},
};
use crate::proxy::pass_on;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// What an access token begins with; the account follows.
const TOKEN: &str = "ya29.e2e.";
/// Where Cloud Run's metadata server has the token of the service's account.
const METADATA: &str = "/computeMetadata/v1/";

/// All rights of a deployment, and what came of them.
#[derive(Debug)]
pub struct Rights {
    rights: Vec<Right>,
    project: String,
    state: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Indices of rights that a call needed.
    used: BTreeSet<usize>,
    /// Indices of rights that are taken away for now.
    withheld: BTreeSet<usize>,
    /// What was refused, in words.
    refused: Vec<String>,
    /// Who made which job.
    jobs: BTreeMap<String, String>,
}

impl Rights {
    /// What Terraform grants in an example, for this project.
    pub fn of(grants: &Grants, project: &str) -> Self {
        Self { rights: grants.all_rights(), project: project.to_owned(), state: Mutex::default() }
    }

    /// Withholds the rights whose own text contains all these words, and returns how many. A second call withholds others, and with no words it
    /// restores all.
    pub fn withhold(&self, words: &[&str]) -> usize {
        let is_meant = |right: &Right| {
            let text = right.to_string();
            !words.is_empty() && words.iter().all(|word| text.split(' ').any(|part| part == *word))
        };
        let withheld: BTreeSet<_> = (0..self.rights.len()).filter(|&index| is_meant(&self.rights[index])).collect();
        let count = withheld.len();
        self.state.lock().unwrap().withheld = withheld;
        count
    }

    /// What was refused since this was asked last.
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().refused)
    }

    /// What was refused and not asked for yet.
    pub fn refused(&self) -> Vec<String> {
        self.state.lock().unwrap().refused.clone()
    }

    /// The rights that calls needed so far.
    pub fn used(&self) -> BTreeSet<Right> {
        self.state.lock().unwrap().used.iter().map(|&index| self.rights[index].clone()).collect()
    }

    /// Whether an account has what a call takes; notes that it was used, or that it was refused.
    pub fn decide(&self, account: &str, need: &Need) -> bool {
        // The file of the grants knows no project.
        let need =
            Need { on: need.on.replace(&format!("bucket {}-", self.project), "bucket PROJECT-"), ..need.clone() };
        let mut state = self.state.lock().unwrap();
        let covers = |index: &usize| {
            let right = &self.rights[*index];
            right.account == account && !state.withheld.contains(index) && right.covers(&need)
        };
        let found: Vec<usize> = (0..self.rights.len()).filter(covers).collect();
        match found.first() {
            // What two grants give is used of both: neither could go without somebody's looking.
            Some(_) => state.used.extend(found),
            None => {
                let object = need.object.map(|object| format!(" {object}")).unwrap_or_default();
                state.refused.push(format!("{account} needs {} on {}{object}", need.permission, need.on));
                return false;
            }
        }
        true
    }
}

/// The hosts behind a gate.
#[derive(Clone, Debug)]
pub struct Behind {
    /// Cloud Storage.
    pub storage: String,
    /// Pub/Sub.
    pub pubsub: String,
    /// BigQuery.
    pub bigquery: String,
    /// Who writes to BigQuery: of two calls at the same moment, local-bigquery 0.4.0 answers one with 400 and "Conflict on update!", its database's words,
    /// which BigQuery never says.
    pub bigquery_writer: Arc<tokio::sync::Mutex<()>>,
    /// What takes traces.
    pub telemetry: String,
    /// Topics that are another one there.
    pub topics: BTreeMap<String, String>,
}

/// A way to Google Cloud for one account.
#[derive(Clone, Debug)]
pub struct RightsGate {
    rights: Arc<Rights>,
    account: String,
    behind: Behind,
    http: reqwest::Client,
    /// The port for everything, the metadata server included.
    pub port: u16,
}

impl RightsGate {
    /// Listens for a service that runs as `account`.
    pub async fn start(rights: Arc<Rights>, account: &str, behind: Behind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Self { rights, account: account.to_owned(), behind, http: crate::http_client(), port };
        let router = Router::new().fallback(answer).with_state(gate.clone());
        // A chunk is larger than what an extractor takes unasked.
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gate
    }

    /// The variables that make a process run as the account, and call through here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let url = format!("http://127.0.0.1:{}", self.port);
        let mut all = vec![("GCE_METADATA_HOST".to_owned(), format!("127.0.0.1:{}", self.port))];
        for api in ["STORAGE", "PUBSUB", "BIGQUERY", "TELEMETRY"] {
            all.push((format!("TRACKDROP_{api}_ENDPOINT"), url.clone()));
        }
        all
    }

    /// Whether an object exists: what it takes to write it depends on that.
    async fn exists(&self, bucket: &str, name: &str) -> bool {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let url = format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.behind.storage);
        self.http.get(url).send().await.unwrap().status().is_success()
    }

    /// Everything that the call takes in the current state.
    async fn needs(&self, takes: &Takes) -> Vec<Need> {
        let mut needs = takes.needs.clone();
        if let Some((bucket, name)) = &takes.replaces
            && self.exists(bucket, name).await
        {
            needs.push(of_object("storage.objects.delete", bucket, name));
        }
        if let Some((bucket, name)) = &takes.reads
            && !self.exists(bucket, name).await
        {
            needs.push(Need { permission: "storage.objects.list", on: on_bucket(bucket), object: None });
        }
        if let Some(job) = &takes.job {
            let is_own = self.rights.state.lock().unwrap().jobs.get(job) == Some(&self.account);
            if !is_own {
                needs.push(Need { permission: "bigquery.jobs.get", on: "project PROJECT".to_owned(), object: None });
            }
        }
        needs
    }
}

/// The access token of an account.
pub fn token_of(account: &str) -> String {
    format!("{TOKEN}{account}")
}

/// What the metadata server of Cloud Run says.
fn metadata(account: &str, path: &str, headers: &HeaderMap) -> Response {
    let flavor = [("metadata-flavor", "Google")];
    if headers.get("metadata-flavor").is_none_or(|value| value != "Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    match path {
        "instance/service-accounts/default/token" => {
            let token = json!({ "access_token": token_of(account), "expires_in": 3_599, "token_type": "Bearer" });
            (flavor, [(header::CONTENT_TYPE, "application/json")], token.to_string()).into_response()
        }
        "universe/universe-domain" => (flavor, "googleapis.com").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn answer(State(gate): State<RightsGate>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(path) = uri.path().strip_prefix(METADATA) {
        return metadata(&gate.account, path, &headers);
    }
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let query = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let call = Call {
        method: method.as_str(),
        path: uri.path().trim_start_matches('/').split('/').map(decoded).collect(),
        query: query
            .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
            .collect(),
        body: &body,
    };
    let Some((api, takes)) = call.takes() else {
        let refused = format!(
            "{} calls {method} {uri}, and nobody has looked up what that takes (testing/e2e/src/rights/calls.rs)",
            gate.account
        );
        gate.rights.state.lock().unwrap().refused.push(refused.clone());
        return (StatusCode::NOT_IMPLEMENTED, refused).into_response();
    };
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !takes.is_session && token != format!("Bearer {}", token_of(&gate.account)) {
        gate.rights
            .state
            .lock()
            .unwrap()
            .refused
            .push(format!("{method} {uri} has no token of {}: {token:?}", gate.account));
        return refusal(
            api,
            StatusCode::UNAUTHORIZED,
            "Request is missing required authentication credential.",
            "authError",
        );
    }
    for need in gate.needs(&takes).await {
        if !gate.rights.decide(&gate.account, &need) {
            return forbidden(api, &gate.account, &need);
        }
    }
    if let Some(job) = takes.makes_job {
        gate.rights.state.lock().unwrap().jobs.entry(job).or_insert_with(|| gate.account.clone());
    }
    let behind = match api {
        Api::Storage => &gate.behind.storage,
        Api::PubSub => &gate.behind.pubsub,
        Api::BigQuery => &gate.behind.bigquery,
        Api::Telemetry => &gate.behind.telemetry,
    };
    let mut path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    for (topic, there) in &gate.behind.topics {
        path = path.replace(&format!("/topics/{topic}:"), &format!("/topics/{there}:"));
    }
    let is_write = matches!(api, Api::BigQuery) && method != Method::GET;
    let writer = if is_write { Some(gate.behind.bigquery_writer.lock().await) } else { None };
    let mut answer = pass_on(&gate.http, behind, method, &path, headers, body).await;
    drop(writer);
    if matches!(api, Api::BigQuery) && answer.status() == StatusCode::BAD_REQUEST {
        answer = as_google_calls_duplicates(answer).await;
    }
    // The session of an upload: it continues through this gate.
    if let Some(location) = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        let through = location.splitn(4, '/').nth(3).map(|path| format!("http://127.0.0.1:{}/{path}", gate.port));
        if let Some(through) = through.and_then(|through| HeaderValue::from_str(&through).ok()) {
            answer.headers_mut().insert(header::LOCATION, through);
        }
    }
    answer
}

/// Of two that begin the same job at once the emulator answers the second with its database's words and 400, Google with 409.
async fn as_google_calls_duplicates(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&body);
    // At once, or where the second one commits.
    if ["violates primary key constraint", "PRIMARY KEY or UNIQUE constraint violation"]
        .iter()
        .any(|words| said.contains(words))
    {
        return refusal(Api::BigQuery, StatusCode::CONFLICT, "Already Exists: Job", "duplicate");
    }
    Response::from_parts(parts, body.into())
}

/// 403 as the API says it.
fn forbidden(api: Api, account: &str, Need { permission, on, object }: &Need) -> Response {
    let (message, reason) = match api {
        Api::Storage => {
            let what = if object.is_some() { "object" } else { "bucket" };
            let message = format!(
                "{account} does not have {permission} access to the Google Cloud Storage {what}. Permission '{permission}' denied on resource (or it may not exist)."
            );
            (message, "forbidden")
        }
        Api::BigQuery => (
            format!("Access Denied: {on}: Permission {permission} denied on {on} (or it may not exist)."),
            "accessDenied",
        ),
        Api::PubSub => ("User not authorized to perform this action.".to_owned(), "forbidden"),
        Api::Telemetry => (format!("Permission '{permission}' denied on resource (or it may not exist)."), "forbidden"),
    };
    refusal(api, StatusCode::FORBIDDEN, &message, reason)
}

fn refusal(api: Api, status: StatusCode, message: &str, reason: &str) -> Response {
    let mut error = json!({ "code": status.as_u16(), "message": message });
    if api != Api::PubSub && api != Api::Telemetry {
        error["errors"] = json!([{ "message": message, "domain": "global", "reason": reason }]);
    }
    if api != Api::Storage {
        let status = if status == StatusCode::FORBIDDEN { "PERMISSION_DENIED" } else { "UNAUTHENTICATED" };
        error["status"] = Value::from(status);
    }
    (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], json!({ "error": error }).to_string())
        .into_response()
}

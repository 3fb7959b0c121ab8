//! Everything that Terraform would make, made on emulators: buckets, topics, subscriptions from `triggers/*.yaml`, tables, services.

use crate::{
    gateway::Gateway,
    rights::{
        gate::{self, Behind, Rights, RightsGate},
        grants::{Grants, Need, PERSON},
        report,
    },
    rows::{Rows, of_bigquery},
    service::{ServiceProcess, program},
    storage_gate::StorageGate,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use trackdrop_emulators::{self as emulators, Emulator};
use trackdrop_otlp_receiver::Receiver;
use trackdrop_pipeline::{
    RequestId,
    names::Bucket,
    trigger::{EventSource, Trigger},
};
use trackdrop_pull_server::PullServer;
use trackdrop_tables::schema::{REQUESTS, TRACKS, Table};

const PROJECT: &str = "demo";
const DATASET: &str = "trackdrop";
/// The emulator publishes the events of all buckets on one topic, which stands for those of Terraform.
const OBJECTS: &str = "trackdrop-objects";
const TOPICS_OF_BUCKETS: [&str; 2] = ["trackdrop-uploads", "trackdrop-work"];
/// The functions, each of which is a program `trackdrop-FUNCTION`.
pub const FUNCTIONS: [&str; 7] = ["split", "track", "merge", "load", "annotate", "join", "fail"];
/// Backoffs of the trigger files are for a cloud's minutes; here they are this much shorter.
const BACKOFF_DIVISOR: f64 = 20.0;
/// No scenario takes a tenth of it.
const ENDS_WITHIN: Duration = Duration::from_secs(240);

/// The checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Says something that the test harness does not swallow.
pub fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A whole deployment; all of it ends with this value.
#[derive(Debug)]
pub struct Deployment {
    /// Filters, queues, and the faults that are asked for.
    pub gateway: Gateway,
    /// What every account may do, and did.
    pub rights: Arc<Rights>,
    /// What came to Google's Telemetry API.
    pub telemetry: Receiver,
    /// By account: how it reaches Google Cloud.
    gates: BTreeMap<String, RightsGate>,
    pub(crate) http: reqwest::Client,
    /// What workers of `track` pull from; gone before the emulator that it has the events of.
    pull: Option<Pull>,
    pub(crate) storage: Emulator,
    pubsub: Emulator,
    bigquery: Emulator,
    setup: Setup,
    /// The ends that were told while another one was waited for.
    ended: Mutex<BTreeMap<String, Finished>>,
    /// Logs, data of emulators, and whatever a test puts there.
    pub folder: TempDir,
}

/// What is other than Terraform's defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// `track` has no service and nobody pushes to it: [`Deployment::worker`] starts those who pull. They open their streams not to the emulator, which
    /// goes on sending into streams that are closed and heeds no flow control, but to a server that has their events out of it.
    pub is_track_pulled: bool,
    /// `load` gathers windows: [`Deployment::clock`] ends them.
    pub is_loaded_by_window: bool,
}

/// The end of a request, as the users' own systems are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// `done`, `done_without_video` or `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// The variables that every service gets, besides those that say how it reaches Google Cloud.
fn variables(home: &Path) -> Vec<(String, String)> {
    let model = checkout().join(".deps/models/nanodet-g-416.onnx");
    let mut all = vec![
        ("TRACKDROP_TOPIC_REQUESTS".to_owned(), format!("projects/{PROJECT}/topics/trackdrop-requests")),
        ("TRACKDROP_TOPIC_UPLOADS".to_owned(), format!("projects/{PROJECT}/topics/trackdrop-uploads")),
        ("TRACKDROP_TOPIC_WORK".to_owned(), format!("projects/{PROJECT}/topics/trackdrop-work")),
        ("TRACKDROP_DATASET".to_owned(), format!("{PROJECT}.{DATASET}")),
        ("TRACKDROP_DATASET_LOCATION".to_owned(), "US".to_owned()),
        ("HOME".to_owned(), home.display().to_string()),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "500".to_owned()),
        // Here no request has to stand still for hours before the sweeper looks after it.
        ("TRACKDROP_STILL_S".to_owned(), "0".to_owned()),
        (
            "TRACKDROP_DEAD_LETTERS_SUBSCRIPTION".to_owned(),
            format!("projects/{PROJECT}/subscriptions/trackdrop-dead-letters"),
        ),
        ("TRACKDROP_MODEL".to_owned(), model.display().to_string()),
    ];
    for role in Bucket::ALL {
        all.push((format!("TRACKDROP_BUCKET_{}", role.as_str().to_uppercase()), bucket_name(role)));
    }
    all
}

pub(crate) fn bucket_name(role: Bucket) -> String {
    format!("{PROJECT}-trackdrop-{role}")
}

impl Deployment {
    /// Starts everything; none, and said loudly, where an emulator or a service is missing. With `TRACKDROP_REQUIRE_EMULATORS=1` that is a failure.
    pub async fn start() -> Option<Self> {
        Self::start_with(Setup::default()).await
    }

    /// The same, set up in another way.
    pub async fn start_with(setup: Setup) -> Option<Self> {
        let missing: Vec<_> = FUNCTIONS
            .iter()
            .map(|function| format!("trackdrop-{function}"))
            .chain(["trackdrop".to_owned()])
            .filter(|name| program(name).is_none())
            .collect();
        if !missing.is_empty() {
            let required = std::env::var("TRACKDROP_REQUIRE_EMULATORS").is_ok_and(|value| value == "1");
            assert!(!required, "not built, and required: {missing:?} (scripts/test builds them)");
            say(&format!("*** SKIPPED: {missing:?} are not built (scripts/test builds them) ***"));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // The services' home: with what scripts/setup fetched, and without anybody's own credentials.
        if let Some(home) = std::env::var_os("HOME") {
            std::os::unix::fs::symlink(Path::new(&home).join(".cache"), folder.path().join(".cache")).unwrap();
        }
        let pubsub = emulators::pubsub()?;
        let storage = emulators::cloud_storage(Some((&pubsub.host(), PROJECT, OBJECTS)))?;
        let bigquery = emulators::bigquery(PROJECT, &storage.host(), &folder.path().join("bigquery"))?;
        let http = reqwest::Client::new();
        let example = if setup.is_track_pulled { "pull-workers" } else { "smallest" };
        let rights = Arc::new(Rights::of(&Grants::of_example(&checkout(), example), PROJECT));
        let telemetry = Receiver::start_as_google(PROJECT).await.unwrap();
        let behind = Behind {
            storage: storage.host(),
            pubsub: pubsub.host(),
            bigquery: bigquery.host(),
            telemetry: telemetry.host().to_owned(),
            topics: TOPICS_OF_BUCKETS.into_iter().map(|topic| (topic.to_owned(), OBJECTS.to_owned())).collect(),
        };
        let mut gates = BTreeMap::new();
        gates.insert(PERSON.to_owned(), RightsGate::start(rights.clone(), PERSON, behind.clone()).await);
        let (mut services, mut triggers) = (Vec::new(), Vec::new());
        for function in FUNCTIONS {
            let yaml = std::fs::read_to_string(checkout().join(format!("triggers/{function}.yaml"))).unwrap();
            let trigger = Trigger::parse(&yaml).unwrap();
            triggers.push(trigger.clone());
            let account = format!("trackdrop-{function}");
            if function == "track" && setup.is_track_pulled {
                let way = RightsGate::start(rights.clone(), &account, behind.clone()).await;
                gates.insert(account, way);
                continue;
            }
            let gate = StorageGate::start(&storage.host()).await;
            let behind = Behind { storage: format!("127.0.0.1:{}", gate.port), ..behind.clone() };
            let way = RightsGate::start(rights.clone(), &account, behind).await;
            let mut variables = [variables(folder.path()), way.environment()].concat();
            gates.insert(account, way);
            if function == "load" && setup.is_loaded_by_window {
                variables.push(("TRACKDROP_LOAD_WINDOW".to_owned(), "1".to_owned()));
            }
            services.push((trigger, ServiceProcess::start(function, &[], &variables, folder.path()).await, gate));
        }
        let roles = Bucket::ALL.into_iter().map(|role| (bucket_name(role), role.as_str().to_owned())).collect();
        let gateway = Gateway::start(services, roles).await;
        let (pull, ended) = (None, Mutex::default());
        let mut deployment =
            Self { gateway, rights, telemetry, gates, http, storage, pubsub, bigquery, folder, setup, pull, ended };
        deployment.make(&triggers).await;
        if let Some(trigger) = triggers.iter().find(|trigger| trigger.function == "track" && setup.is_track_pulled) {
            deployment.pull = Some(Pull::start(&deployment, trigger).await);
        }
        Some(deployment)
    }

    /// What Terraform makes, in its names.
    async fn make(&self, triggers: &[Trigger]) {
        for topic in [OBJECTS, "trackdrop-requests", "trackdrop-dead-letters", "trackdrop-undeliverable"] {
            self.pubsub("PUT", &format!("topics/{topic}"), json!({})).await;
        }
        for trigger in triggers {
            self.pubsub("PUT", &format!("subscriptions/trackdrop-{}", trigger.function), self.subscription(trigger))
                .await;
        }
        for topic in ["trackdrop-dead-letters", "trackdrop-undeliverable", "trackdrop-requests"] {
            let name = if topic == "trackdrop-requests" { "finished" } else { topic };
            let subscription =
                json!({ "topic": format!("projects/{PROJECT}/topics/{topic}"), "ackDeadlineSeconds": 60 });
            self.pubsub("PUT", &format!("subscriptions/{name}"), subscription).await;
        }
        for role in Bucket::ALL {
            let url = format!("http://{}/storage/v1/b?project={PROJECT}", self.storage.host());
            expect(self.http.post(url).json(&json!({ "name": bucket_name(role) }))).await;
        }
        let datasets = format!("http://{}/bigquery/v2/projects/{PROJECT}/datasets", self.bigquery.host());
        let dataset = json!({ "datasetReference": { "projectId": PROJECT, "datasetId": DATASET }, "location": "US" });
        expect(self.http.post(&datasets).json(&dataset)).await;
        let schema = self.folder.path().join("schema");
        let made =
            Command::new(program("trackdrop").unwrap()).args(["schema", "bigquery", "--out"]).arg(&schema).status();
        assert!(made.unwrap().success());
        let reference = |table: &str| json!({ "projectId": PROJECT, "datasetId": DATASET, "tableId": table });
        for (table, cluster) in [("tracks", vec!["request_id", "track_id"]), ("requests", vec!["request_id"])] {
            let fields: Value =
                serde_json::from_str(&std::fs::read_to_string(schema.join(format!("{table}.json"))).unwrap()).unwrap();
            let table = json!({
                "tableReference": reference(table), "schema": { "fields": fields },
                "timePartitioning": { "type": "DAY", "field": "uploaded_at" }, "clustering": { "fields": cluster },
            });
            expect(self.http.post(format!("{datasets}/{DATASET}/tables")).json(&table)).await;
        }
    }

    /// As `terraform/modules/events` makes it, with shorter backoffs.
    fn subscription(&self, trigger: &Trigger) -> Value {
        let (topic, filter) = match &trigger.on {
            EventSource::ObjectFinalized { prefix, .. } if prefix.is_empty() => (OBJECTS.to_owned(), String::new()),
            EventSource::ObjectFinalized { prefix, .. } => {
                (OBJECTS.to_owned(), format!("hasPrefix(attributes.objectId, {prefix:?})"))
            }
            EventSource::MessagePublished { topic } => (format!("trackdrop-{topic}"), String::new()),
        };
        let dead_letter = trigger.dead_letter.as_deref().unwrap_or("undeliverable");
        let backoff = |seconds: f64| format!("{:.3}s", seconds / BACKOFF_DIVISOR);
        let is_pulled = trigger.function == "track" && self.setup.is_track_pulled;
        let push = json!({ "pushEndpoint": self.gateway.endpoint(&trigger.function) });
        json!({
            "topic": format!("projects/{PROJECT}/topics/{topic}"),
            "filter": filter,
            "ackDeadlineSeconds": trigger.deadline_s,
            "pushConfig": if is_pulled { json!({}) } else { push },
            "retryPolicy": {
                "minimumBackoff": backoff(trigger.retry.min_backoff_s), "maximumBackoff": backoff(trigger.retry.max_backoff_s),
            },
            "deadLetterPolicy": {
                "deadLetterTopic": format!("projects/{PROJECT}/topics/trackdrop-{dead_letter}"),
                "maxDeliveryAttempts": trigger.retry.attempts,
            },
        })
    }

    /// Calls a function as Cloud Scheduler does; gives the status of the answer.
    pub async fn clock(&self, function: &str, event: &str) -> u16 {
        let port = self.gateway.process(function).await.port;
        let post = self.http.post(format!("http://127.0.0.1:{port}/")).header("content-type", "application/json");
        let post = post.header("ce-specversion", "1.0").header("ce-type", event).header("ce-id", "load-window");
        let post = post.header("ce-source", "//cloudscheduler.googleapis.com/trackdrop-load-window");
        post.body("{}").send().await.unwrap().status().as_u16()
    }

    /// Starts another process of a function beside the one behind the gateway.
    pub async fn another(&self, function: &str) -> ServiceProcess {
        let logs = self.folder.path().join("another");
        std::fs::create_dir_all(&logs).unwrap();
        ServiceProcess::start(function, &[], &self.environment(&format!("trackdrop-{function}")), &logs).await
    }

    /// Checks that the test of this name has used the rights that its list says.
    pub fn check_rights(&self, test: &str) {
        report::check_used(&checkout(), test, &self.rights);
    }

    /// Runs the `trackdrop` command on this deployment; gives its standard output.
    pub fn trackdrop(&self, arguments: &[&str]) -> String {
        let output = self.output_of_trackdrop(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same where it must fail; gives what it says of that.
    pub fn trackdrop_fails(&self, arguments: &[&str]) -> String {
        let output = self.output_of_trackdrop(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn output_of_trackdrop(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("trackdrop").unwrap());
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        command.envs(self.environment(PERSON)).args(arguments).output().unwrap()
    }

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

    /// Starts a worker that pulls, and does not wait for it; `name` is that of its log's folder.
    pub fn worker(&self, name: &str, more: &[(&str, &str)]) -> ServiceProcess {
        let mut variables = self.environment("trackdrop-track");
        let subscription = format!("projects/{PROJECT}/subscriptions/trackdrop-track");
        variables.push(("TRACKDROP_SUBSCRIPTION".to_owned(), subscription));
        // What is not about streams it passes on to the gate.
        variables.push(("TRACKDROP_PUBSUB_ENDPOINT".to_owned(), format!("http://{}", self.pull_server().host())));
        variables.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let logs = self.folder.path().join(name);
        std::fs::create_dir_all(&logs).unwrap();
        ServiceProcess::begin("track", &["--pull"], &variables, &logs)
    }

    /// What workers pull from.
    pub fn pull_server(&self) -> &PullServer {
        &self.pull.as_ref().expect("`is_track_pulled` sets it up").server
    }

    /// Names and generations of the objects of a bucket that begin with `prefix`.
    pub async fn list(&self, bucket: Bucket, prefix: &str) -> Vec<(String, String)> {
        let bucket = bucket_name(bucket);
        let url = format!("http://{}/storage/v1/b/{bucket}/o?prefix={prefix}", self.storage.host());
        let page: Value = serde_json::from_slice(&expect(self.http.get(url)).await).unwrap();
        let text = |object: &Value, member: &str| object[member].as_str().unwrap().to_owned();
        let objects = page["items"].as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| (text(object, "name"), text(object, "generation"))).collect()
    }

    /// Waits until so many objects of a bucket begin with `prefix`.
    pub async fn until_listed(&self, bucket: Bucket, prefix: &str, count: usize) -> Vec<(String, String)> {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let listed = self.list(bucket, prefix).await;
            if listed.len() >= count {
                return listed;
            }
            assert!(Instant::now() < until, "{bucket}/{prefix}: {listed:?}\n{}", self.gateway.logs().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Deletes an object behind everybody's back.
    pub async fn delete(&self, bucket: Bucket, name: &str) {
        let (bucket, name) = (bucket_name(bucket), name.replace('/', "%2F"));
        expect(self.http.delete(format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.storage.host()))).await;
    }

    /// Publishes once more what was published when the object was made.
    pub async fn publish_again(&self, bucket: Bucket, name: &str, generation: &str) {
        let attributes = json!({
            "eventType": "OBJECT_FINALIZE", "payloadFormat": "NONE",
            "bucketId": bucket_name(bucket), "objectId": name, "objectGeneration": generation,
        });
        self.pubsub(
            "POST",
            &format!("topics/{OBJECTS}:publish"),
            json!({ "messages": [{ "attributes": attributes }] }),
        )
        .await;
    }

    /// Publishes what Pub/Sub does when the subscription of a function gives up the event of this object.
    pub async fn publish_dead_letter(&self, function: &str, bucket: Bucket, name: &str) {
        let generation = self.list(bucket, name).await.remove(0).1;
        let attributes = json!({
            "eventType": "OBJECT_FINALIZE", "payloadFormat": "NONE",
            "bucketId": bucket_name(bucket), "objectId": name, "objectGeneration": generation,
            "CloudPubSubDeadLetterSourceSubscription": format!("trackdrop-{function}"),
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        });
        let letter = json!({ "messages": [{ "attributes": attributes }] });
        self.pubsub("POST", "topics/trackdrop-dead-letters:publish", letter).await;
    }

    /// One call of Pub/Sub's API; the path begins after the project.
    pub async fn pubsub(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/v1/projects/{PROJECT}/{path}", self.pubsub.host());
        let answer = expect(self.http.request(method.parse().unwrap(), url).json(&body)).await;
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// Uploads by the plain HTTP API and gives the request that it makes: each time another one, though the same may have been uploaded before.
    pub async fn upload(&self, name: &str, content: &[u8], settings: Option<&Value>) -> RequestId {
        let metadata = settings.map(|settings| json!({ "trackdrop-settings": settings.to_string() }));
        self.upload_with(name, content, metadata.unwrap_or(json!({}))).await
    }

    /// The same, with this custom metadata.
    pub async fn upload_with(&self, name: &str, content: &[u8], mut metadata: Value) -> RequestId {
        metadata["trackdrop-again"] = format!("{:?}", Instant::now()).into();
        self.upload_as_it_is(name, content, metadata).await
    }

    /// Uploads with no more custom metadata than this.
    pub async fn upload_as_it_is(&self, name: &str, content: &[u8], metadata: Value) -> RequestId {
        request_of(&self.put(Bucket::Uploads, name, content, metadata).await)
    }

    /// Writes an object as whoever may write anything, and gives its description.
    pub async fn put(&self, bucket: Bucket, name: &str, content: &[u8], metadata: Value) -> Value {
        let resource = json!({ "name": name, "contentType": "video/mp4", "metadata": metadata });
        let mut body = format!(
            "--cut\r\nContent-Type: application/json\r\n\r\n{resource}\r\n--cut\r\nContent-Type: video/mp4\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        let bucket = bucket_name(bucket);
        let url = format!("http://{}/upload/storage/v1/b/{bucket}/o?uploadType=multipart", self.storage.host());
        let post = self.http.post(url).header("content-type", "multipart/related; boundary=cut").body(body);
        serde_json::from_slice(&expect(post).await).unwrap()
    }

    /// The metadata of an object.
    pub async fn metadata(&self, bucket: Bucket, name: &str) -> Value {
        let (bucket, name) = (bucket_name(bucket), name.replace('/', "%2F"));
        let get = self.http.get(format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.storage.host()));
        let object: Value = serde_json::from_slice(&expect(get).await).unwrap();
        object["metadata"].clone()
    }

    /// Waits until the end of a request is told; other requests' ends are kept for whoever asks.
    pub async fn finished(&self, request: &RequestId) -> Finished {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let refused = self.rights.refused();
            assert!(refused.is_empty(), "Google Cloud would have refused: {refused:#?}");
            for message in self.pull("finished").await {
                let event: Value = serde_json::from_slice(&message.data).unwrap();
                assert_eq!(event["type"], "trackdrop.request.finished");
                let text = |member: &str| event["data"][member].as_str().map(str::to_owned);
                let finished = Finished { state: text("state").unwrap(), error: text("error") };
                self.ended.lock().unwrap().insert(text("request_id").unwrap(), finished);
            }
            if let Some(finished) = self.ended.lock().unwrap().remove(request.as_str()) {
                return finished;
            }
            assert!(
                Instant::now() < until,
                "{request} did not end: {:?}\n{}",
                self.gateway.count(),
                self.gateway.logs().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes the messages that wait in a subscription; does not wait for any.
    pub async fn pull(&self, subscription: &str) -> Vec<Pulled> {
        take(&self.http, &self.pubsub.host(), subscription).await
    }

    /// An object's content; none where it does not exist.
    pub async fn object(&self, bucket: Bucket, name: &str) -> Option<Bytes> {
        let name = name.replace('/', "%2F");
        let url = format!("http://{}/storage/v1/b/{}/o/{name}?alt=media", self.storage.host(), bucket_name(bucket));
        let answer = self.http.get(url).send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        Some(answer.error_for_status().unwrap().bytes().await.unwrap())
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

    /// The environment that makes the `trackdrop` command and more workers work on this deployment, as this account.
    fn environment(&self, account: &str) -> Vec<(String, String)> {
        [variables(self.folder.path()), self.gates[account].environment()].concat()
    }

    /// The full name of a subscription.
    pub fn subscription_name(&self, name: &str) -> String {
        format!("projects/{PROJECT}/subscriptions/{name}")
    }
}

impl Drop for Deployment {
    /// No scenario may have met what Google Cloud would refuse, whether or not its own test would see it.
    fn drop(&mut self) {
        let refused = self.rights.refused();
        assert!(std::thread::panicking() || refused.is_empty(), "Google Cloud would have refused: {refused:#?}");
    }
}

/// The request that an upload makes, as the API describes it.
pub(crate) fn request_of(object: &Value) -> RequestId {
    let generation = object["generation"].as_str().unwrap().parse().unwrap();
    let created = object["timeCreated"].as_str().unwrap().parse().unwrap();
    RequestId::of_upload(Bucket::Uploads.as_str(), object["name"].as_str().unwrap(), generation, created)
}

/// A message that was taken out of a subscription.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// What it carries.
    pub data: Vec<u8>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// The server that workers pull from, and the task that brings it what the emulator's subscription gets.
#[derive(Debug)]
struct Pull {
    server: Arc<PullServer>,
    #[expect(dead_code, reason = "it ends when it is dropped")]
    feeding: JoinSet<()>,
}

impl Pull {
    async fn start(deployment: &Deployment, trigger: &Trigger) -> Self {
        let host = deployment.pubsub.host();
        let subscription = format!("trackdrop-{}", trigger.function);
        let account = format!("trackdrop-{}", trigger.function);
        let (rights, port) = (deployment.rights.clone(), deployment.gates[&account].port);
        let behind = format!("127.0.0.1:{port}");
        let on = format!("subscription {subscription}");
        let may = move |token: Option<&str>| {
            let need = Need { permission: "pubsub.subscriptions.consume", on: on.clone(), object: None };
            token == Some(&*format!("Bearer {}", gate::token_of(&account))) && rights.decide(&account, &need)
        };
        let name = deployment.subscription_name(&subscription);
        let server = PullServer::start_for(&name, Some(&behind), Box::new(may)).await.unwrap();
        let (server, mut feeding) = (Arc::new(server), JoinSet::new());
        let (http, fed, on) = (deployment.http.clone(), server.clone(), trigger.on.clone());
        feeding.spawn(async move {
            loop {
                for Pulled { data, attributes } in take(&http, &host, &subscription).await {
                    // The subscription's filter, which the emulator has accepted and ignores.
                    let object = attributes.get("objectId").map(String::as_str).unwrap_or_default();
                    if matches!(&on, EventSource::ObjectFinalized { prefix, .. } if object.starts_with(prefix)) {
                        fed.add(attributes, data.into());
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { server, feeding }
    }
}

/// Takes the messages that wait in a subscription.
async fn take(http: &reqwest::Client, host: &str, subscription: &str) -> Vec<Pulled> {
    let post = async |verb: &str, body: Value| -> Value {
        let url = format!("http://{host}/v1/projects/{PROJECT}/subscriptions/{subscription}:{verb}");
        serde_json::from_slice(&expect(http.post(url).json(&body)).await).unwrap_or_default()
    };
    let answer = post("pull", json!({ "maxMessages": 100, "returnImmediately": true })).await;
    let received = answer["receivedMessages"].as_array().cloned().unwrap_or_default();
    if !received.is_empty() {
        let ids: Vec<_> = received.iter().map(|message| message["ackId"].clone()).collect();
        post("acknowledge", json!({ "ackIds": ids })).await;
    }
    let pulled = |received: &Value| Pulled {
        data: BASE64_STANDARD.decode(received["message"]["data"].as_str().unwrap_or_default()).unwrap(),
        attributes: serde_json::from_value(received["message"]["attributes"].clone()).unwrap_or_default(),
    };
    received.iter().map(pulled).collect()
}

/// The body of an answer that must be a success.
pub(crate) async fn expect(request: reqwest::RequestBuilder) -> Bytes {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.bytes().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {}", String::from_utf8_lossy(&body));
    body
}

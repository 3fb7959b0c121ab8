//! A deployment as Terraform declares it, on emulators: buckets, topics, subscriptions from `triggers/*.yaml`, tables, services.

mod messages;
mod objects;
mod tables;

use crate::{
    gateway::Gateway,
    rights::{
        gate::{Behind, Rights, RightsGate},
        grants::{Grants, PERSON},
        report,
    },
    service::{FUNCTIONS, ServiceProcess, program},
    storage_gate::StorageGate,
};
use bytes::Bytes;
use messages::Pull;
pub use messages::{Finished, Pulled};
pub(crate) use objects::request_of;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use trackdrop_emulators::{self as emulators, Emulator};
use trackdrop_otlp_receiver::Receiver;
use trackdrop_pipeline::{
    names::Bucket,
    trigger::{EventSource, Trigger},
};
use trackdrop_pull_server::PullServer;

const PROJECT: &str = "demo";
const DATASET: &str = "trackdrop";
/// The emulator publishes the events of all buckets on one topic, which takes the place of those of Terraform.
const OBJECTS: &str = "trackdrop-objects";
const TOPICS_OF_BUCKETS: [&str; 2] = ["trackdrop-uploads", "trackdrop-work"];
/// Backoffs of the trigger files are for a cloud's minutes; here they are this much shorter.
const BACKOFF_DIVISOR: f64 = 20.0;
/// No scenario takes a tenth of it.
const ENDS_WITHIN: Duration = Duration::from_secs(240);

/// The checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Prints a line that the test harness does not capture.
pub fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A whole deployment; all of it ends with this value.
#[derive(Debug)]
pub struct Deployment {
    /// Filters, queues, and the faults that are asked for.
    pub gateway: Gateway,
    /// The rights of every account, and those that it used.
    pub rights: Arc<Rights>,
    /// The requests to Google's Telemetry API.
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
    /// The ends that were published while the test waited for another one.
    ended: Mutex<BTreeMap<String, Finished>>,
    /// Logs, data of emulators, and whatever a test puts there.
    pub folder: TempDir,
}

/// The settings that differ from Terraform's defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// `track` has no service and nobody pushes to it: [`Deployment::worker`] starts workers that pull. They open their streams not to the emulator,
    /// which continues to send into closed streams and respects no flow control, but to a server that takes their events from it.
    pub is_track_pulled: bool,
    /// `load` gathers windows: [`Deployment::clock`] ends them.
    pub is_loaded_by_window: bool,
    /// Terraform's variable `console` is set: [`Deployment::console`] starts that service.
    pub has_console: bool,
}

/// The network that uploads may name as `parts`: the mean colours of a crop.
pub fn appearance_network() -> PathBuf {
    checkout().join("shared/detector/tests/fixtures/parts.onnx")
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
        // Here no request has to stall for hours before the sweeper handles it.
        ("TRACKDROP_STALLED_S".to_owned(), "0".to_owned()),
        (
            "TRACKDROP_DEAD_LETTERS_SUBSCRIPTION".to_owned(),
            format!("projects/{PROJECT}/subscriptions/trackdrop-dead-letters"),
        ),
        ("TRACKDROP_MODEL".to_owned(), model.display().to_string()),
        ("TRACKDROP_MODELS".to_owned(), format!("parts={}", appearance_network().display())),
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

    /// The same, with another setup.
    pub async fn start_with(setup: Setup) -> Option<Self> {
        let missing: Vec<_> = FUNCTIONS
            .iter()
            .map(|function| format!("trackdrop-{function}"))
            .chain(["trackdrop".to_owned()])
            .chain(setup.has_console.then(|| "trackdrop-console".to_owned()))
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
        let http = crate::http_client();
        let example = match setup {
            Setup { is_track_pulled: true, .. } => "pull-workers",
            Setup { has_console: true, .. } => "console",
            _ => "smallest",
        };
        let rights = Arc::new(Rights::of(&Grants::of_example(&checkout(), example), PROJECT));
        let telemetry = Receiver::start_as_google(PROJECT).await.unwrap();
        let behind = Behind {
            storage: storage.host(),
            pubsub: pubsub.host(),
            bigquery: bigquery.host(),
            bigquery_writer: Arc::default(),
            telemetry: telemetry.host().to_owned(),
            topics: TOPICS_OF_BUCKETS.into_iter().map(|topic| (topic.to_owned(), OBJECTS.to_owned())).collect(),
        };
        let mut gates = BTreeMap::new();
        gates.insert(PERSON.to_owned(), RightsGate::start(rights.clone(), PERSON, behind.clone()).await);
        if setup.has_console {
            let account = "trackdrop-console".to_owned();
            gates.insert(account.clone(), RightsGate::start(rights.clone(), &account, behind.clone()).await);
        }
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
            if setup.is_loaded_by_window {
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

    /// Starts the console with these variables beside those that Terraform gives it.
    pub async fn console(&self, more: &[(&str, &str)]) -> ServiceProcess {
        let mut variables = self.environment("trackdrop-console");
        // Terraform sends no traces of it.
        variables.retain(|(name, _)| name != "TRACKDROP_TELEMETRY_ENDPOINT");
        variables.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        ServiceProcess::start("console", &[], &variables, self.folder.path()).await
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

    /// The same if the command must fail; returns its message.
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

    /// The server from which workers pull.
    pub fn pull_server(&self) -> &PullServer {
        &self.pull.as_ref().expect("`is_track_pulled` sets it up").server
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
    /// Fails the test if a scenario made a call that Google Cloud would refuse, also if the test itself did not notice it.
    fn drop(&mut self) {
        let refused = self.rights.refused();
        assert!(std::thread::panicking() || refused.is_empty(), "Google Cloud would have refused: {refused:#?}");
    }
}

/// The body of an answer that must be a success.
pub(crate) async fn expect(request: reqwest::RequestBuilder) -> Bytes {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.bytes().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {}", String::from_utf8_lossy(&body));
    body
}

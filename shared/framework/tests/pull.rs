//! A worker that pulls: it takes at most as many events as it has places, keeps the lease of what it works on, and returns what it can't finish.
//! Tested with Google's Pub/Sub emulator, and with our own server. Our server does what Pub/Sub promises and the emulator does not: it respects how
//! many events a stream asks for, and sends nothing into a stream that is closed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use trackdrop_cloud::{google::Buckets, local::LocalCloud};
use trackdrop_emulators::{self as emulators, Emulator};
use trackdrop_framework::{Service, Subscription};
use trackdrop_pipeline::{Delivery, Event, Failure, Handler, trigger::Trigger};
use trackdrop_pull_server::PullServer;

const TRACK: &str = trackdrop_pipeline::trigger::files::TRACK;
const SUBSCRIPTION: &str = "projects/demo/subscriptions/track";
/// The shortest that there is.
const LEASE: Duration = Duration::from_secs(10);
/// None takes a tenth of it.
const WITHIN: Duration = Duration::from_secs(60);

/// Pub/Sub with one topic and one subscription.
struct PubSub {
    emulator: Emulator,
    http: reqwest::Client,
}

impl PubSub {
    async fn start() -> Option<Self> {
        let pubsub = Self { emulator: emulators::pubsub()?, http: reqwest::Client::new() };
        pubsub.call("PUT", "topics/work", json!({})).await;
        // The shortest lease that there is, and no wait before an event comes again.
        let subscription = json!({ "topic": "projects/demo/topics/work", "ackDeadlineSeconds": 10 });
        pubsub.call("PUT", "subscriptions/track", subscription).await;
        Some(pubsub)
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/v1/projects/demo/{path}", self.emulator.host());
        let answer = self.http.request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn publish_chunks(&self, count: u32) {
        for number in 0..count {
            let (attributes, payload) = chunk(number);
            let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, payload);
            let attributes: BTreeMap<_, _> = attributes.into();
            let messages = json!({ "messages": [{ "data": data, "attributes": attributes }] });
            self.call("POST", "topics/work:publish", messages).await;
        }
    }
}

/// The attributes and the data of a chunk's notification.
fn chunk(number: u32) -> ([(&'static str, String); 5], String) {
    let name = format!("split_chunks/req_0aZ9bY8c_20261123T182501/{number:06}.mkv");
    let payload = json!({
        "bucket": "acme-work", "name": name, "generation": "1", "timeCreated": "2026-11-23T18:25:01Z",
    });
    let attributes = [
        ("eventType", "OBJECT_FINALIZE".to_owned()),
        ("payloadFormat", "JSON_API_V1".to_owned()),
        ("bucketId", "acme-work".to_owned()),
        ("objectId", name),
        ("objectGeneration", "1".to_owned()),
    ];
    (attributes, payload.to_string())
}

/// Our server, with this many chunks that wait.
async fn server_with(chunks: u32) -> PullServer {
    let server = PullServer::start(SUBSCRIPTION, None).await.unwrap();
    for number in 0..chunks {
        let (attributes, payload) = chunk(number);
        server.add(attributes, payload.into());
    }
    server
}

/// Notes what it is given, and ends when it may.
struct Stand {
    seen: Mutex<Vec<String>>,
    entered: Notify,
    may_end: Semaphore,
    in_work: AtomicUsize,
    most_in_work: AtomicUsize,
}

impl Default for Stand {
    fn default() -> Self {
        let may_end = Semaphore::new(0);
        let (seen, entered, in_work, most_in_work) = Default::default();
        Self { seen, entered, may_end, in_work, most_in_work }
    }
}

#[async_trait]
impl Handler for Stand {
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        let Event::ObjectFinalized(finalized) = event else { panic!("{event:?}") };
        self.seen.lock().unwrap().push(finalized.object.name.clone());
        let in_work = 1 + self.in_work.fetch_add(1, Ordering::SeqCst);
        self.most_in_work.fetch_max(in_work, Ordering::SeqCst);
        self.entered.notify_one();
        let outcome = loop {
            match timeout(Duration::from_millis(5), self.may_end.acquire()).await {
                Ok(permit) => {
                    permit.unwrap().forget();
                    break Ok(());
                }
                Err(_) => match delivery.step() {
                    Ok(()) => {}
                    stopped => break stopped,
                },
            }
        };
        self.in_work.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

/// A worker in this process.
struct Worker {
    stand: Arc<Stand>,
    stop: oneshot::Sender<()>,
    working: JoinHandle<std::io::Result<()>>,
    url: String,
    _folder: TempDir,
}

impl Worker {
    async fn start(host: &str, places: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
        let service = Service::new(Trigger::parse(TRACK).unwrap(), local, buckets);
        // Progress extends the deadline: otherwise nothing here would stay in progress for long enough.
        let service = service.with_concurrency(places).with_deadline(Duration::from_secs(1));
        let stand = Arc::new(Stand::default());
        service.is_ready_with(stand.clone());
        let from = Subscription::open(SUBSCRIPTION, places, LEASE, Some(host), None).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let working = tokio::spawn(async move { service.pull(listener, from, async { drop(stopped.await) }).await });
        Self { stand, stop, working, url, _folder: folder }
    }

    /// Waits until it has seen this many events; an event that comes twice counts twice.
    async fn has_seen(&self, count: usize) {
        let seen = async {
            while self.seen().len() < count {
                self.stand.entered.notified().await;
            }
        };
        timeout(WITHIN, seen).await.unwrap_or_else(|_| panic!("only {:?}", self.seen()));
    }

    fn seen(&self) -> Vec<String> {
        self.stand.seen.lock().unwrap().clone()
    }

    /// Tells it to stop, and waits until it has ended well.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(WITHIN, self.working).await.expect("it does not end").unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_in_work_than_there_are_places_and_all_is_done_in_the_end() {
    // The emulator sends more than it is asked for: the surplus waits in the worker.
    let Some(pubsub) = PubSub::start().await else { return };
    pubsub.publish_chunks(5).await;
    let worker = Worker::start(&pubsub.emulator.host(), 2).await;
    worker.has_seen(2).await;
    worker.stand.may_end.add_permits(5);
    worker.has_seen(5).await;
    let mut seen = worker.seen();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5, "each came once");
    assert_eq!(worker.stand.most_in_work.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_what_it_works_on_for_longer_than_a_lease() {
    let Some(pubsub) = PubSub::start().await else { return };
    pubsub.publish_chunks(1).await;
    let one = Worker::start(&pubsub.emulator.host(), 1).await;
    one.has_seen(1).await;
    let other = Worker::start(&pubsub.emulator.host(), 1).await;
    // Nothing but time can show it: the first lease ends after 10 s, and another would have the event at once.
    let taken = timeout(LEASE * 2, other.has_seen(1)).await;
    assert!(taken.is_err(), "another took it while it was in work");
    one.stand.may_end.add_permits(1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_events_and_those_without_a_place_wait_for_either_of_them() {
    let server = server_with(6).await;
    // The first one to come could take all: the server keeps nothing back for the second.
    let one = Worker::start(server.host(), 2).await;
    one.has_seen(2).await;
    assert_eq!((server.waiting(), server.left()), (4, 6));
    let other = Worker::start(server.host(), 2).await;
    other.has_seen(2).await;
    assert_eq!((server.waiting(), server.left()), (2, 6));
    // The worker that is free first gets the rest.
    other.stand.may_end.add_permits(4);
    other.has_seen(4).await;
    assert_eq!((one.seen().len(), server.waiting()), (2, 0));
    one.stand.may_end.add_permits(2);
    one.stop().await;
    other.stop().await;
    assert_eq!((server.left(), server.handed_back()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_returns_unfinished_events_and_another_gets_them_at_once() {
    let server = server_with(2).await;
    let one = Worker::start(server.host(), 2).await;
    one.has_seen(2).await;
    one.stand.may_end.add_permits(1);
    one.stop().await;
    assert_eq!((server.waiting(), server.left(), server.handed_back()), (1, 1, 1));
    let other = Worker::start(server.host(), 2).await;
    other.stand.may_end.add_permits(2);
    other.has_seen(1).await;
    other.stop().await;
    assert_eq!(server.left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_its_health_and_takes_no_pushes() {
    let Some(pubsub) = PubSub::start().await else { return };
    let worker = Worker::start(&pubsub.emulator.host(), 1).await;
    let get =
        async |path: &str| pubsub.http.get(format!("{}{path}", worker.url)).send().await.unwrap().status().as_u16();
    assert_eq!((get("/healthz").await, get("/readyz").await), (200, 200));
    let pushed = pubsub.http.post(&worker.url).body("{}").send().await.unwrap();
    assert_eq!(pushed.status(), 404);
    worker.stop().await;
}

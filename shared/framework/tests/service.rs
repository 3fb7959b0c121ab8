//! What a service answers, seen from outside over HTTP.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, oneshot},
    task::JoinHandle,
};
use trackdrop_cloud::{Content, PutOptions, Storage, google::Buckets, local::LocalCloud};
use trackdrop_framework::{Service, oidc::Verifier};
use trackdrop_pipeline::{Bucket, Delivery, Event, Failure, FailureKind, Handler, names::ObjectName, trigger::Trigger};

const TRACK: &str = trackdrop_pipeline::trigger::files::TRACK;
const SPLIT: &str = trackdrop_pipeline::trigger::files::SPLIT;
const FAIL: &str = trackdrop_pipeline::trigger::files::FAIL;

/// A handler that does what the test says, and keeps what it was given.
#[derive(Default)]
struct Stand {
    events: Mutex<Vec<Event>>,
    outcomes: Mutex<Vec<Outcome>>,
    entered: Notify,
    released: Closed,
}

struct Closed(Semaphore);

impl Default for Closed {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

enum Outcome {
    Fails(FailureKind),
    Panics,
    /// Until the test lets it go.
    Waits,
    /// Until it is asked to stop.
    WaitsForCancel,
    /// Whatever it is asked.
    NeverEnds,
    /// It works on until the test lets it go, whatever it is asked.
    GoesOnThoughCancelled,
}

#[async_trait]
impl Handler for Stand {
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        self.events.lock().unwrap().push(event.clone());
        self.entered.notify_one();
        let outcome = self.outcomes.lock().unwrap().pop();
        match outcome {
            None => Ok(()),
            Some(Outcome::Fails(kind)) => Err(Failure::new(kind, "the disk is on fire")),
            Some(Outcome::Panics) => panic!("index out of bounds"),
            Some(Outcome::Waits) => {
                self.released.0.acquire().await.unwrap().forget();
                Ok(())
            }
            Some(Outcome::WaitsForCancel) => {
                while delivery.step().is_ok() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(Failure::cancelled())
            }
            Some(Outcome::NeverEnds) => std::future::pending().await,
            Some(Outcome::GoesOnThoughCancelled) => loop {
                delivery.advance(1);
                if let Ok(permit) = self.released.0.try_acquire() {
                    permit.forget();
                    break Ok(());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            },
        }
    }
}

struct World {
    url: String,
    http: Client,
    stand: Arc<Stand>,
    local: Arc<LocalCloud>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl World {
    async fn of(trigger: &str, with: impl FnOnce(Service) -> Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
        let service = with(Service::new(Trigger::parse(trigger).unwrap(), local.clone(), buckets));
        let stand = Arc::new(Stand::default());
        service.is_ready_with(stand.clone());
        Self::serve(service, stand, local, folder).await
    }

    async fn serve(service: Service, stand: Arc<Stand>, local: Arc<LocalCloud>, folder: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move { service.serve(listener, async { drop(stopped.await) }).await });
        Self { url, http: Client::new(), stand, local, stop: Some(stop), serving, _folder: folder }
    }

    fn will(&self, outcome: Outcome) {
        self.stand.outcomes.lock().unwrap().insert(0, outcome);
    }

    async fn push(&self, body: String) -> Response {
        self.http.post(&self.url).body(body).send().await.unwrap()
    }

    async fn push_chunk(&self) -> Response {
        self.push(notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[])).await
    }

    fn pushing(&self) -> JoinHandle<Response> {
        let body = notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[]);
        let post = self.http.post(&self.url).body(body);
        tokio::spawn(async move { post.send().await.unwrap() })
    }

    fn events(&self) -> Vec<Event> {
        self.stand.events.lock().unwrap().clone()
    }
}

fn notification(bucket: &str, name: &str, more: &[(&str, &str)]) -> String {
    let payload = json!({ "kind": "storage#object", "bucket": bucket, "name": name, "generation": "7",
        "timeCreated": "2026-11-23T18:25:01.5Z" });
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": bucket, "objectId": name,
        "objectGeneration": "7", "payloadFormat": "JSON_API_V1" });
    for (name, value) in more {
        attributes[*name] = (*value).into();
    }
    let message = json!({ "attributes": attributes, "data": STANDARD.encode(payload.to_string()), "messageId": "1" });
    json!({ "message": message, "subscription": "projects/p/subscriptions/s" }).to_string()
}

#[tokio::test]
async fn the_clock_starts_the_function_that_it_is_meant_for() {
    const LOAD: &str = trackdrop_pipeline::trigger::files::LOAD;
    let window = [Event::LoadWindow {}];
    for (trigger, taken) in [(LOAD, &window[..]), (TRACK, &[]), (FAIL, &[])] {
        let world = World::of(trigger, |service| service).await;
        let post = world.http.post(&world.url).header("content-type", "application/json").body("{}");
        let post = post.header("ce-specversion", "1.0").header("ce-id", "load-window");
        let post = post.header("ce-source", "//cloudscheduler.googleapis.com/trackdrop-load-window");
        let answer = post.header("ce-type", "trackdrop.load.window").send().await.unwrap();
        assert_eq!((answer.status(), &world.events()[..]), (StatusCode::NO_CONTENT, taken));
    }
}

#[tokio::test]
async fn an_event_of_the_trigger_reaches_the_handler_with_its_bucket_by_role() {
    let world = World::of(SPLIT, |service| service).await;
    assert_eq!(world.push(notification("acme-up", "a b%.mp4", &[])).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!(finalized.object, ObjectName::new(Bucket::Uploads, "a b%.mp4"));
    assert_eq!((finalized.generation, finalized.created), (7, "2026-11-23T18:25:01.5Z".parse().unwrap()));
    // The name of the request depends on the role, not on what a bucket is called somewhere.
    let local = trackdrop_pipeline::RequestId::of_upload("uploads", "a b%.mp4", 7, finalized.created);
    assert_eq!(finalized.request(), Some(local));
}

#[tokio::test]
async fn an_event_that_starts_something_else_is_acknowledged_and_not_handled() {
    let world = World::of(TRACK, |service| service).await;
    for (bucket, name) in [("acme-work", "detections/x"), ("acme-up", "split_chunks/x"), ("other", "split_chunks/x")] {
        assert_eq!(world.push(notification(bucket, name, &[])).await.status(), StatusCode::NO_CONTENT, "{name}");
    }
    assert_eq!(
        world.push(notification("acme-work", "split_chunks/x", &[("eventType", "OBJECT_DELETE")])).await.status(),
        204
    );
    assert!(world.events().is_empty());
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the service logs of pushes, and the statuses of its answers.
async fn logged(trigger: &str, with: impl FnOnce(Service) -> Service, pushes: &[String]) -> (World, String) {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let here = tracing::subscriber::set_default(subscriber);
    let world = World::of(trigger, with).await;
    for push in pushes {
        assert_eq!(world.push(push.clone()).await.status(), StatusCode::NO_CONTENT, "{push}");
    }
    drop(here);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (world, log)
}

/// A notification of an object of this size.
fn notification_of(name: &str, size: &str) -> String {
    let payload = json!({ "kind": "storage#object", "bucket": "acme-up", "name": name, "generation": "7", "size": size,
        "timeCreated": "2026-11-23T18:25:01.5Z" });
    use base64::{Engine, engine::general_purpose::STANDARD};
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": name,
        "objectGeneration": "7", "payloadFormat": "JSON_API_V1" });
    let message = json!({ "attributes": attributes, "data": STANDARD.encode(payload.to_string()), "messageId": "1" });
    json!({ "message": message, "subscription": "projects/p/subscriptions/s" }).to_string()
}

#[tokio::test]
async fn an_upload_that_is_no_video_by_its_name_is_acknowledged_told_once_and_makes_no_call() {
    // Without a payload everybody else would have to look the object up.
    let bare = |name: &str| {
        let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": name,
            "objectGeneration": "7", "payloadFormat": "NONE" });
        json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" }).to_string()
    };
    let part = "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/6f1e_da39a3ee_0";
    let long = format!("{}.srt", "x".repeat(1_000));
    let names = [part, "folder/", ".DS_Store", "clip.mp4.part", "day/clip.SRT", &long];
    let pushes: Vec<_> = names.iter().flat_map(|name| [notification("acme-up", name, &[]), bare(name)]).collect();
    let (world, log) = logged(SPLIT, |service| service, &pushes).await;
    assert!(world.events().is_empty());
    let lines: Vec<_> = log.lines().filter(|line| line.contains("upload ignored")).collect();
    assert_eq!(lines.len(), pushes.len(), "{log}");
    assert!(
        lines.iter().all(|line| line.contains("INFO") && line.contains("no video by its name") && line.len() < 600),
        "{log}"
    );
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn an_empty_upload_is_ignored_and_the_generation_that_follows_it_is_taken() {
    let pushes = [notification_of("clip.mp4", "0"), notification_of("clip.mp4", "8")];
    let (world, log) = logged(SPLIT, |service| service, &pushes).await;
    assert_eq!(world.events().len(), 1);
    assert!(log.contains("upload ignored") && log.contains("uploads/clip.mp4 is empty"), "{log}");
    // One whose size the event does not tell.
    let object = ObjectName::new(Bucket::Uploads, "v.mp4");
    let info = world.local.put(&object, Content::Bytes("".into()), PutOptions::default()).await.unwrap();
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": "v.mp4",
        "objectGeneration": info.generation.to_string(), "payloadFormat": "NONE" });
    let body = json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
    assert_eq!(world.push(body.to_string()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.events().len(), 1);
}

#[tokio::test]
async fn users_say_what_is_no_video_and_dead_letters_are_judged_by_the_same_list() {
    let of_users = |list| trackdrop_pipeline::trigger::of_uploads(Some(list)).unwrap();
    let world = World::of(SPLIT, |_| {
        let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
        let folder = tempfile::tempdir().unwrap();
        Service::new(of_users("processed/*"), Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap()), buckets)
    })
    .await;
    for name in ["processed/clip.mp4", "clip.srt"] {
        assert_eq!(world.push(notification("acme-up", name, &[])).await.status(), StatusCode::NO_CONTENT, "{name}");
    }
    let [Event::ObjectFinalized(taken)] = &world.events()[..] else { panic!() };
    assert_eq!(taken.object.name, "clip.srt");
    let dead =
        [("CloudPubSubDeadLetterSourceDeliveryCount", "5"), ("CloudPubSubDeadLetterSourceSubscription", "x-split")];
    for (list, letters) in [(None, 0), (Some("processed/*"), 1)] {
        let world = World::of(FAIL, |service| match list {
            Some(list) => service.with_uploads(of_users(list)),
            None => service,
        })
        .await;
        assert_eq!(world.push(notification("acme-up", "clip.srt", &dead)).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(world.events().len(), letters, "{list:?}");
    }
}

#[tokio::test]
async fn an_object_of_a_bucket_that_is_none_of_ours_is_acknowledged_with_a_warning_that_names_the_settings() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let world = World::of(SPLIT, |service| service).await;
    for bucket in ["acme-work", "acme-uploads"] {
        assert_eq!(world.push(notification(bucket, "v.mp4", &[])).await.status(), StatusCode::NO_CONTENT);
    }
    assert!(world.events().is_empty());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    // What starts another function is no news.
    let [warning] = warnings[..] else { panic!("{log}") };
    assert!(warning.contains("acme-uploads") && warning.contains("TRACKDROP_BUCKET_UPLOADS"), "{warning}");
}

#[tokio::test]
async fn a_creation_time_that_the_event_lacks_is_looked_up() {
    let world = World::of(SPLIT, |service| service).await;
    let object = ObjectName::new(Bucket::Uploads, "v.mp4");
    let info = world.local.put(&object, Content::Bytes("x".into()), PutOptions::default()).await.unwrap();
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": "v.mp4",
        "objectGeneration": info.generation.to_string(), "payloadFormat": "NONE" });
    let body = |attributes| json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
    assert_eq!(world.push(body(attributes.clone()).to_string()).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!(finalized.created, info.created);
    let mut overwritten = attributes;
    overwritten["objectGeneration"] = (info.generation - 1).to_string().into();
    assert_eq!(world.push(body(overwritten).to_string()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.events().len(), 1, "a generation that is gone makes no request");
}

#[tokio::test]
async fn a_dead_letter_reaches_the_handler_with_the_function_that_gave_up() {
    let world = World::of(FAIL, |service| service).await;
    let dead =
        [("CloudPubSubDeadLetterSourceDeliveryCount", "5"), ("CloudPubSubDeadLetterSourceSubscription", "x-track-1")];
    let name = "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv";
    assert_eq!(world.push(notification("acme-work", name, &dead)).await.status(), StatusCode::NO_CONTENT);
    let [Event::DeadLetter(letter)] = &world.events()[..] else { panic!() };
    assert_eq!((letter.function.as_str(), letter.attempts), ("track", 5));
    assert!(letter.reason.contains("x-track-1"), "{}", letter.reason);
}

#[tokio::test]
async fn an_event_that_was_told_again_reaches_the_handler_though_its_object_is_gone() {
    let world = World::of(TRACK, |service| service).await;
    let name = "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv";
    let mut attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-work", "objectId": name,
        "objectGeneration": "7", "payloadFormat": "NONE" });
    let body = |attributes: &serde_json::Value| {
        json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" }).to_string()
    };
    assert_eq!(world.push(body(&attributes)).await.status(), StatusCode::NO_CONTENT);
    assert!(world.events().is_empty(), "nothing says when it was made");
    attributes["timeCreated"] = "2026-11-23T18:25:01.5Z".into();
    assert_eq!(world.push(body(&attributes)).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!((finalized.object.name.as_str(), finalized.created), (name, "2026-11-23T18:25:01.5Z".parse().unwrap()));
}

#[tokio::test]
async fn an_outcome_is_answered_so_that_the_queue_does_the_right_thing() {
    let world = World::of(TRACK, |service| service).await;
    for (kind, status) in [
        (FailureKind::Transient, 503),
        (FailureKind::Exhausted, 503),
        (FailureKind::Cancelled, 503),
        // What a handler has recorded comes as success; this is one that nobody could record.
        (FailureKind::Permanent, 500),
    ] {
        world.will(Outcome::Fails(kind));
        let response = world.push_chunk().await;
        assert_eq!(response.status(), status, "{kind:?}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        assert_eq!(response.text().await.unwrap(), "the disk is on fire\n");
    }
    world.will(Outcome::Panics);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text().await.unwrap(), "the handler panicked: index out of bounds\n");
    assert_eq!(world.push_chunk().await.status(), StatusCode::NO_CONTENT, "and life goes on");
}

#[tokio::test]
async fn what_is_no_event_is_malformed_and_what_is_too_long_is_not_read() {
    let world = World::of(TRACK, |service| service).await;
    let response = world.push("{}".into()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.text().await.unwrap().contains("malformed event"));
    // Big enough for the bound, small enough to be sent whole before the answer closes the connection.
    assert_eq!(world.push("x".repeat((1 << 20) + 1)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.http.get(&world.url).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(world.events().is_empty());
}

#[tokio::test]
async fn a_full_instance_hands_events_back() {
    let world = World::of(TRACK, |service| service.with_concurrency(1)).await;
    world.will(Outcome::Waits);
    let first = world.pushing();
    world.stand.entered.notified().await;
    let second = world.push_chunk().await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(second.headers().contains_key("retry-after"));
    world.stand.released.0.add_permits(1);
    assert_eq!(first.await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(world.push_chunk().await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_event_that_takes_too_long_is_handed_back_and_its_work_is_asked_to_stop() {
    let world = World::of(TRACK, |service| service.with_deadline(Duration::from_millis(50))).await;
    world.will(Outcome::WaitsForCancel);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text().await.unwrap(), "stopped before it was finished\n");
}

#[tokio::test]
async fn work_that_does_not_stop_keeps_its_place_though_its_answer_is_given() {
    let world = World::of(TRACK, |service| service.with_deadline(Duration::from_millis(50)).with_concurrency(1)).await;
    world.will(Outcome::NeverEnds);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.text().await.unwrap().contains("not finished within"));
    assert_eq!(world.push_chunk().await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_instance_whose_places_are_all_kept_by_work_that_does_nothing_ends_with_the_reason() {
    let short = Duration::from_millis(50);
    let with = |service: Service| service.with_deadline(short).with_patience(short).with_concurrency(2);
    let world = World::of(TRACK, with).await;
    world.will(Outcome::NeverEnds);
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // One place is left, and work that gets on, however slowly, is not stuck.
    world.will(Outcome::GoesOnThoughCancelled);
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.push_chunk().await.status(), StatusCode::TOO_MANY_REQUESTS);
    world.stand.released.0.add_permits(1);
    world.will(Outcome::NeverEnds);
    while world.push_chunk().await.status() == StatusCode::TOO_MANY_REQUESTS {}
    let error = world.serving.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("all 2 places"), "{error}");
}

impl World {
    /// Pushes a chunk and hangs up once the handler has it.
    async fn push_and_hang_up(&self) {
        let body = notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[]);
        let address = self.url.trim_start_matches("http://");
        let mut caller = tokio::net::TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}");
        tokio::io::AsyncWriteExt::write_all(&mut caller, request.as_bytes()).await.unwrap();
        self.stand.entered.notified().await;
    }
}

#[tokio::test]
async fn work_whose_caller_hung_up_is_asked_to_stop_at_its_deadline_all_the_same() {
    let short = Duration::from_millis(50);
    let world = World::of(TRACK, |service| service.with_deadline(short).with_concurrency(1)).await;
    world.will(Outcome::WaitsForCancel);
    world.push_and_hang_up().await;
    // Its place is free again.
    while world.push_chunk().await.status() == StatusCode::TOO_MANY_REQUESTS {}
    assert_eq!(world.events().len(), 2);
}

#[tokio::test]
async fn a_service_that_is_stopped_waits_for_work_whose_caller_hung_up() {
    let mut world = World::of(TRACK, |service| service).await;
    world.will(Outcome::Waits);
    world.push_and_hang_up().await;
    drop(world.stop.take());
    while tokio::net::TcpStream::connect(world.url.trim_start_matches("http://")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!world.serving.is_finished());
    world.stand.released.0.add_permits(1);
    world.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_that_is_stopped_finishes_what_it_is_at() {
    let mut world = World::of(TRACK, |service| service).await;
    world.will(Outcome::Waits);
    let first = world.pushing();
    world.stand.entered.notified().await;
    drop(world.stop.take());
    // It no longer listens; what is in work goes on.
    while tokio::net::TcpStream::connect(world.url.trim_start_matches("http://")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.stand.released.0.add_permits(1);
    assert_eq!(first.await.unwrap().status(), StatusCode::NO_CONTENT);
    world.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_is_healthy_at_once_and_ready_with_its_handler() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
    let buckets = Buckets { uploads: "a".into(), work: "acme-work".into(), results: "c".into() };
    let service = Service::new(Trigger::parse(TRACK).unwrap(), local.clone(), buckets);
    let stand = Arc::new(Stand::default());
    let world = World::serve(service.clone(), stand.clone(), local, folder).await;
    let get = async |path: &str| world.http.get(format!("{}{path}", world.url)).send().await.unwrap().status();
    assert_eq!((get("/healthz").await, get("/readyz").await), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    service.is_ready_with(stand);
    assert_eq!((get("/readyz").await, world.push_chunk().await.status()), (StatusCode::OK, StatusCode::NO_CONTENT));
}

#[tokio::test]
async fn without_a_token_nothing_is_read_and_the_probes_still_answer() {
    let world = World::of(TRACK, |service| service.with_verifier(Verifier::new("https://track", "push@acme"))).await;
    assert_eq!(world.push_chunk().await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.http.get(format!("{}/healthz", world.url)).send().await.unwrap().status(), StatusCode::OK);
    assert!(world.events().is_empty());
}

//! A service whose handler does what the test says.

use async_trait::async_trait;
use reqwest::{Client, Response};
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
use trackdrop_cloud::{google::Buckets, local::LocalCloud};
use trackdrop_framework::Service;
use trackdrop_pipeline::{Delivery, Event, Failure, FailureKind, Handler, trigger::Trigger};

/// A handler that does what the test says, and keeps what it was given.
#[derive(Default)]
pub(crate) struct Stand {
    events: Mutex<Vec<Event>>,
    outcomes: Mutex<Vec<Outcome>>,
    pub(crate) entered: Notify,
    pub(crate) released: Closed,
}

pub(crate) struct Closed(pub(crate) Semaphore);

impl Default for Closed {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

pub(crate) enum Outcome {
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

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) http: Client,
    pub(crate) stand: Arc<Stand>,
    pub(crate) local: Arc<LocalCloud>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn of(trigger: &str, with: impl FnOnce(Service) -> Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
        let service = with(Service::new(Trigger::parse(trigger).unwrap(), local.clone(), buckets));
        let stand = Arc::new(Stand::default());
        service.is_ready_with(stand.clone());
        Self::serve(service, stand, local, folder).await
    }

    pub(crate) async fn serve(service: Service, stand: Arc<Stand>, local: Arc<LocalCloud>, folder: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move { service.serve(listener, async { drop(stopped.await) }).await });
        Self { url, http: Client::new(), stand, local, stop: Some(stop), serving, _folder: folder }
    }

    pub(crate) fn will(&self, outcome: Outcome) {
        self.stand.outcomes.lock().unwrap().insert(0, outcome);
    }

    pub(crate) async fn push(&self, body: String) -> Response {
        self.http.post(&self.url).body(body).send().await.unwrap()
    }

    pub(crate) async fn push_chunk(&self) -> Response {
        self.push(notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[])).await
    }

    pub(crate) fn pushing(&self) -> JoinHandle<Response> {
        let body = notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[]);
        let post = self.http.post(&self.url).body(body);
        tokio::spawn(async move { post.send().await.unwrap() })
    }

    /// Pushes a chunk and closes the connection once the handler has it.
    pub(crate) async fn push_and_hang_up(&self) {
        let body = notification("acme-work", "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", &[]);
        let address = self.url.trim_start_matches("http://");
        let mut caller = tokio::net::TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}");
        tokio::io::AsyncWriteExt::write_all(&mut caller, request.as_bytes()).await.unwrap();
        self.stand.entered.notified().await;
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.stand.events.lock().unwrap().clone()
    }
}

pub(crate) fn notification(bucket: &str, name: &str, more: &[(&str, &str)]) -> String {
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

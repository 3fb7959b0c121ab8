//! Callers that send slowly, and callers that are not meant to call.
#![allow(clippy::unwrap_used)]

#[path = "support/running.rs"]
#[allow(dead_code, unreachable_pub)]
mod running;

use async_trait::async_trait;
use running::{WITHIN, program};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use trackdrop_cloud::{google::Buckets, local::LocalCloud};
use trackdrop_framework::Service;
use trackdrop_pipeline::{Delivery, Event, Failure, Handler, trigger::Trigger};

const TRACK: &str = trackdrop_pipeline::trigger::files::TRACK;

struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn handle(&self, _event: &Event, _delivery: &Delivery) -> Result<(), Failure> {
        Ok(())
    }
}

/// A service with one place.
async fn service() -> (SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
    let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
    let service = Service::new(Trigger::parse(TRACK).unwrap(), local, buckets).with_concurrency(1);
    service.is_ready_with(Arc::new(Nothing));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { service.serve(listener, std::future::pending()).await });
    (address, folder)
}

fn event() -> String {
    json!({ "specversion": "1.0", "id": "1", "source": "//storage.googleapis.com/projects/_/buckets/acme-work",
        "type": "google.cloud.storage.object.v1.finalized", "data": { "bucket": "acme-work", "generation": "1",
        "name": "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv", "timeCreated": "2026-11-23T18:25:01Z" } })
    .to_string()
}

/// A caller whose body the service waits for: it has asked for it, and has got its first byte.
async fn begin(address: SocketAddr, body: &str) -> TcpStream {
    let mut caller = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    caller.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    caller.write_all(&body.as_bytes()[..1]).await.unwrap();
    caller
}

async fn status(mut caller: TcpStream) -> String {
    let mut answer = [0; 12];
    caller.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[tokio::test]
async fn callers_that_send_slowly_keep_nobody_else_waiting() {
    let (address, _folder) = service().await;
    let body = event();
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(begin(address, &body).await);
    }
    for _ in 0..3 {
        let mut caller = begin(address, &body).await;
        caller.write_all(&body.as_bytes()[1..]).await.unwrap();
        assert_eq!(status(caller).await, "HTTP/1.1 204");
    }
    // And they are served once they have sent it.
    for mut caller in slow {
        caller.write_all(&body.as_bytes()[1..]).await.unwrap();
        assert_eq!(status(caller).await, "HTTP/1.1 204");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let (address, _folder) = service().await;
    let caller = begin(address, &event()).await;
    assert_eq!(status(caller).await, "HTTP/1.1 408");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_its_connection() {
    let (address, _folder) = service().await;
    for begun in ["", "POST / HTTP/1.1\r\nhost: x\r\ncontent-le"] {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty(), "{begun:?}: {}", String::from_utf8_lossy(&answer));
    }
}

/// Its log up to the line that says that it is ready, and whether it listens on two addresses of this machine.
async fn starts(variables: &[(&str, &str)]) -> (String, [bool; 2]) {
    let port = trackdrop_emulators::free_port();
    let mut process = Command::new(program())
        .env("PORT", port.to_string())
        .envs(["STORAGE", "PUBSUB", "BIGQUERY"].map(|name| (format!("{name}_EMULATOR_HOST"), "127.0.0.1:9")))
        .envs(["UPLOADS", "WORK", "RESULTS"].map(|role| (format!("TRACKDROP_BUCKET_{role}"), "acme")))
        .envs([("TRACKDROP_TOPIC_REQUESTS", "projects/acme/topics/requests"), ("TRACKDROP_DATASET", "acme.tracking")])
        .envs([("TRACKDROP_BUCKET_WORK", "acme-work"), ("TRACKDROP_BUCKET_UPLOADS", "acme-uploads")])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let log = tokio::time::timeout(
        WITHIN,
        tokio::task::spawn_blocking(move || {
            let mut log = String::new();
            while !log.contains("\"ready\"") {
                log.push_str(&lines.next().unwrap().unwrap());
                log.push('\n');
            }
            log
        }),
    );
    let log = log.await.unwrap().unwrap();
    let mut listens = [false; 2];
    for (listens, host) in listens.iter_mut().zip(["127.0.0.1", "127.0.0.2"]) {
        *listens = TcpStream::connect((host, port)).await.is_ok();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    (log, listens)
}

#[tokio::test]
async fn a_service_listens_on_loopback_by_default_and_says_where_it_asks_for_no_tokens() {
    let (log, listens) = starts(&[]).await;
    assert_eq!(listens, [true, false]);
    assert!(log.contains("only callers on this machine are taken") && log.contains("TRACKDROP_GUARDED_BY"), "{log}");
    let everywhere = ("TRACKDROP_LISTEN", "0.0.0.0");
    let (log, listens) = starts(&[everywhere, ("TRACKDROP_GUARDED_BY", "cloud-run-iam")]).await;
    assert_eq!(listens, [true, true]);
    assert!(log.contains("callers are not checked here") && log.contains("cloud-run-iam"), "{log}");
    let tokens = [("TRACKDROP_PUSH_AUDIENCE", "https://x"), ("TRACKDROP_PUSH_SERVICE_ACCOUNT", "push@acme")];
    let (log, listens) = starts(&[tokens[0], tokens[1], everywhere]).await;
    assert_eq!(listens, [true, true]);
    assert!(!log.contains("TRACKDROP_GUARDED_BY"), "{log}");
}

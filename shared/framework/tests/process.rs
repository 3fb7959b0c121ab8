//! A service as a process of its own, and SIGTERM: the example `no_op`, with an event in progress whose body is still on its way.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// None of what is waited for takes a tenth of it.
const WITHIN: Duration = Duration::from_secs(60);

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"//storage.googleapis.com/projects/_/buckets/acme-work",
    "type":"google.cloud.storage.object.v1.finalized","subject":"objects/split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv",
    "data":{"bucket":"acme-work","name":"split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv","generation":"1",
    "timeCreated":"2026-11-23T18:25:01Z"}}"#;

struct Running {
    process: Child,
    address: String,
}

impl Running {
    fn start() -> Self {
        let binary = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("no_op");
        assert!(binary.is_file(), "{} is missing: cargo build -p trackdrop-framework --examples", binary.display());
        let address = SocketAddr::from(([127, 0, 0, 1], trackdrop_emulators::free_port()));
        let nobody = "127.0.0.1:9";
        let process = Command::new(binary)
            .env("PORT", address.port().to_string())
            .envs(["STORAGE", "PUBSUB", "BIGQUERY"].map(|name| (format!("{name}_EMULATOR_HOST"), nobody)))
            .envs(
                ["UPLOADS", "WORK", "RESULTS"]
                    .map(|role| (format!("TRACKDROP_BUCKET_{role}"), format!("acme-{}", role.to_lowercase()))),
            )
            .env("TRACKDROP_TOPIC_REQUESTS", "projects/acme/topics/requests")
            .env("TRACKDROP_DATASET", "acme.tracking")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self { process, address: address.to_string() };
        let until = Instant::now() + WITHIN;
        while !running.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(Instant::now() < until, "it does not get ready");
            assert_eq!(running.process.try_wait().unwrap(), None, "it ended before it was ready");
            thread::yield_now();
        }
        running
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(WITHIN)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// An event that the service has begun to read.
    fn begin_event(&self) -> (TcpStream, &'static [u8]) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/cloudevents+json\r\nexpect: 100-continue\r\n\
             content-length: {}\r\n\r\n",
            EVENT.len()
        )
        .unwrap();
        // The service asks for the body once it waits for it, so from here on the event is in progress.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (begun, rest) = EVENT.as_bytes().split_at(20);
        stream.write_all(begun).unwrap();
        (stream, rest)
    }

    /// Asks it to stop, and waits until it takes no more connections.
    fn stop(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
        while TcpStream::connect(&self.address).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn on_sigterm_an_event_in_work_is_finished_and_the_process_ends_well() {
    let mut running = Running::start();
    let (mut stream, rest) = running.begin_event();
    running.stop();
    stream.write_all(rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(running.process.wait().unwrap().success());
}

#[test]
fn on_sigterm_an_event_that_does_not_end_is_handed_back_and_the_process_ends_well() {
    let mut running = Running::start();
    let (mut stream, _rest) = running.begin_event();
    running.stop();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains("the service is stopping"), "{answer}");
    assert!(running.process.wait().unwrap().success());
}

//! Starts the emulators that `scripts/emulators` installed, each on a loopback port that no other process gets, and
//! ends them. This crate is for tests: it panics with the reason, as tests do.
//!
//! ```no_run
//! // None where `scripts/emulators` could not fetch it, which it says loudly.
//! if let Some(store) = trackdrop_emulators::cloud_storage(None) {
//!     println!("Cloud Storage answers at http://{}", store.host());
//! }
//! ```
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod ports;

pub use ports::free_port;

use std::{
    io::Write,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// None of them takes a tenth of it.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A process that ends with this value, and the port that it listens on.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    /// Of the loopback.
    pub port: u16,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Emulator {
    /// Its address, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts a command that listens on `port`, and waits until it does.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut emulator = Self { child, port };
        let until = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = emulator.child.try_wait().unwrap() {
                panic!("{command:?} ended with {status} before it listened");
            }
            assert!(Instant::now() < until, "{command:?} does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        emulator
    }
}

/// Where `scripts/emulators` put one; none, and said loudly, where it could not.
pub fn find(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("TRACKDROP_CACHE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache =
        named.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache/trackdrop"));
    let path = cache.join("emulators").join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("TRACKDROP_REQUIRE_EMULATORS").is_ok_and(|value| value == "1");
    assert!(!required, "{} is missing and required: run scripts/emulators", path.display());
    // Past the test harness, which swallows what tests that pass print.
    writeln!(std::io::stderr(), "*** SKIPPED: {} is missing (scripts/emulators says why) ***", path.display()).ok();
    None
}

/// Cloud Storage without buckets. With a Pub/Sub emulator, finalized objects of `(bucket)` are published on its topic.
pub fn cloud_storage(events: Option<(&str, &str, &str)>) -> Option<Emulator> {
    let program = find("fake-gcs-server")?;
    let port = free_port();
    let host = format!("127.0.0.1:{port}");
    let mut command = Command::new(program);
    command.args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory", "-log-level", "error"]);
    command.args(["-port", &port.to_string(), "-public-host", &host, "-external-url", &format!("http://{host}")]);
    if let Some((pubsub, project, topic)) = events {
        command.env("PUBSUB_EMULATOR_HOST", pubsub);
        command.args(["-event.pubsub-project-id", project, "-event.pubsub-topic", topic, "-event.list", "finalize"]);
    }
    Some(Emulator::start(&mut command, port))
}

/// Pub/Sub without topics.
pub fn pubsub() -> Option<Emulator> {
    let program = find("cloud-pubsub-emulator")?;
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--host=127.0.0.1", &format!("--port={port}")]).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Emulator::start(&mut command, port))
}

/// BigQuery without datasets; it loads objects from the store at `storage`, and keeps its tables in `folder`.
pub fn bigquery(project: &str, storage: &str, folder: &Path) -> Option<Emulator> {
    let program = find("local-bigquery")?;
    let port = free_port();
    let mut command = Command::new(program);
    command.env("STORAGE_EMULATOR_HOST", format!("http://{storage}"));
    command.args(["serve", "--host", "127.0.0.1", "--project", project, "--data-dir"]).arg(folder);
    command.args(["--port", &port.to_string(), "--grpc-port", &free_port().to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Some(Emulator::start(&mut command, port))
}

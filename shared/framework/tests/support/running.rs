//! The example `no_op` as a process: a whole service whose handler does nothing.

use reqwest::{Client, StatusCode};
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// None of them takes a tenth of it.
pub const WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Its file.
pub fn program() -> PathBuf {
    let binary = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("no_op");
    assert!(binary.is_file(), "{} is missing: cargo build -p trackdrop-framework --examples", binary.display());
    binary
}

/// Killed when dropped.
pub struct Running {
    process: Child,
    url: String,
    http: Client,
}

impl Running {
    /// Starts it with these variables besides those that every service needs, and waits until it is ready.
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_with(&[], variables).await
    }

    /// The same with these arguments.
    pub async fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], trackdrop_emulators::free_port()));
        let nobody = "127.0.0.1:9";
        let process = Command::new(program())
            .args(arguments)
            .env("PORT", address.port().to_string())
            .envs(["STORAGE", "PUBSUB", "BIGQUERY"].map(|name| (format!("{name}_EMULATOR_HOST"), nobody)))
            .envs(
                ["UPLOADS", "WORK", "RESULTS"]
                    .map(|role| (format!("TRACKDROP_BUCKET_{role}"), format!("acme-{}", role.to_lowercase()))),
            )
            .env("TRACKDROP_TOPIC_REQUESTS", "projects/acme/topics/requests")
            .env("TRACKDROP_DATASET", "acme.tracking")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self { process, url: format!("http://{address}"), http: Client::new() };
        let until = Instant::now() + WITHIN;
        while !running.get("/readyz").await.is_some_and(|status| status.is_success()) {
            assert!(Instant::now() < until, "it does not get ready");
            assert_eq!(running.process.try_wait().unwrap(), None, "it ended before it was ready");
            tokio::time::sleep(POLL_EVERY).await;
        }
        running
    }

    async fn get(&self, path: &str) -> Option<StatusCode> {
        Some(self.http.get(format!("{}{path}", self.url)).send().await.ok()?.status())
    }

    /// Sends a body with one more header, where there is one; gives the status and what was said.
    pub async fn push(&self, body: &serde_json::Value, header: Option<(&str, &str)>) -> (u16, String) {
        let mut post = self.http.post(&self.url).json(body);
        if let Some((name, value)) = header {
            post = post.header(name, value);
        }
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Looks again and again until something holds.
    pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
        let until = Instant::now() + WITHIN;
        while !holds().await {
            assert!(Instant::now() < until, "it never held");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Asks it to stop; it must end well.
    pub async fn stop(mut self) {
        let kill = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let mut ended = None;
        Self::until(async || {
            ended = self.process.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        assert!(ended.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

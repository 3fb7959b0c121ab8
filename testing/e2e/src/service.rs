//! One service as a process of its own.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use trackdrop_emulators::free_port;

/// The functions, each of which is a program `trackdrop-FUNCTION`.
pub const FUNCTIONS: [&str; 7] = ["split", "track", "merge", "load", "annotate", "join", "fail"];

/// None of them takes a tenth of it.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// A program that cargo built beside the test; none where it is not built.
pub fn program(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    let path = test.parent()?.parent()?.join(name);
    path.exists().then_some(path)
}

/// A service that runs; killed when dropped.
#[derive(Debug)]
pub struct ServiceProcess {
    /// The function.
    pub function: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
    /// The port that it listens on.
    pub port: u16,
}

impl ServiceProcess {
    /// Starts `trackdrop-FUNCTION` with only these variables, and waits until it is ready. Its log is appended to a file in `logs`.
    pub async fn start(function: &str, arguments: &[&str], variables: &[(String, String)], logs: &Path) -> Self {
        let mut process = Self::begin(function, arguments, variables, logs);
        process.is_ready().await;
        process
    }

    /// The same without waiting for anything.
    pub fn begin(function: &str, arguments: &[&str], variables: &[(String, String)], logs: &Path) -> Self {
        let log = logs.join(format!("{function}.log"));
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let (child, port) = spawn(function, &arguments, variables, &log);
        Self { function: function.to_owned(), arguments, variables: variables.to_vec(), log, child, port }
    }

    /// Starts it again, on another port, after it ended or was killed.
    pub async fn restart(&mut self) {
        self.kill();
        (self.child, self.port) = spawn(&self.function, &self.arguments, &self.variables, &self.log);
        self.is_ready().await;
    }

    /// With another variable from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Waits until it is ready; panics where it ends before.
    pub async fn is_ready(&mut self) {
        let until = Instant::now() + STARTS_WITHIN;
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let http = crate::http_client();
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status} before it was ready:\n{}", self.function, self.log_text());
            }
            assert!(Instant::now() < until, "{} is not ready:\n{}", self.function, self.log_text());
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success(), "kill -{name} {}", self.function);
    }

    /// SIGKILL, and waits until it is dead.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Waits for the end that was asked for; gives whether it was a good one.
    pub async fn ended(&mut self) -> bool {
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < until, "{} does not end:\n{}", self.function, self.log_text());
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// All that it logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process needs of the environment that it is started from.
const KEPT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "ORT_DYLIB_PATH"];

fn spawn(function: &str, arguments: &[String], variables: &[(String, String)], log: &Path) -> (Child, u16) {
    let port = free_port();
    let output: File = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let program = program(&format!("trackdrop-{function}")).unwrap();
    let child = Command::new(&program)
        .args(arguments)
        // What the developer's shell holds must not change what is tested.
        .env_clear()
        .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    (child, port)
}

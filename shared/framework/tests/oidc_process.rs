//! A whole service that asks pushes for their tokens: the example `no_op` as a process, a key server beside it.
#![allow(clippy::unwrap_used)]

#[path = "support/keys.rs"]
#[allow(dead_code, unreachable_pub)]
mod keys;

use keys::{AUDIENCE, EMAIL, Key, KeyServer, claims};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The service fetches keys at most every 10 s.
const ROTATES_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Running {
    process: Child,
    url: String,
    http: Client,
}

impl Running {
    async fn start(keys_url: &str) -> Self {
        let binary = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("no_op");
        assert!(binary.is_file(), "{} is missing: cargo build -p trackdrop-framework --examples", binary.display());
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
            .env("TRACKDROP_PUSH_AUDIENCE", AUDIENCE)
            .env("TRACKDROP_PUSH_SERVICE_ACCOUNT", EMAIL)
            .env("TRACKDROP_PUSH_KEYS_URL", keys_url)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self { process, url: format!("http://{address}"), http: Client::new() };
        // Probes need no token.
        while !running.get("/readyz").await.is_some_and(|status| status.is_success()) {
            assert_eq!(running.process.try_wait().unwrap(), None, "it ended before it was ready");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        running
    }

    async fn get(&self, path: &str) -> Option<StatusCode> {
        Some(self.http.get(format!("{}{path}", self.url)).send().await.ok()?.status())
    }

    /// Pushes a good event as Pub/Sub does, with this `Authorization`; gives the status and the reason.
    async fn push(&self, authorization: Option<&str>) -> (u16, String) {
        let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-other", "objectId": "x",
            "objectGeneration": "7", "payloadFormat": "NONE" });
        let body = json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
        let mut post = self.http.post(&self.url).json(&body);
        if let Some(authorization) = authorization {
            post = post.header("authorization", authorization);
        }
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Pushes until the answer is this one.
    async fn until(&self, status: u16, authorization: &str) {
        let until = Instant::now() + ROTATES_WITHIN;
        loop {
            let answer = self.push(Some(authorization)).await;
            if answer.0 == status {
                return;
            }
            assert!(Instant::now() < until, "{answer:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn with(key: &Key, name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    key.sign(&claims)
}

#[tokio::test]
async fn a_service_takes_pushes_of_its_own_subscription_only_also_after_the_keys_were_rotated() {
    let (old, new, stranger) = (Key::new("old"), Key::new("new"), Key::new("old"));
    let server = KeyServer::default();
    server.keys.lock().unwrap().push(old.public());
    let service = Running::start(&server.start().await).await;
    let now = claims()["iat"].as_u64().unwrap();

    assert_eq!(service.push(Some(&old.sign(&claims()))).await, (204, String::new()));
    for (what, token, reason) in [
        ("no token", None, "no bearer token"),
        ("another audience", Some(with(&old, "aud", "https://split-abc.a.run.app")), "InvalidAudience"),
        ("another issuer", Some(with(&old, "iss", "https://evil.example")), "InvalidIssuer"),
        ("another account", Some(with(&old, "email", "evil@acme.iam.gserviceaccount.com")), "evil@acme"),
        ("an account that is not verified", Some(with(&old, "email_verified", false)), "not verified"),
        ("an expired token", Some(with(&old, "exp", now - 300)), "ExpiredSignature"),
        ("another's signature", Some(stranger.sign(&claims())), "InvalidSignature"),
        ("a key that nobody knows", Some(new.sign(&claims())), "unknown id \"new\""),
    ] {
        let (status, told) = service.push(token.as_deref()).await;
        assert!(status == 401 && told.contains(reason), "{what}: {status} {told:?}");
    }

    // Both keys are good while Google hands over, then the old one is withdrawn.
    server.keys.lock().unwrap().push(new.public());
    service.until(204, &new.sign(&claims())).await;
    assert_eq!(service.push(Some(&old.sign(&claims()))).await.0, 204);
}

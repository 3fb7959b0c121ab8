//! `trackdrop dead-letters` releases the letters that it looked through, whatever the outcome: the next call can't find letters that stay leased.

#![allow(clippy::unwrap_used)]

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

const SUBSCRIPTION: &str = "projects/acme/subscriptions/dead-letters";

/// One subscription with leases that never end by themselves.
#[derive(Clone, Default)]
struct PubSub(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    letters: BTreeSet<String>,
    leased: BTreeSet<String>,
    /// Calls of this verb are refused, but for the first of this many.
    refused: Option<(&'static str, usize)>,
}

impl PubSub {
    /// With this many letters.
    async fn start(letters: usize) -> (Self, String) {
        let pubsub = Self::default();
        pubsub.0.lock().unwrap().letters = (0..letters).map(|number| format!("letter-{number}")).collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/v1/{*path}", post(answer)).with_state(pubsub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (pubsub, host)
    }

    fn refuse(&self, verb: Option<(&'static str, usize)>) {
        self.0.lock().unwrap().refused = verb;
    }
}

async fn answer(State(pubsub): State<PubSub>, Path(path): Path<String>, asked: Bytes) -> Result<String, StatusCode> {
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let mut held = pubsub.0.lock().unwrap();
    let (name, verb) = path.rsplit_once(':').unwrap();
    assert_eq!(name, SUBSCRIPTION);
    if let Some((refused, first)) = &mut held.refused
        && *refused == verb
    {
        match first {
            0 => return Err(StatusCode::FORBIDDEN),
            first => *first -= 1,
        }
    }
    let ids: Vec<String> = serde_json::from_value(asked["ackIds"].clone()).unwrap_or_default();
    match verb {
        "pull" => {
            let free: Vec<_> = held.letters.difference(&held.leased).cloned().collect();
            held.leased.extend(free.iter().cloned());
            let letter = |id: &String| json!({ "ackId": id, "message": { "messageId": id, "attributes": { "bucketId": "b", "objectId": id } } });
            return Ok(json!({ "receivedMessages": free.iter().map(letter).collect::<Vec<_>>() }).to_string());
        }
        "modifyAckDeadline" => {
            if asked["ackDeadlineSeconds"] == 0 {
                held.leased.retain(|id| !ids.contains(id));
            }
        }
        "acknowledge" => {
            held.letters.retain(|id| !ids.contains(id));
        }
        other => panic!("{other}"),
    }
    Ok("{}".to_owned())
}

fn dead_letters(host: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trackdrop"))
        .arg("dead-letters")
        .args(arguments)
        .args(["--subscription", SUBSCRIPTION])
        .env("PUBSUB_EMULATOR_HOST", host)
        .output()
        .unwrap()
}

fn listed(host: &str) -> usize {
    let output = dead_letters(host, &["list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_handed_back_where_one_of_them_cannot_be_acknowledged() {
    let (pubsub, host) = PubSub::start(3).await;
    pubsub.refuse(Some(("acknowledge", 1)));
    let output = dead_letters(&host, &["discard", "--all"]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        ["letter-1", "letter-2"].iter().all(|id| error.contains(id)),
        "each one that is still there is named: {error}"
    );
    assert!(error.contains("403"), "{error}");
    pubsub.refuse(None);
    assert_eq!(listed(&host), 2);
    assert!(dead_letters(&host, &["discard", "letter-1", "letter-2"]).status.success());
    assert_eq!(listed(&host), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_handed_back_where_listing_them_is_broken_off() {
    let (pubsub, host) = PubSub::start(3).await;
    // The first call leases them all; then one fails.
    pubsub.refuse(Some(("pull", 1)));
    let output = dead_letters(&host, &["list"]);
    assert!(!output.status.success() && String::from_utf8(output.stderr).unwrap().contains("403"));
    pubsub.refuse(None);
    assert_eq!(listed(&host), 3);
}

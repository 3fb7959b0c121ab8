//! Publishes messages in a deployment, reads its subscriptions, and has the server from which workers pull.

use super::{Deployment, ENDS_WITHIN, OBJECTS, PROJECT, bucket_name, expect};
use crate::rights::{gate, grants::Need};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use trackdrop_pipeline::{
    RequestId,
    names::Bucket,
    trigger::{EventSource, Trigger},
};
use trackdrop_pull_server::PullServer;

/// The end of a request, as the users' own systems are notified of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// `done`, `done_without_video` or `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl Deployment {
    /// Publishes the notification of an object again.
    pub async fn publish_again(&self, bucket: Bucket, name: &str, generation: &str) {
        let attributes = json!({
            "eventType": "OBJECT_FINALIZE", "payloadFormat": "NONE",
            "bucketId": bucket_name(bucket), "objectId": name, "objectGeneration": generation,
        });
        self.pubsub(
            "POST",
            &format!("topics/{OBJECTS}:publish"),
            json!({ "messages": [{ "attributes": attributes }] }),
        )
        .await;
    }

    /// Publishes what Pub/Sub publishes when all attempts of a function's subscription to deliver the event of this object have failed.
    pub async fn publish_dead_letter(&self, function: &str, bucket: Bucket, name: &str) {
        let generation = self.list(bucket, name).await.remove(0).1;
        let attributes = json!({
            "eventType": "OBJECT_FINALIZE", "payloadFormat": "NONE",
            "bucketId": bucket_name(bucket), "objectId": name, "objectGeneration": generation,
            "CloudPubSubDeadLetterSourceSubscription": format!("trackdrop-{function}"),
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        });
        let letter = json!({ "messages": [{ "attributes": attributes }] });
        self.pubsub("POST", "topics/trackdrop-dead-letters:publish", letter).await;
    }

    /// One call of Pub/Sub's API; the path begins after the project.
    pub async fn pubsub(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/v1/projects/{PROJECT}/{path}", self.pubsub.host());
        let answer = expect(self.http.request(method.parse().unwrap(), url).json(&body)).await;
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// Waits until the end of a request is published; other requests' ends are stored for later calls.
    pub async fn finished(&self, request: &RequestId) -> Finished {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let refused = self.rights.refused();
            assert!(refused.is_empty(), "Google Cloud would have refused: {refused:#?}");
            for message in self.pull("finished").await {
                let event: Value = serde_json::from_slice(&message.data).unwrap();
                assert_eq!(event["type"], "trackdrop.request.finished");
                let text = |member: &str| event["data"][member].as_str().map(str::to_owned);
                let finished = Finished { state: text("state").unwrap(), error: text("error") };
                self.ended.lock().unwrap().insert(text("request_id").unwrap(), finished);
            }
            if let Some(finished) = self.ended.lock().unwrap().remove(request.as_str()) {
                return finished;
            }
            assert!(
                Instant::now() < until,
                "{request} did not end: {:?}\n{}",
                self.gateway.count(),
                self.gateway.logs().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes the messages that wait in a subscription; does not wait for any.
    pub async fn pull(&self, subscription: &str) -> Vec<Pulled> {
        take(&self.http, &self.pubsub.host(), subscription).await
    }
}

/// A message that was taken out of a subscription.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Its data.
    pub data: Vec<u8>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// The server that workers pull from, and the task that brings it what the emulator's subscription gets.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) server: Arc<PullServer>,
    #[expect(dead_code, reason = "it ends when it is dropped")]
    feeding: JoinSet<()>,
}

impl Pull {
    pub(super) async fn start(deployment: &Deployment, trigger: &Trigger) -> Self {
        let host = deployment.pubsub.host();
        let subscription = format!("trackdrop-{}", trigger.function);
        let account = format!("trackdrop-{}", trigger.function);
        let (rights, port) = (deployment.rights.clone(), deployment.gates[&account].port);
        let behind = format!("127.0.0.1:{port}");
        let on = format!("subscription {subscription}");
        let may = move |token: Option<&str>| {
            let need = Need { permission: "pubsub.subscriptions.consume", on: on.clone(), object: None };
            token == Some(&*format!("Bearer {}", gate::token_of(&account))) && rights.decide(&account, &need)
        };
        let name = deployment.subscription_name(&subscription);
        let server = PullServer::start_for(&name, Some(&behind), Box::new(may)).await.unwrap();
        let (server, mut feeding) = (Arc::new(server), JoinSet::new());
        let (http, fed, on) = (deployment.http.clone(), server.clone(), trigger.on.clone());
        feeding.spawn(async move {
            loop {
                for Pulled { data, attributes } in take(&http, &host, &subscription).await {
                    // The subscription's filter, which the emulator has accepted and ignores.
                    let object = attributes.get("objectId").map(String::as_str).unwrap_or_default();
                    if matches!(&on, EventSource::ObjectFinalized { prefix, .. } if object.starts_with(prefix)) {
                        fed.add(attributes, data.into());
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { server, feeding }
    }
}

/// Takes the messages that wait in a subscription.
async fn take(http: &reqwest::Client, host: &str, subscription: &str) -> Vec<Pulled> {
    let post = async |verb: &str, body: Value| -> Value {
        let url = format!("http://{host}/v1/projects/{PROJECT}/subscriptions/{subscription}:{verb}");
        serde_json::from_slice(&expect(http.post(url).json(&body)).await).unwrap_or_default()
    };
    let answer = post("pull", json!({ "maxMessages": 100, "returnImmediately": true })).await;
    let received = answer["receivedMessages"].as_array().cloned().unwrap_or_default();
    if !received.is_empty() {
        let ids: Vec<_> = received.iter().map(|message| message["ackId"].clone()).collect();
        post("acknowledge", json!({ "ackIds": ids })).await;
    }
    let pulled = |received: &Value| Pulled {
        data: BASE64_STANDARD.decode(received["message"]["data"].as_str().unwrap_or_default()).unwrap(),
        attributes: serde_json::from_value(received["message"]["attributes"].clone()).unwrap_or_default(),
    };
    received.iter().map(pulled).collect()
}

//! Taking messages out of a Pub/Sub subscription.
//!
//! By unary calls: the server hands out at most as many messages as are asked for, so a worker that asks for as many as it has places is never
//! given one that it would have to sit on. What a streaming pull saves, a call per message, is nothing beside the seconds that a segment takes.

use super::{
    SettingsError,
    api::{Api, ApiError, Repeat, json},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    api: Api,
    name: String,
}

/// A message under lease.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// What it is acknowledged by.
    pub ack_id: String,
    /// The message as a push would carry it.
    pub message: Map<String, Value>,
    /// Which delivery it is, from 1; 0 where the subscription does not count them.
    #[serde(default)]
    pub delivery_attempt: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    received_messages: Vec<Received>,
}

impl Subscription {
    /// `projects/P/subscriptions/S`, or the emulator's.
    pub fn new(name: &str, emulator: Option<&str>) -> Result<Self, SettingsError> {
        let is_full = matches!(name.split('/').collect::<Vec<_>>()[..], ["projects", project, "subscriptions", subscription] if !project.is_empty() && !subscription.is_empty());
        if !is_full {
            return Err(SettingsError::Value {
                name: "TRACKDROP_SUBSCRIPTION",
                value: name.to_owned(),
                must_be: "projects/PROJECT/subscriptions/SUBSCRIPTION",
            });
        }
        Ok(Self { api: Api::new("https://pubsub.googleapis.com", emulator)?, name: name.to_owned() })
    }

    /// The full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// At most so many messages; none after the server waited for a while, or at once where nobody is to wait.
    pub async fn pull(&self, most: usize, wait: bool) -> Result<Vec<Received>, ApiError> {
        let doing = format!("pulling from {}", self.name);
        let ask = match wait {
            true => json!({ "maxMessages": most }),
            false => json!({ "maxMessages": most, "returnImmediately": true }),
        };
        // Safe: a message whose answer is lost is delivered again when its lease ends.
        let answer = self.post("pull", &doing, &ask).await?;
        Ok(json::<Answer>(&doing, answer).await?.received_messages)
    }

    /// These messages are done.
    pub async fn acknowledge(&self, ack_ids: &[String]) -> Result<(), ApiError> {
        let doing = format!("acknowledging on {}", self.name);
        self.post("acknowledge", &doing, &json!({ "ackIds": ack_ids })).await.map(drop)
    }

    /// These messages are leased for so many seconds from now; 0 hands them back.
    pub async fn lease(&self, ack_ids: &[String], seconds: u64) -> Result<(), ApiError> {
        let doing = format!("leasing on {}", self.name);
        let ask = json!({ "ackIds": ack_ids, "ackDeadlineSeconds": seconds });
        self.post("modifyAckDeadline", &doing, &ask).await.map(drop)
    }

    async fn post(&self, verb: &str, doing: &str, body: &Value) -> Result<reqwest::Response, ApiError> {
        let url = format!("{}/v1/{}:{verb}", self.api.endpoint(), self.name);
        self.api.call(doing, Repeat::Safe, |http| http.post(&url).json(body)).await
    }
}

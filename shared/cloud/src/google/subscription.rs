//! Reads the messages of a subscription from which no one else takes, such as that of the dead letters. Workers pull by streams
//! (`trackdrop-framework`); these are single calls.

use super::{
    SettingsError,
    api::{Api, ApiError, Repeat, json},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    api: Api,
    name: String,
}

/// A message under lease.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leased {
    /// The id with which it is acknowledged.
    pub ack_id: String,
    /// The message.
    pub message: PubSubMessage,
}

/// A message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PubSubMessage {
    /// Its id in the topic.
    pub message_id: String,
    /// When it was published, in RFC 3339.
    #[serde(default)]
    pub publish_time: String,
    /// Its attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Its data in base64.
    #[serde(default)]
    pub data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pulled {
    #[serde(default)]
    received_messages: Vec<Leased>,
}

/// Whether a value is the full name of a subscription; `name` is the service setting that holds it.
///
/// # Errors
/// A name of another form, with the service setting that holds it.
pub fn check_subscription(name: &'static str, value: &str) -> Result<(), SettingsError> {
    let is_full = matches!(value.split('/').collect::<Vec<_>>()[..], ["projects", project, "subscriptions", subscription] if !project.is_empty() && !subscription.is_empty());
    let must_be = "projects/PROJECT/subscriptions/SUBSCRIPTION";
    if is_full { Ok(()) } else { Err(SettingsError::Value { name, value: value.to_owned(), must_be }) }
}

impl Subscription {
    /// The subscription of this full name, whose setting is called `setting`; `api` calls Pub/Sub.
    ///
    /// # Errors
    /// A name of another form, with the service setting that holds it.
    pub fn new(setting: &'static str, name: &str, api: Api) -> Result<Self, SettingsError> {
        check_subscription(setting, name)?;
        Ok(Self { api, name: name.to_owned() })
    }

    /// Leases at most this many messages that are there by now; does not wait for any, and may overlook some.
    ///
    /// # Errors
    /// Pub/Sub refused the call, or could not be reached.
    pub async fn pull(&self, most: usize) -> Result<Vec<Leased>, ApiError> {
        let doing = format!("pulling from {}", self.name);
        // Safe: a message whose answer is lost is there again when its lease ends.
        let ask = json!({ "maxMessages": most, "returnImmediately": true });
        let answer = self.post("pull", &doing, &ask).await?;
        Ok(json::<Pulled>(&doing, answer).await?.received_messages)
    }

    /// Acknowledges these messages, which removes them permanently.
    ///
    /// # Errors
    /// Pub/Sub refused the call, or could not be reached.
    pub async fn acknowledge(&self, ack_ids: &[String]) -> Result<(), ApiError> {
        let doing = format!("acknowledging on {}", self.name);
        self.post("acknowledge", &doing, &json!({ "ackIds": ack_ids })).await.map(drop)
    }

    /// Extends the lease of these messages to `seconds` from now; 0 releases them.
    ///
    /// # Errors
    /// Pub/Sub refused the call, or could not be reached.
    pub async fn lease(&self, ack_ids: &[String], seconds: u32) -> Result<(), ApiError> {
        let doing = format!("leasing on {}", self.name);
        let ask = json!({ "ackIds": ack_ids, "ackDeadlineSeconds": seconds });
        self.post("modifyAckDeadline", &doing, &ask).await.map(drop)
    }

    async fn post(&self, verb: &str, doing: &str, body: &Value) -> Result<reqwest::Response, ApiError> {
        let url = format!("{}/v1/{}:{verb}", self.api.endpoint(), self.name);
        self.api.call(doing, Repeat::Safe, |http| http.post(&url).json(body)).await
    }
}

//! Pub/Sub topics.

use super::api::{Api, ApiError, Repeat, json};
use crate::{PublishError, Publisher, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use trackdrop_pipeline::Event;

/// Publishes events as CloudEvents in structured mode.
#[derive(Clone, Debug)]
pub struct PubSub {
    api: Api,
    topic_requests: String,
    topic_dead_letters: Option<String>,
}

impl PubSub {
    /// Over these topics, as `projects/P/topics/T`.
    pub fn new(api: Api, topic_requests: String, topic_dead_letters: Option<String>) -> Self {
        Self { api, topic_requests, topic_dead_letters }
    }

    fn full_name(&self, topic: &str) -> Option<&str> {
        match topic {
            TOPIC_REQUESTS => Some(&self.topic_requests),
            TOPIC_DEAD_LETTERS => self.topic_dead_letters.as_deref(),
            _ => None,
        }
    }
}

#[async_trait]
impl Publisher for PubSub {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let failed = |reason: String| PublishError { topic: topic.to_owned(), reason };
        let full_name = self.full_name(topic).ok_or_else(|| failed("no topic is configured for it".into()))?;
        let event = cloud_event(event).map_err(|error| failed(error.to_string()))?;
        let message = json!({ "messages": [{
            "data": STANDARD.encode(event.to_string()),
            "attributes": { "content-type": "application/cloudevents+json", "ce-type": event["type"], "ce-id": event["id"] },
        }] });
        let url = format!("{}/v1/{full_name}:publish", self.api.endpoint());
        // A message that arrives twice carries one id: at least once is what the trait promises.
        let publish = async || -> Result<Value, ApiError> {
            let doing = "publishing";
            json(doing, self.api.call(doing, Repeat::Safe, |http| http.post(&url).json(&message)).await?).await
        };
        publish().await.map(drop).map_err(|error| failed(error.to_string()))
    }
}

/// A CloudEvent whose id depends on nothing but its content, so that receivers recognise a repetition.
fn cloud_event(event: &Event) -> serde_json::Result<Value> {
    let mut json = serde_json::to_value(event)?;
    let digest = Sha256::digest(json.to_string());
    let id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    json["specversion"] = "1.0".into();
    json["id"] = id.into();
    json["source"] = "//trackdrop".into();
    json["datacontenttype"] = "application/json".into();
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_pipeline::{RequestFinished, RequestState};

    #[test]
    fn the_same_event_is_the_same_cloud_event_and_reads_back() {
        let event = Event::RequestFinished(RequestFinished {
            request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
            state: RequestState::Done,
            error: None,
        });
        let json = cloud_event(&event).unwrap();
        assert_eq!(json, cloud_event(&event).unwrap());
        assert_eq!(json["type"], "trackdrop.request.finished");
        assert_eq!(json["data"]["request_id"], "req_0aZ9bY8c_20261123T182501");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}

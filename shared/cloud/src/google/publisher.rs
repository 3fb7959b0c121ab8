//! Pub/Sub topics.

use super::{
    Buckets,
    api::{Api, ApiError, Repeat, json},
};
use crate::{PublishError, Publisher, TOPIC_REQUESTS};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use trackdrop_pipeline::{Bucket, Event, ObjectFinalized, names::ObjectName};

/// Publishes events as CloudEvents in structured mode.
#[derive(Clone, Debug)]
pub struct PubSub {
    api: Api,
    topics: Topics,
    buckets: Buckets,
}

/// Full names of topics, as `projects/P/topics/T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Requests that have ended.
    pub requests: String,
    /// The topic of each bucket on which Cloud Storage publishes its notifications of objects.
    pub objects: BTreeMap<Bucket, String>,
}

impl PubSub {
    /// A publisher for these topics and buckets.
    pub fn new(api: Api, topics: Topics, buckets: Buckets) -> Self {
        Self { api, topics, buckets }
    }

    fn full_name(&self, topic: &str) -> Option<&str> {
        (topic == TOPIC_REQUESTS).then_some(&self.topics.requests)
    }

    async fn send(&self, full_name: &str, message: Value) -> Result<(), ApiError> {
        let url = format!("{}/v1/{full_name}:publish", self.api.endpoint());
        let messages = json!({ "messages": [message] });
        // The message can arrive twice, because the trait promises at-least-once.
        let doing = "publishing";
        let answer = self.api.call(doing, Repeat::Safe, |http| http.post(&url).json(&messages)).await?;
        json::<Value>(doing, answer).await.map(drop)
    }
}

#[async_trait]
impl Publisher for PubSub {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let failed = |reason: String| PublishError { topic: topic.to_owned(), reason };
        let full_name = self.full_name(topic).ok_or_else(|| failed("no topic is configured for it".into()))?;
        let event = cloud_event(event).map_err(|error| failed(error.to_string()))?;
        let message = json!({
            "data": STANDARD.encode(event.to_string()),
            "attributes": { "content-type": "application/cloudevents+json", "ce-type": event["type"], "ce-id": event["id"] },
        });
        self.send(full_name, message).await.map_err(|error| failed(error.to_string()))
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        let ObjectFinalized { object: ObjectName { bucket, name }, generation, created } = object;
        let failed = |reason: String| PublishError { topic: bucket.to_string(), reason };
        let Some(full_name) = self.topics.objects.get(bucket) else {
            let variable = format!("TRACKDROP_TOPIC_{}", bucket.as_str().to_uppercase());
            return Err(failed(format!("no topic is configured for its objects: set {variable}")));
        };
        let (bucket, generation, created) =
            (self.buckets.name_of(*bucket), generation.to_string(), created.to_string());
        // The format is that of Cloud Storage's own notifications, without metadata that are not known here, such as
        // the trace. A receiver that needs these reads the object. The known creation time is a separate attribute, for
        // an object that does not exist any more by then.
        let payload = json!({ "kind": "storage#object", "bucket": bucket, "name": name, "generation": generation });
        let message = json!({
            "data": STANDARD.encode(payload.to_string()),
            "attributes": {
                "eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1", "eventTime": created, "timeCreated": created,
                "bucketId": bucket, "objectId": name, "objectGeneration": generation,
            },
        });
        self.send(full_name, message).await.map_err(|error| failed(error.to_string()))
    }
}

/// A CloudEvent whose id depends only on its content, so that receivers recognise a repetition.
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

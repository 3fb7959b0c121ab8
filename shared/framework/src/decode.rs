//! Converts HTTP requests to CloudEvents. Google Cloud delivers events in several formats; each is converted to the one that
//! Google's CloudEvents adapters produce.
//!
//! | shape | recognised by |
//! |---|---|
//! | CloudEvents over HTTP, structured mode | content type `application/cloudevents+json` |
//! | CloudEvents over HTTP, binary mode | header `ce-specversion` |
//! | Pub/Sub push without wrapper | header `x-goog-pubsub-message-id`, or a bare `storage#object` |
//! | Pub/Sub push | members `message` and `subscription` |
//! | background event (legacy) | member `context`, or `eventId` and `eventType` |

mod cloudevent;
mod legacy;
mod push;

use axum::http::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use cloudevents::{Event, EventBuilder, EventBuilderV10};
use serde_json::{Map, Value};

/// The type of an event that says that an object exists in Cloud Storage.
pub(crate) const STORAGE_FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
/// The type of an event that carries a Pub/Sub message.
pub(crate) const MESSAGE_PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// What a Pub/Sub message says it is.
const MESSAGE_TYPE: &str = "type.googleapis.com/google.pubsub.v1.PubsubMessage";

/// A request that is not an event in any known format. Sending it again can't succeed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed event: {0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(crate) fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// The event of an HTTP request, as one of Google's CloudEvents.
///
/// # Errors
/// [`Malformed`], with the HTTP status of the answer.
pub fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Event, Malformed> {
    if cloudevent::is_one(headers) {
        return cloudevent::decode(headers, body);
    }
    if push::is_unwrapped(headers) {
        return push::unwrapped(headers, body);
    }
    let json: Value =
        serde_json::from_slice(body).map_err(|error| Malformed(format!("the body is not JSON: {error}")))?;
    let Value::Object(json) = json else { return Err(Malformed::new("the body is not a JSON object")) };
    match json {
        json if json.contains_key("specversion") => cloudevent::structured(Value::Object(json)),
        json if json.get("message").is_some_and(Value::is_object) => push::wrapped(json),
        json if legacy::is_one(&json) => legacy::decode(json),
        json if json.get("kind").and_then(Value::as_str) == Some("storage#object") => push::bare_object(json),
        json => {
            let members: Vec<_> = json.keys().take(8).map(String::as_str).collect();
            Err(Malformed(format!(
                "neither a CloudEvent, nor a Pub/Sub push, nor a background event: it has the members {members:?}"
            )))
        }
    }
}

/// The attributes of an event that is built from another shape.
#[derive(Debug, Default)]
struct Attributes {
    id: String,
    event_type: String,
    source: String,
    subject: Option<String>,
    time: Option<String>,
}

fn build(attributes: Attributes, data: Value) -> Result<Event, Malformed> {
    let Attributes { id, event_type, source, subject, time } = attributes;
    let mut builder = EventBuilderV10::new().id(id).ty(event_type).source(source).data("application/json", data);
    if let Some(subject) = subject {
        builder = builder.subject(subject);
    }
    if let Some(time) = time {
        let moment: DateTime<Utc> =
            time.parse().map_err(|error| Malformed(format!("its time {time:?} can't be read: {error}")))?;
        builder = builder.time(moment);
    }
    builder.build().map_err(Malformed::new)
}

/// The text of a required member.
fn text(object: &Map<String, Value>, member: &str) -> Result<String, Malformed> {
    match object.get(member) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(Malformed(format!("`{member}` is {other}, not text"))),
        None => Err(Malformed(format!("`{member}` is missing"))),
    }
}

/// The text of an optional member.
fn optional_text(object: &Map<String, Value>, member: &str) -> Option<String> {
    object.get(member).and_then(Value::as_str).map(str::to_owned)
}

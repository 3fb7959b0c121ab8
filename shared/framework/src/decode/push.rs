//! Pub/Sub push requests: the message in an envelope, or the message's data as the body.

use super::{Attributes, MESSAGE_PUBLISHED, MESSAGE_TYPE, Malformed, STORAGE_FINALIZED, build, optional_text, text};
use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use cloudevents::Event;
use serde_json::{Map, Value, json};

const MESSAGE_ID: &str = "x-goog-pubsub-message-id";
const PUBLISH_TIME: &str = "x-goog-pubsub-publish-time";
const SUBSCRIPTION: &str = "x-goog-pubsub-subscription-name";

/// The attributes that Trackdrop uses, as Cloud Storage and dead lettering write them. The names of headers lose upper
/// case.
const ATTRIBUTES: &[&str] = &[
    "eventType",
    "payloadFormat",
    "bucketId",
    "objectId",
    "objectGeneration",
    "eventTime",
    "CloudPubSubDeadLetterSourceDeliveryCount",
    "CloudPubSubDeadLetterSourceSubscription",
];

/// Whether the headers have a message's metadata.
pub(super) fn is_unwrapped(headers: &HeaderMap) -> bool {
    headers.contains_key(MESSAGE_ID)
}

/// `{"message": {...}, "subscription": "projects/P/subscriptions/S"}`.
pub(super) fn wrapped(envelope: Map<String, Value>) -> Result<Event, Malformed> {
    let subscription = optional_text(&envelope, "subscription").unwrap_or_else(|| "unknown".into());
    let data = message_data(envelope, None, None)?;
    let message = &data["message"];
    let member = |name: &str| message[name].as_str().map(str::to_owned);
    let attributes = Attributes {
        id: member("messageId").ok_or_else(|| Malformed::new("the message has no `messageId`"))?,
        event_type: MESSAGE_PUBLISHED.into(),
        source: format!("//pubsub.googleapis.com/{subscription}"),
        time: member("publishTime"),
        subject: None,
    };
    build(attributes, data)
}

/// The body is the message's data. Its metadata and attributes are headers.
pub(super) fn unwrapped(headers: &HeaderMap, body: &Bytes) -> Result<Event, Malformed> {
    let header = |name: &str| -> Result<Option<String>, Malformed> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let value = std::str::from_utf8(value.as_bytes());
        value.map(|text| Some(text.to_owned())).map_err(|_| Malformed(format!("the header {name} is not UTF-8")))
    };
    let mut attributes = Map::new();
    for name in ATTRIBUTES {
        if let Some(value) = header(name)? {
            attributes.insert((*name).to_owned(), value.into());
        }
    }
    let message = json!({
        "message": { "attributes": attributes, "data": STANDARD.encode(body) },
        "subscription": header(SUBSCRIPTION)?.unwrap_or_else(|| "unknown".into()),
    });
    let Value::Object(envelope) = message else { return Err(Malformed::new("no message")) };
    let subscription = text(&envelope, "subscription")?;
    let id = header(MESSAGE_ID)?.unwrap_or_default();
    let time = header(PUBLISH_TIME)?;
    let data = message_data(envelope, Some(&id), time.as_deref())?;
    let source = format!("//pubsub.googleapis.com/{subscription}");
    build(Attributes { id, event_type: MESSAGE_PUBLISHED.into(), source, time, subject: None }, data)
}

/// A message's data without metadata, if the data are a Cloud Storage object. Nothing says what happened to the object,
/// so the subscription must have only finalized objects. An object that was deleted is refused.
pub(super) fn bare_object(object: Map<String, Value>) -> Result<Event, Malformed> {
    if object.contains_key("timeDeleted") {
        return Err(Malformed::new("a deleted object came without the attribute `eventType`"));
    }
    let attributes = Attributes {
        id: text(&object, "id")?,
        event_type: STORAGE_FINALIZED.into(),
        source: format!("//storage.googleapis.com/projects/_/buckets/{}", text(&object, "bucket")?),
        subject: Some(format!("objects/{}", text(&object, "name")?)),
        time: optional_text(&object, "updated"),
    };
    build(attributes, Value::Object(object))
}

/// The data of a `messagePublished` event that is built from another format: the message in its standard form, and
/// everything else that came with it, such as the subscription.
pub(super) fn message_data(
    mut envelope: Map<String, Value>,
    id: Option<&str>,
    time: Option<&str>,
) -> Result<Value, Malformed> {
    complete(message_of(&mut envelope)?, id, time).entry("@type").or_insert_with(|| MESSAGE_TYPE.into());
    Ok(Value::Object(envelope))
}

/// The data of an event that is already a `messagePublished` event: all of it. If it has only the other names of
/// members, the names that we read are added.
pub(super) fn completed(mut data: Map<String, Value>) -> Result<Value, Malformed> {
    complete(message_of(&mut data)?, None, None);
    Ok(Value::Object(data))
}

fn message_of(envelope: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Malformed> {
    match envelope.get_mut("message") {
        Some(Value::Object(message)) => Ok(message),
        _ => Err(Malformed::new("`message` is missing")),
    }
}

/// Push requests write some members twice, with two spellings. After this, each exists with the spelling of Google's
/// schema. Nothing is removed.
fn complete<'a>(
    message: &'a mut Map<String, Value>,
    id: Option<&str>,
    time: Option<&str>,
) -> &'a mut Map<String, Value> {
    for (doubled, kept, from_outside) in
        [("message_id", "messageId", id), ("publish_time", "publishTime", time), ("ordering_key", "orderingKey", None)]
    {
        let value = message.get(doubled).cloned().or_else(|| from_outside.map(Value::from));
        if let (Some(value), false) = (value, message.contains_key(kept)) {
            message.insert(kept.to_owned(), value);
        }
    }
    message
}

//! Finds the meaning of a CloudEvent: an object exists, a delivery was moved to the dead letters, or it is a message of
//! Trackdrop.

use crate::decode::{MESSAGE_PUBLISHED, Malformed, STORAGE_FINALIZED};
use base64::{Engine, engine::general_purpose::STANDARD};
use cloudevents::{AttributesReader, Data, Event};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trackdrop_pipeline::Timestamp;

/// What an event means, in Google Cloud's words.
#[derive(Clone, Debug, PartialEq)]
pub enum GoogleEvent {
    /// An object exists in a bucket.
    ObjectFinalized(FinalizedObject),
    /// The message of another event, whose attempts all failed.
    DeadLetter {
        /// How often it was tried.
        attempts: u32,
        /// The subscription whose attempts all failed.
        subscription: String,
        /// When it was published, if the message says so.
        published: Option<Timestamp>,
        /// The meaning of the message.
        event: Box<Self>,
    },
    /// A message with one of Trackdrop's own events.
    Ours(trackdrop_pipeline::Event),
    /// Anything else that is well-formed: nothing to do.
    Other(String),
}

/// An object that exists: this generation of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedObject {
    /// The bucket's own name.
    pub bucket: String,
    /// The object's name, exactly.
    pub name: String,
    /// The generation of that name.
    pub generation: i64,
    /// Size of the content, if the event says so.
    pub bytes: Option<u64>,
    /// When it was written, if the event says so.
    pub created: Option<Timestamp>,
    /// Its custom metadata; none if the event has only the name.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl GoogleEvent {
    /// What an event means.
    ///
    /// # Errors
    /// [`Malformed`]: an event without what its type must have.
    pub fn of(event: &Event) -> Result<Self, Malformed> {
        match event.ty() {
            STORAGE_FINALIZED => finalized(event),
            MESSAGE_PUBLISHED => message(event),
            ours if ours.starts_with("trackdrop.") => {
                let none = Map::new();
                // An event of the scheduler has only its type.
                let data = if event.data().is_none() { &none } else { object_of(event)? };
                let json = serde_json::json!({ "type": ours, "data": data });
                our_event(&json.to_string().into_bytes())?
                    .ok_or_else(|| Malformed(format!("the type {ours:?} is not one of Trackdrop's")))
            }
            other => Ok(Self::Other(other.to_owned())),
        }
    }
}

fn object_of(event: &Event) -> Result<&Map<String, Value>, Malformed> {
    match event.data() {
        Some(Data::Json(Value::Object(data))) => Ok(data),
        _ => Err(Malformed::new("the data is not a JSON object")),
    }
}

fn finalized(event: &Event) -> Result<GoogleEvent, Malformed> {
    let data = object_of(event)?;
    let bucket_of_source = || event.source().as_str().rsplit_once("/buckets/").map(|(_, bucket)| bucket.to_owned());
    let name_of_subject = || event.subject().and_then(|subject| subject.strip_prefix("objects/")).map(str::to_owned);
    let text = |member: &str| data.get(member).and_then(Value::as_str).map(str::to_owned);
    Ok(GoogleEvent::ObjectFinalized(FinalizedObject {
        bucket: text("bucket").or_else(bucket_of_source).ok_or_else(|| Malformed::new("no bucket is named"))?,
        name: text("name").or_else(name_of_subject).ok_or_else(|| Malformed::new("no object is named"))?,
        generation: generation(data.get("generation"))?,
        bytes: bytes(data),
        created: created(data)?,
        metadata: Some(metadata(data)),
    }))
}

/// Google writes 64-bit numbers as text, but its schema says number. Both are accepted.
fn generation(value: Option<&Value>) -> Result<i64, Malformed> {
    let number = match value {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    number.ok_or_else(|| Malformed(format!("the generation {} is not a number", value.unwrap_or(&Value::Null))))
}

/// The size. A text that is not a number gives none, and the caller that needs the size then looks at the object.
fn bytes(object: &Map<String, Value>) -> Option<u64> {
    match object.get("size")? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn created(object: &Map<String, Value>) -> Result<Option<Timestamp>, Malformed> {
    let Some(text) = object.get("timeCreated").and_then(Value::as_str) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Malformed(format!("timeCreated {text:?} is not a time: {error}")))
}

fn metadata(object: &Map<String, Value>) -> BTreeMap<String, String> {
    let all = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn message(event: &Event) -> Result<GoogleEvent, Malformed> {
    let Some(Value::Object(message)) = object_of(event)?.get("message") else {
        return Err(Malformed::new("the event carries no message"));
    };
    let attribute = |name: &str| message.get("attributes").and_then(|all| all.get(name)).and_then(Value::as_str);
    let data = match message.get("data") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => {
            STANDARD.decode(text).map_err(|error| Malformed(format!("the message's data is not base64: {error}")))?
        }
        Some(other) => return Err(Malformed(format!("the message's data is {other}, not text"))),
    };
    let meaning = match (attribute("eventType"), attribute("bucketId")) {
        (Some("OBJECT_FINALIZE"), Some(bucket)) => notification(bucket, &attribute, &data)?,
        (Some(other), Some(_)) => GoogleEvent::Other(other.to_owned()),
        _ => our_event(&data)?.unwrap_or_else(|| GoogleEvent::Other("a message that is none of ours".into())),
    };
    let Some(subscription) = attribute("CloudPubSubDeadLetterSourceSubscription") else { return Ok(meaning) };
    let attempts = attribute("CloudPubSubDeadLetterSourceDeliveryCount").and_then(|count| count.parse().ok());
    Ok(GoogleEvent::DeadLetter {
        attempts: attempts.unwrap_or_default(),
        subscription: subscription.to_owned(),
        published: message.get("publishTime").and_then(Value::as_str).and_then(|time| time.parse().ok()),
        event: Box::new(meaning),
    })
}

/// A notification of Cloud Storage. The attributes name the object. The payload, if there is one, has all its metadata.
fn notification<'a>(
    bucket: &str,
    attribute: &impl Fn(&str) -> Option<&'a str>,
    data: &[u8],
) -> Result<GoogleEvent, Malformed> {
    let payload = match attribute("payloadFormat") {
        Some("JSON_API_V1") => serde_json::from_slice(data)
            .map_err(|error| Malformed(format!("the notification's payload is not a JSON object: {error}")))?,
        _ => Map::new(),
    };
    let text = |member: &str| payload.get(member).and_then(Value::as_str);
    let generation_attribute = attribute("objectGeneration").map(Value::from);
    // A header can't have every name. So if both have the name, that of the payload is used.
    let name = text("name").or_else(|| attribute("objectId")).ok_or_else(|| Malformed::new("no object is named"))?;
    Ok(GoogleEvent::ObjectFinalized(FinalizedObject {
        bucket: text("bucket").unwrap_or(bucket).to_owned(),
        name: name.to_owned(),
        generation: generation(payload.get("generation").or(generation_attribute.as_ref()))?,
        bytes: bytes(&payload),
        // This attribute is Trackdrop's own: an event that was published again has it.
        created: created(&payload)?.or_else(|| attribute("timeCreated")?.parse().ok()),
        metadata: payload.contains_key("timeCreated").then(|| metadata(&payload)),
    }))
}

/// One of our own events, alone or as a CloudEvent in structured mode.
fn our_event(data: &[u8]) -> Result<Option<GoogleEvent>, Malformed> {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return Ok(None) };
    if !json.get("type").and_then(Value::as_str).is_some_and(|name| name.starts_with("trackdrop.")) {
        return Ok(None);
    }
    let event =
        serde_json::from_value(json).map_err(|error| Malformed(format!("not an event of Trackdrop: {error}")))?;
    Ok(Some(GoogleEvent::Ours(event)))
}

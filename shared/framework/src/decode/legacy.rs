//! Background events, which functions of the first generation got: `context` and `data`.

use super::{Attributes, MESSAGE_PUBLISHED, Malformed, build, optional_text, push, text};
use cloudevents::Event;
use serde_json::{Map, Value, json};

/// Old types and the CloudEvents types that follow them.
const TYPES: &[(&str, &str)] = &[
    ("google.pubsub.topic.publish", MESSAGE_PUBLISHED),
    ("providers/cloud.pubsub/eventTypes/topic.publish", MESSAGE_PUBLISHED),
    ("google.storage.object.finalize", super::STORAGE_FINALIZED),
    ("google.storage.object.delete", "google.cloud.storage.object.v1.deleted"),
    ("google.storage.object.archive", "google.cloud.storage.object.v1.archived"),
    ("google.storage.object.metadataUpdate", "google.cloud.storage.object.v1.metadataUpdated"),
];

/// Whether the members say so. The oldest form has the members of `context` at the top.
pub(super) fn is_one(json: &Map<String, Value>) -> bool {
    json.get("context").is_some_and(Value::is_object)
        || (json.contains_key("eventId") && json.contains_key("eventType"))
}

pub(super) fn decode(mut json: Map<String, Value>) -> Result<Event, Malformed> {
    let data = json.remove("data").ok_or_else(|| Malformed::new("`data` is missing"))?;
    let context = match json.remove("context") {
        Some(Value::Object(context)) => context,
        _ => json,
    };
    let old_type = text(&context, "eventType")?;
    let Some((_, event_type)) = TYPES.iter().find(|(old, _)| *old == old_type) else {
        return Err(Malformed(format!("background events of the type {old_type:?} are not known")));
    };
    let (id, time) = (text(&context, "eventId")?, optional_text(&context, "timestamp"));
    let (service, resource) = resource(&context)?;
    if *event_type == MESSAGE_PUBLISHED {
        let envelope = Map::from_iter([("message".to_owned(), data)]);
        let data = push::message_data(envelope, Some(&id), time.as_deref())?;
        let service = service.unwrap_or_else(|| "pubsub.googleapis.com".into());
        let source = format!("//{service}/{resource}");
        return build(Attributes { id, event_type: MESSAGE_PUBLISHED.into(), source, time, subject: None }, data);
    }
    let service = service.unwrap_or_else(|| "storage.googleapis.com".into());
    let (bucket, object) = resource
        .split_once("/objects/")
        .ok_or_else(|| Malformed(format!("the resource {resource:?} names no object")))?;
    // The resource may end in the generation; only the data tells `a#1` from generation 1 of `a`.
    let object = data.get("name").and_then(Value::as_str).unwrap_or(object);
    let attributes = Attributes {
        id,
        event_type: (*event_type).to_owned(),
        source: format!("//{service}/{bucket}"),
        subject: Some(format!("objects/{object}")),
        time,
    };
    build(attributes, json!(data))
}

/// The service, where it is named, and the resource.
fn resource(context: &Map<String, Value>) -> Result<(Option<String>, String), Malformed> {
    match context.get("resource") {
        Some(Value::String(name)) => Ok((None, name.clone())),
        Some(Value::Object(resource)) => Ok((optional_text(resource, "service"), text(resource, "name")?)),
        _ => Err(Malformed::new("`resource` is missing")),
    }
}

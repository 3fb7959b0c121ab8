//! Background events (`context` and `data`), which functions of the first generation received. They are converted as in
//! Google's frameworks (functions-framework-conformance, `docs/mapping.md`). Events of Firebase and Firestore are
//! converted, too, although they start nothing here. So the sender gets the answer that they start nothing, and not
//! that they are malformed.

use super::{Attributes, MESSAGE_PUBLISHED, Malformed, STORAGE_FINALIZED, build, optional_text, push, text};
use cloudevents::Event;
use serde_json::{Map, Value};

const STORAGE_DELETED: &str = "google.cloud.storage.object.v1.deleted";
const STORAGE: &str = "storage.googleapis.com";
const PUBSUB: &str = "pubsub.googleapis.com";
const FIRESTORE: &str = "firestore.googleapis.com";
const AUTH: &str = "firebaseauth.googleapis.com";
const DATABASE: &str = "firebasedatabase.googleapis.com";
const ANALYTICS: &str = "firebaseanalytics.googleapis.com";
const REMOTE_CONFIG: &str = "firebaseremoteconfig.googleapis.com";

/// Old types, the CloudEvents types that replace them, and their service.
const TYPES: &[(&str, &str, &str)] = &[
    ("google.pubsub.topic.publish", MESSAGE_PUBLISHED, PUBSUB),
    ("providers/cloud.pubsub/eventTypes/topic.publish", MESSAGE_PUBLISHED, PUBSUB),
    ("google.storage.object.finalize", STORAGE_FINALIZED, STORAGE),
    ("google.storage.object.delete", STORAGE_DELETED, STORAGE),
    ("google.storage.object.archive", "google.cloud.storage.object.v1.archived", STORAGE),
    ("google.storage.object.metadataUpdate", "google.cloud.storage.object.v1.metadataUpdated", STORAGE),
    (OBJECT_CHANGE, STORAGE_FINALIZED, STORAGE),
    ("providers/cloud.firestore/eventTypes/document.write", "google.cloud.firestore.document.v1.written", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.create", "google.cloud.firestore.document.v1.created", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.update", "google.cloud.firestore.document.v1.updated", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.delete", "google.cloud.firestore.document.v1.deleted", FIRESTORE),
    ("providers/firebase.auth/eventTypes/user.create", "google.firebase.auth.user.v1.created", AUTH),
    ("providers/firebase.auth/eventTypes/user.delete", "google.firebase.auth.user.v1.deleted", AUTH),
    ("providers/google.firebase.database/eventTypes/ref.create", "google.firebase.database.ref.v1.created", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.write", "google.firebase.database.ref.v1.written", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.update", "google.firebase.database.ref.v1.updated", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.delete", "google.firebase.database.ref.v1.deleted", DATABASE),
    ("providers/google.firebase.analytics/eventTypes/event.log", "google.firebase.analytics.log.v1.written", ANALYTICS),
    (
        "providers/firebase.remoteConfig/remoteconfig.update",
        "google.firebase.remoteconfig.remoteConfig.v1.updated",
        REMOTE_CONFIG,
    ),
];
/// The data say what happened, and not the type.
const OBJECT_CHANGE: &str = "providers/cloud.storage/eventTypes/object.change";

/// Whether the members say that this is a background event. The oldest form has the members of `context` at the top.
pub(super) fn is_one(json: &Map<String, Value>) -> bool {
    json.get("context").is_some_and(Value::is_object)
        || (json.contains_key("eventId") && json.contains_key("eventType"))
}

pub(super) fn decode(mut json: Map<String, Value>) -> Result<Event, Malformed> {
    let data = json.remove("data").ok_or_else(|| Malformed::new("`data` is missing"))?;
    // Beside the context in either form.
    let domain = optional_text(&json, "domain");
    let context = match json.remove("context") {
        Some(Value::Object(context)) => context,
        _ => json,
    };
    let old_type = text(&context, "eventType")?;
    let Some(&(_, event_type, origin)) = TYPES.iter().find(|(old, ..)| *old == old_type) else {
        return Err(Malformed(format!("background events of the type {old_type:?} are not known")));
    };
    let (id, time) = (text(&context, "eventId")?, optional_text(&context, "timestamp"));
    let (service, resource) = resource(&context)?;
    let Told { resource, subject, data } = match origin {
        PUBSUB => {
            let envelope = Map::from_iter([("message".to_owned(), data)]);
            Told { resource, subject: None, data: push::message_data(envelope, Some(&id), time.as_deref())? }
        }
        STORAGE => of_object(&resource, data)?,
        FIRESTORE => split_at(&resource, "/documents/", data)?,
        AUTH => of_user(resource, data),
        DATABASE => of_database(&resource, domain.as_deref(), data)?,
        ANALYTICS => of_analytics(&resource, data)?,
        _ => Told { resource, subject: None, data },
    };
    let is_gone = old_type == OBJECT_CHANGE && data.get("resourceState").is_some_and(|state| state == "not_exists");
    let service = service.filter(|service| !service.is_empty()).unwrap_or_else(|| origin.to_owned());
    let event_type = if is_gone { STORAGE_DELETED } else { event_type }.to_owned();
    build(Attributes { id, event_type, source: format!("//{service}/{resource}"), subject, time }, data)
}

/// The resource of an event.
struct Told {
    resource: String,
    subject: Option<String>,
    data: Value,
}

/// The resource up to `at` and what follows as the subject.
fn split_at(resource: &str, at: &str, data: Value) -> Result<Told, Malformed> {
    let (whole, part) = resource
        .split_once(at)
        .filter(|(whole, part)| !whole.is_empty() && !part.is_empty())
        .ok_or_else(|| Malformed(format!("the resource {resource:?} has no {at:?} with something on both sides")))?;
    let subject = format!("{}{part}", at.trim_start_matches('/'));
    Ok(Told { resource: whole.to_owned(), subject: Some(subject), data })
}

fn of_object(resource: &str, data: Value) -> Result<Told, Malformed> {
    let mut told = split_at(resource, "/objects/", data)
        .map_err(|_| Malformed(format!("the resource {resource:?} names no object")))?;
    // The resource can end with the generation. Only the data distinguish `a#1` from generation 1 of `a`.
    if let Some(name) = told.data.get("name").and_then(Value::as_str) {
        told.subject = Some(format!("objects/{name}"));
    }
    Ok(told)
}

fn of_user(resource: String, mut data: Value) -> Told {
    if let Some(Value::Object(metadata)) = data.get_mut("metadata") {
        for (old, new) in [("createdAt", "createTime"), ("lastSignedInAt", "lastSignInTime")] {
            if let Some(value) = metadata.remove(old) {
                metadata.entry(new).or_insert(value);
            }
        }
    }
    let subject = data.get("uid").and_then(Value::as_str).map(|uid| format!("users/{uid}"));
    Told { resource, subject, data }
}

fn of_database(resource: &str, domain: Option<&str>, data: Value) -> Result<Told, Malformed> {
    let domain = domain.ok_or_else(|| Malformed::new("`domain` is missing"))?;
    let location = match domain {
        "firebaseio.com" => "us-central1",
        other => other.split('.').next().unwrap_or_default(),
    };
    let mut told = split_at(resource, "/refs/", data)?;
    let instance = told.resource.strip_prefix("projects/_/").unwrap_or(&told.resource);
    told.resource = format!("projects/_/locations/{location}/{instance}");
    Ok(told)
}

fn of_analytics(resource: &str, data: Value) -> Result<Told, Malformed> {
    let app = data.pointer("/userDim/appInfo/appId").and_then(Value::as_str);
    let app = app.ok_or_else(|| Malformed::new("`data.userDim.appInfo.appId` is missing"))?.to_owned();
    let mut told = split_at(resource, "/events/", data)?;
    told.resource = format!("{}/apps/{app}", told.resource);
    Ok(told)
}

/// The service, where it is named, and the resource.
fn resource(context: &Map<String, Value>) -> Result<(Option<String>, String), Malformed> {
    match context.get("resource") {
        Some(Value::String(name)) => Ok((None, name.clone())),
        Some(Value::Object(resource)) => Ok((optional_text(resource, "service"), text(resource, "name")?)),
        _ => Err(Malformed::new("`resource` is missing")),
    }
}

//! What holds for every object name and for every request: names arrive exactly, in each shape, and nothing makes the decoder panic.
#![allow(clippy::unwrap_used)]

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use trackdrop_framework::{GoogleEvent, decode};

const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const SOURCE: &str = "//storage.googleapis.com/projects/_/buckets/acme-uploads";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let parsed = |&(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    pairs.iter().map(parsed).collect()
}

/// A notification of this object in every shape that can carry any name.
fn shapes(name: &str) -> Vec<(&'static str, HeaderMap, Value)> {
    let object = json!({ "kind": "storage#object", "id": format!("acme-uploads/{name}/7"), "bucket": "acme-uploads", "name": name,
        "generation": "7", "timeCreated": "2026-11-23T18:25:01.5Z" });
    let nameless = json!({ "generation": "7" });
    let subject = format!("objects/{name}");
    let cloudevent = |data: &Value| json!({ "specversion": "1.0", "id": "1", "type": FINALIZED, "source": SOURCE, "subject": subject, "data": data });
    let encoded = utf8_percent_encode(&subject, NON_ALPHANUMERIC).to_string();
    let binary = headers(&[
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-type", FINALIZED),
        ("ce-source", SOURCE),
        ("ce-subject", &encoded),
        ("content-type", "application/json"),
    ]);
    let structured = headers(&[("content-type", "application/cloudevents+json")]);
    let push = headers(&[("content-type", "application/json")]);
    let unwrapped = headers(&[
        ("x-goog-pubsub-message-id", "1"),
        ("eventtype", "OBJECT_FINALIZE"),
        ("bucketid", "acme-uploads"),
        ("payloadformat", "JSON_API_V1"),
    ]);
    let attributes = |format: &str| {
        json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-uploads", "objectId": name, "objectGeneration": "7",
            "payloadFormat": format })
    };
    let data = STANDARD.encode(object.to_string());
    let with_payload = json!({ "message": { "messageId": "1", "attributes": attributes("JSON_API_V1"), "data": data }, "subscription": "s" });
    let without = json!({ "message": { "messageId": "1", "attributes": attributes("NONE") }, "subscription": "s" });
    let legacy = json!({ "context": { "eventId": "1", "eventType": "google.storage.object.finalize",
        "timestamp": "2026-11-23T18:25:01.5Z",
        "resource": { "service": "storage.googleapis.com", "name": format!("projects/_/buckets/acme-uploads/objects/{name}"),
            "type": "storage#object" } }, "data": object });
    vec![
        ("structured", structured.clone(), cloudevent(&object)),
        ("structured, by subject", structured, cloudevent(&nameless)),
        ("binary", binary.clone(), object.clone()),
        ("binary, by subject", binary, nameless),
        ("push with payload", push.clone(), with_payload),
        ("push without payload", push.clone(), without),
        ("push without wrapper", unwrapped, object.clone()),
        ("payload alone", push.clone(), object),
        ("legacy", push, legacy),
    ]
}

proptest! {
    #[test]
    fn an_object_s_name_arrives_exactly_in_every_shape(
        name in prop_oneof!["[^\r\n]{1,40}", r"(\.\./|%2[0-9A-F]|#[0-9]{1,3}| |\?|&|\+|/objects/|ü|日|😀){1,12}"],
    ) {
        for (shape, headers, body) in shapes(&name) {
            let event = decode(&headers, &Bytes::from(body.to_string())).unwrap();
            let GoogleEvent::ObjectFinalized(object) = GoogleEvent::of(&event).unwrap() else { panic!("{shape}: {event:?}") };
            prop_assert_eq!((object.bucket.as_str(), &object.name, object.generation), ("acme-uploads", &name, 7), "{}", shape);
        }
    }

    #[test]
    fn no_request_makes_the_decoder_panic(
        shape in 0..9usize,
        cut in 0..400usize,
        replaced in proptest::collection::vec((0..400usize, any::<u8>()), 0..6),
        header in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let (_, mut headers, body) = shapes("a b/ü.mp4").remove(shape);
        let mut body = body.to_string().into_bytes();
        for (at, byte) in replaced {
            let at = at % body.len();
            body[at] = byte;
        }
        body.truncate(body.len().saturating_sub(cut));
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            for name in ["ce-subject", "ce-time", "content-type", "objectid", "x-goog-pubsub-publish-time"].into_iter().skip(cut % 5) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.clone());
            }
        }
        // Good or malformed: either is an answer.
        decode(&headers, &body.into()).and_then(|event| GoogleEvent::of(&event)).ok();
    }
}

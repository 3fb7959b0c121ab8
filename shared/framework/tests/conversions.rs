//! Events in the shapes of old and new become Google's CloudEvents. Each `tests/events/NAME-legacy-input.json` must come out as
//! `NAME-cloudevent-output.json`. Each `NAME-cloudevent-input.json` must come out unchanged: its `data.subscription`, which background events don't
//! have, is retained. The files are ours, in the layout of Google's functions-framework-conformance. That project's own files are tested too, if
//! `TRACKDROP_EVENT_FIXTURES` names their folder.
#![allow(clippy::unwrap_used)]

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use cloudevents::{AttributesReader, Data, Event};
use serde_json::Value;
use std::path::{Path, PathBuf};
use trackdrop_framework::{FinalizedObject, GoogleEvent, decode};

fn folders() -> Vec<PathBuf> {
    std::iter::once(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events")).chain(googles()).collect()
}

/// Google's own files, where they are.
fn googles() -> Option<PathBuf> {
    std::env::var_os("TRACKDROP_EVENT_FIXTURES").map(PathBuf::from)
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// Every input with the event that it must become.
fn pairs() -> Vec<(PathBuf, Bytes, Event)> {
    let mut pairs = Vec::new();
    for folder in folders() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(stem) = name.strip_suffix("-input.json") else { continue };
            let input = std::fs::read(&path).unwrap();
            let output = match stem.strip_suffix("-legacy") {
                Some(stem) => std::fs::read(folder.join(format!("{stem}-cloudevent-output.json"))).unwrap(),
                None => input.clone(),
            };
            pairs.push((path.clone(), input.into(), serde_json::from_slice(&output).unwrap()));
        }
    }
    pairs
}

#[test]
fn every_background_event_becomes_its_cloudevent_and_cloudevents_stay_unchanged() {
    let pairs = pairs();
    assert!(pairs.len() >= 7, "{}", pairs.len());
    for (path, input, expected) in pairs {
        let kind = if path.to_str().unwrap().contains("cloudevent") {
            "application/cloudevents+json; charset=utf-8"
        } else {
            "application/json"
        };
        let event = decode(&headers(&[("content-type", kind)]), &input).unwrap();
        assert_eq!(event, expected, "{}", path.display());
    }
}

#[test]
fn the_data_of_googles_own_events_is_understood() {
    let Some(folder) = googles() else {
        eprintln!("SKIPPED: there are no files of functions-framework-conformance beside the checkout");
        return;
    };
    let typed = |name: &str, kind: &str| {
        let data: Value = serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        let event = serde_json::json!({ "specversion": "1.0", "id": "1", "source": "//x", "type": kind, "data": data });
        let event = decode(&HeaderMap::new(), &event.to_string().into()).unwrap();
        (GoogleEvent::of(&event).unwrap(), event)
    };
    for (name, object, generation) in
        [("simple", "folder/Test.cs", 1_587_627_537_231_057), ("complex", "MyFile", 96_883_251)]
    {
        let (typed, _) = typed(&format!("StorageObjectData-{name}.json"), "google.cloud.storage.object.v1.finalized");
        let GoogleEvent::ObjectFinalized(finalized) = typed else { panic!("{typed:?}") };
        assert_eq!((finalized.name.as_str(), finalized.generation), (object, generation));
    }
    for name in ["binary", "text", "duplicatedFields"] {
        let kind = "google.cloud.pubsub.topic.v1.messagePublished";
        let file = format!("MessagePublishedData-{name}.json");
        let (typed, event) = typed(&file, kind);
        assert!(matches!(typed, GoogleEvent::Other(_)), "{typed:?}");
        let came: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        assert_eq!(event.data(), Some(&Data::Json(came)));
    }
}

#[test]
fn binary_mode_gives_what_structured_mode_gives() {
    for (path, input, expected) in pairs() {
        if !path.to_str().unwrap().contains("cloudevent") {
            continue;
        }
        let json: Value = serde_json::from_slice(&input).unwrap();
        let mut all = HeaderMap::new();
        for name in ["specversion", "type", "source", "id", "time", "subject"] {
            let Some(text) = json[name].as_str() else { continue };
            // What the HTTP binding demands: everything but printable ASCII without `"` and `%`.
            let encoded: String = text
                .bytes()
                .map(|byte| match byte {
                    b'!' | b'#'..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
                    _ => format!("%{byte:02X}"),
                })
                .collect();
            all.insert(format!("ce-{name}").parse::<HeaderName>().unwrap(), encoded.parse().unwrap());
        }
        all.insert("content-type", "application/json".parse().unwrap());
        let event = decode(&all, &Bytes::from(json["data"].to_string())).unwrap();
        assert_eq!(event, expected, "{}", path.display());
    }
}

#[test]
fn a_pushed_message_retains_every_member_and_gets_googles_missing_spellings() {
    let push = r#"{"message":{"data":"aGk=","message_id":"7","publish_time":"2026-09-21T13:33:20.5Z","orderingKey":"a","ordering_key":"b",
        "attributes":{"region":"north"},"ours":1},"subscription":"projects/acme/subscriptions/s","deliveryAttempt":5}"#;
    let event = decode(&HeaderMap::new(), &push.into()).unwrap();
    let mut expected: Value = serde_json::from_str(push).unwrap();
    for (name, value) in [
        ("messageId", "7"),
        ("publishTime", "2026-09-21T13:33:20.5Z"),
        ("@type", "type.googleapis.com/google.pubsub.v1.PubsubMessage"),
    ] {
        expected["message"][name] = value.into();
    }
    assert_eq!(event.data(), Some(&Data::Json(expected)));
    assert_eq!(event.source().as_str(), "//pubsub.googleapis.com/projects/acme/subscriptions/s");
}

#[test]
fn events_of_firebase_and_firestore_become_cloudevents_that_are_ignored() {
    let firestore = "google.cloud.firestore.document.v1";
    let user = serde_json::json!({ "uid": "u1", "email": "a@b.c", "metadata": { "createdAt": "2026-05-26T10:42:27Z",
        "lastSignedInAt": "2026-10-24T11:00:00Z" } });
    let same_user = serde_json::json!({ "uid": "u1", "email": "a@b.c", "metadata": { "createTime": "2026-05-26T10:42:27Z",
        "lastSignInTime": "2026-10-24T11:00:00Z" } });
    let log = serde_json::json!({ "userDim": { "appInfo": { "appId": "com.acme.app" } }, "eventDim": [] });
    let change = serde_json::json!({ "data": null, "delta": { "grandchild": "other" } });
    let document = serde_json::json!({ "value": { "fields": { "count": { "integerValue": "4" } } }, "oldValue": {} });
    let object = |state: &str| serde_json::json!({ "kind": "storage#object", "bucket": "b", "name": "f/n#1", "generation": "7", "resourceState": state });
    let (of_object, of_document) =
        ("projects/_/buckets/b/objects/f/n#1#7", "projects/acme/databases/(default)/documents/users/a/b");
    let database = "projects/_/instances/acme/refs/rooms/1";
    let of = |what: &str| format!("providers/{what}");
    let none = Value::Null;
    #[rustfmt::skip]
    let cases = [
        (of("cloud.firestore/eventTypes/document.write"), of_document, &none, &document, &document, format!("{firestore}.written"),
            "//firestore.googleapis.com/projects/acme/databases/(default)", Some("documents/users/a/b")),
        (of("cloud.firestore/eventTypes/document.create"), of_document, &none, &document, &document, format!("{firestore}.created"),
            "//firestore.googleapis.com/projects/acme/databases/(default)", Some("documents/users/a/b")),
        (of("firebase.auth/eventTypes/user.create"), "projects/acme", &none, &user, &same_user, "google.firebase.auth.user.v1.created".into(),
            "//firebaseauth.googleapis.com/projects/acme", Some("users/u1")),
        (of("google.firebase.database/eventTypes/ref.write"), database, &"firebaseio.com".into(), &change, &change,
            "google.firebase.database.ref.v1.written".into(),
            "//firebasedatabase.googleapis.com/projects/_/locations/us-central1/instances/acme", Some("refs/rooms/1")),
        (of("google.firebase.database/eventTypes/ref.delete"), database, &"europe-west1.firebasedatabase.app".into(), &change, &change,
            "google.firebase.database.ref.v1.deleted".into(),
            "//firebasedatabase.googleapis.com/projects/_/locations/europe-west1/instances/acme", Some("refs/rooms/1")),
        (of("google.firebase.analytics/eventTypes/event.log"), "projects/acme/events/opened", &none, &log, &log,
            "google.firebase.analytics.log.v1.written".into(),
            "//firebaseanalytics.googleapis.com/projects/acme/apps/com.acme.app", Some("events/opened")),
        (of("firebase.remoteConfig/remoteconfig.update"), "projects/acme", &none, &log, &log,
            "google.firebase.remoteconfig.remoteConfig.v1.updated".into(), "//firebaseremoteconfig.googleapis.com/projects/acme", None),
        (of("cloud.storage/eventTypes/object.change"), of_object, &none, &object("not_exists"), &object("not_exists"),
            "google.cloud.storage.object.v1.deleted".into(), "//storage.googleapis.com/projects/_/buckets/b", Some("objects/f/n#1")),
    ];
    for (kind, resource, domain, data, expected, event_type, source, subject) in cases {
        let legacy = serde_json::json!({ "eventId": "1", "timestamp": "2026-09-29T11:32:00Z", "eventType": kind, "resource": resource,
            "domain": domain, "params": { "child": "xyz" }, "data": data });
        let event = decode(&HeaderMap::new(), &legacy.to_string().into()).unwrap();
        assert_eq!((event.ty(), event.source().as_str(), event.subject()), (&*event_type, source, subject), "{kind}");
        assert_eq!((event.data(), event.id()), (Some(&Data::Json(expected.clone())), "1"), "{kind}");
        assert!(event.time().is_some());
        assert_eq!(GoogleEvent::of(&event).unwrap(), GoogleEvent::Other(event_type));
    }
    let change = serde_json::json!({ "eventId": "1", "eventType": of("cloud.storage/eventTypes/object.change"), "resource": of_object,
        "data": object("exists") });
    let event = decode(&HeaderMap::new(), &change.to_string().into()).unwrap();
    assert!(matches!(GoogleEvent::of(&event).unwrap(), GoogleEvent::ObjectFinalized(object) if object.name == "f/n#1"));
}

fn notification(attributes: &[(&str, &str)], payload: &str) -> Bytes {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let attributes: Value = attributes.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect();
    let message = serde_json::json!({
        "attributes": attributes, "data": STANDARD.encode(payload), "messageId": "7", "message_id": "7",
        "publishTime": "2026-09-21T13:33:20.5Z", "publish_time": "2026-09-21T13:33:20.5Z",
    });
    serde_json::json!({ "message": message, "subscription": "projects/acme/subscriptions/split" }).to_string().into()
}

fn finalized(created: Option<&str>) -> GoogleEvent {
    GoogleEvent::ObjectFinalized(FinalizedObject {
        bucket: "acme-uploads".into(),
        name: "a b/../%41#?\nü.mp4".into(),
        generation: 1_790_000_000_123_456,
        bytes: None,
        created: created.map(|time| time.parse().unwrap()),
        metadata: created.map(|_| Default::default()),
    })
}

const ATTRIBUTES: &[(&str, &str)] = &[
    ("eventType", "OBJECT_FINALIZE"),
    ("bucketId", "acme-uploads"),
    ("objectId", "a b/../%41#?\nü.mp4"),
    ("objectGeneration", "1790000000123456"),
    ("eventTime", "2026-09-21T13:33:20.2Z"),
];
const PAYLOAD: &str = r#"{"kind":"storage#object","name":"a b/../%41#?\nü.mp4","bucket":"acme-uploads",
    "generation":"1790000000123456","timeCreated":"2026-09-21T13:33:20.123Z"}"#;
const CREATED: Option<&str> = Some("2026-09-21T13:33:20.123Z");

#[test]
fn a_storage_notification_names_the_object_exactly_in_each_of_its_forms() {
    let push = headers(&[("content-type", "application/json")]);
    let with_payload = [ATTRIBUTES, &[("payloadFormat", "JSON_API_V1")]].concat();
    let without = [ATTRIBUTES, &[("payloadFormat", "NONE")]].concat();
    let typed = |headers: &HeaderMap, body: &Bytes| GoogleEvent::of(&decode(headers, body).unwrap()).unwrap();
    assert_eq!(typed(&push, &notification(&with_payload, PAYLOAD)), finalized(CREATED));
    assert_eq!(typed(&push, &notification(&without, "")), finalized(None));
    // The emulator's content type; header values can't hold the name, so it is what some proxy made of it.
    let unwrapped = headers(&[
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-goog-pubsub-message-id", "7"),
        ("x-goog-pubsub-publish-time", "2026-09-21T13:33:20.5Z"),
        ("x-goog-pubsub-subscription-name", "projects/acme/subscriptions/split"),
        ("eventType", "OBJECT_FINALIZE"),
        ("bucketId", "acme-uploads"),
        ("objectId", "a b/../?"),
        ("objectGeneration", "1790000000123456"),
        ("payloadFormat", "JSON_API_V1"),
    ]);
    assert_eq!(typed(&unwrapped, &PAYLOAD.into()), finalized(CREATED));
    let bare = PAYLOAD.replacen('{', r#"{"id":"acme-uploads/x/1790000000123456","#, 1);
    assert_eq!(typed(&HeaderMap::new(), &bare.into()), finalized(CREATED));
}

#[test]
fn what_happens_to_objects_otherwise_is_of_no_interest() {
    for other in ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"] {
        let mut attributes = ATTRIBUTES.to_vec();
        attributes[0].1 = other;
        let event = decode(&HeaderMap::new(), &notification(&attributes, PAYLOAD)).unwrap();
        assert_eq!(GoogleEvent::of(&event).unwrap(), GoogleEvent::Other(other.into()));
    }
}

#[test]
fn a_dead_letter_says_how_often_which_subscription_when_and_what() {
    let dead = [
        ATTRIBUTES,
        &[
            ("payloadFormat", "JSON_API_V1"),
            ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
            ("CloudPubSubDeadLetterSourceSubscription", "acme-split"),
        ],
    ]
    .concat();
    let event = decode(&HeaderMap::new(), &notification(&dead, PAYLOAD)).unwrap();
    let expected = GoogleEvent::DeadLetter {
        attempts: 5,
        subscription: "acme-split".into(),
        published: Some("2026-09-21T13:33:20.5Z".parse().unwrap()),
        event: Box::new(finalized(CREATED)),
    };
    assert_eq!(GoogleEvent::of(&event).unwrap(), expected);
}

#[test]
fn one_of_our_own_events_is_known_alone_and_in_a_message() {
    let ours = r#"{"specversion":"1.0","id":"1","source":"//trackdrop","type":"trackdrop.request.finished",
        "datacontenttype":"application/json","data":{"request_id":"req_0aZ9bY8c_20261123T182501","state":"done"}}"#;
    for body in [Bytes::from(ours), notification(&[], ours)] {
        let GoogleEvent::Ours(event) = GoogleEvent::of(&decode(&HeaderMap::new(), &body).unwrap()).unwrap() else {
            panic!()
        };
        assert_eq!(event.type_name(), "trackdrop.request.finished");
    }
}

#[test]
fn what_is_no_event_is_refused_with_what_is_wrong_with_it() {
    let structured = headers(&[("content-type", "application/cloudevents+json")]);
    let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
    let json = headers(&[("content-type", "application/json")]);
    let binary = headers(&[
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-type", "google.cloud.storage.object.v1.finalized"),
        ("ce-source", "//storage.googleapis.com/projects/_/buckets/b"),
        ("content-type", "application/json"),
    ]);
    let mut without_id = binary.clone();
    without_id.remove("ce-id");
    let cases: &[(&HeaderMap, &str, &str)] = &[
        (&json, "", "not JSON"),
        (&json, "[]", "not a JSON object"),
        (&json, r#"{"a":1}"#, "neither a CloudEvent"),
        (&json, r#"{"message":{"data":"AA=="}}"#, "messageId"),
        (&json, r#"{"eventId":"1","eventType":"providers/x","resource":"r","data":{}}"#, "not known"),
        (
            &json,
            r#"{"eventId":"1","eventType":"providers/google.firebase.database/eventTypes/ref.write","resource":"projects/_/instances/i/refs/r","data":{}}"#,
            "`domain`",
        ),
        (
            &json,
            r#"{"eventId":"1","eventType":"providers/cloud.firestore/eventTypes/document.write","resource":"projects/p","data":{}}"#,
            "/documents/",
        ),
        (&structured, "{", "not JSON"),
        (&structured, r#"{"specversion":"1.0"}"#, "not a CloudEvent"),
        (&batch, "[]", "batches"),
        (&binary, "{nope", "not JSON"),
        (&without_id, "{}", ""),
        (&binary, r#"{"bucket":"b","name":"n","generation":"x"}"#, "generation"),
        (&binary, r#"{"bucket":"b","generation":"1"}"#, "no object is named"),
        (&binary, r#"{"bucket":"b","name":"n","generation":"1","timeCreated":"noon"}"#, "timeCreated"),
        (&json, r#"{"message":{"data":"!","messageId":"1"},"subscription":"s"}"#, "base64"),
    ];
    for (headers, body, expected) in cases {
        let outcome = decode(headers, &Bytes::from((*body).to_owned())).and_then(|event| GoogleEvent::of(&event));
        let error = outcome.expect_err(body).to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

#[test]
fn a_subject_without_percent_encoding_is_unchanged_and_the_data_name_the_object() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-type", "google.cloud.storage.object.v1.finalized"),
        ("ce-source", "//storage.googleapis.com/projects/_/buckets/b"),
        ("ce-subject", "objects/50%FF off.mp4"),
        ("content-type", "application/json"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    for (data, expected) in [
        (r#"{"name":"50%FF off.mp4","generation":"7"}"#, "50%FF off.mp4"),
        (r#"{"name":"another.mp4","generation":"7"}"#, "another.mp4"),
        (r#"{"generation":"7"}"#, "50%FF off.mp4"),
    ] {
        let event = decode(&headers, &data.into()).unwrap();
        let GoogleEvent::ObjectFinalized(object) = GoogleEvent::of(&event).unwrap() else { panic!() };
        assert_eq!(object.name, expected);
    }
}

#[test]
fn numbers_and_texts_are_both_generations() {
    for generation in ["\"352\"", "352"] {
        let json = format!(
            r#"{{"specversion":"1.0","id":"1","source":"//storage.googleapis.com/projects/_/buckets/b","subject":"objects/n",
            "type":"google.cloud.storage.object.v1.finalized","data":{{"generation":{generation}}}}}"#
        );
        let event = decode(&HeaderMap::new(), &json.into()).unwrap();
        assert!(matches!(event.data(), Some(Data::Json(_))));
        assert_eq!(event.subject(), Some("objects/n"));
        let GoogleEvent::ObjectFinalized(object) = GoogleEvent::of(&event).unwrap() else { panic!() };
        assert_eq!((object.bucket.as_str(), object.name.as_str(), object.generation), ("b", "n", 352));
    }
}

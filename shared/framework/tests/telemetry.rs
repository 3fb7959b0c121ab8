//! What a service exports, as a process with an OTLP receiver beside it.
#![allow(clippy::unwrap_used)]

#[path = "support/running.rs"]
#[allow(dead_code, unreachable_pub)]
mod running;

use base64::{Engine, engine::general_purpose::STANDARD};
use running::Running;
use serde_json::{Value, json};
use trackdrop_otlp_receiver::Receiver;

const ONE: &str = "req_0aZ9bY8c_20261123T182501";
const OTHER: &str = "req_1aZ9bY8c_20261123T182501";
const CALLER: (&str, &str) = ("traceparent", "00-aaaabbbbccccddddeeeeffff00001111-1234567812345678-01");

/// A chunk's notification, whose custom metadata names the span that wrote it.
fn chunk(request: &str, segment: u32, traceparent: Option<&str>) -> Value {
    let name = format!("split_chunks/{request}/{segment:06}.mkv");
    let metadata = traceparent.map(|context| json!({ "traceparent": context })).unwrap_or(json!({}));
    let payload = json!({ "kind": "storage#object", "bucket": "acme-work", "name": name, "generation": "7",
        "timeCreated": "2026-11-23T18:25:01.5Z", "metadata": metadata });
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-work", "objectId": name,
        "objectGeneration": "7", "payloadFormat": "JSON_API_V1" });
    let message = json!({ "attributes": attributes, "data": STANDARD.encode(payload.to_string()), "messageId": "1" });
    json!({ "message": message, "subscription": "projects/p/subscriptions/s" })
}

#[tokio::test]
async fn a_request_is_one_trace_with_its_causes_and_is_sent_before_the_service_ends() {
    let receiver = Receiver::start().await.unwrap();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint());
    let service = Running::start(&[endpoint, ("OTEL_SERVICE_NAME", "gate")]).await;
    let written_by = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (body, header) in [
        (chunk(ONE, 0, None), None),
        // Another delivery of it, by somebody with a trace of its own.
        (chunk(ONE, 0, None), Some(CALLER)),
        (chunk(ONE, 1, None), None),
        (chunk(OTHER, 3, Some(written_by)), None),
    ] {
        assert_eq!(service.push(&body, header).await.0, 204);
    }
    // What starts another function, and what is no event, are no work.
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-work", "objectId": format!("detections/{ONE}/x"),
        "objectGeneration": "7", "eventTime": "2026-11-23T18:25:01Z", "payloadFormat": "JSON_API_V1" });
    let data = STANDARD.encode(json!({ "timeCreated": "2026-11-23T18:25:01Z" }).to_string());
    let message = json!({ "attributes": attributes, "data": data, "messageId": "2" });
    assert_eq!(service.push(&json!({ "message": message, "subscription": "s" }), None).await.0, 204);
    assert_eq!(service.push(&json!({}), None).await.0, 400);
    service.stop().await;

    let traces = receiver.traces();
    assert_eq!(traces.len(), 2, "{traces:?}");
    let other = &traces["4bf92f3577b34da6a3ce929d0e0e4736"].spans;
    let [delivery] = &other[..] else { panic!("{other:?}") };
    assert_eq!((&*delivery.name, &*delivery.service), ("track", "gate"));
    assert_eq!((&*delivery.attributes["request"], &*delivery.attributes["segment"]), (OTHER, "3"));
    assert_eq!(delivery.links, ["00f067aa0ba902b7"]);

    let one = &traces.values().find(|trace| trace.spans.len() == 3).unwrap().spans;
    assert!(one.iter().all(|span| span.attributes["request"] == ONE && span.parent == one[0].parent), "{one:?}");
    assert!(one[0].parent.is_some(), "all lie below the request");
    let links: Vec<_> = one.iter().map(|span| span.links.clone()).collect();
    assert_eq!(links, [vec![], vec!["1234567812345678".to_owned()], vec![]]);
}

#[tokio::test]
async fn where_no_collector_is_named_google_gets_the_spans_as_the_services_own_account() {
    use axum::{Router, http::HeaderMap, routing::get};
    let google = Receiver::start_as_google("acme").await.unwrap();
    // Cloud Run's metadata server, which has the token of the service's account.
    let token = async |headers: HeaderMap| {
        assert_eq!(headers["metadata-flavor"], "Google");
        let token = json!({ "access_token": "ya29.mine", "expires_in": 3599, "token_type": "Bearer" });
        ([("content-type", "application/json")], token.to_string())
    };
    let metadata = Router::new().route("/computeMetadata/v1/instance/service-accounts/default/token", get(token));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, metadata).await });
    let home = tempfile::tempdir().unwrap();
    let service = Running::start(&[
        ("TRACKDROP_TELEMETRY_ENDPOINT", google.endpoint()),
        ("GCE_METADATA_HOST", &host),
        ("HOME", home.path().to_str().unwrap()),
    ])
    .await;
    assert_eq!(service.push(&chunk(ONE, 0, None), None).await.0, 204);
    service.stop().await;
    let traces = google.traces();
    assert_eq!(traces.values().map(|trace| trace.spans.len()).sum::<usize>(), 1, "{traces:?}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_no_reason_to_fail() {
    let service = Running::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    assert_eq!(service.push(&chunk(ONE, 0, None), None).await.0, 204);
    service.stop().await;
}

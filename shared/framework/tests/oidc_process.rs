//! A whole service that asks pushes for their tokens: a process, and a key server beside it.
#![allow(clippy::unwrap_used)]

#[path = "support/keys.rs"]
#[allow(dead_code, unreachable_pub)]
mod keys;
#[path = "support/running.rs"]
#[allow(dead_code, unreachable_pub)]
mod running;

use keys::{AUDIENCE, EMAIL, Key, KeyServer, claims};
use running::Running;
use serde_json::{Value, json};

/// Pushes a good event as Pub/Sub does, with this `Authorization`.
async fn push(service: &Running, authorization: Option<&str>) -> (u16, String) {
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-other", "objectId": "x",
        "objectGeneration": "7", "payloadFormat": "NONE" });
    let body = json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
    service.push(&body, authorization.map(|value| ("authorization", value))).await
}

fn with(key: &Key, name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    key.sign(&claims)
}

#[tokio::test]
async fn a_service_accepts_only_pushes_of_its_own_subscription_also_after_key_rotation() {
    let (old, new, stranger) = (Key::new("old"), Key::new("new"), Key::new("old"));
    let server = KeyServer::default();
    server.keys.lock().unwrap().push(old.public());
    // Ready, so probes need no token.
    let service = Running::start(&[
        ("TRACKDROP_PUSH_AUDIENCE", AUDIENCE),
        ("TRACKDROP_PUSH_SERVICE_ACCOUNT", EMAIL),
        ("TRACKDROP_PUSH_KEYS_URL", &server.start().await),
    ])
    .await;
    let now = claims()["iat"].as_u64().unwrap();

    assert_eq!(push(&service, Some(&old.sign(&claims()))).await, (204, String::new()));
    for (what, token, reason) in [
        ("no token", None, "no bearer token"),
        ("another audience", Some(with(&old, "aud", "https://split-abc.a.run.app")), "InvalidAudience"),
        ("another issuer", Some(with(&old, "iss", "https://evil.example")), "InvalidIssuer"),
        ("another account", Some(with(&old, "email", "evil@acme.iam.gserviceaccount.com")), "evil@acme"),
        ("an account that is not verified", Some(with(&old, "email_verified", false)), "not verified"),
        ("an expired token", Some(with(&old, "exp", now - 300)), "ExpiredSignature"),
        ("another's signature", Some(stranger.sign(&claims())), "InvalidSignature"),
        ("a key that nobody knows", Some(new.sign(&claims())), "unknown id \"new\""),
    ] {
        let (status, told) = push(&service, token.as_deref()).await;
        assert!(status == 401 && told.contains(reason), "{what}: {status} {told:?}");
    }

    // Both keys are good while Google hands over. The service fetches them at most every 10 s.
    server.keys.lock().unwrap().push(new.public());
    let of_the_new_key = new.sign(&claims());
    Running::until(async || push(&service, Some(&of_the_new_key)).await.0 == 204).await;
    assert_eq!(push(&service, Some(&old.sign(&claims()))).await.0, 204);
}

//! Tokens of pushes, signed here by keys made here, against a key server on the loopback.
#![allow(clippy::unwrap_used)]

#[path = "support/keys.rs"]
#[allow(unreachable_pub)]
mod keys;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keys::{AUDIENCE, EMAIL, Key, KeyServer, Mood, claims};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trackdrop_framework::oidc::{Refused, Verifier};

async fn world(key: &Key) -> (KeyServer, Verifier) {
    let server = KeyServer::default();
    server.keys.lock().unwrap().push(key.public());
    let verifier = Verifier::new(AUDIENCE, EMAIL).with_keys_url(server.start().await);
    (server, verifier)
}

#[tokio::test]
async fn a_good_token_is_let_in_and_the_keys_are_fetched_once() {
    let key = Key::new("a");
    let (server, verifier) = world(&key).await;
    let token = key.sign(&claims());
    let all = (0..20).map(|_| verifier.verify(Some(&token)));
    for outcome in futures(all).await {
        assert_eq!(outcome, Ok(()));
    }
    assert_eq!(*server.fetches.lock().unwrap(), 1);
}

/// All of them at the same time.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, outcome) in &mut pending {
            if outcome.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *outcome = Some(value);
            }
        }
        let is_done = pending.iter().all(|(_, outcome)| outcome.is_some());
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

#[tokio::test]
async fn anything_else_is_refused() {
    let (key, stranger) = (Key::new("a"), Key::new("a"));
    let (_server, verifier) = world(&key).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        key.sign(&claims)
    };
    let good = key.sign(&claims());
    let (body, _signature) = good.rsplit_once('.').unwrap();
    let hs256 = encode(
        &Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) },
        &claims(),
        &EncodingKey::from_secret(key.public()["n"].as_str().unwrap().as_bytes()),
    )
    .unwrap();
    let unsigned = format!(
        "Bearer {}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"a"}"#),
        body.split('.').nth(1).unwrap()
    );
    for (what, header) in [
        ("nothing", None),
        ("no bearer", Some("Basic dTpw".into())),
        ("no token", Some("Bearer x".into())),
        ("another's signature", Some(stranger.sign(&claims()))),
        ("no signature", Some(format!("{body}."))),
        ("the algorithm none", Some(unsigned)),
        ("a secret for a public key", Some(format!("Bearer {hs256}"))),
        ("another audience", Some(with("aud", "https://split-abc.a.run.app".into()))),
        ("no audience", Some(with("aud", Value::Null))),
        ("another issuer", Some(with("iss", "https://evil.example".into()))),
        ("another account", Some(with("email", "evil@acme.iam.gserviceaccount.com".into()))),
        ("no account", Some(with("email", Value::Null))),
        ("an account that is not verified", Some(with("email_verified", false.into()))),
        ("the past", Some(with("exp", (now - 300).into()))),
        ("the future", Some(with("nbf", (now + 300).into()))),
    ] {
        let outcome = verifier.verify(header.as_deref()).await;
        assert!(matches!(outcome, Err(Refused::Token(_))), "{what}: {outcome:?}");
    }
    assert_eq!(verifier.verify(Some(&good)).await, Ok(()));
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_met() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let (server, verifier) = world(&old).await;
    let verifier = verifier.with_fetch_every(Duration::ZERO);
    assert_eq!(verifier.verify(Some(&old.sign(&claims()))).await, Ok(()));
    server.keys.lock().unwrap().push(new.public());
    assert_eq!(verifier.verify(Some(&new.sign(&claims()))).await, Ok(()));
    *server.keys.lock().unwrap() = vec![new.public()];
    let third = Key::new("third");
    assert!(verifier.verify(Some(&third.sign(&claims()))).await.is_err());
    let withdrawn = verifier.verify(Some(&old.sign(&claims()))).await;
    assert!(matches!(withdrawn, Err(Refused::Token(_))), "a key that was withdrawn is forgotten: {withdrawn:?}");
}

#[tokio::test]
async fn unknown_key_ids_do_not_make_the_keys_be_fetched_again_and_again() {
    let (key, stranger) = (Key::new("a"), Key::new("unknown"));
    let (server, verifier) = world(&key).await;
    for _ in 0..5 {
        assert!(matches!(verifier.verify(Some(&stranger.sign(&claims()))).await, Err(Refused::Token(_))));
    }
    assert_eq!(*server.fetches.lock().unwrap(), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_no_reason_to_refuse_for_good() {
    let verifier = Verifier::new(AUDIENCE, EMAIL).with_keys_url("http://127.0.0.1:9/certs");
    let outcome = verifier.verify(Some(&Key::new("a").sign(&claims()))).await;
    assert!(matches!(outcome, Err(Refused::Keys(_))), "{outcome:?}");
}

#[tokio::test]
async fn known_keys_that_are_old_hold_nobody_up_while_the_key_server_hangs() {
    let key = Key::new("a");
    let (server, verifier) = world(&key).await;
    let verifier = verifier.with_keys_live(Duration::ZERO).with_fetch_every(Duration::ZERO);
    let token = key.sign(&claims());
    assert_eq!(verifier.verify(Some(&token)).await, Ok(()));
    *server.mood.lock().unwrap() = Mood::Hangs;
    for _ in 0..5 {
        assert_eq!(verifier.verify(Some(&token)).await, Ok(()));
    }
    // The second call is still in the air: had anybody waited for its end, there would be more.
    assert!(*server.fetches.lock().unwrap() <= 2);
}

#[tokio::test]
async fn a_key_server_that_fails_is_left_alone_for_a_while_by_known_and_unknown_ids() {
    let (key, stranger) = (Key::new("a"), Key::new("unknown"));
    let (server, verifier) = world(&key).await;
    assert_eq!(verifier.verify(Some(&key.sign(&claims()))).await, Ok(()));
    let verifier = verifier.with_keys_live(Duration::ZERO).with_fetch_every(Duration::ZERO);
    *server.mood.lock().unwrap() = Mood::Fails;
    let unknown = verifier.verify(Some(&stranger.sign(&claims()))).await;
    assert!(matches!(unknown, Err(Refused::Keys(_))), "it may be known to the server: {unknown:?}");
    assert_eq!(*server.fetches.lock().unwrap(), 2);
    let verifier = verifier.with_fetch_every(Duration::MAX);
    for _ in 0..5 {
        assert_eq!(verifier.verify(Some(&key.sign(&claims()))).await, Ok(()));
        let unknown = verifier.verify(Some(&stranger.sign(&claims()))).await;
        assert!(matches!(unknown, Err(Refused::Keys(_))), "{unknown:?}");
    }
    assert_eq!(*server.fetches.lock().unwrap(), 2);
}

//! What a service answers, seen from outside over HTTP.
#![allow(clippy::unwrap_used)]

mod events;
mod world;

use reqwest::StatusCode;
use std::{sync::Arc, time::Duration};
use trackdrop_cloud::{google::Buckets, local::LocalCloud};
use trackdrop_framework::{Service, oidc::Verifier};
use trackdrop_pipeline::{
    FailureKind,
    trigger::{Trigger, files::TRACK},
};
use world::{Outcome, Stand, World};

#[tokio::test]
async fn an_outcome_is_answered_so_that_the_queue_does_the_right_thing() {
    let world = World::of(TRACK, |service| service).await;
    for (kind, status) in [
        (FailureKind::Transient, 503),
        (FailureKind::Exhausted, 503),
        (FailureKind::Cancelled, 503),
        // What a handler has recorded comes as success; this is one that nobody could record.
        (FailureKind::Permanent, 500),
    ] {
        world.will(Outcome::Fails(kind));
        let response = world.push_chunk().await;
        assert_eq!(response.status(), status, "{kind:?}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        assert_eq!(response.text().await.unwrap(), "the disk is on fire\n");
    }
    world.will(Outcome::Panics);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text().await.unwrap(), "the handler panicked: index out of bounds\n");
    assert_eq!(world.push_chunk().await.status(), StatusCode::NO_CONTENT, "and life goes on");
}

#[tokio::test]
async fn what_is_no_event_is_malformed_and_what_is_too_long_is_not_read() {
    let world = World::of(TRACK, |service| service).await;
    let response = world.push("{}".into()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.text().await.unwrap().contains("malformed event"));
    // Big enough for the bound, small enough to be sent whole before the answer closes the connection.
    assert_eq!(world.push("x".repeat((1 << 20) + 1)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.http.get(&world.url).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(world.events().is_empty());
}

#[tokio::test]
async fn a_full_instance_hands_events_back() {
    let world = World::of(TRACK, |service| service.with_concurrency(1)).await;
    world.will(Outcome::Waits);
    let first = world.pushing();
    world.stand.entered.notified().await;
    let second = world.push_chunk().await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(second.headers().contains_key("retry-after"));
    world.stand.released.0.add_permits(1);
    assert_eq!(first.await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(world.push_chunk().await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_event_that_takes_too_long_is_handed_back_and_its_work_is_asked_to_stop() {
    let world = World::of(TRACK, |service| service.with_deadline(Duration::from_millis(50))).await;
    world.will(Outcome::WaitsForCancel);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text().await.unwrap(), "stopped before it was finished\n");
}

#[tokio::test]
async fn work_that_does_not_stop_keeps_its_place_though_its_answer_is_given() {
    let world = World::of(TRACK, |service| service.with_deadline(Duration::from_millis(50)).with_concurrency(1)).await;
    world.will(Outcome::NeverEnds);
    let response = world.push_chunk().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.text().await.unwrap().contains("not finished within"));
    assert_eq!(world.push_chunk().await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_instance_whose_places_are_all_held_by_stuck_work_ends_with_the_reason() {
    let short = Duration::from_millis(50);
    let with = |service: Service| service.with_deadline(short).with_patience(short).with_concurrency(2);
    let world = World::of(TRACK, with).await;
    world.will(Outcome::NeverEnds);
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // One place is left, and work that gets on, however slowly, is not stuck.
    world.will(Outcome::GoesOnThoughCancelled);
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.push_chunk().await.status(), StatusCode::TOO_MANY_REQUESTS);
    world.stand.released.0.add_permits(1);
    world.will(Outcome::NeverEnds);
    while world.push_chunk().await.status() == StatusCode::TOO_MANY_REQUESTS {}
    let error = world.serving.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("all 2 places"), "{error}");
}

#[tokio::test]
async fn work_whose_caller_hung_up_is_asked_to_stop_at_its_deadline_all_the_same() {
    let short = Duration::from_millis(50);
    let world = World::of(TRACK, |service| service.with_deadline(short).with_concurrency(1)).await;
    world.will(Outcome::WaitsForCancel);
    world.push_and_hang_up().await;
    // Its place is free again.
    while world.push_chunk().await.status() == StatusCode::TOO_MANY_REQUESTS {}
    assert_eq!(world.events().len(), 2);
}

#[tokio::test]
async fn a_service_that_is_stopped_waits_for_work_whose_caller_hung_up() {
    let mut world = World::of(TRACK, |service| service).await;
    world.will(Outcome::Waits);
    world.push_and_hang_up().await;
    drop(world.stop.take());
    while tokio::net::TcpStream::connect(world.url.trim_start_matches("http://")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!world.serving.is_finished());
    world.stand.released.0.add_permits(1);
    world.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_that_is_stopped_finishes_what_it_is_at() {
    let mut world = World::of(TRACK, |service| service).await;
    world.will(Outcome::Waits);
    let first = world.pushing();
    world.stand.entered.notified().await;
    drop(world.stop.take());
    // It no longer listens; work in progress continues.
    while tokio::net::TcpStream::connect(world.url.trim_start_matches("http://")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.stand.released.0.add_permits(1);
    assert_eq!(first.await.unwrap().status(), StatusCode::NO_CONTENT);
    world.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_is_healthy_at_once_and_ready_with_its_handler() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
    let buckets = Buckets { uploads: "a".into(), work: "acme-work".into(), results: "c".into() };
    let service = Service::new(Trigger::parse(TRACK).unwrap(), local.clone(), buckets);
    let stand = Arc::new(Stand::default());
    let world = World::serve(service.clone(), stand.clone(), local, folder).await;
    let get = async |path: &str| world.http.get(format!("{}{path}", world.url)).send().await.unwrap().status();
    assert_eq!((get("/healthz").await, get("/readyz").await), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(world.push_chunk().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    service.is_ready_with(stand);
    assert_eq!((get("/readyz").await, world.push_chunk().await.status()), (StatusCode::OK, StatusCode::NO_CONTENT));
}

#[tokio::test]
async fn without_a_token_nothing_is_read_and_the_probes_still_answer() {
    let world = World::of(TRACK, |service| service.with_verifier(Verifier::new("https://track", "push@acme"))).await;
    assert_eq!(world.push_chunk().await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.http.get(format!("{}/healthz", world.url)).send().await.unwrap().status(), StatusCode::OK);
    assert!(world.events().is_empty());
}

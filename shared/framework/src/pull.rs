//! A function as a worker that pulls: for GPUs that a push would overrun. It asks for as many events as it has free places and for no more, keeps
//! the lease of what is in work, and hands back what it can't finish when it is told to stop. Everything else is what happens to a push: each event
//! goes through the same layers.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt;
use trackdrop_cloud::google::{Received, Subscription};

/// What a lease is renewed to: the events of a worker that is gone are free after at most so long.
const LEASE_S: u64 = 60;
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// After a pull that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Pulls, and answers each event by the router, until `stop`; then waits for what is in work.
pub(crate) async fn work(router: Router, subscription: Subscription, places: usize, mut stop: watch::Receiver<bool>) {
    let (free, subscription) = (Arc::new(Semaphore::new(places)), Arc::new(subscription));
    let mut in_work = JoinSet::new();
    let stopped = async |stop: &mut watch::Receiver<bool>| {
        let _ = stop.wait_for(|&stop| stop).await;
    };
    loop {
        // One place at least, and all others that are free by now.
        let first = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            first = free.clone().acquire_owned() => first,
        };
        let mut permits: Vec<_> = first.into_iter().collect();
        permits.extend(std::iter::from_fn(|| free.clone().try_acquire_owned().ok()));
        let pulled = tokio::select! {
            biased;
            // What the server hands to the broken call is delivered again when its lease ends.
            () = stopped(&mut stop) => break,
            pulled = subscription.pull(permits.len(), true) => pulled,
        };
        match pulled {
            Ok(pulled) => {
                for (received, permit) in pulled.into_iter().zip(permits) {
                    let (router, subscription) = (router.clone(), subscription.clone());
                    in_work.spawn(async move {
                        one(router, &subscription, received).await;
                        drop(permit);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "nothing can be pulled");
                tokio::select! {
                    () = stopped(&mut stop) => break,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
        while in_work.try_join_next().is_some() {}
    }
    tracing::info!(events = in_work.len(), "draining");
    while in_work.join_next().await.is_some() {}
}

/// Answers one event and keeps its lease meanwhile. An answer that does not reach Pub/Sub is no loss: the event comes again and is found done.
async fn one(router: Router, subscription: &Subscription, received: Received) {
    let ids = [received.ack_id];
    let push = json!({ "message": received.message, "subscription": subscription.name() });
    let mut request = Request::new(Body::from(push.to_string()));
    *request.method_mut() = axum::http::Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
    let mut work = std::pin::pin!(router.oneshot(request));
    let mut renew = tokio::time::interval(RENEW_EVERY);
    let status = loop {
        tokio::select! {
            biased;
            response = &mut work => break response.map_or(StatusCode::SERVICE_UNAVAILABLE, |response| response.status()),
            _ = renew.tick() => {
                if let Err(error) = subscription.lease(&ids, LEASE_S).await {
                    tracing::warn!(%error, "a lease was not renewed");
                }
            }
        }
    };
    let told = match status.is_success() {
        true => subscription.acknowledge(&ids).await,
        false => subscription.lease(&ids, 0).await,
    };
    if let Err(error) = told {
        tracing::warn!(%error, "the answer did not reach Pub/Sub");
    }
}

//! A function as a worker that pulls: for GPUs, because a push does not wait until a GPU is free.
//!
//! It holds at most as many events as it has slots. All others wait in Pub/Sub for the first free worker. The lease of an event
//! is extended for as long as it is in progress; a worker that dies loses it within a minute. Everything else is as for a push.
//! An event goes through the same layers. It is acknowledged if a push would be answered with 2xx (every effect is stored), and
//! otherwise returned. A lost acknowledgement has no effect: the event is delivered again, and its work is found done.

use crate::{drain::Draining, layers::concurrency::Place};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{
    client::Subscriber,
    model::Message,
    subscriber::{MessageStream, handler::Handler},
};
use serde_json::{Value, json};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tower::ServiceExt;
use trackdrop_cloud::google::SettingsError;

/// How long an event of a dead worker remains leased.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// How long an event can be on its way into a stream, and how long Pub/Sub can need to notice that the stream is
/// closed.
const ARRIVES_WITHIN: Duration = Duration::from_millis(250);
/// A time that no event is in progress: without progress it is returned long before.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// An open subscription.
#[derive(Debug)]
pub struct Subscription {
    name: String,
    messages: MessageStream,
}

impl Subscription {
    /// Opens the subscription with this full name. It holds at most as many events as there are `places`. The lease of
    /// each is extended by `lease` (10 to 600 s). It connects to the emulator, if there is one, or to `endpoint`
    /// instead of Google's address. It pulls nothing yet.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn open(
        name: &str,
        places: usize,
        lease: Duration,
        emulator: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let mut builder = Subscriber::builder();
        if let Some(emulator) = emulator {
            let is_url = emulator.contains("://");
            let endpoint = if is_url { emulator.to_owned() } else { format!("http://{emulator}") };
            builder = builder.with_endpoint(endpoint).with_credentials(anonymous::Builder::new().build());
        } else if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let client = builder.build().await.map_err(|error| SettingsError::Credentials(error.to_string()))?;
        let messages = client
            .subscribe(name)
            .set_max_outstanding_messages(i64::try_from(places).unwrap_or(i64::MAX))
            .set_max_lease_extension(lease)
            .set_max_lease(LONGEST)
            .build();
        Ok(Self { name: name.to_owned(), messages })
    }
}

/// Pulls events, and passes each to `events` for an answer, until it is asked to stop. Then it waits until the work in
/// progress has ended, and the acknowledgements have been sent.
///
/// # Errors
/// The subscription does not exist, or there is no permission to read it. Another attempt can't succeed.
pub(crate) async fn work(
    events: Router,
    from: Subscription,
    places: Arc<Semaphore>,
    mut draining: Draining,
) -> io::Result<()> {
    let Subscription { name, mut messages } = from;
    let mut in_work = JoinSet::new();
    let outcome = 'pulling: loop {
        let next = async {
            // The slot is reserved first: an event that this worker can't process must not be taken from others that
            // could. This semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok()?;
            messages.next().await.map(|next| (place, next))
        };
        let mut next = std::pin::pin!(next);
        let next = loop {
            tokio::select! {
                biased;
                () = draining.stopped() => break 'pulling Ok(()),
                // The wait for the next event continues in the meantime. If it were dropped while it reopens a stream,
                // the first events of that stream would remain leased without a worker.
                Some(_) = in_work.join_next(), if !in_work.is_empty() => {}
                next = &mut next => break next,
            }
        };
        match next {
            Some((place, Ok((message, handler)))) => {
                let request = request(&name, message, place.into());
                let events = events.clone();
                in_work.spawn(async move { answer(events, request, handler).await });
            }
            Some((_, Err(error))) => {
                break 'pulling Err(io::Error::other(format!("{name} can't be pulled from: {error}")));
            }
            None => break 'pulling Err(io::Error::other(format!("{name} ended"))),
        }
    };
    // Events that Pub/Sub has sent, and that no worker took, are returned. This happens only after the stream is
    // closed, because Pub/Sub would send them into an open stream again. If they were left in the stream, they would
    // remain leased without a worker. Leases of events in progress are still extended.
    let (until, mut came) = (Instant::now() + ARRIVES_WITHIN, Vec::new());
    while let Ok(Some(Ok((_, handler)))) = timeout_at(until, messages.next()).await {
        came.push(handler);
    }
    let told = messages.shutdown_token();
    drop(messages);
    if !came.is_empty() {
        sleep(ARRIVES_WITHIN).await;
        came.into_iter().for_each(Handler::nack);
    }
    tracing::info!(subscription = name, events = in_work.len(), "pulling no more");
    while in_work.join_next().await.is_some() {}
    told.shutdown().await;
    outcome
}

/// Makes the same HTTP request as a push.
fn request(subscription: &str, message: Message, place: Place) -> Request {
    let publish_time = message.publish_time.map(String::from);
    let push = json!({
        "message": {
            "data": STANDARD.encode(&message.data),
            "attributes": message.attributes,
            "messageId": message.message_id,
            "publishTime": publish_time.map_or(Value::Null, Value::from),
        },
        "subscription": subscription,
    });
    let mut request = Request::new(Body::from(push.to_string()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.extensions_mut().insert(place);
    request
}

/// The answer to one event. If this is dropped without an answer, the event is returned.
async fn answer(events: Router, request: Request, handler: Handler) {
    let status = events.oneshot(request).await.map_or(StatusCode::SERVICE_UNAVAILABLE, |response| response.status());
    if status.is_success() { handler.ack() } else { handler.nack() }
}

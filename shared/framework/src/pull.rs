//! A function as a worker that pulls: for GPUs that a push would overrun.
//!
//! It holds as many events as it has places and no more, so what waits, waits in Pub/Sub, for whichever worker is free first. The lease of an
//! event is extended for as long as it is in work; a worker that dies lets it go within a minute. Everything else is what happens to a
//! push: an event goes through the same layers, is acknowledged where a push would be answered with 2xx (every effect is stored), and is
//! handed back where not. An acknowledgement that is lost is no harm: the event comes again and is found done.

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

/// How long an event of a worker that died stays leased.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// How long an event may be on its way into a stream, and how long it may take Pub/Sub to see that the stream is closed.
const ARRIVES_WITHIN: Duration = Duration::from_millis(250);
/// No event is in work for so long: without progress it is handed back long before.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// An open subscription.
#[derive(Debug)]
pub struct Subscription {
    name: String,
    messages: MessageStream,
}

impl Subscription {
    /// The subscription of this full name, from which as many events are held as there are `places`, each under a lease that is extended by
    /// `lease` (10 to 600 s); of the emulator, where there is one, or at the `endpoint` that stands for Google's. Nothing is pulled yet.
    ///
    /// # Errors
    /// Where there are no credentials.
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

/// Pulls and has each event answered by `events`, until it is told to stop; then waits for what is in work, and until the acknowledgements have
/// been sent.
///
/// # Errors
/// Where nothing can be pulled, and trying again would not help: there is no such subscription, or no right to it.
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
            // The place first: an event that can't be worked on must not be taken from those who could. Closed is this semaphore never.
            let place = places.clone().acquire_owned().await.ok()?;
            messages.next().await.map(|next| (place, next))
        };
        let mut next = std::pin::pin!(next);
        let next = loop {
            tokio::select! {
                biased;
                () = draining.stopped() => break 'pulling Ok(()),
                // Waiting for the next goes on meanwhile: dropped while it opens a stream again, it would leave what comes first out of that stream
                // leased to nobody.
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
    // What Pub/Sub has sent by now and nobody took is handed back, but only once the stream is closed: it would be sent into it again. Left in the
    // stream it would stay leased to nobody. Leases of what is in work are extended on.
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

/// The same request that a push would be.
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

/// Has one event answered. Dropped without an answer it is handed back.
async fn answer(events: Router, request: Request, handler: Handler) {
    let status = events.oneshot(request).await.map_or(StatusCode::SERVICE_UNAVAILABLE, |response| response.status());
    if status.is_success() { handler.ack() } else { handler.nack() }
}

//! A function as an HTTP service.

use crate::{
    answer::Answer,
    connections,
    decode::decode,
    drain::{Drain, Draining},
    google_event::GoogleEvent,
    layers::{
        access_log,
        authorisation::{self, MayPush},
        body, concurrency, deadline, detached, panic, trace_context,
    },
    oidc::Verifier,
    stuck::{self, Stuck},
    telemetry::{self, EventSpan},
    translate::Translator,
};
use axum::{
    Extension, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{get, post},
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, SetOnce},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use trackdrop_cloud::{Storage, google::Buckets};
use trackdrop_pipeline::{Delivery, Event, Failure, Handler, trigger::Trigger};

/// A function with the layers around it.
#[derive(Clone)]
pub struct Service {
    trigger: Arc<Trigger>,
    /// The trigger of uploads, which says which names are not a video's. None for the built-in one.
    uploads: Option<Arc<Trigger>>,
    handler: Arc<SetOnce<Arc<dyn Handler>>>,
    storage: Arc<dyn Storage>,
    buckets: Arc<Buckets>,
    concurrency: usize,
    places: Arc<Semaphore>,
    /// The work in progress.
    detached: TaskTracker,
    stuck: Stuck,
    deadline: Duration,
    may_push: MayPush,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("function", &self.trigger.function).finish_non_exhaustive()
    }
}

impl Service {
    /// A service that is not ready yet. [`Service::is_ready_with`] sets its handler.
    pub fn new(trigger: Trigger, storage: Arc<dyn Storage>, buckets: Buckets) -> Self {
        let concurrency = trigger.concurrency as usize;
        let places = Arc::new(Semaphore::new(concurrency));
        let deadline = Duration::from_secs(trigger.deadline_s);
        let (trigger, buckets) = (Arc::new(trigger), Arc::new(buckets));
        Self {
            trigger,
            uploads: None,
            handler: Arc::default(),
            storage,
            buckets,
            concurrency,
            places,
            detached: TaskTracker::new(),
            stuck: Stuck::after(stuck::PATIENCE),
            deadline,
            may_push: MayPush::ThisMachine,
        }
    }

    /// Sets another trigger of uploads than the built-in one. Dead letters of uploads are checked with it.
    #[must_use]
    pub fn with_uploads(mut self, uploads: Trigger) -> Self {
        self.uploads = Some(Arc::new(uploads));
        self
    }

    /// Sets another number of events that are processed at the same time.
    #[must_use]
    pub fn with_concurrency(mut self, places: usize) -> Self {
        self.concurrency = places;
        self.places = Arc::new(Semaphore::new(places));
        self
    }

    /// Sets the time after which an event is returned.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets another time after which work counts as stuck if it was asked to stop and makes no progress.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.stuck = Stuck::after(patience);
        self
    }

    /// Accepts only callers with a valid token. Without this call it accepts only callers on this machine.
    #[must_use]
    pub fn with_verifier(mut self, verifier: Verifier) -> Self {
        self.may_push = MayPush::Holders(Arc::new(verifier));
        self
    }

    /// Accepts every caller that reaches it, because something else checks callers.
    #[must_use]
    pub fn guarded_elsewhere(mut self) -> Self {
        self.may_push = MayPush::Anyone;
        self
    }

    /// Sets the handler. From then on events are accepted. Only the first call has an effect.
    pub fn is_ready_with(&self, handler: Arc<dyn Handler>) {
        self.handler.set(handler).ok();
    }

    /// Serves until `stop` ends, and then until the work in progress is finished or its events are returned.
    ///
    /// # Errors
    /// Stuck work occupies all slots, so only a new process can take events again.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (drain, draining) = Drain::begin();
        let router = self.health().merge(self.events(&draining, false)).with_state(self.clone());
        let mut until = draining.clone();
        let serving = async {
            connections::serve(listener, router, until.stopped()).await;
            // Work for which no caller waits any more.
            self.detached.close();
            self.detached.wait().await;
            Ok(())
        };
        tokio::select! {
            outcome = serving => outcome,
            outcome = self.all_stuck() => outcome,
            () = drain.bound(stop) => Ok(()),
        }
    }

    /// Takes events from a subscription until `stop` ends. Then it waits until the work in progress is finished or its
    /// events are returned. HTTP serves only health, because nothing is pushed to a worker.
    ///
    /// # Errors
    /// Health can't be served, the subscription can't be pulled, or every slot is stuck.
    #[cfg(feature = "pull")]
    pub async fn pull(
        &self,
        listener: TcpListener,
        from: crate::Subscription,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (drain, draining) = Drain::begin();
        let health = connections::serve(listener, self.health().with_state(self.clone()), std::future::pending());
        let events = self.events(&draining, true).with_state(self.clone());
        let mut until = draining.clone();
        let pulling = async {
            // Before the handler exists, each event would only be returned.
            tokio::select! {
                _ = self.handler.wait() => {}
                () = until.stopped() => return Ok(()),
            }
            crate::pull::work(events, from, self.places.clone(), draining.clone()).await
        };
        tokio::select! {
            () = health => Ok(()),
            outcome = pulling => outcome,
            outcome = self.all_stuck() => outcome,
            () = drain.bound(stop) => Ok(()),
        }
    }

    /// Ends when stuck work occupies all slots.
    async fn all_stuck(&self) -> io::Result<()> {
        self.stuck.are(self.concurrency).await;
        Err(io::Error::other(format!(
            "work that was asked to stop makes no progress and occupies all {} places, so no event can be taken: the process ends, so that a new one can start",
            self.concurrency
        )))
    }

    fn health(&self) -> Router<Self> {
        let healthz = get(|| async { "ok\n" });
        Router::new().route("/healthz", healthz).route("/readyz", get(ready))
    }

    /// The layers that take events. A worker that pulls needs no check of its identity, and can process an event as
    /// long as there is progress.
    fn events(&self, draining: &Draining, is_pulled: bool) -> Router<Self> {
        let hand_back = draining.hand_back.clone();
        let deadline =
            deadline::Deadline { after: self.deadline, is_put_off: is_pulled, hand_back, stuck: self.stuck.clone() };
        let may_push = if is_pulled { MayPush::Anyone } else { self.may_push.clone() };
        let function: Arc<str> = self.trigger.function.as_str().into();
        // The last added layer is the outermost one.
        Router::new()
            .route("/", post(take))
            .route("/{*path}", post(take))
            .layer(from_fn_with_state(self.places.clone(), concurrency::layer))
            .layer(from_fn(body::layer))
            .layer(from_fn_with_state(may_push, authorisation::layer))
            .layer(from_fn(panic::layer))
            .layer(from_fn_with_state(deadline, deadline::layer))
            .layer(from_fn_with_state(function, access_log::layer))
            .layer(from_fn(trace_context::layer))
            .layer(from_fn_with_state(self.detached.clone(), detached::layer))
    }
}

async fn ready(State(service): State<Service>) -> impl IntoResponse {
    match service.handler.get() {
        Some(_) => (StatusCode::OK, "ready\n"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}

async fn take(
    State(service): State<Service>,
    Extension(delivery): Extension<Delivery>,
    Extension(span): Extension<EventSpan>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let Some(handler) = service.handler.get() else { return Answer::Transient("starting".into()) };
    let typed = match decode(&headers, &body).and_then(|event| GoogleEvent::of(&event)) {
        Ok(typed) => typed,
        Err(malformed) => return Answer::Malformed(malformed.to_string()),
    };
    match service.run(&**handler, typed, &delivery, &span).await {
        Ok(answer) => answer,
        Err(failure) => Answer::of(Err(failure)),
    }
}

impl Service {
    /// Passes the event to the handler if it matches the trigger. Filters of subscriptions only save calls; correctness
    /// does not depend on them.
    async fn run(
        &self,
        handler: &dyn Handler,
        typed: GoogleEvent,
        delivery: &Delivery,
        span: &EventSpan,
    ) -> Result<Answer, Failure> {
        let translator = Translator {
            buckets: &self.buckets,
            storage: &*self.storage,
            trigger: &self.trigger,
            uploads: self.uploads.as_deref(),
        };
        let (event, trace) = match translator.event_of(typed).await? {
            Ok(known) => known,
            Err(answer) => return Ok(answer),
        };
        let topic = match &event {
            Event::ObjectFinalized(_) | Event::LoadWindow {} | Event::RequestsSweep {} => None,
            Event::RequestFinished(_) => Some(trackdrop_cloud::TOPIC_REQUESTS),
            Event::DeadLetter(_) => Some(trackdrop_cloud::TOPIC_DEAD_LETTERS),
        };
        if !self.trigger.takes(&event, topic) {
            return Ok(Answer::StartsNothing(format!("{} is started by something else", self.trigger.function)));
        }
        let about = match &event {
            Event::DeadLetter(letter) => &*letter.event,
            event => event,
        };
        let about = match about {
            Event::ObjectFinalized(finalized) => Some(finalized),
            _ => None,
        };
        let span = span.begin(&self.trigger.function, about, trace.as_ref());
        handler.handle(&event, delivery).instrument(span.clone()).await?;
        span.in_scope(|| telemetry::delivery_done(&self.trigger.function, delivery));
        Ok(Answer::Done)
    }
}

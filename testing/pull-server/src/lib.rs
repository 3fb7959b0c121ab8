//! For tests: a server with one subscription of Pub/Sub for streaming pull over gRPC, as Google documents it. A stream
//! gets at most as many events as it requested. A lease ends when its time is over, when it is released, or when the
//! event is acknowledged. Nothing is sent to a closed stream. Google's emulator follows none of these three rules. All
//! other calls go to the emulator behind this server, if there is one.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let pubsub = trackdrop_pull_server::PullServer::start("projects/p/subscriptions/s", None).await?;
//! pubsub.add([("objectId", "split_chunks/a")], "{}".into());
//! // ... workers run with PUBSUB_EMULATOR_HOST set to pubsub.host() ...
//! assert_eq!(pubsub.left(), 0);
//! # Ok(()) }
//! ```

mod proto;
mod queue;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use proto::{
    AcknowledgeRequest, Empty, ModifyAckDeadlineRequest, PubsubMessage, StreamingPullRequest, StreamingPullResponse,
};
use queue::{Queue, Stream};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::StreamExt;
use tonic::{Status, Streaming, server::Grpc};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// How often it is looked which leases are over.
const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// What is proxied is small.
const LONGEST_BODY: usize = 1 << 20;

/// The subscription; it ends when this is dropped.
#[derive(Debug)]
pub struct PullServer {
    host: String,
    shared: Arc<Shared>,
    #[expect(dead_code, reason = "they end when it is dropped")]
    running: JoinSet<()>,
}

/// Says by the `authorization` of a call whether it is let through.
pub type May = Box<dyn Fn(Option<&str>) -> bool + Send + Sync>;

struct Shared {
    subscription: String,
    behind: Option<String>,
    may: May,
    http: reqwest::Client,
    queue: Mutex<Queue>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PullServer {
    /// Listens on a free port of loopback, in front of the emulator at `behind` (`host:port`), for everybody.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(subscription: &str, behind: Option<&str>) -> io::Result<Self> {
        Self::start_for(subscription, behind, Box::new(|_| true)).await
    }

    /// The same for callers that `may` accepts; others get `PERMISSION_DENIED`. Callers of requests that are passed on are not checked here.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start_for(subscription: &str, behind: Option<&str>, may: May) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            subscription: subscription.to_owned(),
            behind: behind.map(str::to_owned),
            may,
            http: reqwest::Client::new(),
            queue: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let subscriber = "/google.pubsub.v1.Subscriber";
        let router = Router::new()
            .route(&format!("{subscriber}/StreamingPull"), post(streaming_pull))
            .route(&format!("{subscriber}/Acknowledge"), post(acknowledge))
            .route(&format!("{subscriber}/ModifyAckDeadline"), post(modify_ack_deadline))
            .route_layer(from_fn_with_state(shared.clone(), only_who_may))
            .fallback(pass_on)
            .with_state(shared.clone());
        let mut running = JoinSet::new();
        running.spawn(async move {
            // It serves until it is dropped.
            axum::serve(listener, router).await.ok();
        });
        let looked_at = shared.clone();
        running.spawn(async move {
            loop {
                tokio::time::sleep(LOOKS_EVERY).await;
                looked_at.queue().expire();
            }
        });
        Ok(Self { host, shared, running })
    }

    /// `host:port`, for `PUBSUB_EMULATOR_HOST`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Adds an event for the workers that pull.
    pub fn add(&self, attributes: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>, data: Bytes) {
        let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.shared.queue().add(PubsubMessage { data, attributes, message_id: String::new() });
    }

    /// Sends nothing while fewer streams are open: so a test can see how events are shared out between them.
    pub fn wait_for_streams(&self, count: usize) {
        self.shared.queue().least_streams = count;
    }

    /// Events that nobody has leased.
    pub fn waiting(&self) -> usize {
        self.shared.queue().counts().0
    }

    /// Events that nobody has acknowledged.
    pub fn left(&self) -> usize {
        let (waiting, leased) = self.shared.queue().counts();
        waiting + leased
    }

    /// How many times an event was returned.
    pub fn handed_back(&self) -> usize {
        self.shared.queue().handed_back
    }
}

async fn only_who_may(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let authorisation = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if (shared.may)(authorisation) {
        return next.run(request).await;
    }
    Status::permission_denied("User not authorized to perform this action.").into_http()
}

async fn streaming_pull(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let service = service_fn(move |request: tonic::Request<Streaming<StreamingPullRequest>>| {
        let shared = shared.clone();
        async move {
            let mut asked = request.into_inner();
            let Some(first) = asked.next().await else {
                return Err(Status::invalid_argument("the stream says nothing"));
            };
            let first = first?;
            if first.subscription != shared.subscription {
                return Err(Status::not_found(format!("there is no {}", first.subscription)));
            }
            let (sender, messages) = mpsc::unbounded_channel();
            let lease = Duration::from_secs(first.stream_ack_deadline_seconds.max(0) as u64);
            shared.queue().open(Stream { places: first.max_outstanding_messages, lease, sender });
            // Messages that keep the stream alive say nothing more.
            tokio::spawn(async move { while let Some(Ok(_)) = asked.next().await {} });
            Ok(tonic::Response::new(Messages(messages)))
        }
    });
    Grpc::new(ProstCodec::default()).streaming(service, request).await.map(Body::new)
}

/// What a stream is sent.
struct Messages(mpsc::UnboundedReceiver<StreamingPullResponse>);

impl tokio_stream::Stream for Messages {
    type Item = Result<StreamingPullResponse, Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|message| message.map(Ok))
    }
}

async fn acknowledge(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let service = service_fn(move |request: tonic::Request<AcknowledgeRequest>| {
        shared.queue().acknowledge(&request.into_inner().ack_ids);
        async { Ok::<_, Status>(tonic::Response::new(Empty {})) }
    });
    Grpc::new(ProstCodec::default()).unary(service, request).await.map(Body::new)
}

async fn modify_ack_deadline(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let service = service_fn(move |request: tonic::Request<ModifyAckDeadlineRequest>| {
        let ModifyAckDeadlineRequest { ack_deadline_seconds, ack_ids } = request.into_inner();
        shared.queue().lease(&ack_ids, ack_deadline_seconds.max(0) as u64);
        async { Ok::<_, Status>(tonic::Response::new(Empty {})) }
    });
    Grpc::new(ProstCodec::default()).unary(service, request).await.map(Body::new)
}

/// What is not about streams is the emulator's.
async fn pass_on(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(behind) = &shared.behind else { return StatusCode::NOT_IMPLEMENTED.into_response() };
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(body) = axum::body::to_bytes(body, LONGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut call = shared.http.request(parts.method, format!("http://{behind}{path}"));
    if let Some(authorisation) = parts.headers.get("authorization") {
        call = call.header("authorization", authorisation);
    }
    let call = call.header("content-type", "application/json").body(body);
    match call.send().await {
        Ok(answer) => {
            let status = answer.status();
            let json = [("content-type", "application/json")];
            (status, json, answer.bytes().await.unwrap_or_default()).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

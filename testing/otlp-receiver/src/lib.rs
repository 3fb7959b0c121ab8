//! For tests: an OTLP receiver on loopback that decodes what services export, and a check that a trace is one tree
//! without a gap.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let receiver = trackdrop_otlp_receiver::Receiver::start().await?;
//! // ... services run with OTEL_EXPORTER_OTLP_ENDPOINT set to receiver.endpoint() ...
//! for trace in receiver.traces().values() {
//!     trace.check_one_tree().map_err(std::io::Error::other)?;
//! }
//! # Ok(()) }
//! ```

mod trace;

pub use trace::{Span, Trace};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::metric::Data,
    resource::v1::Resource,
};
use prost::Message;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Receives traces and metrics by OTLP over HTTP with protobuf until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    host: String,
    endpoint: String,
    shared: Arc<Shared>,
    spans: watch::Receiver<usize>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    metrics: BTreeMap<(String, String), f64>,
    malformed: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    /// Whose telemetry is taken, by Google's Telemetry API; none for a collector, which takes everybody's.
    project: Option<String>,
    received: Mutex<Received>,
    count: watch::Sender<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// Where no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::start_for(None).await
    }

    /// The same as Google's Telemetry API: without an access token it answers 401, to spans that do not belong to `project` by their attribute
    /// `gcp.project_id` 400, as "Telemetry (OTLP) API" documents.
    ///
    /// # Errors
    /// Where no port can be listened on.
    pub async fn start_as_google(project: &str) -> io::Result<Self> {
        Self::start_for(Some(project.to_owned())).await
    }

    async fn start_for(project: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let endpoint = format!("http://{host}");
        let (count, spans) = watch::channel(0);
        let shared = Arc::new(Shared { project, received: Mutex::default(), count });
        let router = Router::new()
            .route("/v1/traces", post(take_traces))
            .route("/v1/metrics", post(take_metrics))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // It ends with the test that it is for.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { host, endpoint, shared, spans, serving })
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Every trace that arrived, by its id in hex.
    ///
    /// # Panics
    /// Where something arrived that is no OTLP.
    pub fn traces(&self) -> BTreeMap<String, Trace> {
        let received = self.shared.lock();
        assert!(received.malformed.is_empty(), "not OTLP: {:?}", received.malformed);
        let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
        for span in &received.spans {
            traces.entry(span.trace_id.clone()).or_default().spans.push(span.clone());
        }
        traces
    }

    /// Waits until the spans that arrived satisfy a condition; a service exports some time after its work is done.
    pub async fn until(&self, mut holds: impl FnMut(&BTreeMap<String, Trace>) -> bool) {
        let mut spans = self.spans.clone();
        loop {
            spans.mark_unchanged();
            if holds(&self.traces()) {
                return;
            }
            // The sender lives as long as this receiver.
            spans.changed().await.ok();
        }
    }

    /// The metrics that arrived last, by service and name: sums (of all attributes together), counts of histograms, values of gauges.
    pub fn metrics(&self) -> BTreeMap<(String, String), f64> {
        self.shared.lock().metrics.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take_traces(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if shared.project.is_some() && !has_token(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let request = match ExportTraceServiceRequest::decode(body) {
        Ok(request) => request,
        Err(error) => return malformed(&shared, error),
    };
    let mut received = shared.lock();
    for of_resource in request.resource_spans {
        let belongs_to = attribute_of(of_resource.resource.clone(), "gcp.project_id");
        if shared.project.as_ref().is_some_and(|project| *project != belongs_to) {
            return StatusCode::BAD_REQUEST;
        }
        let service = service_of(of_resource.resource);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            received.spans.push(Span::of(span, &service));
        }
    }
    shared.count.send_replace(received.spans.len());
    StatusCode::OK
}

async fn take_metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if shared.project.is_some() && !has_token(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let request = match ExportMetricsServiceRequest::decode(body) {
        Ok(request) => request,
        Err(error) => return malformed(&shared, error),
    };
    let mut received = shared.lock();
    for of_resource in request.resource_metrics {
        let service = service_of(of_resource.resource);
        for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let value = match metric.data {
                Some(Data::Sum(sum)) => sum.data_points.iter().map(trace::number).sum(),
                Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(trace::number).next_back().unwrap_or_default(),
                Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| point.count as f64).sum(),
                _ => continue,
            };
            received.metrics.insert((service.clone(), metric.name), value);
        }
    }
    StatusCode::OK
}

fn has_token(headers: &HeaderMap) -> bool {
    headers.get("authorization").and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("Bearer "))
}

fn service_of(resource: Option<Resource>) -> String {
    attribute_of(resource, "service.name")
}

fn attribute_of(resource: Option<Resource>, name: &str) -> String {
    let mut attributes = resource.map(|resource| trace::attributes(resource.attributes)).unwrap_or_default();
    attributes.remove(name).unwrap_or_default()
}

fn malformed(shared: &Shared, error: prost::DecodeError) -> StatusCode {
    shared.lock().malformed.push(error.to_string());
    StatusCode::BAD_REQUEST
}

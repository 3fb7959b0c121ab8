//! Traces, metrics and the log of a service.
//!
//! **One trace per request.** The trace id is computed from the request's id. If the uploader set a `traceparent`, its
//! trace id is used instead. The root span `request` is created when the request ends. Its id is computed from the
//! request, too. Every attempt of a delivery is a child of it, and the spans of the attempt's work are children of
//! that. The trace context is in the custom metadata of the objects that start functions (`traceparent`, `tracestate`),
//! because notifications have no headers. [`traced`] writes it, the service reads it, and handlers do not know it. A
//! delivery links to the span that wrote the object which started it. [`trackdrop_flow::trace`] adds work that the
//! scheduler started to the request's trace. Such work links to the scheduler's delivery.
//!
//! The spans of a delivery are exported together when it ends. So a killed service leaves no partial trace of a
//! delivery.
//!
//! Spans and metrics are sent by OTLP (HTTP, protobuf) to `OTEL_EXPORTER_OTLP_ENDPOINT`. If it is not set, spans are
//! sent to Google's Telemetry API at `TRACKDROP_TELEMETRY_ENDPOINT`, with the service's own account. Metrics are not,
//! because Google Cloud derives them from the log. If neither is set, there are only logs, which also name the trace.
//! The SDK's own variables (`OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`,
//! `OTEL_METRIC_EXPORT_INTERVAL`) apply.

mod context;
mod export;
mod log;
mod metrics;
mod request_span;
mod span_buffer;
mod traced;

pub(crate) use context::{RequestTrace, TraceContext};
pub(crate) use metrics::{delivery_done, upload_ignored};
pub use traced::traced;

use crate::setting;
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{Bucket, RequestId};

/// The default of `RUST_LOG`. ONNX Runtime is limited, because it would log each of its arenas.
const SAID: &str = "info,ort=warn";

/// Where traces and metrics are sent, and their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// The destination; none if nothing is exported.
    pub export: Option<Export>,
    /// `GOOGLE_CLOUD_PROJECT`, or the dataset's project: the project of the traces that log lines name.
    pub project: Option<String>,
    /// `OTEL_SERVICE_NAME` or `K_SERVICE`: the name of the service.
    pub service: String,
}

/// The destination of traces: the base URL of an endpoint for OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: a collector, which also accepts metrics, and needs no credentials.
    Collector(String),
    /// `TRACKDROP_TELEMETRY_ENDPOINT`: Google's Telemetry API, which accepts spans from any identity that may write them to the project.
    Google(String),
}

const COLLECTOR: &str = setting::COLLECTOR.about.name;
const GOOGLE: &str = setting::TELEMETRY_ENDPOINT.about.name;

impl TelemetrySettings {
    /// Reads the process's environment, for this function.
    ///
    /// # Errors
    /// Credentials must not be sent to the named address, or the project of the spans is not known.
    pub fn from_environment(function: &str) -> Result<Self, TelemetryError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let project = variable("GOOGLE_CLOUD_PROJECT").or_else(|| {
            let dataset = variable("TRACKDROP_DATASET")?;
            dataset.split_once('.').map(|(project, _)| project.to_owned())
        });
        let export = match (variable(COLLECTOR), variable(GOOGLE)) {
            (Some(endpoint), _) => Some(Export::Collector(endpoint)),
            (None, Some(endpoint)) => {
                let refused = |reason: String| TelemetryError { setting: GOOGLE, endpoint: endpoint.clone(), reason };
                if project.is_none() {
                    return Err(refused("no project is known: set GOOGLE_CLOUD_PROJECT".to_owned()));
                }
                let checked = trackdrop_cloud::google::check_endpoint(GOOGLE, &endpoint);
                Some(Export::Google(checked.map_err(|error| refused(error.to_string()))?))
            }
            (None, None) => None,
        };
        let service = variable("OTEL_SERVICE_NAME").or_else(|| variable("K_SERVICE"));
        Ok(Self { export, project, service: service.unwrap_or_else(|| format!("trackdrop-{function}")) })
    }
}

/// Running telemetry; [`Telemetry::end`] sends the remaining data.
#[derive(Debug)]
pub struct Telemetry {
    providers: Option<export::Providers>,
}

/// Why telemetry can't start.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: traces can't be exported to {endpoint:?}: {reason}")]
pub struct TelemetryError {
    setting: &'static str,
    endpoint: String,
    reason: String,
}

impl Telemetry {
    /// Starts the log on standard output (level by `RUST_LOG`, default `info`), and traces and metrics if the settings
    /// say so. Exports run on `runtime`, which must exist until [`Telemetry::end`]. If it is called a second time in a
    /// process, log and traces of the first call remain.
    ///
    /// # Errors
    /// The endpoint is not a URL.
    pub fn start(settings: &TelemetrySettings, runtime: &Handle) -> Result<Self, TelemetryError> {
        let providers = settings.export.as_ref().map(|to| {
            let (setting, endpoint) = match to {
                Export::Collector(endpoint) => (COLLECTOR, endpoint),
                Export::Google(endpoint) => (GOOGLE, endpoint),
            };
            export::providers(to, settings, runtime).map_err(|reason| TelemetryError {
                setting,
                endpoint: endpoint.clone(),
                reason: reason.to_string(),
            })
        });
        let providers = providers.transpose()?;
        let ours = || filter_fn(|metadata| metadata.target().starts_with("trackdrop"));
        let spans = providers.as_ref().map(|export::Providers { traces, .. }| {
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("trackdrop"));
            let layer =
                layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
            layer.with_filter(ours())
        });
        let request_spans = providers.as_ref().map(|export::Providers { traces, .. }| {
            let layer = request_span::RequestSpans { tracer: traces.tracer("trackdrop") };
            layer.with_filter(filter_fn(|metadata| metadata.target() == trackdrop_flow::end::LOG_TARGET))
        });
        let said = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(SAID));
        // Spans have fields for every line, so they exist for any log level.
        let in_log = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("trackdrop")).or(said);
        let log = log::GoogleLog { project: settings.project.clone(), write: std::io::stdout }.with_filter(in_log);
        trackdrop_flow::trace::place_with(place);
        tracing_subscriber::registry().with(spans).with(request_spans).with(log).try_init().ok();
        if let Some(meters) = providers.as_ref().and_then(|providers| providers.meters.as_ref()) {
            opentelemetry::global::set_meter_provider(meters.clone());
        }
        Ok(Self { providers })
    }

    /// Sends all ended spans. Blocks.
    pub fn flush(&self) {
        if let Some(export::Providers { traces, meters }) = &self.providers {
            traces.force_flush().ok();
            meters.as_ref().map(SdkMeterProvider::force_flush);
        }
    }

    /// Sends the remaining data. It blocks only for a short time, because a stopping process has little time.
    pub fn end(self) {
        const WITHIN: Duration = Duration::from_millis(800);
        let Some(export::Providers { traces, meters }) = self.providers else { return };
        // Data that can't be sent now are lost, and the log says so. Other threads wait for it, because the SDK's
        // reader of metrics waits 5 s even with a shorter timeout.
        let (traces_sent, sent) = mpsc::channel();
        if let Some(meters) = meters {
            let metrics_sent = traces_sent.clone();
            thread::spawn(move || metrics_sent.send(meters.shutdown_with_timeout(WITHIN)));
        }
        thread::spawn(move || traces_sent.send(traces.shutdown_with_timeout(WITHIN)));
        let until = Instant::now() + WITHIN;
        // Until both have answered, or no thread is left that could.
        while sent.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

/// The span of the event in an HTTP request. It begins when the event is known. Clones are the same span.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventSpan {
    /// The caller's context, from the request's headers.
    caller: Option<TraceContext>,
    span: Arc<std::sync::OnceLock<tracing::Span>>,
}

impl EventSpan {
    pub(crate) fn called_by(caller: Option<TraceContext>) -> Self {
        Self { caller, span: Arc::default() }
    }

    /// The span, if the event is known.
    pub(crate) fn get(&self) -> Option<&tracing::Span> {
        self.span.get()
    }

    /// Begins the span of an event that starts `function`. `about` is the object of the event, and `from` is the
    /// context in that object's metadata.
    pub(crate) fn begin(
        &self,
        function: &str,
        about: Option<&trackdrop_pipeline::ObjectFinalized>,
        from: Option<&TraceContext>,
    ) -> tracing::Span {
        use tracing::field::{Empty, display};
        let span = tracing::info_span!(
            "delivery",
            otel.name = function,
            otel.kind = "consumer",
            otel.status_code = Empty,
            function,
            request = Empty,
            segment = Empty,
            object = Empty,
            error = Empty,
            trace = Empty,
            span_id = Empty,
            sampled = Empty,
        );
        let request = about.and_then(|about| Some((about, about.request()?)));
        let trace = request.as_ref().map(|(about, request)| {
            span.record("request", display(request));
            if let Some(segment) = trackdrop_pipeline::names::segment_of(&about.object) {
                span.record("segment", segment.get());
            }
            RequestTrace::of(request, about.object.bucket == Bucket::Uploads, from)
        });
        about.map(|about| span.record("object", display(&about.object)));
        let parent = match (&trace, &self.caller) {
            (Some(trace), _) => Some(trace.outermost()),
            (None, Some(caller)) => Some(caller.span_context()),
            (None, None) => None,
        };
        if let Some(parent) = parent {
            lies_below(&span, parent);
        }
        if let (Some(_), Some(from)) = (&trace, from) {
            span.add_link(from.span_context());
        }
        if let (Some(_), Some(caller)) = (&trace, &self.caller) {
            span.add_link(caller.span_context());
        }
        names_itself(&span);
        self.span.get_or_init(|| span).clone()
    }
}

/// Makes a span of work that the scheduler started a child of its request. It links to the scheduler's delivery.
fn place(span: &tracing::Span, request: &RequestId, carrier: Option<&ObjectInfo>) {
    let from = carrier.and_then(|carrier| TraceContext::from(|key| Some(&**carrier.metadata.get(key)?)));
    let is_upload = carrier.is_some_and(|carrier| carrier.object.bucket == Bucket::Uploads);
    lies_below(span, RequestTrace::of(request, is_upload, from.as_ref()).outermost());
    let delivery = tracing::Span::current().context().span().span_context().clone();
    if delivery.is_valid() {
        span.add_link(delivery);
    }
    names_itself(span);
}

/// The parent of a span, stored with it. Objects that the span writes must name the trace, even if nothing is exported.
/// In that case spans have no ids, so the parent's are used.
struct Below(SpanContext);

fn lies_below(span: &tracing::Span, parent: SpanContext) {
    span.record("trace", tracing::field::display(parent.trace_id()));
    let kept = Below(parent.clone());
    span.with_subscriber(|(id, subscriber)| {
        if let Some(span) = subscriber.downcast_ref::<Registry>().and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(kept);
        }
    });
    // This fails only if nothing is exported.
    span.set_parent(Context::new().with_remote_span_context(parent)).ok();
}

/// The context for objects that are written within a span: that of the span, or, if it has none, that of the request's
/// root span.
fn context_of(span: &tracing::Span) -> SpanContext {
    let own = span.context().span().span_context().clone();
    if own.is_valid() {
        return own;
    }
    let below = span.with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| Some(span.extensions().get::<Below>()?.0.clone()))
    });
    below.flatten().unwrap_or(own)
}

/// For the log, after the span has begun.
fn names_itself(span: &tracing::Span) {
    let context = span.context();
    let own = context.span().span_context().clone();
    if own.is_valid() {
        span.record("span_id", tracing::field::display(own.span_id()));
        span.record("sampled", own.is_sampled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_made_without_an_exporter_name_the_trace_of_their_request() {
        let log = log::GoogleLog { project: None, write: std::io::sink };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), || {
            let request = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
            let uploader = TraceContext::from(|key| {
                (key == "traceparent").then_some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            });
            let outermost = RequestTrace::of(&request, true, uploader.as_ref()).outermost();
            let delivery = tracing::info_span!("delivery", trace = tracing::field::Empty);
            assert!(!context_of(&delivery).is_valid(), "nothing says of what request it is");
            lies_below(&delivery, outermost.clone());
            let upload = delivery.in_scope(|| tracing::info_span!("upload"));
            assert_eq!(context_of(&upload), outermost);
        });
    }
}

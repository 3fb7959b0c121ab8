//! The outermost span of a request, made from the one log line about its end.

use super::context::{RequestTrace, outside_of};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, Tracer},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};
use std::{
    cell::Cell,
    fmt,
    time::{Duration, SystemTime},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer, registry::LookupSpan};
use trackdrop_pipeline::{RequestId, Timestamp};

thread_local! {
    /// The ids of the next span that this thread makes.
    static NEXT: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Random ids, but for a span whose ids are known before.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// Makes the span `request` when a request's end is logged, from where it began.
pub(super) struct RequestSpans {
    pub(super) tracer: SdkTracer,
}

#[derive(Default)]
struct Told {
    request: Option<RequestId>,
    began_at: Option<Timestamp>,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request" => self.request = value.parse().ok(),
            "began_at" => self.began_at = value.parse().ok(),
            "error" => self.error = Some(value.to_owned()),
            "message" => return,
            _ => {}
        }
        self.attributes.push(KeyValue::new(field.name(), value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes.push(KeyValue::new(field.name(), i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RequestSpans {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let (Some(request), Some(began_at)) = (told.request, told.began_at) else { return };
        let delivery = Context::current().span().span_context().clone();
        let mut trace = RequestTrace::of(&request, false, None);
        if delivery.is_valid() {
            trace.trace_id = delivery.trace_id();
            trace.outside = outside_of(&delivery);
        }
        let parent = trace.outside.map_or_else(Context::new, |outside| {
            let flags = TraceFlags::default().with_sampled(delivery.is_sampled());
            let state = delivery.trace_state().clone();
            let outside = SpanContext::new(trace.trace_id, outside, flags, true, state);
            Context::new().with_remote_span_context(outside)
        });
        let began = SystemTime::UNIX_EPOCH + Duration::from_micros(began_at.micros().try_into().unwrap_or(0));
        let builder = SpanBuilder::from_name("request").with_start_time(began).with_attributes(told.attributes);
        NEXT.set(Some((trace.trace_id, trace.span_id)));
        let mut span = self.tracer.build_with_context(builder, &parent);
        NEXT.set(None);
        if let Some(error) = told.error {
            span.set_status(Status::error(error));
        }
        span.end();
    }
}

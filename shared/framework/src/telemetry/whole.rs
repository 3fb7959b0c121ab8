//! Spans of a delivery go on together, when the delivery has ended: one whose process was killed leaves no span without a parent.

use opentelemetry::{
    Context,
    trace::{Span as _, SpanId, TraceContextExt},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Holds spans back until the outermost one of this process that they lie below has ended.
#[derive(Debug)]
pub(super) struct Whole<P> {
    next: P,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The outermost span of every span that has not ended.
    outermost: HashMap<SpanId, SpanId>,
    /// What has ended below an outermost span that has not.
    ended: BTreeMap<[u8; 8], Vec<SpanData>>,
}

impl<P> Whole<P> {
    pub(super) fn new(next: P) -> Self {
        Self { next, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: SpanProcessor> SpanProcessor for Whole<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        let own = span.span_context().span_id();
        let parent = context.span().span_context().clone();
        let mut held = self.lock();
        let outermost = match held.outermost.get(&parent.span_id()) {
            Some(outermost) if parent.is_valid() && !parent.is_remote() => *outermost,
            _ => own,
        };
        held.outermost.insert(own, outermost);
        if outermost == own {
            held.ended.insert(own.to_bytes(), vec![]);
        }
        drop(held);
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let mut held = self.lock();
        let own = span.span_context.span_id();
        let outermost = held.outermost.remove(&own).unwrap_or(own);
        let whole = if outermost == own {
            let mut all = held.ended.remove(&own.to_bytes()).unwrap_or_default();
            all.push(span);
            all
        } else if let Some(ended) = held.ended.get_mut(&outermost.to_bytes()) {
            ended.push(span);
            return;
        } else {
            // Work that went on after its delivery was handed back.
            vec![span]
        };
        drop(held);
        whole.into_iter().for_each(|span| self.next.on_end(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::sync::Arc;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span.name.into_owned());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn nothing_of_a_delivery_goes_on_before_the_delivery_has_ended_and_then_all_of_it_does() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_span_processor(Whole::new(kept.clone())).build();
        let tracer = provider.tracer("test");
        let names = || kept.0.lock().unwrap().clone();
        let delivery = Context::new().with_span(tracer.start_with_context("delivery", &Context::new()));
        let other = Context::new().with_span(tracer.start_with_context("other", &Context::new()));
        let inner = delivery.with_span(tracer.start_with_context("inner", &delivery));
        inner.with_span(tracer.start_with_context("innermost", &inner)).span().end();
        inner.span().end();
        let late = delivery.with_span(tracer.start_with_context("late", &delivery));
        assert_eq!(names(), [""; 0]);
        delivery.span().end();
        assert_eq!(names(), ["innermost", "inner", "delivery"]);
        late.span().end();
        other.span().end();
        assert_eq!(names()[3..], ["late", "other"]);
    }
}

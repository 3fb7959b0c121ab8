//! Exports the spans of a delivery together, when the delivery has ended. So a process that is killed leaves no span
//! without a parent.

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
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Holds spans until their outermost span of this process has ended. Then it passes them to the next processor. If
/// there are more than fit into that processor's queue (`merge` makes a few per segment), they are passed in pieces.
/// Each piece is passed after the previous one was sent.
#[derive(Debug)]
pub(super) struct SpanBuffer<P> {
    next: Arc<P>,
    at_once: usize,
    held: Mutex<Held>,
    /// Each signals when its pieces are sent.
    in_pieces: Mutex<Vec<mpsc::Receiver<()>>>,
}

const FLUSHES_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Held {
    /// The outermost span of every span that has not ended.
    outermost: HashMap<SpanId, SpanId>,
    /// What has ended below an outermost span that has not.
    ended: BTreeMap<[u8; 8], Vec<SpanData>>,
}

impl<P: SpanProcessor + 'static> SpanBuffer<P> {
    pub(super) fn new(next: P, at_once: usize) -> Self {
        Self { next: Arc::new(next), at_once, held: Mutex::default(), in_pieces: Mutex::default() }
    }

    fn send(&self, spans: Vec<SpanData>) {
        if spans.len() <= self.at_once {
            spans.into_iter().for_each(|span| self.next.on_end(span));
            return;
        }
        let (next, at_once, (done, is_done)) = (self.next.clone(), self.at_once, mpsc::channel());
        // In a thread of its own: sending waits for the runtime, which this one may belong to.
        thread::spawn(move || {
            for piece in spans.chunks(at_once) {
                piece.iter().for_each(|span| next.on_end(span.clone()));
                // A collector that can't be reached is the exporter's to tell.
                next.force_flush().ok();
            }
            done.send(()).ok();
        });
        let mut in_pieces = self.in_pieces.lock().unwrap_or_else(PoisonError::into_inner);
        in_pieces.retain(|other| matches!(other.try_recv(), Err(mpsc::TryRecvError::Empty)));
        in_pieces.push(is_done);
    }

    /// Waits for the spans that are passed on in pieces.
    fn wait(&self, within: Duration) {
        let until = Instant::now() + within;
        for is_done in std::mem::take(&mut *self.in_pieces.lock().unwrap_or_else(PoisonError::into_inner)) {
            is_done.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: SpanProcessor + 'static> SpanProcessor for SpanBuffer<P> {
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
            // Work that continued after its event was returned.
            vec![span]
        };
        drop(held);
        self.send(whole);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.wait(FLUSHES_WITHIN);
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let until = Instant::now() + timeout;
        self.wait(timeout);
        self.next.shutdown_with_timeout(until.saturating_duration_since(Instant::now()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before any span has ended, so nobody else holds it.
        if let Some(next) = Arc::get_mut(&mut self.next) {
            next.set_resource(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::sync::Arc;

    #[derive(Clone, Debug, Default)]
    struct Names(Arc<Mutex<Vec<String>>>);

    impl SpanProcessor for Names {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span.name.into_owned());
        }

        fn force_flush(&self) -> OTelSdkResult {
            self.0.lock().unwrap().push("flush".into());
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn no_span_of_a_delivery_is_exported_before_the_delivery_has_ended_and_then_all_are() {
        let recorded = Names::default();
        let provider = SdkTracerProvider::builder().with_span_processor(SpanBuffer::new(recorded.clone(), 10)).build();
        let tracer = provider.tracer("test");
        let names = || recorded.0.lock().unwrap().clone();
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

    #[test]
    fn more_spans_than_the_queue_holds_go_on_in_pieces_and_a_shutdown_waits_for_them() {
        let recorded = Names::default();
        let provider = SdkTracerProvider::builder().with_span_processor(SpanBuffer::new(recorded.clone(), 4)).build();
        let tracer = provider.tracer("test");
        let delivery = Context::new().with_span(tracer.start_with_context("delivery", &Context::new()));
        for number in 0..8 {
            delivery.with_span(tracer.start_with_context(number.to_string(), &delivery)).span().end();
        }
        delivery.span().end();
        provider.shutdown().unwrap();
        let expected = "0 1 2 3 flush 4 5 6 7 flush delivery flush";
        assert_eq!(recorded.0.lock().unwrap().join(" "), expected);
    }
}

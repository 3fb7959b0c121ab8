//! The trace that a request belongs to, by W3C's `traceparent`: every line of the log names it.

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use std::sync::Arc;
use tracing::Instrument;

/// A trace and the span that called us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) is_sampled: bool,
}

impl TraceContext {
    /// From `00-<32 hex>-<16 hex>-<2 hex>`; later versions may add parts. None for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let is_good = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        if !is_good || is_zero(trace) || is_zero(span) || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        Some(Self { trace_id: trace.to_owned(), span_id: span.to_owned(), is_sampled })
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get("traceparent")?.to_str().ok()?)
    }
}

/// Runs the request in a span that carries its trace.
pub(crate) async fn layer(State(function): State<Arc<str>>, request: Request, next: Next) -> Response {
    let span = match TraceContext::of(request.headers()) {
        Some(context) => tracing::info_span!(
            "event",
            function = &*function,
            trace = context.trace_id,
            parent = context.span_id,
            sampled = context.is_sampled,
            request = tracing::field::Empty,
            object = tracing::field::Empty,
        ),
        None => tracing::info_span!(
            "event",
            function = &*function,
            request = tracing::field::Empty,
            object = tracing::field::Empty
        ),
    };
    next.run(request).instrument(span).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_anything_else_is_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(good).unwrap();
        assert_eq!((context.trace_id.as_str(), context.is_sampled), ("4bf92f3577b34da6a3ce929d0e0e4736", true));
        assert!(TraceContext::parse(&good.replacen("00", "cc", 1)).is_some(), "a later version");
        assert!(TraceContext::parse(&format!("cc{}-more", &good[2..])).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}

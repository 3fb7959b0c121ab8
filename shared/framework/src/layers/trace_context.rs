//! The trace of the caller, from W3C's `traceparent`, and a place for the span of the event, which is known after the body is
//! read.

use crate::telemetry::{EventSpan, TraceContext};
use axum::{extract::Request, middleware::Next, response::Response};

pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let caller = TraceContext::from(|name| headers.get(name)?.to_str().ok());
    request.extensions_mut().insert(EventSpan::called_by(caller));
    next.run(request).await
}

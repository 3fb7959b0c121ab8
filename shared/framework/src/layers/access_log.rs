//! One log line per HTTP request, with the answer and the reason, in the span of its event.

use crate::{
    answer::Answer,
    telemetry::{self, EventSpan},
};
use axum::{
    extract::{Extension, Request, State},
    middleware::Next,
    response::Response,
};
use std::{sync::Arc, time::Instant};

pub(crate) async fn layer(
    State(function): State<Arc<str>>,
    Extension(event): Extension<EventSpan>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis() as u64);
    let answer = response.extensions().get::<Answer>();
    let reason = answer.and_then(Answer::reason).unwrap_or_default();
    let function = &*function;
    let span = event.get().cloned().unwrap_or_else(tracing::Span::none);
    if matches!(answer, Some(Answer::Transient(_) | Answer::Unrecorded(_))) {
        span.record("otel.status_code", "ERROR");
        span.record("error", reason);
    }
    let _in_span = span.enter();
    match answer {
        // The line of a successful delivery is written where its work is counted.
        Some(Answer::Done) => tracing::debug!(function, status, ms, "answered"),
        Some(Answer::StartsNothing(_)) => tracing::debug!(function, status, ms, reason, "starts nothing"),
        // This is written once per object, because the event is acknowledged. A user who misses a video finds the
        // reason here.
        Some(Answer::IgnoredUpload(_)) => telemetry::upload_ignored(function, reason),
        // It is acknowledged, because other buckets' objects on a shared topic must not fill the dead letters. But if a
        // setting is wrong, this line is the only sign of uploads that start nothing.
        Some(Answer::Foreign(_)) => tracing::warn!(function, status, ms, "not taken: {reason}"),
        Some(Answer::Full) => tracing::info!(function, status, ms, "rejected: {reason}"),
        Some(Answer::Transient(_)) => {
            tracing::warn!(function, status, ms, "failed, will be delivered again: {reason}");
        }
        Some(Answer::Unrecorded(_)) => tracing::error!(function, status, ms, "failed permanently: {reason}"),
        _ => tracing::warn!(function, status, ms, "refused: {reason}"),
    }
    response
}

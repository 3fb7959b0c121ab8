//! One line a request, with what it was answered and why.

use crate::answer::Answer;
use axum::{extract::Request, middleware::Next, response::Response};
use std::time::Instant;

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis() as u64);
    let answer = response.extensions().get::<Answer>();
    let reason = answer.and_then(Answer::reason).unwrap_or_default();
    match answer {
        Some(Answer::Done) => tracing::info!(status, ms, "done"),
        Some(Answer::Ignored(_)) => tracing::debug!(status, ms, reason, "ignored"),
        Some(Answer::Full) => tracing::info!(status, ms, "handed back: {reason}"),
        Some(Answer::Transient(_)) => tracing::warn!(status, ms, "failed, will be delivered again: {reason}"),
        Some(Answer::Unrecorded(_)) => tracing::error!(status, ms, "failed for good: {reason}"),
        _ => tracing::warn!(status, ms, "refused: {reason}"),
    }
    response
}

//! Reads the body before the event occupies a slot, up to a bound of bytes and of seconds. So a slow sender does not delay other
//! events.

use crate::answer::Answer;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::header::CONTENT_LENGTH,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tokio::time::timeout;

/// A notification has about 2 KB, with the custom metadata of its object at most about 20 KB.
pub(crate) const LIMIT_BYTES: usize = 1 << 20;
/// The time limit for the whole body.
pub(crate) const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > LIMIT_BYTES as u64) {
        return Answer::TooLarge.into_response();
    }
    let (parts, body) = request.into_parts();
    match timeout(ARRIVES_WITHIN, to_bytes(body, LIMIT_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(_)) if announced.is_none() => Answer::TooLarge.into_response(),
        Ok(Err(error)) => Answer::Malformed(format!("the body did not arrive whole: {error}")).into_response(),
        Err(_) => Answer::TooSlow.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, middleware::from_fn, routing::post};
    use bytes::Bytes;
    use std::convert::Infallible;
    use tokio_stream::{Stream, StreamExt};
    use tower::ServiceExt;

    async fn answer(body: impl Stream<Item = Bytes> + Send + 'static) -> StatusCode {
        let router = Router::new().route("/", post(async |body: Bytes| body)).layer(from_fn(layer));
        let body = Body::from_stream(body.map(Ok::<_, Infallible>));
        router.oneshot(Request::post("/").body(body).unwrap()).await.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_abandoned_at_the_bound_and_one_that_arrives_within_it_is_accepted() {
        let every = |wait: Duration, pieces: usize| {
            let piece = move |_| async move {
                tokio::time::sleep(wait).await;
                Bytes::from_static(b"x")
            };
            tokio_stream::iter(0..pieces).then(piece)
        };
        let second = Duration::from_secs(1);
        assert_eq!(answer(every(second, 9)).await, StatusCode::OK);
        let started = tokio::time::Instant::now();
        assert_eq!(answer(every(second, 1_000)).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(started.elapsed(), ARRIVES_WITHIN);
    }
}

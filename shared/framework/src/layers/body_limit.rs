//! Reads the body, up to a bound: extractors of the CloudEvents SDK would read without one.

use crate::answer::Answer;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::header::CONTENT_LENGTH,
    middleware::Next,
    response::{IntoResponse, Response},
};

/// A notification has about 2 KB, with the custom metadata of its object at most about 20 KB.
pub(crate) const LIMIT_BYTES: usize = 1 << 20;

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > LIMIT_BYTES as u64) {
        return Answer::TooLarge.into_response();
    }
    let (parts, body) = request.into_parts();
    match to_bytes(body, LIMIT_BYTES).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(_) if announced.is_none() => Answer::TooLarge.into_response(),
        Err(error) => Answer::Malformed(format!("the body did not arrive whole: {error}")).into_response(),
    }
}

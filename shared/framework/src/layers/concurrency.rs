//! No more events in work than the instance is made for; the others go back to the queue, which waits better than we do.

use crate::answer::Answer;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

pub(crate) async fn layer(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // Kept until the work has ended, though its answer may have been given before.
    match places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => Answer::Full.into_response(),
    }
}

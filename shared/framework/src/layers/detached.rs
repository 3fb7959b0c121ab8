//! Work continues to its end, under its deadline and with its log line, even if the caller closes the connection; and the service waits for it when
//! it stops.

use crate::answer::Answer;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio_util::task::TaskTracker;

pub(crate) async fn layer(State(tasks): State<TaskTracker>, request: Request, next: Next) -> Response {
    match tasks.spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => Answer::Transient(format!("the event has no answer: {error}")).into_response(),
    }
}

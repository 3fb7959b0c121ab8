//! If the caller closes the connection, the work continues to its end, with its deadline and its log line. The service waits for
//! it when it stops.

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

//! Limits the number of events in progress. All others are returned to the queue.

use crate::answer::Answer;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slot of an event. A worker that pulls reserves a slot before it pulls the event.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for Place {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

pub(crate) async fn layer(State(places): State<Arc<Semaphore>>, mut request: Request, next: Next) -> Response {
    let brought = request.extensions_mut().remove::<Place>();
    let place = brought.or_else(|| places.try_acquire_owned().ok().map(Place::from));
    // The slot is held until the work has ended, even if the answer was sent earlier.
    match place {
        Some(_place) => next.run(request).await,
        None => Answer::Full.into_response(),
    }
}

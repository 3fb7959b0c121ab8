//! Answers before the acknowledgement deadline, and before the process must exit. The work is asked to stop, and the
//! event is returned.

use crate::{answer::Answer, stuck::Stuck};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tokio::sync::watch;
use trackdrop_pipeline::Delivery;

/// How long work that was asked to stop may take to answer itself.
pub(crate) const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// When an event is returned.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub(crate) after: Duration,
    /// Whether progress extends it. It does if the queue waits as long as the event is in progress.
    pub(crate) is_put_off: bool,
    /// True if the process must stop.
    pub(crate) hand_back: watch::Receiver<bool>,
    /// Handles work that does not stop.
    pub(crate) stuck: Stuck,
}

/// Adds a [`Delivery`] to the request, and cancels it when its time is over. If the work does not stop then, it
/// continues without an answer, and occupies its slot. This does no harm: its effects are the same as those of the next
/// attempt.
pub(crate) async fn layer(State(deadline): State<Deadline>, mut request: Request, next: Next) -> Response {
    let Deadline { after, is_put_off, mut hand_back, stuck } = deadline;
    let delivery = Delivery::new();
    request.extensions_mut().insert(delivery.clone());
    let mut work = Box::pin(next.run(request));
    let why = loop {
        let done_before = delivery.work_done();
        tokio::select! {
            response = &mut work => return response,
            () = tokio::time::sleep(after) => match is_put_off {
                true if delivery.work_done() > done_before => {}
                true => break format!("no progress for {} s", after.as_secs()),
                false => break format!("not finished within {} s", after.as_secs()),
            },
            Ok(_) = hand_back.wait_for(|&hand_back| hand_back) => break "the service is stopping".to_owned(),
        }
    };
    delivery.cancel();
    match tokio::time::timeout(STOPS_WITHIN, &mut work).await {
        Ok(response) => response,
        Err(_) => {
            stuck.watch(work, delivery);
            Answer::Transient(why).into_response()
        }
    }
}

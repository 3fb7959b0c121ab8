//! The orderly stop of a service.

use std::time::Duration;
use tokio::sync::watch;

/// Cloud Run kills a process 10 s after it asked it to stop. Until the first time, work in progress can end by itself.
/// Then its events are returned.
const FINISHES_WITHIN: Duration = Duration::from_secs(6);
const GONE_WITHIN: Duration = Duration::from_secs(9);

/// How a service stops: it is asked to stop, it returns the events that are still in progress, and it exits.
pub(crate) struct Drain {
    stopping: watch::Sender<bool>,
    hand_back: watch::Sender<bool>,
}

/// The same, seen by the code that must respect it.
#[derive(Clone, Debug)]
pub(crate) struct Draining {
    stopping: watch::Receiver<bool>,
    pub(crate) hand_back: watch::Receiver<bool>,
}

impl Drain {
    pub(crate) fn begin() -> (Self, Draining) {
        let ((stopping, is_stopping), (hand_back, is_handed_back)) = (watch::channel(false), watch::channel(false));
        (Self { stopping, hand_back }, Draining { stopping: is_stopping, hand_back: is_handed_back })
    }

    /// Ends when the time after `stop` is over.
    pub(crate) async fn bound(self, stop: impl Future<Output = ()>) {
        stop.await;
        tracing::info!("stopping");
        self.stopping.send(true).ok();
        tokio::time::sleep(FINISHES_WITHIN).await;
        self.hand_back.send(true).ok();
        tokio::time::sleep(GONE_WITHIN - FINISHES_WITHIN).await;
        tracing::warn!("some work did not stop in time");
    }
}

impl Draining {
    /// Waits until the service is asked to stop.
    pub(crate) async fn stopped(&mut self) {
        if self.stopping.wait_for(|&stopping| stopping).await.is_err() {
            // The sender does not exist any more. So the service is stopping, and this waiter is dropped with it.
            std::future::pending().await
        }
    }
}

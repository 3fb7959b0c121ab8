//! How a service comes to its end.

use std::time::Duration;
use tokio::sync::watch;

/// Cloud Run kills a process 10 s after it asked it to stop. Until the first bound what is in work may end by itself; then it is handed back.
const FINISHES_WITHIN: Duration = Duration::from_secs(6);
const GONE_WITHIN: Duration = Duration::from_secs(9);

/// How a service comes to its end: it is told to stop, it hands back what is still in work, it is gone.
pub(crate) struct Drain {
    stopping: watch::Sender<bool>,
    hand_back: watch::Sender<bool>,
}

/// The same, seen by those who must heed it.
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
    /// Waits until it is told to stop.
    pub(crate) async fn stopped(&mut self) {
        if self.stopping.wait_for(|&stopping| stopping).await.is_err() {
            // Whoever tells is gone, and so is whoever waits.
            std::future::pending().await
        }
    }
}

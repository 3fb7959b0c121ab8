//! Stuck work: it was asked to stop, and neither stops nor makes progress, for example because a driver hangs. It
//! occupies its slot. If stuck work occupies all slots, the instance takes no more events.

use axum::response::Response;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use trackdrop_pipeline::Delivery;

/// If work was asked to stop and makes no progress for this long, it counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How much work is stuck.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    patience: Duration,
    pieces: Arc<watch::Sender<usize>>,
}

impl Stuck {
    pub(crate) fn after(patience: Duration) -> Self {
        Self { patience, pieces: Arc::default() }
    }

    /// Watches work that did not stop when asked, for as long as it continues.
    pub(crate) fn watch(&self, mut work: Pin<Box<dyn Future<Output = Response> + Send>>, delivery: Delivery) {
        let Self { patience, pieces } = self.clone();
        tokio::spawn(async move {
            loop {
                let done_before = delivery.work_done();
                if timeout(patience, &mut work).await.is_ok() {
                    return;
                }
                if delivery.work_done() == done_before {
                    break;
                }
            }
            pieces.send_modify(|pieces| *pieces += 1);
            work.await;
            pieces.send_modify(|pieces| *pieces -= 1);
        });
    }

    /// Ends when this many pieces of work are stuck.
    pub(crate) async fn are(&self, places: usize) {
        // This fails only if no sender exists any more, and this value has a sender.
        self.pieces.subscribe().wait_for(|&pieces| pieces >= places).await.ok();
    }
}

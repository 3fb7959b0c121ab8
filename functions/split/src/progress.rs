//! How much of an upload was read, for the message that says why it was not planned.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use trackdrop_pipeline::{Delivery, Failure, Stopwatch};

/// Reads an upload. Reading ends when the delivery must stop.
#[derive(Clone)]
pub(crate) struct IndexProgress {
    delivery: Delivery,
    started: Stopwatch,
    size_bytes: u64,
    /// Where it began, if not at the beginning, and how far it came.
    read_bytes: Arc<AtomicU64>,
    until: Arc<AtomicU64>,
}

impl IndexProgress {
    pub(crate) fn begin(delivery: &Delivery, size_bytes: u64) -> Self {
        let (delivery, started) = (delivery.clone(), Stopwatch::start());
        Self { delivery, started, size_bytes, read_bytes: Arc::default(), until: Arc::default() }
    }

    /// Makes each read a step of the delivery.
    pub(crate) fn of(
        &self,
        read_at: impl Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
    ) -> impl Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync + 'static {
        let progress = self.clone();
        move |offset, into| {
            progress.delivery.step().map_err(io::Error::other)?;
            read_at(offset, into)?;
            progress.read_bytes.fetch_add(into.len() as u64, Ordering::Relaxed);
            progress.until.fetch_max(offset + into.len() as u64, Ordering::Relaxed);
            Ok(())
        }
    }

    /// Adds to a failure of indexing how far it came, if the reason was the delivery's time limit.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        if self.delivery.step().is_ok() {
            return failure;
        }
        let (read, until) = (self.read_bytes.load(Ordering::Relaxed), self.until.load(Ordering::Relaxed));
        let seconds = self.started.seconds();
        Failure::new(
            failure.kind(),
            format!(
                "its time was over after {seconds:.0} s, in which {} were read, up to {} of {}: as much can be indexed in one attempt; the \
                 next one resumes there. More is read where the service is in the bucket's region and has more processors; a file that \
                 is remuxed into an MP4 need not be read to be planned",
                gigabytes(read),
                gigabytes(until),
                gigabytes(self.size_bytes),
            ),
        )
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

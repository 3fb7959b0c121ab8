//! Runs blocking work outside the threads of the asynchronous runtime.

use std::{
    cell::Cell,
    io,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{JoinError, JoinHandle, spawn_blocking},
};
use trackdrop_cloud::{ReadRange, StorageError};
use trackdrop_pipeline::{Failure, Stopwatch};

thread_local! {
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// While this value exists, blocking work of this thread is done immediately in the same thread. A simulation needs
/// this, because it runs in one thread so that it can be replayed.
#[derive(Debug)]
#[must_use = "other threads are used again when this is dropped"]
pub struct AtOnce {
    /// It applies to one thread.
    of_this_thread: PhantomData<*const ()>,
}

impl AtOnce {
    /// Whether such a value exists in this thread.
    pub fn is_begun() -> bool {
        AT_ONCE.get()
    }

    /// Starts this behaviour.
    pub fn begin() -> Self {
        AT_ONCE.set(true);
        Self { of_this_thread: PhantomData }
    }
}

impl Drop for AtOnce {
    fn drop(&mut self) {
        AT_ONCE.set(false);
    }
}

/// Runs blocking work outside the threads of the asynchronous runtime, in the current span. A panic in it is a transient failure
/// with a diagnostic.
///
/// # Errors
/// The work's own failure; transient if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if AT_ONCE.get() {
        return work();
    }
    let span = tracing::Span::current();
    spawn_blocking(move || span.in_scope(work)).await.unwrap_or_else(|error| Err(ended_unexpectedly(error)))
}

/// The time for which work waited for reads. Clones share the same sum.
#[derive(Clone, Debug, Default)]
pub struct ReadTime(Arc<Mutex<f64>>);

impl ReadTime {
    fn add(&self, seconds: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += seconds;
    }

    /// The seconds since this was last called.
    pub(crate) fn take(&self) -> f64 {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns a function that reads an object for blocking work. It fills a slice with the bytes from an offset on, and
/// adds the time that this takes to `time`. Make it inside the runtime, and call it in work that [`blocking`] or
/// [`items`] runs.
pub fn read_at(
    ranges: Arc<dyn ReadRange>,
    time: &ReadTime,
) -> impl Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync + 'static {
    let (runtime, time) = (Handle::current(), time.clone());
    move |offset, into| {
        let started = Stopwatch::start();
        let read = runtime.block_on(ranges.read(offset..offset + into.len() as u64));
        time.add(started.seconds());
        let bytes = read.map_err(|error| {
            let kind = match error {
                StorageError::NotFound(_) => io::ErrorKind::NotFound,
                // Which no later attempt changes.
                StorageError::Unreadable { .. } => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, error)
        })?;
        if bytes.len() != into.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

/// The items that blocking work makes, one after the other.
#[derive(Debug)]
pub struct Items<T> {
    items: mpsc::Receiver<T>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Done(Result<(), Failure>),
    Running(JoinHandle<Result<(), Failure>>),
}

/// Runs blocking work that makes items, and passes each to its argument. At most `ahead` items wait to be taken.
///
/// # Errors
/// The work's own failure, when the items are taken.
pub fn items<T: Send + 'static>(
    ahead: usize,
    work: impl FnOnce(&mut dyn FnMut(T) -> Result<(), Failure>) -> Result<(), Failure> + Send + 'static,
) -> Items<T> {
    // If the use of an item failed, the receiver does not exist any more. That failure is reported.
    if AT_ONCE.get() {
        let (ready, items) = mpsc::channel(tokio::sync::Semaphore::MAX_PERMITS);
        let done = work(&mut |item| ready.try_send(item).map_err(|_| Failure::cancelled()));
        return Items { items, work: Work::Done(done) };
    }
    let (ready, items) = mpsc::channel(ahead);
    let span = tracing::Span::current();
    let running = spawn_blocking(move || {
        span.in_scope(|| work(&mut |item| ready.blocking_send(item).map_err(|_| Failure::cancelled())))
    });
    Items { items, work: Work::Running(running) }
}

impl<T> Items<T> {
    /// The next item; none when the work has ended.
    pub async fn next(&mut self) -> Option<T> {
        self.items.recv().await
    }

    /// How the work ended.
    ///
    /// # Errors
    /// The work's own failure; transient if it panicked.
    pub async fn end(self) -> Result<(), Failure> {
        match self.work {
            Work::Done(done) => done,
            Work::Running(running) => running.await.map_err(ended_unexpectedly)?,
        }
    }
}

/// The failure of a task that returned no answer.
fn ended_unexpectedly(error: JoinError) -> Failure {
    Failure::transient(format!("the work ended without an answer: {error}"))
}

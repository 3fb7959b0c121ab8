//! Runs work that mostly waits, such as writing objects, concurrently with other work, at most N pieces at a time.

use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use std::{future::Future, pin::pin};
use trackdrop_pipeline::Failure;

/// Pieces of work that are in progress. They advance only while [`Beside::during`], [`Beside::add`] or [`Beside::end`]
/// waits, in the caller's task. So a simulation can be replayed. If this value is dropped, the remaining pieces are
/// cancelled.
pub struct Beside {
    at_once: usize,
    running: FuturesUnordered<BoxFuture<'static, Result<(), Failure>>>,
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

impl Beside {
    /// Starts without pieces. At most `at_once` pieces run at the same time.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), running: FuturesUnordered::new() }
    }

    /// Adds a piece, as soon as there is room for it.
    ///
    /// # Errors
    /// The failure of a piece that ended meanwhile.
    pub async fn add(
        &mut self,
        work: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Result<(), Failure> {
        while self.running.len() >= self.at_once {
            self.running.next().await.transpose()?;
        }
        self.running.push(Box::pin(work));
        Ok(())
    }

    /// Waits for `other`; the pieces advance meanwhile.
    ///
    /// # Errors
    /// The failure of a piece that ended meanwhile.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> Result<T, Failure> {
        let mut other = pin!(other);
        loop {
            if self.running.is_empty() {
                return Ok(other.await);
            }
            tokio::select! {
                biased;
                ended = self.running.next() => drop(ended.transpose()?),
                other = &mut other => return Ok(other),
            }
        }
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// The first failure.
    pub async fn end(mut self) -> Result<(), Failure> {
        while let Some(ended) = self.running.next().await {
            ended?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[tokio::test]
    async fn so_many_are_under_way_at_the_same_time_and_no_more_and_all_are_done() {
        let (running, most, done) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let mut beside = Beside::new(3);
        for _ in 0..10 {
            let (running, most, done) = (running.clone(), most.clone(), done.clone());
            let work = async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            beside.add(work).await.unwrap();
        }
        assert_eq!(beside.during(async { 7 }).await.unwrap(), 7);
        beside.end().await.unwrap();
        assert_eq!((most.load(Ordering::SeqCst), done.load(Ordering::SeqCst)), (3, 10));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_whoever_waits_next() {
        let mut beside = Beside::new(2);
        beside.add(async { Err(Failure::transient("the store is busy")) }).await.unwrap();
        let failure = beside.during(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(failure.to_string(), "the store is busy");
    }
}

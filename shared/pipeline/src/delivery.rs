//! One attempt to hand an event to a function, and the function's side of it.

use crate::{event::Event, failure::Failure};
use async_trait::async_trait;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A function of the flow: an event in, an outcome out.
///
/// Deliveries are at least once, in any order, and two of one event may run at the same time; a handler's effects are the same
/// however often it runs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Takes one event. `Ok` means that every effect of it is stored, or that it was none of the handler's business.
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure>;
}

/// One attempt; clones are the same attempt.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: AtomicBool,
    work_done: AtomicU64,
}

impl Delivery {
    /// An attempt that begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports work done, in frames (or other small steps). Each report puts the deadline off.
    pub fn advance(&self, steps: u64) {
        self.state.work_done.fetch_add(steps, Ordering::Relaxed);
    }

    /// Work reported so far.
    pub fn work_done(&self) -> u64 {
        self.state.work_done.load(Ordering::Relaxed)
    }

    /// Asks the handler to stop at the next step.
    pub fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::Relaxed);
    }

    /// Reports a step; fails when the handler was asked to stop. Long loops call this once a frame.
    pub fn step(&self) -> Result<(), Failure> {
        if self.state.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        self.advance(1);
        Ok(())
    }
}

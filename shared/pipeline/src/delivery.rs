//! One attempt of a delivery, and the trait of the function that handles it.

use crate::{
    activity::{Activity, WorkDone},
    event::Event,
    failure::Failure,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A function of the flow: an event in, an outcome out.
///
/// Deliveries are at-least-once and in any order, and two attempts of one event may run at the same time. So a handler must be
/// idempotent.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one event. `Ok` means that every effect of it is stored, or that the event does not concern the handler.
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure>;
}

/// One attempt of a delivery: every call of a handler gets a new value. Clones are the same attempt. (Elsewhere a *delivery* lasts from its publication
/// to its acknowledgement, over all its attempts.)
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: AtomicBool,
    work_done: AtomicU64,
    account: Mutex<Account>,
}

/// What the attempt's time went into; nothing but reports is made of it.
#[derive(Debug, Default)]
struct Account {
    /// Seconds by activity, since they were last taken.
    spent: BTreeMap<Activity, f64>,
    done: Option<WorkDone>,
    segments_waiting: Option<u32>,
}

impl Delivery {
    /// An attempt that begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports finished work, in frames (or other small steps). Each report extends the deadline.
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

    /// Reports a step. It fails if the handler was asked to stop. Long loops call it once per frame.
    ///
    /// # Errors
    /// The handler was asked to stop.
    pub fn step(&self) -> Result<(), Failure> {
        if self.state.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        self.advance(1);
        Ok(())
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.state.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports time spent on an activity.
    pub fn spend(&self, activity: Activity, seconds: f64) {
        *self.account().spent.entry(activity).or_default() += seconds;
    }

    /// Seconds by activity since the start, or since this was last called.
    pub fn take_spent(&self) -> BTreeMap<Activity, f64> {
        std::mem::take(&mut self.account().spent)
    }

    /// Reports finished work. Do not call it for work that an earlier attempt did.
    pub fn report(&self, done: WorkDone) {
        let mut account = self.account();
        let sum = account.done.get_or_insert_default();
        sum.seconds += done.seconds;
        sum.frames += done.frames;
        sum.video_seconds += done.video_seconds;
    }

    /// The reported work; none if the attempt found that everything was already done.
    pub fn done(&self) -> Option<WorkDone> {
        self.account().done
    }

    /// Reports how many segments of the request this stage still has to process.
    pub fn report_waiting(&self, segments: u32) {
        self.account().segments_waiting = Some(segments);
    }

    /// Segments of the request that this stage still had to process when they were last counted.
    pub fn segments_waiting(&self) -> Option<u32> {
        self.account().segments_waiting
    }
}

//! The in-process bus: it delivers messages to handlers by the rules of the trigger files.

use super::{
    catalog::LocalCloud,
    queue::{Lease, request_key},
};
use crate::StorageError;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use trackdrop_pipeline::{DeadLetter, Delivery, Event, Failure, FailureKind, Handler, Timestamp, trigger::Trigger};

/// How often the bus looks for messages of other processes, for dead ones, and for waits that are over.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Largest number of attempts. Here a failed attempt is a failure of the handler. In the cloud an attempt can also fail
/// because the service is full, so trigger files can allow more.
const MOST_ATTEMPTS: u32 = 5;
/// How long handlers may take to notice that they must stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Delivers messages to handlers: at-least-once, with retries, and with a limit on concurrency for each function.
#[derive(Debug)]
pub struct Bus {
    cloud: Arc<LocalCloud>,
    functions: Vec<Function>,
    in_flight: Arc<Mutex<BTreeMap<i64, InFlight>>>,
}

struct Function {
    trigger: Trigger,
    handler: Arc<dyn Handler>,
    slots: usize,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("trigger", &self.trigger).field("slots", &self.slots).finish_non_exhaustive()
    }
}

/// A delivery that a handler of this process is working on.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The function.
    pub function: String,
    /// The id of the request that the event belongs to.
    pub request: String,
    /// The attempt, which knows how much work is done.
    pub delivery: Delivery,
}

/// What the bus reports to the caller that watches it.
#[derive(Clone, Debug)]
pub enum BusEvent {
    /// A handler succeeded, and the delivery was removed from the queue.
    Acknowledged {
        /// The function.
        function: String,
        /// The request.
        request: String,
    },
    /// An attempt failed and will be repeated.
    Retrying {
        /// The function.
        function: String,
        /// The request.
        request: String,
        /// What went wrong.
        reason: String,
        /// When it is tried again.
        wait: Duration,
    },
    /// The last attempt failed.
    GivenUp {
        /// The function.
        function: String,
        /// The request.
        request: String,
        /// What went wrong.
        reason: String,
    },
}

/// Why a bus can't continue: a problem of the host, and not of one event.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct BusError {
    /// What it was doing, if it is known: the event's function and request.
    pub during: Option<(String, String)>,
    /// What went wrong.
    #[source]
    pub failure: Failure,
}

impl<E: Into<Failure>> From<E> for BusError {
    fn from(error: E) -> Self {
        Self { during: None, failure: error.into() }
    }
}

struct Ended {
    function: usize,
    lease: Lease,
    outcome: Result<(), Failure>,
}

impl Bus {
    /// A bus for the triggers of `cloud` that have a handler here. `most_at_once` bounds the concurrency of every function on this
    /// machine.
    pub fn new(cloud: Arc<LocalCloud>, mut handlers: BTreeMap<String, Arc<dyn Handler>>, most_at_once: usize) -> Self {
        let with_handler = |trigger: &Trigger| {
            let handler = handlers.remove(&trigger.function)?;
            let slots = (trigger.concurrency as usize).min(most_at_once.max(1));
            Some(Function { trigger: trigger.clone(), handler, slots })
        };
        let functions = cloud.inner.triggers.iter().filter_map(with_handler).collect();
        Self { cloud, functions, in_flight: Arc::default() }
    }

    /// The deliveries that this process works on.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.lock_in_flight().values().cloned().collect()
    }

    fn lock_in_flight(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers until `stop` is ready. Then it returns the events in progress to the queue. Fails if the host itself
    /// can't continue.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn run(&self, stop: impl Future<Output = ()>, mut watch: impl FnMut(BusEvent)) -> Result<(), BusError> {
        tokio::pin!(stop);
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut used = vec![0usize; self.functions.len()];
        let mut clock = tokio::time::interval(POLL_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            if let Err(error) = self.start_what_is_due(&mut running, &mut used).await {
                break Err(error);
            }
            tokio::select! {
                // The order matters: a stop is never overlooked, and ended work frees its slot before the next message
                // is taken.
                biased;
                () = &mut stop => break Ok(()),
                Some(ended) = running.join_next() => match ended {
                    Ok(ended) => {
                        used[ended.function] -= 1;
                        let trigger = &self.functions[ended.function].trigger;
                        let during = (trigger.function.clone(), ended.lease.request.clone());
                        if let Err(failure) = self.settle(ended, &mut watch).await {
                            break Err(BusError { during: Some(during), failure });
                        }
                    }
                    Err(error) => {
                        break Err(Failure::transient(format!("a delivery ended without an answer: {error}")).into());
                    }
                },
                _ = clock.tick() => {
                    if let Err(error) = self.cloud.on_catalog(|inner| inner.take_over_dead_hosts()).await {
                        break Err(error.into());
                    }
                }
            }
        };
        self.hand_back(running, &mut watch).await;
        outcome
    }

    async fn start_what_is_due(&self, running: &mut JoinSet<Ended>, used: &mut [usize]) -> Result<(), BusError> {
        for (index, function) in self.functions.iter().enumerate() {
            while used[index] < function.slots {
                let name = function.trigger.function.clone();
                let lease = match self.cloud.on_catalog(move |inner| inner.lease(&name)).await {
                    Ok(Some(lease)) => lease,
                    Ok(None) => break,
                    Err(error) => return Err(self.about_next(&function.trigger.function, error).await),
                };
                used[index] += 1;
                let (delivery, handler) = (Delivery::new(), function.handler.clone());
                let in_flight = InFlight {
                    function: function.trigger.function.clone(),
                    request: request_key(&lease.event),
                    delivery: delivery.clone(),
                };
                self.lock_in_flight().insert(lease.message, in_flight);
                let deadline = Duration::from_secs(function.trigger.deadline_s);
                running.spawn(async move {
                    let outcome = attempt(handler, &lease.event, delivery, deadline).await;
                    Ended { function: index, lease, outcome }
                });
            }
        }
        Ok(())
    }

    /// An error that prevented the next message from being taken, with what that message is about.
    async fn about_next(&self, function: &str, error: StorageError) -> BusError {
        let name = function.to_owned();
        let next = self.cloud.on_catalog(move |inner| inner.peek(&name)).await;
        let during = next.ok().flatten().map(|lease| (function.to_owned(), lease.request));
        BusError { during, failure: error.into() }
    }

    /// What happens to the message after an attempt.
    async fn settle(&self, ended: Ended, watch: &mut impl FnMut(BusEvent)) -> Result<(), Failure> {
        let Ended { function, lease, outcome } = ended;
        self.lock_in_flight().remove(&lease.message);
        let trigger = self.functions[function].trigger.clone();
        let (name, request) = (trigger.function.clone(), lease.request.clone());
        let failure = match outcome {
            Ok(()) => {
                self.cloud.on_catalog(move |inner| inner.acknowledge(&lease)).await?;
                watch(BusEvent::Acknowledged { function: name, request });
                return Ok(());
            }
            Err(failure) => failure,
        };
        let reason = failure.to_string();
        let failures = lease.failures + 1;
        match failure.kind() {
            FailureKind::Cancelled | FailureKind::Exhausted => {
                let failures = lease.failures;
                let handed_back =
                    self.cloud.on_catalog(move |inner| inner.put_back(&lease, failures, Duration::ZERO)).await;
                if failure.kind() == FailureKind::Exhausted {
                    // The disk can be too full even for this. Then the next process takes over the message.
                    return Err(failure);
                }
                Ok(handed_back?)
            }
            FailureKind::Transient if failures < trigger.retry.attempts.min(MOST_ATTEMPTS) => {
                let wait = trigger.retry.backoff(failures, fastrand::f64());
                tracing::warn!(function = name, request, failures, reason, "attempt failed; it will be repeated");
                self.cloud.on_catalog(move |inner| inner.put_back(&lease, failures, wait)).await?;
                watch(BusEvent::Retrying { function: name, request, reason, wait });
                Ok(())
            }
            FailureKind::Transient | FailureKind::Permanent => {
                tracing::error!(function = name, request, failures, reason, "delivery moved to the dead letters");
                let letter = Event::DeadLetter(DeadLetter {
                    function: name.clone(),
                    event: Box::new(lease.event.clone()),
                    attempts: failures,
                    reason: reason.clone(),
                    published: Some(Timestamp::now()),
                });
                let topic = trigger.dead_letter;
                self.cloud.on_catalog(move |inner| inner.bury(&lease, topic.as_deref(), &letter)).await?;
                watch(BusEvent::GivenUp { function: name, request, reason });
                Ok(())
            }
        }
    }

    /// Asks the handlers in progress to stop, and returns their messages to the queue.
    async fn hand_back(&self, mut running: JoinSet<Ended>, watch: &mut impl FnMut(BusEvent)) {
        for in_flight in self.in_flight() {
            in_flight.delivery.cancel();
        }
        let until = Instant::now() + STOP_WITHIN;
        while let Ok(Some(Ok(ended))) = tokio::time::timeout_at(until, running.join_next()).await {
            // If a message can't be returned now, the next process takes it over.
            self.settle(ended, watch).await.ok();
        }
    }
}

/// One attempt. A panic is a transient failure with a diagnostic, and so is an attempt that makes no progress for longer than the deadline.
async fn attempt(
    handler: Arc<dyn Handler>,
    event: &Event,
    delivery: Delivery,
    deadline: Duration,
) -> Result<(), Failure> {
    let (event, to_handler) = (event.clone(), delivery.clone());
    let mut work = tokio::spawn(async move { handler.handle(&event, &to_handler).await });
    loop {
        let done_before = delivery.work_done();
        match tokio::time::timeout(deadline, &mut work).await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => return Err(Failure::transient(panic_message(error))),
            Err(_) if delivery.work_done() == done_before => {
                delivery.cancel();
                work.abort();
                return Err(Failure::transient(format!("no progress for {} s", deadline.as_secs())));
            }
            Err(_) => {}
        }
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    if !error.is_panic() {
        return "the handler was stopped".to_owned();
    }
    let panic = error.into_panic();
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the handler panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

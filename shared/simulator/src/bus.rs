//! The bus: messages as the trigger files say, with everything that at-least-once delivery allows.

use crate::{
    attempt::{Attempt, Life, WorksFor},
    executor::first_of,
    fault::{Budget, Fault},
    flaw::Flaw,
    stand_ins::{BUDGET, StandIn, Trouble},
    world::{GivenUp, World},
};
use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::sync::oneshot;
use trackdrop_annotate::Annotate;
use trackdrop_fail::Fail;
use trackdrop_flow::{
    Cloud,
    stage::{StageHandler, Staged},
};
use trackdrop_join::Join;
use trackdrop_load::{Load, LoadService};
use trackdrop_merge::Merge;
use trackdrop_pipeline::{
    DeadLetter, Delivery, Event, Failure, FailureKind, Handler, ObjectFinalized, RequestId, Timestamp,
    names::{self, ObjectName, PerSegment, ResultFile},
    trigger::{Trigger, TriggerError, files},
};
use trackdrop_split::Split;
use trackdrop_track::Track;

/// Largest number of attempts. No service is ever full here, so no trigger needs more.
const MOST_ATTEMPTS: u32 = 10;
/// Of one message, at most this many copies are lost.
const MOST_LOST: u32 = 2;
/// A copy of a message is copied at most this often.
const MOST_COPIES: u32 = 3;

/// The result of an attempt.
type Outcome = Result<(), Failure>;

/// Delivers the messages of one world.
pub(crate) struct Bus {
    world: Arc<World>,
    triggers: Vec<Trigger>,
    /// Whether requests wait for a window of `load`.
    is_by_window: bool,
    /// Whether a sweeper searches for stalled requests. If so, the deliveries of the handler of dead letters can be
    /// abandoned, too.
    is_swept: bool,
    /// How many messages of each name there were.
    sent: Mutex<BTreeMap<String, u32>>,
    running: Mutex<Vec<(Budget, Weak<Life>)>>,
}

impl Bus {
    pub(crate) fn new(world: Arc<World>, is_by_window: bool, is_swept: bool) -> Result<Self, TriggerError> {
        let triggers = files::ALL.into_iter().map(|(_, text)| Trigger::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { world, triggers, is_by_window, is_swept, sent: Mutex::default(), running: Mutex::default() })
    }

    /// Sends a message to every function that an event starts.
    pub(crate) fn send(self: &Arc<Self>, event: &Event, topic: Option<&str>) {
        for trigger in self.triggers.iter().filter(|trigger| trigger.takes(event, topic)) {
            let name = match event {
                Event::ObjectFinalized(upload) if trigger.function == "split" => {
                    format!("split {}@{}", upload.object, upload.generation)
                }
                Event::ObjectFinalized(finalized) => format!("{} {}", trigger.function, finalized.object),
                Event::DeadLetter(letter) => match &*letter.event {
                    Event::ObjectFinalized(finalized) => format!("fail {} {}", letter.function, finalized.object),
                    _ => continue,
                },
                Event::RequestFinished(_) | Event::LoadWindow {} | Event::RequestsSweep {} => continue,
            };
            self.begin_losing(trigger.clone(), event.clone(), name);
        }
    }

    /// The scheduler starts a function.
    pub(crate) fn tick(self: &Arc<Self>, event: &Event, nth: u32) {
        for trigger in self.triggers.iter().filter(|trigger| trigger.takes(event, None)) {
            self.begin(trigger.clone(), event.clone(), format!("{} {nth}", event.type_name()));
        }
    }

    /// Begins a delivery unless the event is lost. It is lost at most `MOST_LOST` times, so that an event that is published again and again arrives.
    fn begin_losing(self: &Arc<Self>, trigger: Trigger, event: Event, message: String) {
        let copies = self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(&message).copied();
        let copy = copies.unwrap_or_default() + 1;
        let lost =
            |rates: &crate::Rates, random: &mut fastrand::Rng| (random.f64() < rates.lost).then_some(Fault::Lost);
        if matches!(event, Event::ObjectFinalized(_))
            && copy <= MOST_LOST
            && self.world.fate.strikes(&format!("{message}#{copy} lost"), None, lost).is_some()
        {
            *self.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(message).or_default() += 1;
            return;
        }
        self.begin(trigger, event, message);
    }

    fn begin(self: &Arc<Self>, trigger: Trigger, event: Event, message: String) {
        let copy = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let count = sent.entry(message.clone()).or_default();
            *count += 1;
            *count
        };
        let bus = self.clone();
        self.world.executor.spawn(async move { bus.deliver(trigger, event, message, copy).await });
    }

    /// The life of a message, until it is acknowledged or moved to the dead letters.
    async fn deliver(self: Arc<Self>, trigger: Trigger, event: Event, message: String, copy: u32) {
        let (world, name) = (&self.world, format!("{message}#{copy}"));
        let mut random = world.fate.random(&name);
        world.executor.sleep(Duration::from_micros(random.u64(1_000..80_000))).await;
        let twice = |rates: &crate::Rates, random: &mut fastrand::Rng| {
            (random.f64() < rates.duplicate).then_some(Fault::Duplicate)
        };
        if copy <= MOST_COPIES && world.fate.strikes(&format!("{name} twice"), None, twice).is_some() {
            self.begin(trigger.clone(), event.clone(), message.clone());
        }
        let late = |rates: &crate::Rates, random: &mut fastrand::Rng| {
            let is_late = random.f64() < rates.late;
            is_late.then(|| Fault::Late(if random.bool() { random.u64(100..10_000) } else { random.u64(1..2_000_000) }))
        };
        if let Some(Fault::Late(ms)) = world.fate.strikes(&format!("{name} late"), None, late) {
            world.executor.sleep(Duration::from_millis(ms)).await;
        }
        let attempts = trigger.retry.attempts.min(MOST_ATTEMPTS);
        // The handler of dead letters is the last resort: without a sweeper its own last attempt is always left alone.
        let may_fail = world.rough && (trigger.dead_letter.is_some() || self.is_swept);
        let at_most = if may_fail { u32::MAX } else { attempts - 1 };
        let deadline = Duration::from_secs(trigger.deadline_s);
        let mut reason = String::new();
        if copy == 1 && world.flaw == Some(Flaw::DeliversTwice) {
            self.begin(trigger.clone(), event.clone(), message.clone());
        }
        let attempts = if world.flaw == Some(Flaw::GivesUpAtOnce) { 1 } else { attempts };
        for nth in 1..=attempts {
            let attempt = format!("{name}/{nth}");
            let budget = Budget { message: name.clone(), nth, attempts: at_most };
            let began_us = world.executor.now_us();
            let done = self.attempt(&trigger, &event, &message, attempt.clone(), budget.clone());
            if world.flaw == Some(Flaw::AcknowledgedFirst) {
                return;
            }
            reason = match first_of(done, world.executor.sleep(deadline)).await {
                Ok(Ok(Ok(()))) => {
                    let lost = |rates: &crate::Rates, random: &mut fastrand::Rng| {
                        (random.f64() < rates.ack_lost).then_some(Fault::AckLost)
                    };
                    if world.fate.strikes(&format!("{attempt} ack"), Some(&budget), lost).is_none() {
                        world.log(format_args!("{attempt}: acknowledged"));
                        if world.flaw == Some(Flaw::DeliversForEver) {
                            world.executor.sleep(Duration::from_secs(24 * 3_600)).await;
                            self.begin(trigger, event, message);
                        }
                        return;
                    }
                    world.executor.sleep_until(began_us.saturating_add(deadline.as_micros() as i64)).await;
                    "the acknowledgement was lost".to_owned()
                }
                Ok(Ok(Err(failure))) => {
                    world.log(format_args!("{attempt}: failed: {failure}"));
                    if failure.kind() == FailureKind::Permanent {
                        self.bury(&trigger, &event, nth, failure.to_string());
                        return;
                    }
                    failure.to_string()
                }
                Ok(Err(_)) => "the process died".to_owned(),
                Err(()) => {
                    world.log(format_args!("{attempt}: not acknowledged in time"));
                    format!("not acknowledged within {} s", trigger.deadline_s)
                }
            };
            if nth < attempts {
                world.executor.sleep(trigger.retry.backoff(nth, random.f64())).await;
            }
        }
        let given_up = GivenUp {
            request: about(&event),
            reason: reason.clone(),
            unexplained: world.fate.not_used_up(&name, trigger.retry.attempts.min(MOST_ATTEMPTS)),
            message: name,
        };
        world.record().given_up.push(given_up);
        self.bury(&trigger, &event, attempts, reason);
    }

    fn bury(&self, trigger: &Trigger, event: &Event, attempts: u32, reason: String) {
        let function = trigger.function.clone();
        self.world.log(format_args!("{function} abandoned: {reason}"));
        let letter = DeadLetter {
            function,
            event: Box::new(event.clone()),
            attempts,
            reason,
            published: Some(Timestamp::now()),
        };
        if let Some(topic) = &trigger.dead_letter {
            self.world.memory.send(topic, &Event::DeadLetter(letter));
        }
    }

    /// Begins an attempt in a process of its own. It continues even if nothing waits for it any more.
    fn attempt(
        self: &Arc<Self>,
        trigger: &Trigger,
        event: &Event,
        message: &str,
        name: String,
        budget: Budget,
    ) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        let life = Arc::new(Life::default());
        self.lock_running().push((budget.clone(), Arc::downgrade(&life)));
        let attempt = Attempt {
            world: self.world.clone(),
            function: trigger.function.clone(),
            name: name.clone(),
            message: message.to_owned(),
            budget,
            works_for: works_for(event),
            life: life.clone(),
            operations: Arc::default(),
        };
        let (world, event, is_by_window) = (self.world.clone(), event.clone(), self.is_by_window);
        world.log(format_args!("{name}: begins"));
        let works = Arc::<AtomicU32>::default();
        let result = made_from(&trigger.function, &event);
        let existed = result.as_ref().is_some_and(|result| world.memory.look_at(result).is_ok());
        let work_done = works.clone();
        self.world.executor.spawn(async move {
            let handler = handler(attempt, is_by_window, works);
            let (delivery, place) = (Delivery::new(), name);
            let work = async move {
                match handler {
                    Some(handler) => handler.handle(&event, &delivery).await,
                    None => Ok(()),
                }
            };
            let mut work = Box::pin(work);
            let outcome = std::future::poll_fn(|context| {
                if life.is_over(context.waker()) {
                    return Poll::Ready(None);
                }
                match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
                    Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
                    Ok(Poll::Pending) if life.is_over(context.waker()) => Poll::Ready(None),
                    Ok(Poll::Pending) => Poll::Pending,
                    Err(_) => {
                        world.broken(format!("{place} panics"));
                        Poll::Ready(None)
                    }
                }
            })
            .await;
            // A process that died says nothing any more; what it held is gone.
            drop(work);
            let times = work_done.load(Ordering::SeqCst);
            if times > u32::from(!existed) {
                let already = if existed { "though the result existed before" } else { "in one attempt" };
                world.broken(format!("{place} does its work {times} times {already}"));
            }
            match outcome {
                // After the deadline nobody listens.
                Some(outcome) => drop(done.send(outcome)),
                None if world.flaw == Some(Flaw::NeverRests) => {
                    std::future::poll_fn(|context| {
                        context.waker().wake_by_ref();
                        Poll::<()>::Pending
                    })
                    .await;
                }
                None => {}
            }
        });
        outcome
    }

    fn lock_running(&self) -> std::sync::MutexGuard<'_, Vec<(Budget, Weak<Life>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every running handler dies.
    pub(crate) fn host_dies(&self) {
        let running = std::mem::take(&mut *self.lock_running());
        let mut left = vec![];
        for (budget, life) in running {
            match life.upgrade() {
                Some(alive) if self.world.fate.use_up(&budget) => {
                    self.world.record().killed.push(budget.message);
                    alive.end();
                }
                Some(_) => left.push((budget, life)),
                None => {}
            }
        }
        self.lock_running().extend(left);
    }
}

/// The request that an event is about.
fn about(event: &Event) -> Option<RequestId> {
    match event {
        Event::ObjectFinalized(finalized) => finalized.request(),
        Event::DeadLetter(letter) => about(&letter.event),
        Event::RequestFinished(finished) => Some(finished.request_id.clone()),
        Event::LoadWindow {} | Event::RequestsSweep {} => None,
    }
}

/// Whose objects a delivery of this event may write.
fn works_for(event: &Event) -> WorksFor {
    match event {
        Event::LoadWindow {} | Event::RequestsSweep {} => WorksFor::All,
        Event::RequestFinished(_) => WorksFor::Nobody,
        _ => about(event).map_or(WorksFor::Nobody, WorksFor::One),
    }
}

/// What a stage with expensive work makes from an event.
fn made_from(function: &str, event: &Event) -> Option<ObjectName> {
    let Event::ObjectFinalized(ObjectFinalized { object, .. }) = event else { return None };
    let request = names::request_of(object)?;
    match function {
        "track" => Some(PerSegment::Detections.object(&request, names::segment_of(object)?)),
        "annotate" => Some(PerSegment::Annotated.object(&request, names::segment_of(object)?)),
        "join" => Some(ResultFile::AnnotatedVideo.object(&request)),
        _ => None,
    }
}

/// The real handler of a function, in a process that has just started.
fn handler(attempt: Attempt, is_by_window: bool, works: Arc<AtomicU32>) -> Option<Box<dyn Handler>> {
    let function = attempt.function.clone();
    let attempt = Arc::new(attempt);
    let cloud = Cloud::new(attempt.clone(), attempt.clone(), attempt).by_window(is_by_window);
    let stand_in = Arc::new(StandIn(Trouble { works, ..Trouble::default() }));
    fn staged<S: StageHandler + 'static>(stage: S) -> Option<Box<dyn Handler>> {
        Some(Box::new(Staged(stage)))
    }
    match function.as_str() {
        "split" => staged(Split::new(cloud, stand_in.clone()).with_prober(stand_in).with_budget(BUDGET)),
        "track" => staged(Track::new(cloud, stand_in)),
        "merge" => staged(Merge::new(cloud)),
        "load" => Some(Box::new(LoadService::new(Load::new(cloud)))),
        "annotate" => staged(Annotate::new(cloud, stand_in)),
        "join" => staged(Join::new(cloud, stand_in)),
        "fail" => Some(Box::new(Fail::new(cloud))),
        _ => None,
    }
}

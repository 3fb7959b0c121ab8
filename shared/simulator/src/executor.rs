//! Runs many tasks in one thread with a virtual clock: time advances only when no task can continue.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::task::unconstrained;

/// Ten thousand segments that finish together take a hundredth of it.
const MOST_POLLS_AT_A_MOMENT: u64 = 1_000_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks and the virtual clock. Clones are the same one. Ready tasks run in the order in which they became ready. Waits
/// that end at the same time end in the order in which they began. So a run is a pure function of what its tasks do.
#[derive(Clone, Default)]
pub(crate) struct Executor {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    now_us: i64,
    waits_begun: u64,
    waits: BTreeMap<(i64, u64), Waker>,
    tasks_begun: u64,
    begun: Vec<(u64, Task)>,
    ready: VecDeque<u64>,
    polls: u64,
}

struct Readies {
    task: u64,
    shared: Arc<Mutex<Shared>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Readies {
    fn wake(self: Arc<Self>) {
        lock(&self.shared).ready.push_back(self.task);
    }
}

/// Why a run did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restless {
    /// A task still waits for a time beyond the last one.
    TooLong,
    /// The tasks wake each other again and again, and no time passes.
    TooBusy,
}

impl Executor {
    /// Microseconds since the simulation began.
    pub(crate) fn now_us(&self) -> i64 {
        lock(&self.shared).now_us
    }

    /// Steps that its tasks took: how often one was polled.
    pub(crate) fn steps(&self) -> u64 {
        lock(&self.shared).polls
    }

    /// Begins a task without a budget. In a thread of a runtime, a waiting task with a budget would have to yield after some hundred polls, and
    /// forever: the runtime's budget is renewed only where the runtime itself polls.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut shared = lock(&self.shared);
        let id = shared.tasks_begun;
        shared.tasks_begun += 1;
        shared.begun.push((id, Box::pin(unconstrained(task))));
        shared.ready.push_back(id);
    }

    /// Waits.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now_us().saturating_add(duration.as_micros().try_into().unwrap_or(i64::MAX))).await;
    }

    /// Waits until a moment; at once where it has passed.
    pub(crate) async fn sleep_until(&self, until_us: i64) {
        let mut waits = false;
        std::future::poll_fn(|context| {
            let mut shared = lock(&self.shared);
            if shared.now_us >= until_us {
                return Poll::Ready(());
            }
            if !waits {
                waits = true;
                let nth = shared.waits_begun;
                shared.waits_begun += 1;
                shared.waits.insert((until_us, nth), context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Runs until nothing is left to do and nothing waits; not beyond the last moment, and not with more polls than these.
    pub(crate) fn run(&self, last_us: i64, most_polls: u64) -> Result<(), Restless> {
        let outcome = self.run_tasks(last_us, most_polls);
        // What still waits holds this executor, and the executor holds it.
        let mut shared = lock(&self.shared);
        let left = (std::mem::take(&mut shared.waits), std::mem::take(&mut shared.begun));
        shared.ready.clear();
        drop(shared);
        drop(left);
        outcome
    }

    fn run_tasks(&self, last_us: i64, most_polls: u64) -> Result<(), Restless> {
        let mut tasks: BTreeMap<u64, (Task, Waker)> = BTreeMap::new();
        let mut polls_now = 0;
        loop {
            let mut shared = lock(&self.shared);
            for (id, task) in std::mem::take(&mut shared.begun) {
                let waker = Waker::from(Arc::new(Readies { task: id, shared: self.shared.clone() }));
                tasks.insert(id, (task, waker));
            }
            let Some(id) = shared.ready.pop_front() else {
                let Some(((at_us, _), waker)) = shared.waits.pop_first() else { return Ok(()) };
                if at_us > last_us {
                    return Err(Restless::TooLong);
                }
                if at_us > shared.now_us {
                    (shared.now_us, polls_now) = (at_us, 0);
                }
                drop(shared);
                waker.wake();
                continue;
            };
            shared.polls += 1;
            let polls = shared.polls;
            drop(shared);
            polls_now += 1;
            if polls > most_polls || polls_now > MOST_POLLS_AT_A_MOMENT {
                return Err(Restless::TooBusy);
            }
            let Some((task, waker)) = tasks.get_mut(&id) else { continue };
            if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                tasks.remove(&id);
            }
        }
    }
}

/// Returns the one that ends first. If both end together, it is the first one.
pub(crate) async fn first_of<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> Result<A, B> {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    std::future::poll_fn(|context| {
        if let Poll::Ready(a) = a.as_mut().poll(context) {
            return Poll::Ready(Ok(a));
        }
        b.as_mut().poll(context).map(Err)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_nothing_is_left_to_do() {
        let executor = Executor::default();
        let seen = Arc::new(Mutex::new(vec![]));
        for (name, wait_s) in [("late", 3_600), ("soon", 1), ("also soon", 1)] {
            let (inner, seen) = (executor.clone(), seen.clone());
            executor.spawn(async move {
                inner.sleep(Duration::from_secs(wait_s)).await;
                seen.lock().unwrap().push((name, inner.now_us()));
            });
        }
        assert_eq!(executor.run(i64::MAX, 100), Ok(()));
        assert_eq!(*seen.lock().unwrap(), [("soon", 1_000_000), ("also soon", 1_000_000), ("late", 3_600_000_000)]);
    }

    /// The command looks into a broken seed in a thread of its runtime.
    #[tokio::test]
    async fn tasks_go_on_as_long_as_they_like_in_a_thread_of_a_runtime() {
        let executor = Executor::default();
        let came: Arc<Mutex<u32>> = Arc::default();
        let inner = came.clone();
        executor.spawn(async move {
            for _ in 0..1_000 {
                let (done, outcome) = tokio::sync::oneshot::channel();
                done.send(()).ok();
                drop(outcome.await);
                *inner.lock().unwrap() += 1;
            }
        });
        assert_eq!(executor.run(1, 10_000), Ok(()));
        assert_eq!(*came.lock().unwrap(), 1_000);
    }

    #[test]
    fn tasks_that_never_rest_are_noticed() {
        let executor = Executor::default();
        let inner = executor.clone();
        executor.spawn(async move {
            loop {
                inner.sleep(Duration::from_secs(60)).await;
            }
        });
        assert_eq!(executor.run(3_600_000_000, 1_000), Err(Restless::TooLong));
        for most_polls in [1_000, u64::MAX] {
            let executor = Executor::default();
            executor.spawn(std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Pending
            }));
            assert_eq!(executor.run(1, most_polls), Err(Restless::TooBusy));
        }
    }
}

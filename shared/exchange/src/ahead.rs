//! Work in numbered parts. Several threads do the parts in any order, and one thread takes the results in order. The threads can
//! run ahead only by a fixed number of parts.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The parts of some work.
#[derive(Debug)]
pub(crate) struct Ahead<T, E> {
    parts: u64,
    /// How many parts may be in work, or done and not taken.
    most: u64,
    state: Mutex<State<T, E>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T, E> {
    /// The next part to be worked at.
    next: u64,
    /// The next part to be taken.
    taken: u64,
    done: BTreeMap<u64, Result<T, E>>,
    /// What was taken, to be filled once more: fresh memory costs more than the work.
    used: Vec<T>,
    /// Nothing more is wanted, or it will not come.
    is_closed: bool,
}

impl<T: Default, E> Ahead<T, E> {
    /// Of `parts` parts, of which `most` may be in work, or done and not taken.
    pub(crate) fn new(parts: u64, most: u64) -> Self {
        let state = State { next: 0, taken: 0, done: BTreeMap::new(), used: Vec::new(), is_closed: false };
        Self { parts, most, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Works at part after part until there is none; `part` fills what it is given. To be called in several threads.
    pub(crate) fn work(&self, mut part: impl FnMut(u64, &mut T) -> Result<(), E>) {
        // No thread may wait for ever for a part that never comes.
        let _guard = Closing { ahead: self, is_after_panic_only: true };
        while let Some((number, mut filled)) = self.claim() {
            let result = part(number, &mut filled).map(|()| filled);
            self.lock().done.insert(number, result);
            self.changed.notify_all();
        }
    }

    /// Takes all parts in order. Ends early where `take` says so, or at the first part that failed, with its error.
    ///
    /// Must run in the scope of the threads that work: if one of them panics this returns, and the scope hands the panic on.
    pub(crate) fn take_all(&self, mut take: impl FnMut(&mut T) -> ControlFlow<()>) -> Result<(), E> {
        let _guard = Closing { ahead: self, is_after_panic_only: false };
        for number in 0..self.parts {
            let Some(part) = self.wait_for(number) else { break };
            let mut part = part?;
            if take(&mut part).is_break() {
                break;
            }
            let mut state = self.lock();
            state.taken = number + 1;
            state.used.push(part);
            drop(state);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// A part's number, and something to fill. Waits while too many are done and not taken; `None` when there is nothing more to do.
    fn claim(&self) -> Option<(u64, T)> {
        let waits = |state: &mut State<T, E>| {
            !state.is_closed && state.next < self.parts && state.next >= state.taken + self.most
        };
        let mut state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.is_closed || state.next >= self.parts {
            return None;
        }
        state.next += 1;
        Some((state.next - 1, state.used.pop().unwrap_or_default()))
    }

    fn wait_for(&self, number: u64) -> Option<Result<T, E>> {
        let waits = |state: &mut State<T, E>| !state.is_closed && !state.done.contains_key(&number);
        let mut state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        state.done.remove(&number)
    }

    /// No code that can panic runs while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes when it is dropped, so that no thread waits for one that has ended.
struct Closing<'a, T: Default, E> {
    ahead: &'a Ahead<T, E>,
    is_after_panic_only: bool,
}

impl<T: Default, E> Drop for Closing<'_, T, E> {
    fn drop(&mut self) {
        if !self.is_after_panic_only || thread::panicking() {
            self.ahead.lock().is_closed = true;
            self.ahead.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ahead;
    use std::{
        ops::ControlFlow,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicU64, Ordering},
        thread,
    };

    /// Takes parts that three threads fill with their number, until `until`.
    fn taken(parts: u64, fails: Option<u64>, until: u64) -> (Vec<u64>, Result<(), u64>) {
        let (ahead, begun) = (Ahead::new(parts, 4), AtomicU64::new(0));
        let mut taken = Vec::new();
        let result = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    ahead.work(|number, part: &mut u64| {
                        begun.fetch_add(1, Ordering::Relaxed);
                        *part = number;
                        if fails == Some(number) { Err(number) } else { Ok(()) }
                    });
                });
            }
            ahead.take_all(|&mut part| {
                assert!(begun.load(Ordering::Relaxed) <= taken.len() as u64 + 4, "they run too far ahead");
                taken.push(part);
                if part == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        (taken, result)
    }

    #[test]
    fn parts_are_taken_in_order_whoever_made_them() {
        assert_eq!(taken(1000, None, u64::MAX), ((0..1000).collect(), Ok(())));
        assert_eq!(taken(0, None, u64::MAX), (vec![], Ok(())));
    }

    #[test]
    fn the_first_failure_ends_it_after_the_parts_before_it() {
        assert_eq!(taken(1000, Some(17), u64::MAX), ((0..17).collect(), Err(17)));
    }

    #[test]
    fn who_takes_may_end_it() {
        assert_eq!(taken(1000, None, 9), ((0..10).collect(), Ok(())));
    }

    #[test]
    fn a_panic_on_either_side_reaches_the_caller() {
        for of_worker in [true, false] {
            let ahead = Ahead::<u64, ()>::new(100, 4);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                thread::scope(|scope| {
                    scope.spawn(|| {
                        ahead.work(|number, _| {
                            assert!(!of_worker || number < 7, "a worker");
                            Ok(())
                        });
                    });
                    let mut count = 0;
                    ahead.take_all(|_| {
                        count += 1;
                        assert!(of_worker || count < 7, "who takes");
                        ControlFlow::Continue(())
                    })
                })
            }));
            assert!(ended.is_err());
        }
    }
}

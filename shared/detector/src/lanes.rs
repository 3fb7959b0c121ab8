//! Lanes: each has a session and buffers for one inference, and is lent to one thread at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// As many as there may be inferences at the same time.
pub(crate) struct Lanes<T> {
    count: usize,
    /// Those that nobody uses now.
    free: Mutex<Vec<T>>,
    returned: Condvar,
}

/// One that nobody else uses; goes back when it is dropped, in a panic too.
pub(crate) struct Lent<'a, T> {
    lanes: &'a Lanes<T>,
    lane: Option<T>,
}

impl<T> Lanes<T> {
    /// These, of which there must be at least one.
    pub(crate) fn new(lanes: Vec<T>) -> Self {
        Self { count: lanes.len(), free: Mutex::new(lanes), returned: Condvar::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Waits until one is free.
    pub(crate) fn wait(&self) -> Lent<'_, T> {
        // A panic of another thread leaves at worst a half-written input, which the next inference overwrites.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = loop {
            match free.pop() {
                Some(lane) => break lane,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        Lent { lanes: self, lane: Some(lane) }
    }
}

impl<T> Lent<'_, T> {
    /// The lane; none only while it is given back.
    pub(crate) fn lane(&mut self) -> Option<&mut T> {
        self.lane.as_mut()
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut free = self.lanes.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.lane.take());
        self.lanes.returned.notify_one();
    }
}

//! Lanes: each has a session and buffers for one inference. One thread at a time uses a lane.

use std::sync::{Condvar, Mutex, PoisonError};

/// As many as there may be inferences at the same time.
pub(crate) struct Lanes<T> {
    count: usize,
    /// The free lanes.
    free: Mutex<Vec<T>>,
    returned: Condvar,
}

/// A lane that no other thread uses. It is returned when it is dropped, also in a panic.
pub(crate) struct Lent<'a, T> {
    lanes: &'a Lanes<T>,
    lane: Option<T>,
}

impl<T> Lanes<T> {
    /// Makes a set of these lanes. There must be at least one.
    pub(crate) fn new(lanes: Vec<T>) -> Self {
        Self { count: lanes.len(), free: Mutex::new(lanes), returned: Condvar::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Waits until one is free.
    pub(crate) fn wait(&self) -> Lent<'_, T> {
        // After a panic of another thread, an input can be half written. The next inference overwrites it.
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
    /// The lane. None only while it is returned.
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

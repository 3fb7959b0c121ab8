//! Shares the memory of a process among the pieces of work that run at the same time.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use trackdrop_pipeline::{Delivery, Failure};

/// A waiting thread reports progress this often. So it is not taken for stuck, and it notices when it must stop.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// A number of bytes that work can reserve. Clones share it. Segments with large pictures reserve more, so fewer of
/// them run at the same time. They wait in the order of arrival.
#[derive(Clone, Debug)]
pub struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: u64,
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

/// A reserved part of a room. Dropping it frees the part.
#[derive(Debug)]
#[must_use = "the room is given back when this is dropped"]
pub struct Taken {
    room: Room,
    bytes: u64,
}

impl Room {
    /// A room of `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        let state = State { free: bytes, waiting: VecDeque::new(), next_ticket: 0 };
        Self(Arc::new(Inner { bytes, state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Waits until `bytes` are free, and reserves them. It blocks. A request for more than the whole room waits until
    /// nothing is reserved, and gets the whole room. The caller must have refused work that can't fit.
    ///
    /// # Errors
    /// If the attempt was asked to stop.
    pub fn take(&self, bytes: u64, delivery: &Delivery) -> Result<Taken, Failure> {
        let bytes = bytes.min(self.0.bytes);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        while state.waiting.front() != Some(&ticket) || state.free < bytes {
            let (locked, _) = self.0.changed.wait_timeout(state, SIGN_OF_LIFE).unwrap_or_else(PoisonError::into_inner);
            state = locked;
            if let Err(failure) = delivery.step() {
                state.waiting.retain(|&other| other != ticket);
                self.0.changed.notify_all();
                return Err(failure);
            }
        }
        state.waiting.pop_front();
        state.free -= bytes;
        // There can be room for the next one, too.
        self.0.changed.notify_all();
        Ok(Taken { room: self.clone(), bytes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.lock().free += self.bytes;
        self.room.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn light_work_shares_the_room_and_heavy_work_has_it_alone() {
        let (room, delivery) = (Room::new(100), Delivery::new());
        let (one, two) = (room.take(40, &delivery).unwrap(), room.take(60, &delivery).unwrap());
        let (sender, done) = channel();
        std::thread::scope(|scope| {
            let (room, delivery) = (&room, &delivery);
            // More than there is counts as all of it.
            scope.spawn(move || {
                let _all = room.take(1_000, delivery).unwrap();
                sender.send(()).unwrap();
            });
            drop(one);
            assert!(done.try_recv().is_err(), "the other sixty are still taken");
            drop(two);
            done.recv().unwrap();
        });
        drop(room.take(100, &delivery).unwrap());
    }

    #[test]
    fn who_waits_hears_that_it_is_to_stop_and_holds_nobody_up() {
        let (room, delivery, other) = (Room::new(10), Delivery::new(), Delivery::new());
        let all = room.take(10, &delivery).unwrap();
        other.cancel();
        assert!(room.take(1, &other).is_err());
        drop(all);
        drop(room.take(10, &delivery).unwrap());
    }
}

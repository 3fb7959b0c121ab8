//! The clock that the flow reads: the clock of this machine, or one by which a simulation replaces it.

use crate::time::Timestamp;
use chrono::Utc;
use std::{cell::RefCell, marker::PhantomData, rc::Rc, time::Instant};

type Clock = Rc<dyn Fn() -> Timestamp>;

thread_local! {
    static IN_PLACE: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// While this value exists, its thread reads another clock. A simulation runs in one thread, so no other work is affected.
#[derive(Debug)]
#[must_use = "the clock is put back when this is dropped"]
pub struct ClockInPlace {
    /// The clock of one thread stays there.
    of_this_thread: PhantomData<*const ()>,
}

impl ClockInPlace {
    /// Replaces this machine's clock by `clock`.
    pub fn new(clock: impl Fn() -> Timestamp + 'static) -> Self {
        IN_PLACE.set(Some(Rc::new(clock)));
        Self { of_this_thread: PhantomData }
    }
}

impl Drop for ClockInPlace {
    fn drop(&mut self) {
        IN_PLACE.set(None);
    }
}

fn in_place() -> Option<Timestamp> {
    let clock = IN_PLACE.with_borrow(Clone::clone);
    clock.map(|clock| clock())
}

impl Timestamp {
    /// The current time of this machine's clock, or of the clock that replaces it.
    pub fn now() -> Self {
        in_place().unwrap_or_else(|| Self::from_micros(Utc::now().timestamp_micros()))
    }
}

/// Measures how long work takes. The result is not negative, even if the clock is set back.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    started_by_clock: Option<Timestamp>,
}

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Self {
        Self { started: Instant::now(), started_by_clock: in_place() }
    }

    /// Seconds since the start.
    pub fn seconds(self) -> f64 {
        match (self.started_by_clock, in_place()) {
            (Some(started), Some(now)) => now.seconds_since(started).max(0.0),
            _ => self.started.elapsed().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_clock_in_place_is_read_until_it_is_dropped() {
        let micros = Rc::new(Cell::new(5));
        let clock = micros.clone();
        let in_place = ClockInPlace::new(move || Timestamp::from_micros(clock.get()));
        let watch = Stopwatch::start();
        assert_eq!(Timestamp::now().micros(), 5);
        micros.set(2_000_005);
        assert_eq!(watch.seconds(), 2.0);
        micros.set(1);
        assert_eq!(watch.seconds(), 0.0, "set back");
        drop(in_place);
        assert!(Timestamp::now().micros() > 1_000_000_000_000_000);
    }
}

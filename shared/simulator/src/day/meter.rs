//! A limit on requests per second that grows with use, like that of a bucket.

/// Requests of one kind on one bucket.
///
/// Requests beyond the capacity wait: a client that gets 429 tries again until there is capacity. The capacity doubles
/// if one minute of the last ramp used more than half of it.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    capacity: f64,
    ramp_us: u64,
    /// Requests that wait for room, at `at_us`.
    waiting: f64,
    at_us: u64,
    minute: u64,
    in_minute: f64,
    busiest_minute: f64,
    ramp_ends_us: u64,
    /// Requests that had to wait.
    pub(crate) throttled: u64,
}

const MINUTE_US: u64 = 60_000_000;

impl Meter {
    pub(crate) fn new(a_second: f64, ramp_s: f64) -> Self {
        let ramp_us = (ramp_s * 1e6) as u64;
        Self {
            capacity: a_second,
            ramp_us,
            waiting: 0.0,
            at_us: 0,
            minute: 0,
            in_minute: 0.0,
            busiest_minute: 0.0,
            ramp_ends_us: ramp_us,
            throttled: 0,
        }
    }

    /// Takes `requests` requests; returns the microseconds until the last of them has had its turn.
    pub(crate) fn take(&mut self, now_us: u64, requests: u64) -> u64 {
        if requests == 0 {
            return 0;
        }
        self.ramp(now_us);
        // Events of one delivery may be charged a little ahead of others: time never goes back here.
        let passed_s = now_us.saturating_sub(self.at_us) as f64 / 1e6;
        self.at_us = self.at_us.max(now_us);
        self.waiting = (self.waiting - passed_s * self.capacity).max(0.0) + requests as f64;
        let minute = now_us / MINUTE_US;
        if minute != self.minute {
            (self.minute, self.in_minute) = (minute, 0.0);
        }
        self.in_minute += requests as f64;
        self.busiest_minute = self.busiest_minute.max(self.in_minute / 60.0);
        // A second's worth is taken at once.
        let beyond = self.waiting - self.capacity;
        if beyond <= 0.0 {
            return 0;
        }
        self.throttled += requests;
        (beyond / self.capacity * 1e6) as u64
    }

    fn ramp(&mut self, now_us: u64) {
        while now_us >= self.ramp_ends_us {
            if self.busiest_minute * 2.0 > self.capacity {
                self.capacity *= 2.0;
            }
            self.busiest_minute = 0.0;
            self.ramp_ends_us += self.ramp_us.max(1_000_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_capacity_waits_and_the_capacity_grows_with_use() {
        let mut meter = Meter::new(100.0, 1_200.0);
        assert_eq!(meter.take(0, 100), 0, "a second's worth at once");
        assert_eq!(meter.take(0, 100), 1_000_000, "the next second's worth a second later");
        assert_eq!(meter.take(10_000_000, 50), 0);
        for second in 0..1_300 {
            meter.take(20_000_000 + second * 1_000_000, 90);
        }
        assert_eq!(meter.capacity, 200.0, "doubled once in 20 minutes");
    }
}

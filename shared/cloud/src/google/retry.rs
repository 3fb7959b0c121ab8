//! Retries of calls.

use std::time::Duration;

/// Exponential backoff with full jitter, bounded in attempts and in time. Only idempotent calls are retried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    within: Duration,
}

impl Default for Retry {
    /// Retries for seconds only; for longer failures the delivery is redelivered.
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(8),
            // Counted from the first failure, because a call that ends by a timeout takes longer than this.
            within: Duration::from_secs(40),
        }
    }
}

impl Retry {
    /// Sets the number of attempts, including the first. At least one is made.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the waits: the first window and the longest one.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Sets the time after the first failure in which further attempts can begin.
    #[must_use]
    pub fn with_time_limit(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The wait after the `attempt`th failure (from 1), which is `elapsed` after the first one. None if it was the last
    /// attempt. `jitter` in [0, 1) chooses a point of the window.
    pub(super) fn wait(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let window = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(self.longest);
        let wait = window.mul_f64(jitter.clamp(0.0, 1.0));
        (elapsed + wait < self.within).then_some(wait)
    }
}

/// Whether another attempt can succeed after this answer.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_end_with_the_attempts_or_the_time() {
        let retry = Retry::default()
            .with_attempts(5)
            .with_backoff(Duration::from_secs(1), Duration::from_secs(3))
            .with_time_limit(Duration::from_secs(60));
        let longest =
            |attempt, elapsed| retry.wait(attempt, Duration::from_secs(elapsed), 1.0).map(|wait| wait.as_secs());
        assert_eq!([1, 2, 3, 4, 5].map(|attempt| longest(attempt, 0)), [Some(1), Some(2), Some(3), Some(3), None]);
        assert_eq!(longest(1, 59), None);
        assert_eq!(retry.wait(3, Duration::ZERO, 0.5), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(is_transient));
        assert!(![200, 304, 400, 401, 403, 404, 409, 412, 501].into_iter().any(is_transient));
    }
}

//! The autoscaler of workers that pull.

use super::{AUTOSCALES_EVERY_US, Day, Happening, SHRINK_AFTER, Stage, us};

impl Day<'_> {
    pub(super) fn autoscale(&mut self) {
        if self.is_over() {
            return;
        }
        self.tell(self.now_us + AUTOSCALES_EVERY_US, Happening::Autoscale);
        let at = Stage::Track as usize;
        let (deployment, subscription) = (&self.profile.deployment, &self.subscriptions[at]);
        let undelivered = subscription.waiting.len() + subscription.outstanding as usize;
        let oldest_us = subscription.waiting.front().map_or(0, |message| self.now_us - message.came_us);
        self.seen.push_back((undelivered, oldest_us));
        let measured_ago = (us(self.profile.limits.metrics_age_s) / AUTOSCALES_EVERY_US) as usize;
        let (undelivered, oldest_us) = match self.seen.len() > measured_ago {
            true => self.seen.pop_front().unwrap_or_default(),
            false => (0, 0),
        };
        let options = self.pools[at].options;
        let drain = deployment.drain_target_s * f64::from(options.concurrency);
        let by_backlog = undelivered as f64 * deployment.seconds_per_segment / drain;
        let by_age = oldest_us as f64 / 1e6 / deployment.drain_target_s * f64::from(options.max);
        let wanted = (by_backlog.max(by_age).ceil() as u32).clamp(options.min, options.max);
        self.wanted.push_back(wanted);
        if self.wanted.len() > SHRINK_AFTER {
            self.wanted.pop_front();
        }
        let (now_us, count) = (self.now_us, self.pools[at].count());
        // Twice as many or ten more in a minute; half as many in a minute, after five in which fewer were enough.
        let most = wanted.min(count + (count / 2).max(5));
        for _ in count..most {
            if let Some(place) = self.pools[at].start_one(now_us) {
                let up_us = now_us + self.pools[at].options.start_us;
                self.tell(up_us, Happening::Up { function: Stage::Track, place });
            }
        }
        let enough = self.wanted.iter().copied().max().unwrap_or_default();
        if self.wanted.len() == SHRINK_AFTER && enough < count {
            self.pools[at].stop_idle((count - enough).min((count / 4).max(1)), now_us);
        }
    }
}

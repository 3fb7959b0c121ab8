//! How a delivery comes to an instance and how it ends.

use super::{ANSWER_MARGIN_S, Day, Happening, Job, JobNumber, Message, Place, RequestNumber, Stage, us};

impl Day<'_> {
    pub(super) fn publish(&mut self, function: Stage, request: RequestNumber, segment: u32, at_us: u64) {
        let at_us = at_us + us(self.profile.times.event_s);
        self.tell(at_us, Happening::Deliver { function, request, segment, attempts: 0 });
    }

    /// Gives what waits to instances that have room, and starts more where deliveries do that.
    pub(super) fn hand_out(&mut self, function: Stage) {
        let at = function as usize;
        while let Some(&job) = self.pools[at].queue.front()
            && let Some(place) = self.pools[at].take(self.now_us)
        {
            self.pools[at].queue.pop_front();
            self.begin(job, place);
        }
        loop {
            let subscription = &self.subscriptions[at];
            let may_push = !subscription.is_pulled && f64::from(subscription.outstanding) < subscription.window;
            if subscription.waiting.is_empty() || !(may_push || subscription.is_pulled) {
                break;
            }
            let place = if self.pools[at].queue.is_empty() { self.pools[at].take(self.now_us) } else { None };
            if place.is_none() && subscription.is_pulled {
                break;
            }
            let Some(message) = self.subscriptions[at].waiting.pop_front() else { break };
            self.subscriptions[at].outstanding += 1;
            self.sums.deliveries[at] += 1;
            let job = self.new_job(function, message);
            match place {
                Some(place) => self.begin(job, place),
                None => {
                    self.pools[at].queue.push_back(job);
                    let (limits, start_us) = (&self.profile.limits, self.pools[at].options.start_us);
                    let patience_us = us(limits.queue_s).max((start_us as f64 * limits.queue_starts) as u64);
                    let serial = self.jobs[job as usize].serial;
                    self.tell(self.now_us + patience_us, Happening::TurnAway { function, job, serial });
                }
            }
        }
        while self.pools[at].wants_another()
            && let Some(place) = self.pools[at].start_one(self.now_us)
        {
            let at_us = self.now_us + self.pools[at].options.start_us;
            self.tell(at_us, Happening::Up { function, place });
        }
    }

    pub(super) fn new_job(&mut self, function: Stage, message: Message) -> JobNumber {
        let mut job = Job { function, message, serial: 0, place: 0, step: 0, began_us: 0 };
        match self.free_jobs.pop() {
            Some(number) => {
                job.serial = self.jobs[number as usize].serial + 1;
                self.jobs[number as usize] = job;
                number
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() as JobNumber - 1
            }
        }
    }

    pub(super) fn begin(&mut self, number: JobNumber, place: Place) {
        let now_us = self.now_us;
        let job = &mut self.jobs[number as usize];
        (job.place, job.began_us) = (place, now_us);
        // A room that was taken from the queue is no longer to be turned away.
        job.serial = job.serial.wrapping_add(1);
        let (function, message) = (job.function, job.message);
        self.sums.waited_us[function as usize] += u128::from(now_us - message.came_us);
        if function == Stage::Split && message.attempts == 0 {
            self.sums.to_split.note(now_us - self.requests[message.request as usize].uploaded_us);
        }
        self.step(number);
    }

    /// Cloud Run answers 429: the delivery counts as an attempt, and comes again after a while.
    pub(super) fn turn_away(&mut self, function: Stage, job: JobNumber, serial: u32) {
        let at = function as usize;
        if self.jobs[job as usize].serial != serial || self.pools[at].queue.front() != Some(&job) {
            return;
        }
        self.pools[at].queue.pop_front();
        self.sums.turned_away[at] += 1;
        self.comes_again(job);
        self.hand_out(function);
    }

    /// A delivery that failed: again after the backoff, or never.
    pub(super) fn comes_again(&mut self, job: JobNumber) {
        let Job { function, message, .. } = self.jobs[job as usize].clone();
        self.free_jobs.push(job);
        let subscription = &mut self.subscriptions[function as usize];
        subscription.outstanding -= 1;
        subscription.window = (subscription.window - 1.0).max(self.profile.limits.push_window_start);
        let attempts = message.attempts + 1;
        if attempts >= subscription.trigger.retry.attempts {
            let request = &mut self.requests[message.request as usize];
            let is_first = !std::mem::replace(&mut request.is_failed, true);
            // A request that has its rows lacks only its own row: it has not failed, and its end is not published.
            match request.has_rows {
                true => self.sums.untold += u64::from(is_first),
                false => self.sums.failed += u64::from(is_first),
            }
            return;
        }
        let wait = subscription.trigger.retry.backoff(attempts, self.random.f64());
        let Message { request, segment, .. } = message;
        let again = Happening::Deliver { function, request, segment, attempts };
        self.tell(self.now_us + wait.as_micros() as u64, again);
    }

    /// The room of a delivery is free again.
    pub(super) fn leave(&mut self, number: JobNumber) {
        let Job { function, place, began_us, .. } = self.jobs[number as usize];
        let at = function as usize;
        let worked_us = self.now_us - began_us;
        self.sums.worked_us[at] += u128::from(worked_us);
        let subscription = &self.subscriptions[at];
        let within_us = subscription.trigger.deadline_s.saturating_sub(ANSWER_MARGIN_S) * 1_000_000;
        self.sums.past_deadline[at] += u64::from(!subscription.is_pulled && worked_us > within_us);
        if let Some(version) = self.pools[at].give_back(place, self.now_us)
            && let Some(idle_us) = self.pools[at].options.idle_us
        {
            self.tell(self.now_us + idle_us, Happening::Idle { function, place, version });
        }
    }

    /// A delivery is acknowledged.
    pub(super) fn finish(&mut self, number: JobNumber) {
        self.leave(number);
        self.free_jobs.push(number);
        let function = self.jobs[number as usize].function;
        let subscription = &mut self.subscriptions[function as usize];
        subscription.outstanding -= 1;
        subscription.window = (subscription.window + 1.0).min(self.profile.limits.push_window);
        self.hand_out(function);
    }

    /// A delivery is returned.
    pub(super) fn fail(&mut self, number: JobNumber) {
        self.leave(number);
        let function = self.jobs[number as usize].function;
        self.comes_again(number);
        self.hand_out(function);
    }
}

//! The window of `load`.

use super::{ANSWER_MARGIN_S, Day, Happening, Loaded, Stage, WINDOW_AT_ONCE, ops};
use trackdrop_flow::end::ROWS_OF_A_WINDOW;

impl Day<'_> {
    /// What was loaded is let go and what waits is loaded, again and again until nothing waits.
    pub(super) fn gather(&mut self) {
        if self.is_window_open {
            return;
        }
        let pages = (self.gathered.len() + self.loaded.len()).div_ceil(1_000).max(1) as u64;
        let mut list = ops::window_gathers();
        list.work.list = pages;
        let mut at_us = self.now_us + self.spend(Stage::Load, list);
        let Some(let_go_us) = self.let_go() else { return };
        at_us += let_go_us;
        let files = self.gathered.len().min(self.profile.limits.load_files as usize);
        self.is_window_open = files > 0;
        if files == 0 {
            return self.gather_ends_at(at_us, false);
        }
        let reads = ops::window_reads() * files as u64;
        at_us += self.charge(Stage::Load, reads) + self.latency(reads) / WINDOW_AT_ONCE;
        at_us += self.spend(Stage::Load, ops::window_writes() + ops::load_job());
        match self.warehouse.load(Loaded::Tracks, at_us) {
            Some(done_us) => {
                self.in_window = self.gathered.drain(..files).collect();
                self.tell(done_us, Happening::WindowLoaded);
            }
            None => self.is_window_open = false,
        }
    }

    /// Between two windows of tracks, which come one after the other while requests keep coming.
    pub(super) fn gather_ends(&mut self) {
        if !self.is_window_open {
            self.gather_ends_at(self.now_us, true);
        }
    }

    /// One job records the requests that have ended; then their ends are published.
    fn gather_ends_at(&mut self, mut at_us: u64, is_between: bool) {
        let pages = self.ends.len().div_ceil(1_000).max(1) as u64;
        let mut list = ops::window_gathers();
        list.work.list = pages;
        at_us += self.spend(Stage::Load, list);
        let rows = self.ends.len().min(ROWS_OF_A_WINDOW);
        if rows == 0 {
            if is_between {
                self.tell(at_us, Happening::Gather);
            }
            return;
        }
        let reads = ops::window_reads_ends() * rows as u64;
        at_us += self.charge(Stage::Load, reads) + self.latency(reads) / WINDOW_AT_ONCE;
        at_us += self.spend(Stage::Load, ops::window_writes() + ops::record());
        if let Some(done_us) = self.warehouse.load(Loaded::Requests, at_us) {
            self.is_window_open = true;
            self.ends_in_window = self.ends.drain(..rows).collect();
            self.tell(done_us, Happening::EndsRecorded);
        }
    }

    pub(super) fn ends_recorded(&mut self) {
        let in_window = std::mem::take(&mut self.ends_in_window);
        let tellings = ops::window_tells_end() * in_window.len() as u64;
        let told_us = self.charge(Stage::Load, tellings) + self.latency(tellings) / WINDOW_AT_ONCE;
        for request in in_window {
            self.is_done(request, self.now_us + told_us);
        }
        let closed_us = told_us + self.spend(Stage::Load, ops::window_writes());
        self.tell(self.now_us + closed_us, Happening::Gather);
        self.is_window_open = false;
    }

    /// Ends what is loaded and waits for nothing else; gives the microseconds that it takes, or nothing where that is more than a delivery has: then
    /// it is asked to stop before it comes to what is to be loaded.
    pub(super) fn let_go(&mut self) -> Option<u64> {
        let each = ops::window_lets_go(self.profile.annotated);
        let each_us = self.latency(each + ops::end_waits(1)) / WINDOW_AT_ONCE;
        let deadline_s = self.subscriptions[Stage::Load as usize].trigger.deadline_s;
        let in_time = (deadline_s.saturating_sub(ANSWER_MARGIN_S) * 1_000_000 / each_us.max(1)) as usize;
        let (all, mut left) = (self.loaded.len(), self.loaded.len().min(in_time));
        let waited_us = self.charge(Stage::Load, each * left as u64);
        while left > 0
            && let Some(&request) = self.loaded.front()
        {
            if !self.profile.annotated || self.requests[request as usize].is_joined {
                self.end_waits(Stage::Load, request);
            }
            self.loaded.pop_front();
            left -= 1;
        }
        if all > in_time {
            self.sums.past_deadline[Stage::Load as usize] += 1;
            return None;
        }
        Some(waited_us + each_us * all as u64)
    }

    pub(super) fn window_loaded(&mut self) {
        let in_window = std::mem::take(&mut self.in_window);
        let marks = ops::mark_loaded() * in_window.len() as u64;
        for &(request, since_us) in &in_window {
            self.sums.window_us += u128::from(self.now_us - since_us);
            self.rows_exist(request);
        }
        self.loaded.extend(in_window.into_iter().map(|(request, _)| request));
        let marked_us = self.charge(Stage::Load, marks) + self.latency(marks) / WINDOW_AT_ONCE;
        let closed_us = marked_us + self.spend(Stage::Load, ops::window_writes());
        self.tell(self.now_us + closed_us, Happening::GatherEnds);
        self.is_window_open = false;
    }
}

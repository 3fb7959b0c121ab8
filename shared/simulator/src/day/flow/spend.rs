//! What operations take: their count, room in a bucket, time.

use super::{Day, Operations, PROGRESS_EVERY_US, RequestNumber, Stage, Verbs, ops, us};

impl Day<'_> {
    /// Counts operations and takes them from the buckets; gives the microseconds that they wait for room there.
    pub(super) fn charge(&mut self, function: Stage, operations: Operations) -> u64 {
        self.sums.operations[function as usize] += operations;
        let mut longest = 0;
        for (bucket, verbs) in [operations.uploads, operations.work, operations.results].into_iter().enumerate() {
            let [reads, writes] = &mut self.meters[bucket];
            longest = longest.max(reads.take(self.now_us, verbs.reads())).max(writes.take(self.now_us, verbs.writes()));
        }
        self.sums.throttled_us += u128::from(longest);
        longest
    }

    /// Microseconds of operations that are done one after the other.
    pub(super) fn latency(&self, operations: Operations) -> u64 {
        let times = &self.profile.times;
        let Verbs { stat, get, fetch, list, put, delete } = operations.objects();
        // A whole object is a stat and a download.
        let reads = (stat + 2 * (get + fetch) + delete) as f64 * times.read_s;
        us(reads + list as f64 * times.list_s + (put + delete + operations.publish) as f64 * times.write_s)
    }

    /// Both.
    pub(super) fn spend(&mut self, function: Stage, operations: Operations) -> u64 {
        self.charge(function, operations) + self.latency(operations)
    }

    /// Microseconds that bytes are on the way between an instance and a bucket.
    pub(super) fn transfer(&self, bytes: f64) -> u64 {
        us(bytes / self.profile.times.bytes_per_s)
    }

    /// When the manifest, which is due at this moment, can be written: an object takes a limited number of writes a second.
    pub(super) fn write_manifest(&mut self, request: RequestNumber, at_us: u64) -> u64 {
        let request = &mut self.requests[request as usize];
        let apart_us = us(1.0 / self.profile.limits.object_writes_per_s);
        let is_new = request.manifest_us == 0;
        let until_us = if is_new { at_us } else { at_us.max(request.manifest_us + apart_us) };
        self.sums.manifest_us += u128::from(until_us - at_us);
        request.manifest_us = until_us;
        until_us
    }

    /// Progress is written where it is due; gives the microseconds that it takes.
    pub(super) fn fold_progress(&mut self, function: Stage, request: RequestNumber) -> u64 {
        let written_us = self.requests[request as usize].manifest_us;
        if self.now_us.saturating_sub(written_us) < PROGRESS_EVERY_US {
            return 0;
        }
        self.sums.folds += 1;
        self.requests[request as usize].manifest_us = self.now_us;
        self.spend(function, ops::fold())
    }

    pub(super) fn segment_s(&self, request: RequestNumber, segment: u32) -> f64 {
        let (request, each_s) = (&self.requests[request as usize], self.profile.segment_seconds);
        if segment + 1 < request.segments {
            each_s
        } else {
            request.length_s - each_s * f64::from(request.segments - 1)
        }
    }
}

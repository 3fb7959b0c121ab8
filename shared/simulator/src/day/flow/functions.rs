//! What each function does, step by step.

use super::{
    DETECTION_BYTES, Day, Happening, JobNumber, Loaded, Message, Place, Request, RequestNumber, Stage, TRACK_BYTES,
    ops, shape, us,
};

impl Day<'_> {
    /// The next step of a delivery.
    pub(super) fn step(&mut self, number: JobNumber) {
        let job = &mut self.jobs[number as usize];
        let step = job.step;
        job.step += 1;
        let (function, message) = (job.function, job.message);
        match function {
            Stage::Split => self.split(number, message.request, step),
            Stage::Track => self.track(number, message, step),
            Stage::Merge => self.merge(number, message.request, step),
            Stage::Load => self.load(number, message.request, step),
            Stage::Annotate => self.annotate(number, message, step),
            Stage::Join => self.join(number, message.request, step),
        }
    }

    pub(super) fn step_at(&mut self, number: JobNumber, at_us: u64) {
        self.tell(at_us, Happening::Step { job: number });
    }

    /// What a chunk takes: it is cut while the ones before it are written.
    pub(super) fn chunk_us(&self, request: RequestNumber, segment: u32) -> (u64, u64) {
        let times = &self.profile.times;
        let bytes = self.segment_s(request, segment) * self.profile.video.bytes_per_s;
        let cut_us = self.transfer(bytes) + us(bytes / times.cut_bytes_per_s);
        (cut_us, us(times.write_s + times.read_s) + self.transfer(bytes))
    }

    pub(super) fn split(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let (now_us, segments) = (self.now_us, self.requests[request as usize].segments);
        if step == 0 {
            let begun_us = now_us + self.spend(Stage::Split, ops::split_begins());
            let planned_us = self.write_manifest(request, begun_us);
            let (cut_us, write_us) = self.chunk_us(request, 0);
            return self.step_at(number, planned_us + cut_us + write_us);
        }
        if step > segments {
            return self.finish(number);
        }
        // A chunk exists.
        let mut next_us = now_us + self.charge(Stage::Split, ops::split_chunk());
        self.publish(Stage::Track, request, step - 1, now_us);
        next_us += self.fold_progress(Stage::Split, request);
        if step < segments {
            let (cut_us, write_us) = self.chunk_us(request, step);
            return self.step_at(number, next_us + cut_us.max(write_us / trackdrop_split::WRITES_AT_ONCE as u64));
        }
        next_us += self.spend(Stage::Split, ops::split_ends());
        let ended_us = self.write_manifest(request, next_us);
        self.step_at(number, ended_us);
    }

    pub(super) fn track(&mut self, number: JobNumber, message: Message, step: u32) {
        let Message { request, segment, .. } = message;
        let segment_s = self.segment_s(request, segment);
        let frames = segment_s * self.profile.video.frame_rate;
        match step {
            0 => {
                let begun_us = self.spend(Stage::Track, ops::track_begins());
                let fetched_us = self.transfer(segment_s * self.profile.video.bytes_per_s);
                self.step_at(number, self.now_us + begun_us + fetched_us);
            }
            1 => {
                let place = self.jobs[number as usize].place;
                let next = self.gpus[place as usize].begin(number, frames, self.now_us, self.speeds);
                self.tell_gpu(place, next);
            }
            2 => {
                let ended_us = self.spend(Stage::Track, ops::segment_ends());
                let written_us = self.transfer(frames * self.profile.video.objects * DETECTION_BYTES);
                self.step_at(number, self.now_us + ended_us + written_us);
            }
            _ => {
                self.requests[request as usize].tracked += 1;
                let Request { tracked, segments, uploaded_us, .. } = self.requests[request as usize];
                if tracked == segments {
                    let marked_us = self.now_us + self.count_complete(Stage::Track, segments);
                    self.sums.to_tracked.note(marked_us - uploaded_us);
                    self.publish(Stage::Merge, request, 0, marked_us);
                }
                self.fold_progress(Stage::Track, request);
                self.finish(number);
            }
        }
    }

    pub(super) fn tell_gpu(&mut self, place: Place, next: Option<(u64, u32)>) {
        if let Some((at_us, version)) = next {
            self.tell(at_us, Happening::GpuDone { place, version });
        }
    }

    /// The markers of a stage that is complete; gives the microseconds that they take.
    pub(super) fn count_complete(&mut self, function: Stage, segments: u32) -> u64 {
        let groups = u64::from(ops::group_of(segments.saturating_sub(1))) + 1;
        self.charge(function, ops::group_complete(segments) * (groups - 1));
        let last = ops::group_complete(segments) + ops::stage_complete();
        self.spend(function, last)
    }

    pub(super) fn merge(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let (now_us, segments) = (self.now_us, self.requests[request as usize].segments);
        let (annotated, length_s) = (self.profile.annotated, self.requests[request as usize].length_s);
        let (video, times) = (&self.profile.video, &self.profile.times);
        let rows = length_s * video.frame_rate * video.objects;
        let each_rows = rows / f64::from(segments);
        // Both passes together do what one pass over 50 objects does in that time, twice.
        let work_us = (each_rows / 50.0 * times.merge_frame_us / 2.0) as u64;
        let read_us = us(2.0 * times.read_s) + self.transfer(each_rows * DETECTION_BYTES);
        let read_us = read_us / (trackdrop_merge::AT_ONCE as u64).min(u64::from(segments));
        let write_us = if annotated { us(times.write_s) + self.transfer(each_rows * TRACK_BYTES) } else { 0 };
        let write_us = write_us / (trackdrop_merge::AT_ONCE as u64).min(u64::from(segments));
        let each = u64::from(segments);
        if step == 0 {
            let begun_us = now_us + self.spend(Stage::Merge, ops::merge_begins());
            let begun_us = self.write_manifest(request, begun_us);
            let waited_us = self.charge(Stage::Merge, ops::merge_votes() * each);
            let voted_us = begun_us + waited_us + each * (work_us + read_us);
            if annotated {
                return self.step_at(number, voted_us);
            }
            let waited_us = self.charge(Stage::Merge, ops::merge_folds(false) * each);
            // The tracks of all segments at once: nobody waits for each.
            self.jobs[number as usize].step = segments + 1;
            return self.step_at(number, voted_us + waited_us + each * (work_us + read_us));
        }
        if step <= segments {
            let waited_us = self.charge(Stage::Merge, ops::merge_folds(true));
            let at_us = now_us + waited_us + (work_us + read_us).max(write_us);
            self.publish(Stage::Annotate, request, step - 1, at_us);
            return self.step_at(number, at_us);
        }
        if step == segments + 1 {
            let written_us = self.transfer(rows * (DETECTION_BYTES + TRACK_BYTES));
            let ended_us = now_us + written_us + self.spend(Stage::Merge, ops::merge_ends());
            let ended_us = self.write_manifest(request, ended_us);
            return self.step_at(number, ended_us);
        }
        self.sums.to_merged.note(now_us - self.requests[request as usize].uploaded_us);
        self.publish(Stage::Load, request, 0, now_us);
        self.finish(number);
    }

    pub(super) fn load(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let (annotated, now_us) = (self.profile.annotated, self.now_us);
        let is_by_window = self.profile.deployment.load_window_minutes > 0.0;
        match step {
            0 if is_by_window => {
                let waits_us = now_us + self.spend(Stage::Load, ops::load_waits());
                self.step_at(number, waits_us);
            }
            0 if self.requests[request as usize].has_rows => self.end(number, request),
            0 => {
                let begun_us = now_us + self.spend(Stage::Load, ops::load_begins() + ops::load_job());
                match self.warehouse.load(Loaded::Tracks, begun_us) {
                    Some(done_us) => self.step_at(number, done_us),
                    None => self.fail(number),
                }
            }
            1 if is_by_window => {
                self.gathered.push((request, now_us));
                self.finish(number);
            }
            1 => {
                self.rows_exist(request);
                self.charge(Stage::Load, ops::mark_loaded());
                self.charge(Stage::Load, ops::is_over(annotated));
                if annotated && !self.requests[request as usize].is_joined {
                    return self.finish(number);
                }
                self.end(number, request);
            }
            _ => self.ended(number, request),
        }
    }

    pub(super) fn rows_exist(&mut self, request: RequestNumber) {
        let request = &mut self.requests[request as usize];
        request.has_rows = true;
        self.sums.with_rows += 1;
        self.sums.rows.note(self.now_us - request.uploaded_us);
    }

    pub(super) fn annotate(&mut self, number: JobNumber, message: Message, step: u32) {
        let Message { request, segment, .. } = message;
        let segment_s = self.segment_s(request, segment);
        let video = &self.profile.video;
        match step {
            0 => {
                let bytes = segment_s * video.bytes_per_s;
                let of_each = shape(Stage::Annotate).0 / f64::from(self.pools[4].options.concurrency);
                let work_us = us(segment_s * video.frame_rate * video.annotate_ms / 1e3 / of_each);
                let moved_us = self.transfer(2.0 * bytes);
                let asked_us = self.spend(Stage::Annotate, ops::annotate_begins() + ops::segment_ends());
                self.step_at(number, self.now_us + asked_us + moved_us + work_us);
            }
            _ => {
                self.requests[request as usize].annotated += 1;
                let Request { annotated, segments, .. } = self.requests[request as usize];
                if annotated == segments {
                    let marked_us = self.now_us + self.count_complete(Stage::Annotate, segments);
                    self.publish(Stage::Join, request, 0, marked_us);
                }
                self.fold_progress(Stage::Annotate, request);
                self.finish(number);
            }
        }
    }

    pub(super) fn join(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let Request { segments, length_s, has_rows, is_joined, .. } = self.requests[request as usize];
        match step {
            0 if is_joined => self.end(number, request),
            0 => {
                let bytes = length_s * self.profile.video.bytes_per_s;
                let moved_us = self.transfer(2.0 * bytes) + us(bytes / self.profile.times.cut_bytes_per_s);
                let asked_us = self.spend(Stage::Join, ops::join_begins(segments) + ops::join_ends());
                self.step_at(number, self.now_us + asked_us + moved_us);
            }
            1 => {
                self.requests[request as usize].is_joined = true;
                let over = if has_rows { ops::is_over(true) } else { ops::is_not_loaded() };
                self.charge(Stage::Join, over);
                if !has_rows {
                    return self.finish(number);
                }
                // A window that lets it go later finds it over.
                self.loaded.retain(|&loaded| loaded != request);
                self.end(number, request);
            }
            _ => self.ended(number, request),
        }
    }

    /// A delivery ends its request: the row in `requests` is a load job of its own, or waits for a window.
    pub(super) fn end(&mut self, number: JobNumber, request: RequestNumber) {
        let function = self.jobs[number as usize].function;
        if self.profile.deployment.load_window_minutes > 0.0 {
            self.end_waits(function, request);
            return self.finish(number);
        }
        match self.record(function, request) {
            Some(at_us) => {
                // The step after this is the last one.
                self.jobs[number as usize].step = u32::MAX - 1;
                self.step_at(number, at_us);
            }
            None => self.fail(number),
        }
    }

    pub(super) fn record(&mut self, function: Stage, request: RequestNumber) -> Option<u64> {
        let segments = self.requests[request as usize].segments;
        let told_us = self.now_us + self.spend(function, ops::end(segments));
        let told_us = self.write_manifest(request, told_us);
        self.warehouse.load(Loaded::Requests, told_us)
    }

    pub(super) fn end_waits(&mut self, function: Stage, request: RequestNumber) {
        let segments = self.requests[request as usize].segments;
        self.charge(function, ops::end_waits(segments));
        self.ends.push(request);
    }

    pub(super) fn ended(&mut self, number: JobNumber, request: RequestNumber) {
        self.is_done(request, self.now_us);
        self.finish(number);
    }

    pub(super) fn is_done(&mut self, request: RequestNumber, at_us: u64) {
        self.sums.done += 1;
        self.sums.to_end.note(at_us - self.requests[request as usize].uploaded_us);
        self.free_requests.push(request);
    }
}

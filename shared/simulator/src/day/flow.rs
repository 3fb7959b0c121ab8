//! The day itself: moments on a heap, deliveries that begin, go on and end.

use super::{
    arrivals::Arrivals,
    gpu::{Gpu, Speeds},
    histogram::Histogram,
    meter::Meter,
    operations::{self as ops, Operations, Verbs},
    pool::{Place, Pool, PoolOptions},
    profile::{Profile, TrackDelivery},
    stages::{FUNCTIONS, Function, triggers},
    warehouse::{Jobs, Loaded},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};
use trackdrop_pipeline::trigger::{Trigger, TriggerError};

/// Nothing is waited for longer.
const LAST_US: u64 = 14 * 86_400_000_000;
/// Progress is written at most so often (`flow::manifest`).
const PROGRESS_EVERY_US: u64 = 5_000_000;
/// Requests that a window looks after at the same time (`load::window`).
const WINDOW_AT_ONCE: u64 = 16;
/// How often the autoscaler of workers that pull looks (Terraform's `pollingInterval`), and how long it waits before it takes workers away.
const LOOK_US: u64 = 30_000_000;
const SHRINK_AFTER_LOOKS: usize = 10;
/// A service gives up so long before Pub/Sub does (Terraform's `answer_margin_s`).
const ANSWER_MARGIN_S: u64 = 15;
/// Bytes of a row of detections, and of tracks: 160 and 203 MB of 5.4 million (`docs/tracking.md`).
const DETECTION_BYTES: f64 = 30.0;
const TRACK_BYTES: f64 = 38.0;

type RequestNumber = u32;
type JobNumber = u32;

#[derive(Clone, Debug, Default)]
struct Request {
    uploaded_us: u64,
    length_s: f64,
    segments: u32,
    tracked: u32,
    annotated: u32,
    /// When its manifest was last written.
    manifest_us: u64,
    has_rows: bool,
    is_joined: bool,
    is_failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    request: RequestNumber,
    segment: u32,
    attempts: u32,
    came_us: u64,
}

/// A delivery that an instance has, or that waits for one.
#[derive(Clone, Debug)]
struct Job {
    function: Function,
    message: Message,
    serial: u32,
    place: Place,
    step: u32,
    began_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Upload { length_ms: u64 },
    Deliver { function: Function, request: RequestNumber, segment: u32, attempts: u32 },
    TurnAway { function: Function, job: JobNumber, serial: u32 },
    Up { function: Function, place: Place },
    Idle { function: Function, place: Place, version: u32 },
    Step { job: JobNumber },
    GpuDone { place: Place, version: u32 },
    Look,
    Window,
    Gather,
    WindowLoaded,
}

#[derive(Debug)]
struct Subscription {
    trigger: Trigger,
    is_pulled: bool,
    waiting: VecDeque<Message>,
    /// Deliveries that are not answered yet.
    outstanding: u32,
    window: f64,
}

/// What is added up.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) events: [u64; 6],
    pub(crate) deliveries: [u64; 6],
    pub(crate) turned_away: [u64; 6],
    pub(crate) past_deadline: [u64; 6],
    /// From the event to an instance.
    pub(crate) waited_us: [u128; 6],
    /// In an instance's room.
    pub(crate) worked_us: [u128; 6],
    pub(crate) operations: [Operations; 6],
    pub(crate) folds: u64,
    pub(crate) manifest_us: u128,
    pub(crate) throttled_us: u128,
    pub(crate) window_us: u128,
    pub(crate) rows: Histogram,
    pub(crate) to_split: Histogram,
    pub(crate) to_tracked: Histogram,
    pub(crate) to_merged: Histogram,
    pub(crate) to_end: Histogram,
    pub(crate) uploaded: u64,
    pub(crate) with_rows: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Have their rows and no row in `requests`.
    pub(crate) untold: u64,
    pub(crate) video_s: f64,
    pub(crate) frames: f64,
    pub(crate) segments: u64,
    pub(crate) moments: u64,
    pub(crate) most_waiting: usize,
}

/// A day that goes on.
pub(crate) struct Day<'a> {
    profile: &'a Profile,
    now_us: u64,
    told: u64,
    heap: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    arrivals: Arrivals,
    random: fastrand::Rng,
    requests: Vec<Request>,
    free_requests: Vec<RequestNumber>,
    jobs: Vec<Job>,
    free_jobs: Vec<JobNumber>,
    pub(crate) pools: Vec<Pool>,
    subscriptions: Vec<Subscription>,
    gpus: Vec<Gpu>,
    pub(crate) speeds: Speeds,
    /// Reads and writes of each bucket.
    pub(crate) meters: [[Meter; 2]; 3],
    pub(crate) warehouse: Jobs,
    gathered: Vec<(RequestNumber, u64)>,
    in_window: Vec<(RequestNumber, u64)>,
    loaded: VecDeque<RequestNumber>,
    is_window_open: bool,
    /// What the autoscaler saw: how many waited, for how long the oldest one.
    seen: VecDeque<(usize, u64)>,
    wanted: VecDeque<u32>,
    pub(crate) sums: Sums,
    is_uploading: bool,
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

impl<'a> Day<'a> {
    pub(crate) fn new(profile: &'a Profile, seed: u64) -> Result<Self, TriggerError> {
        let (deployment, limits, times) = (&profile.deployment, &profile.limits, &profile.times);
        let mut pools = vec![];
        let mut subscriptions = vec![];
        for (function, trigger) in FUNCTIONS.into_iter().zip(triggers()?) {
            let is_gpu = function == Function::Track;
            let is_pulled = is_gpu && deployment.track_delivery == TrackDelivery::Pull;
            let max = match function {
                Function::Split => deployment.split_max_instances,
                Function::Track => deployment.gpus,
                Function::Merge => deployment.merge_max_instances,
                Function::Load => deployment.load_max_instances,
                Function::Annotate => deployment.annotate_max_instances,
                Function::Join => deployment.join_max_instances,
            };
            let min = match (deployment.all_started, is_gpu) {
                (true, _) => max,
                (false, true) => deployment.gpus_at_least,
                (false, false) => 0,
            };
            let idle_s = if is_gpu { limits.gpu_idle_s } else { limits.idle_s };
            pools.push(Pool::new(PoolOptions {
                min,
                max,
                concurrency: trigger.concurrency,
                start_us: us(if is_gpu { times.gpu_start_s } else { times.start_s }),
                idle_us: (!is_pulled && !deployment.all_started).then(|| us(idle_s)),
                starts_by_request: !is_pulled,
            }));
            let window = limits.push_window_start.min(limits.push_window);
            let waiting = VecDeque::new();
            subscriptions.push(Subscription { trigger, is_pulled, waiting, outstanding: 0, window });
        }
        let meter = |a_second| Meter::new(a_second, limits.bucket_doubles_every_s);
        let bucket = || [meter(limits.bucket_reads_per_s), meter(limits.bucket_writes_per_s)];
        let mut day = Self {
            profile,
            now_us: 0,
            told: 0,
            heap: BinaryHeap::new(),
            arrivals: Arrivals::new(profile, seed),
            random: fastrand::Rng::with_seed(seed),
            requests: vec![],
            free_requests: vec![],
            jobs: vec![],
            free_jobs: vec![],
            pools,
            subscriptions,
            gpus: vec![Gpu::default(); deployment.gpus as usize],
            speeds: Speeds::new(profile),
            meters: [bucket(), bucket(), bucket()],
            warehouse: Jobs::new(limits, times.load_job_s),
            gathered: vec![],
            in_window: vec![],
            loaded: VecDeque::new(),
            is_window_open: false,
            seen: VecDeque::new(),
            wanted: VecDeque::new(),
            sums: Sums::default(),
            is_uploading: true,
        };
        day.next_upload();
        if deployment.track_delivery == TrackDelivery::Pull {
            day.tell(LOOK_US, Happening::Look);
        }
        if deployment.load_window_minutes > 0.0 {
            day.tell(us(deployment.load_window_minutes * 60.0), Happening::Window);
        }
        Ok(day)
    }

    /// Goes on until nothing is left to do; gives the moment.
    pub(crate) fn run(&mut self) -> u64 {
        while let Some(Reverse((at_us, _, happening))) = self.heap.pop() {
            if at_us > LAST_US {
                break;
            }
            self.now_us = at_us;
            self.sums.moments += 1;
            self.happens(happening);
        }
        self.now_us
    }

    fn tell(&mut self, at_us: u64, happening: Happening) {
        self.told += 1;
        self.heap.push(Reverse((at_us, self.told, happening)));
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Upload { length_ms } => self.upload(length_ms as f64 / 1e3),
            Happening::Deliver { function, request, segment, attempts } => {
                self.sums.events[function as usize] += u64::from(attempts == 0);
                let message = Message { request, segment, attempts, came_us: self.now_us };
                let subscription = &mut self.subscriptions[function as usize];
                subscription.waiting.push_back(message);
                self.sums.most_waiting = self.sums.most_waiting.max(subscription.waiting.len());
                self.hand_out(function);
            }
            Happening::TurnAway { function, job, serial } => self.turn_away(function, job, serial),
            Happening::Up { function, place } => {
                self.pools[function as usize].up(place);
                self.hand_out(function);
            }
            Happening::Idle { function, place, version } => {
                self.pools[function as usize].stop_if_idle(place, version, self.now_us);
            }
            Happening::Step { job } => self.step(job),
            Happening::GpuDone { place, version } => {
                if let Some((done, next)) = self.gpus[place as usize].done(version, self.now_us, self.speeds) {
                    self.tell_gpu(place, next);
                    done.into_iter().for_each(|job| self.step(job));
                }
            }
            Happening::Look => self.look(),
            Happening::Window => {
                let every_us = us(self.profile.deployment.load_window_minutes * 60.0);
                if !self.is_over() {
                    self.tell(self.now_us + every_us, Happening::Window);
                }
                self.gather();
            }
            Happening::Gather => self.gather(),
            Happening::WindowLoaded => self.window_loaded(),
        }
    }

    fn is_over(&self) -> bool {
        let over = self.free_requests.len() as u64 + self.sums.failed + self.sums.untold;
        !self.is_uploading && over == self.requests.len() as u64
    }

    // --- Uploads ---------------------------------------------------------------------------------------------------------------------------

    fn next_upload(&mut self) {
        match self.arrivals.next() {
            Some((at_us, length_s)) => self.tell(at_us, Happening::Upload { length_ms: (length_s * 1e3) as u64 }),
            None => self.is_uploading = false,
        }
    }

    fn upload(&mut self, length_s: f64) {
        let segments = (length_s / self.profile.segment_seconds - 1e-9).ceil().max(1.0) as u32;
        let request = Request { uploaded_us: self.now_us, length_s, segments, ..Request::default() };
        let number = match self.free_requests.pop() {
            Some(number) => {
                self.requests[number as usize] = request;
                number
            }
            None => {
                self.requests.push(request);
                self.requests.len() as RequestNumber - 1
            }
        };
        self.sums.uploaded += 1;
        self.sums.video_s += length_s;
        self.sums.frames += length_s * self.profile.video.frame_rate;
        self.sums.segments += u64::from(segments);
        self.publish(Function::Split, number, 0, self.now_us);
        self.next_upload();
    }

    // --- Deliveries ------------------------------------------------------------------------------------------------------------------------

    fn publish(&mut self, function: Function, request: RequestNumber, segment: u32, at_us: u64) {
        let at_us = at_us + us(self.profile.times.event_s);
        self.tell(at_us, Happening::Deliver { function, request, segment, attempts: 0 });
    }

    /// Gives what waits to instances that have room, and starts more where deliveries do that.
    fn hand_out(&mut self, function: Function) {
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

    fn new_job(&mut self, function: Function, message: Message) -> JobNumber {
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

    fn begin(&mut self, number: JobNumber, place: Place) {
        let now_us = self.now_us;
        let job = &mut self.jobs[number as usize];
        (job.place, job.began_us) = (place, now_us);
        // A room that was taken from the queue is no longer to be turned away.
        job.serial = job.serial.wrapping_add(1);
        let (function, message) = (job.function, job.message);
        self.sums.waited_us[function as usize] += u128::from(now_us - message.came_us);
        if function == Function::Split && message.attempts == 0 {
            self.sums.to_split.note(now_us - self.requests[message.request as usize].uploaded_us);
        }
        self.step(number);
    }

    /// Cloud Run answers 429: the delivery counts as an attempt, and comes again after a while.
    fn turn_away(&mut self, function: Function, job: JobNumber, serial: u32) {
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
    fn comes_again(&mut self, job: JobNumber) {
        let Job { function, message, .. } = self.jobs[job as usize].clone();
        self.free_jobs.push(job);
        let subscription = &mut self.subscriptions[function as usize];
        subscription.outstanding -= 1;
        subscription.window = (subscription.window - 1.0).max(self.profile.limits.push_window_start);
        let attempts = message.attempts + 1;
        if attempts >= subscription.trigger.retry.attempts {
            let request = &mut self.requests[message.request as usize];
            let is_first = !std::mem::replace(&mut request.is_failed, true);
            // What has its rows only lacks its own row: it has not failed, and is not told to be over.
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
    fn leave(&mut self, number: JobNumber) {
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
    fn finish(&mut self, number: JobNumber) {
        self.leave(number);
        self.free_jobs.push(number);
        let function = self.jobs[number as usize].function;
        let subscription = &mut self.subscriptions[function as usize];
        subscription.outstanding -= 1;
        subscription.window = (subscription.window + 1.0).min(self.profile.limits.push_window);
        self.hand_out(function);
    }

    /// A delivery is handed back.
    fn fail(&mut self, number: JobNumber) {
        self.leave(number);
        let function = self.jobs[number as usize].function;
        self.comes_again(number);
        self.hand_out(function);
    }

    // --- What operations take --------------------------------------------------------------------------------------------------------------

    /// Counts operations and takes them from the buckets; gives the microseconds that they wait for room there.
    fn charge(&mut self, function: Function, operations: Operations) -> u64 {
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
    fn latency(&self, operations: Operations) -> u64 {
        let times = &self.profile.times;
        let Verbs { stat, get, fetch, list, put, delete } = operations.objects();
        // A whole object is a look and a download.
        let reads = (stat + 2 * (get + fetch) + delete) as f64 * times.read_s;
        us(reads + list as f64 * times.list_s + (put + delete + operations.publish) as f64 * times.write_s)
    }

    /// Both.
    fn spend(&mut self, function: Function, operations: Operations) -> u64 {
        self.charge(function, operations) + self.latency(operations)
    }

    /// Microseconds that bytes are on the way between an instance and a bucket.
    fn transfer(&self, bytes: f64) -> u64 {
        us(bytes / self.profile.times.bytes_per_s)
    }

    /// When the manifest can be written, which is about to be at this moment: an object takes so many writes a second.
    fn write_manifest(&mut self, request: RequestNumber, at_us: u64) -> u64 {
        let request = &mut self.requests[request as usize];
        let apart_us = us(1.0 / self.profile.limits.object_writes_per_s);
        let is_new = request.manifest_us == 0;
        let until_us = if is_new { at_us } else { at_us.max(request.manifest_us + apart_us) };
        self.sums.manifest_us += u128::from(until_us - at_us);
        request.manifest_us = until_us;
        until_us
    }

    /// Progress is written where it is due; gives the microseconds that it takes.
    fn fold_progress(&mut self, function: Function, request: RequestNumber) -> u64 {
        let written_us = self.requests[request as usize].manifest_us;
        if self.now_us.saturating_sub(written_us) < PROGRESS_EVERY_US {
            return 0;
        }
        self.sums.folds += 1;
        self.requests[request as usize].manifest_us = self.now_us;
        self.spend(function, ops::fold())
    }

    fn segment_s(&self, request: RequestNumber, segment: u32) -> f64 {
        let (request, each_s) = (&self.requests[request as usize], self.profile.segment_seconds);
        if segment + 1 < request.segments {
            each_s
        } else {
            request.length_s - each_s * f64::from(request.segments - 1)
        }
    }

    // --- The functions ---------------------------------------------------------------------------------------------------------------------

    /// The next step of a delivery.
    fn step(&mut self, number: JobNumber) {
        let job = &mut self.jobs[number as usize];
        let step = job.step;
        job.step += 1;
        let (function, message) = (job.function, job.message);
        match function {
            Function::Split => self.split(number, message.request, step),
            Function::Track => self.track(number, message, step),
            Function::Merge => self.merge(number, message.request, step),
            Function::Load => self.load(number, message.request, step),
            Function::Annotate => self.annotate(number, message, step),
            Function::Join => self.join(number, message.request, step),
        }
    }

    fn step_at(&mut self, number: JobNumber, at_us: u64) {
        self.tell(at_us, Happening::Step { job: number });
    }

    /// What a chunk takes: it is cut while the ones before it are written.
    fn chunk_us(&self, request: RequestNumber, segment: u32) -> (u64, u64) {
        let times = &self.profile.times;
        let bytes = self.segment_s(request, segment) * self.profile.video.bytes_per_s;
        let cut_us = self.transfer(bytes) + us(bytes / times.cut_bytes_per_s);
        (cut_us, us(times.write_s + times.read_s) + self.transfer(bytes))
    }

    fn split(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let (now_us, segments) = (self.now_us, self.requests[request as usize].segments);
        if step == 0 {
            let begun_us = now_us + self.spend(Function::Split, ops::split_begins());
            let planned_us = self.write_manifest(request, begun_us);
            let (cut_us, write_us) = self.chunk_us(request, 0);
            return self.step_at(number, planned_us + cut_us + write_us);
        }
        if step > segments {
            return self.finish(number);
        }
        // A chunk stands.
        let mut next_us = now_us + self.charge(Function::Split, ops::split_chunk());
        self.publish(Function::Track, request, step - 1, now_us);
        next_us += self.fold_progress(Function::Split, request);
        if step < segments {
            let (cut_us, write_us) = self.chunk_us(request, step);
            return self.step_at(number, next_us + cut_us.max(write_us / trackdrop_split::WRITES_AT_ONCE as u64));
        }
        next_us += self.spend(Function::Split, ops::split_ends());
        let ended_us = self.write_manifest(request, next_us);
        self.step_at(number, ended_us);
    }

    fn track(&mut self, number: JobNumber, message: Message, step: u32) {
        let Message { request, segment, .. } = message;
        let segment_s = self.segment_s(request, segment);
        let frames = segment_s * self.profile.video.frame_rate;
        match step {
            0 => {
                let begun_us = self.spend(Function::Track, ops::track_begins());
                let fetched_us = self.transfer(segment_s * self.profile.video.bytes_per_s);
                self.step_at(number, self.now_us + begun_us + fetched_us);
            }
            1 => {
                let place = self.jobs[number as usize].place;
                let next = self.gpus[place as usize].begin(number, frames, self.now_us, self.speeds);
                self.tell_gpu(place, next);
            }
            2 => {
                let ended_us = self.spend(Function::Track, ops::segment_ends());
                let written_us = self.transfer(frames * self.profile.video.objects * DETECTION_BYTES);
                self.step_at(number, self.now_us + ended_us + written_us);
            }
            _ => {
                self.requests[request as usize].tracked += 1;
                let Request { tracked, segments, uploaded_us, .. } = self.requests[request as usize];
                if tracked == segments {
                    let marked_us = self.now_us + self.count_complete(Function::Track, segments);
                    self.sums.to_tracked.note(marked_us - uploaded_us);
                    self.publish(Function::Merge, request, 0, marked_us);
                }
                self.fold_progress(Function::Track, request);
                self.finish(number);
            }
        }
    }

    fn tell_gpu(&mut self, place: Place, next: Option<(u64, u32)>) {
        if let Some((at_us, version)) = next {
            self.tell(at_us, Happening::GpuDone { place, version });
        }
    }

    /// The markers of a stage that is complete; gives the microseconds that they take.
    fn count_complete(&mut self, function: Function, segments: u32) -> u64 {
        let groups = u64::from(ops::group_of(segments.saturating_sub(1))) + 1;
        self.charge(function, ops::group_complete(segments) * (groups - 1));
        let last = ops::group_complete(segments) + ops::stage_complete();
        self.spend(function, last)
    }

    fn merge(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
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
            let begun_us = now_us + self.spend(Function::Merge, ops::merge_begins());
            let begun_us = self.write_manifest(request, begun_us);
            let waited_us = self.charge(Function::Merge, ops::merge_votes() * each);
            let voted_us = begun_us + waited_us + each * (work_us + read_us);
            if annotated {
                return self.step_at(number, voted_us);
            }
            let waited_us = self.charge(Function::Merge, ops::merge_folds(false) * each);
            // The tracks of all segments at once: nobody waits for each.
            self.jobs[number as usize].step = segments + 1;
            return self.step_at(number, voted_us + waited_us + each * (work_us + read_us));
        }
        if step <= segments {
            let waited_us = self.charge(Function::Merge, ops::merge_folds(true));
            let at_us = now_us + waited_us + (work_us + read_us).max(write_us);
            self.publish(Function::Annotate, request, step - 1, at_us);
            return self.step_at(number, at_us);
        }
        if step == segments + 1 {
            let written_us = self.transfer(rows * (DETECTION_BYTES + TRACK_BYTES));
            let ended_us = now_us + written_us + self.spend(Function::Merge, ops::merge_ends());
            let ended_us = self.write_manifest(request, ended_us);
            return self.step_at(number, ended_us);
        }
        self.sums.to_merged.note(now_us - self.requests[request as usize].uploaded_us);
        self.publish(Function::Load, request, 0, now_us);
        self.finish(number);
    }

    fn load(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let (annotated, now_us) = (self.profile.annotated, self.now_us);
        let is_by_window = self.profile.deployment.load_window_minutes > 0.0;
        match step {
            0 if is_by_window => {
                let waits_us = now_us + self.spend(Function::Load, ops::load_waits());
                self.step_at(number, waits_us);
            }
            0 if self.requests[request as usize].has_rows => self.end(number, request),
            0 => {
                let begun_us = now_us + self.spend(Function::Load, ops::load_begins() + ops::load_job());
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
                self.rows_stand(request);
                self.charge(Function::Load, ops::mark_loaded());
                self.charge(Function::Load, ops::is_over(annotated));
                if annotated && !self.requests[request as usize].is_joined {
                    return self.finish(number);
                }
                self.end(number, request);
            }
            _ => self.ended(number, request),
        }
    }

    fn rows_stand(&mut self, request: RequestNumber) {
        let request = &mut self.requests[request as usize];
        request.has_rows = true;
        self.sums.with_rows += 1;
        self.sums.rows.note(self.now_us - request.uploaded_us);
    }

    fn annotate(&mut self, number: JobNumber, message: Message, step: u32) {
        let Message { request, segment, .. } = message;
        let segment_s = self.segment_s(request, segment);
        let video = &self.profile.video;
        match step {
            0 => {
                let bytes = segment_s * video.bytes_per_s;
                let of_each = Function::Annotate.shape().0 / f64::from(self.pools[4].options.concurrency);
                let work_us = us(segment_s * video.frame_rate * video.annotate_ms / 1e3 / of_each);
                let moved_us = self.transfer(2.0 * bytes);
                let asked_us = self.spend(Function::Annotate, ops::annotate_begins() + ops::segment_ends());
                self.step_at(number, self.now_us + asked_us + moved_us + work_us);
            }
            _ => {
                self.requests[request as usize].annotated += 1;
                let Request { annotated, segments, .. } = self.requests[request as usize];
                if annotated == segments {
                    let marked_us = self.now_us + self.count_complete(Function::Annotate, segments);
                    self.publish(Function::Join, request, 0, marked_us);
                }
                self.fold_progress(Function::Annotate, request);
                self.finish(number);
            }
        }
    }

    fn join(&mut self, number: JobNumber, request: RequestNumber, step: u32) {
        let Request { segments, length_s, has_rows, is_joined, .. } = self.requests[request as usize];
        match step {
            0 if is_joined => self.end(number, request),
            0 => {
                let bytes = length_s * self.profile.video.bytes_per_s;
                let moved_us = self.transfer(2.0 * bytes) + us(bytes / self.profile.times.cut_bytes_per_s);
                let asked_us = self.spend(Function::Join, ops::join_begins(segments) + ops::join_ends());
                self.step_at(number, self.now_us + asked_us + moved_us);
            }
            1 => {
                self.requests[request as usize].is_joined = true;
                let over = if has_rows { ops::is_over(true) } else { ops::is_not_loaded() };
                self.charge(Function::Join, over);
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

    /// A delivery ends its request: the row in `requests` is a load job of its own.
    fn end(&mut self, number: JobNumber, request: RequestNumber) {
        let function = self.jobs[number as usize].function;
        match self.record(function, request) {
            Some(at_us) => {
                // The step after this is the last one.
                self.jobs[number as usize].step = u32::MAX - 1;
                self.step_at(number, at_us);
            }
            None => self.fail(number),
        }
    }

    fn record(&mut self, function: Function, request: RequestNumber) -> Option<u64> {
        let segments = self.requests[request as usize].segments;
        let told_us = self.now_us + self.spend(function, ops::end(segments));
        let told_us = self.write_manifest(request, told_us);
        self.warehouse.load(Loaded::Requests, told_us)
    }

    fn ended(&mut self, number: JobNumber, request: RequestNumber) {
        self.is_done(request, self.now_us);
        self.finish(number);
    }

    fn is_done(&mut self, request: RequestNumber, at_us: u64) {
        self.sums.done += 1;
        self.sums.to_end.note(at_us - self.requests[request as usize].uploaded_us);
        self.free_requests.push(request);
    }

    // --- The window of `load` --------------------------------------------------------------------------------------------------------------

    /// What was loaded is let go and what waits is loaded, again and again until nothing waits.
    fn gather(&mut self) {
        if self.is_window_open {
            return;
        }
        let annotated = self.profile.annotated;
        let pages = (self.gathered.len() + self.loaded.len()).div_ceil(1_000).max(1) as u64;
        let mut list = ops::window_gathers();
        list.work.list = pages;
        let mut at_us = self.now_us + self.spend(Function::Load, list);
        let Some(let_go_us) = self.let_go() else { return };
        at_us += let_go_us;
        let files = self.gathered.len().min(self.profile.limits.load_files as usize);
        self.is_window_open = files > 0;
        if files == 0 {
            return;
        }
        let looks = ops::window_looks() * files as u64;
        at_us += self.charge(Function::Load, looks) + self.latency(looks) / WINDOW_AT_ONCE;
        at_us += self.spend(Function::Load, ops::window_writes() + ops::load_job());
        match self.warehouse.load(Loaded::Tracks, at_us) {
            Some(done_us) => {
                self.in_window = self.gathered.drain(..files).collect();
                self.tell(done_us, Happening::WindowLoaded);
            }
            None => self.is_window_open = false,
        }
    }

    /// Ends what is loaded and waits for nothing else; gives the microseconds that it takes, or nothing where that is more than a delivery has: then it is
    /// asked to stop before it comes to what is to be loaded.
    fn let_go(&mut self) -> Option<u64> {
        let each = ops::window_lets_go(self.profile.annotated);
        let each_us = self.latency(each + ops::end(1)) / WINDOW_AT_ONCE;
        let deadline_s = self.subscriptions[Function::Load as usize].trigger.deadline_s;
        let in_time = (deadline_s.saturating_sub(ANSWER_MARGIN_S) * 1_000_000 / each_us.max(1)) as usize;
        let (all, mut left) = (self.loaded.len(), self.loaded.len().min(in_time));
        let waited_us = self.charge(Function::Load, each * left as u64);
        while left > 0
            && let Some(&request) = self.loaded.front()
        {
            if !self.profile.annotated || self.requests[request as usize].is_joined {
                // Where a quota is used up they wait on, for a day with jobs left; each tells all but its row again.
                let Some(done_us) = self.record(Function::Load, request) else {
                    self.charge(Function::Load, ops::end(1) * (left as u64 - 1));
                    break;
                };
                self.is_done(request, done_us);
            }
            self.loaded.pop_front();
            left -= 1;
        }
        if all > in_time {
            self.sums.past_deadline[Function::Load as usize] += 1;
            return None;
        }
        Some(waited_us + each_us * all as u64)
    }

    fn window_loaded(&mut self) {
        let in_window = std::mem::take(&mut self.in_window);
        let marks = ops::mark_loaded() * in_window.len() as u64;
        for &(request, since_us) in &in_window {
            self.sums.window_us += u128::from(self.now_us - since_us);
            self.rows_stand(request);
        }
        self.loaded.extend(in_window.into_iter().map(|(request, _)| request));
        let marked_us = self.charge(Function::Load, marks) + self.latency(marks) / WINDOW_AT_ONCE;
        let closed_us = marked_us + self.spend(Function::Load, ops::window_writes());
        // The next pass looks again at once.
        self.tell(self.now_us + closed_us, Happening::Gather);
        self.is_window_open = false;
    }

    // --- The autoscaler of workers that pull -----------------------------------------------------------------------------------------------

    fn look(&mut self) {
        if self.is_over() {
            return;
        }
        self.tell(self.now_us + LOOK_US, Happening::Look);
        let at = Function::Track as usize;
        let (deployment, subscription) = (&self.profile.deployment, &self.subscriptions[at]);
        let undelivered = subscription.waiting.len() + subscription.outstanding as usize;
        let oldest_us = subscription.waiting.front().map_or(0, |message| self.now_us - message.came_us);
        self.seen.push_back((undelivered, oldest_us));
        let looks_old = (us(self.profile.limits.metrics_age_s) / LOOK_US) as usize;
        let (undelivered, oldest_us) = match self.seen.len() > looks_old {
            true => self.seen.pop_front().unwrap_or_default(),
            false => (0, 0),
        };
        let options = self.pools[at].options;
        let drain = deployment.drain_target_s * f64::from(options.concurrency);
        let by_backlog = undelivered as f64 * deployment.seconds_per_segment / drain;
        let by_age = oldest_us as f64 / 1e6 / deployment.drain_target_s * f64::from(options.max);
        let wanted = (by_backlog.max(by_age).ceil() as u32).clamp(options.min, options.max);
        self.wanted.push_back(wanted);
        if self.wanted.len() > SHRINK_AFTER_LOOKS {
            self.wanted.pop_front();
        }
        let (now_us, count) = (self.now_us, self.pools[at].count());
        // Twice as many or ten more in a minute; half as many in a minute, after five in which fewer were enough.
        let most = wanted.min(count + (count / 2).max(5));
        for _ in count..most {
            if let Some(place) = self.pools[at].start_one(now_us) {
                let up_us = now_us + self.pools[at].options.start_us;
                self.tell(up_us, Happening::Up { function: Function::Track, place });
            }
        }
        let enough = self.wanted.iter().copied().max().unwrap_or_default();
        if self.wanted.len() == SHRINK_AFTER_LOOKS && enough < count {
            self.pools[at].stop_idle((count - enough).min((count / 4).max(1)), now_us);
        }
    }
}

//! The day itself: moments on a heap, deliveries that begin, continue and end.

mod autoscaler;
mod delivery;
mod functions;
mod spend;
mod window;

use super::{
    arrivals::Arrivals,
    gpu::{Gpu, Speeds},
    histogram::Histogram,
    meter::Meter,
    operations::{self as ops, Operations, Verbs},
    pool::{Place, Pool, PoolOptions},
    profile::{Profile, TrackDelivery},
    stages::{shape, triggers},
    warehouse::{Jobs, Loaded},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};
use trackdrop_pipeline::{
    Stage,
    trigger::{Trigger, TriggerError},
};

/// Nothing is waited for longer.
const LAST_US: u64 = 14 * 86_400_000_000;
/// Progress is written at most so often (`flow::manifest`).
const PROGRESS_EVERY_US: u64 = 5_000_000;
/// Requests that a window looks after at the same time.
const WINDOW_AT_ONCE: u64 = trackdrop_flow::window::AT_ONCE as u64;
/// How often the autoscaler of workers that pull looks (Terraform's `pollingInterval`), and how long it waits before it takes workers away.
const AUTOSCALES_EVERY_US: u64 = 30_000_000;
const SHRINK_AFTER: usize = 10;
/// A service abandons a delivery this long before Pub/Sub does (Terraform's `answer_margin_s`).
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
    function: Stage,
    message: Message,
    serial: u32,
    place: Place,
    step: u32,
    began_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Upload { length_ms: u64 },
    Deliver { function: Stage, request: RequestNumber, segment: u32, attempts: u32 },
    TurnAway { function: Stage, job: JobNumber, serial: u32 },
    Up { function: Stage, place: Place },
    Idle { function: Stage, place: Place, version: u32 },
    Step { job: JobNumber },
    GpuDone { place: Place, version: u32 },
    Autoscale,
    Window,
    Gather,
    WindowLoaded,
    GatherEnds,
    EndsRecorded,
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

/// A day that is being simulated.
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
    /// Ends that wait for the next window, and those of the open one.
    ends: Vec<RequestNumber>,
    ends_in_window: Vec<RequestNumber>,
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
        for (function, trigger) in Stage::ALL.into_iter().zip(triggers()?) {
            let is_gpu = function == Stage::Track;
            let is_pulled = is_gpu && deployment.track_delivery == TrackDelivery::Pull;
            let max = match function {
                Stage::Split => deployment.split_max_instances,
                Stage::Track => deployment.gpus,
                Stage::Merge => deployment.merge_max_instances,
                Stage::Load => deployment.load_max_instances,
                Stage::Annotate => deployment.annotate_max_instances,
                Stage::Join => deployment.join_max_instances,
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
            ends: vec![],
            ends_in_window: vec![],
            is_window_open: false,
            seen: VecDeque::new(),
            wanted: VecDeque::new(),
            sums: Sums::default(),
            is_uploading: true,
        };
        day.next_upload();
        if deployment.track_delivery == TrackDelivery::Pull {
            day.tell(AUTOSCALES_EVERY_US, Happening::Autoscale);
        }
        if deployment.load_window_minutes > 0.0 {
            day.tell(us(deployment.load_window_minutes * 60.0), Happening::Window);
        }
        Ok(day)
    }

    /// Runs until nothing is left to do; returns the moment of the end.
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
            Happening::Autoscale => self.autoscale(),
            Happening::Window => {
                let every_us = us(self.profile.deployment.load_window_minutes * 60.0);
                if !self.is_over() {
                    self.tell(self.now_us + every_us, Happening::Window);
                }
                self.gather();
            }
            Happening::Gather => self.gather(),
            Happening::WindowLoaded => self.window_loaded(),
            Happening::GatherEnds => self.gather_ends(),
            Happening::EndsRecorded => self.ends_recorded(),
        }
    }

    fn is_over(&self) -> bool {
        let over = self.free_requests.len() as u64 + self.sums.failed + self.sums.untold;
        !self.is_uploading && over == self.requests.len() as u64
    }

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
        self.publish(Stage::Split, number, 0, self.now_us);
        self.next_upload();
    }
}

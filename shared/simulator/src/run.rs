//! One run: a scenario, a source of faults, and the result.

use crate::{
    after::{After, Dropped},
    bus::Bus,
    check,
    executor::{Executor, Restless},
    fault::{Fate, Fault, Placed},
    flaw::Flaw,
    memory::{MemoryCloud, State},
    scenario::{Rates, Scenario, Upload},
    world::World,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use trackdrop_cloud::PutOptions;
use trackdrop_flow::blocking::AtOnce;
use trackdrop_pipeline::{
    Bucket, Event, Manifest,
    clock::ClockInPlace,
    names::{Marker, ObjectName, ResultFile},
    settings::METADATA_KEY,
    trigger::TriggerError,
};

/// Nothing waits longer than this. The slowest message is late, and fails all its attempts, as does the handler of dead
/// letters.
pub(crate) const LAST_US: i64 = 30 * 24 * 3_600 * 1_000_000;
/// The scheduler starts nothing after this time. It is longer than any request can stall.
const LAST_TICK_US: i64 = 14 * 24 * 3_600 * 1_000_000;
/// So often at equal intervals, and then more and more rarely.
const TICKS_AT_FIRST: u32 = 100;
const MOST_POLLS: u64 = 200_000_000;

/// Why a simulation could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The folder for temporary files can't be made.
    #[error("making a folder for temporary files: {0}")]
    Scratch(#[from] std::io::Error),
    /// A trigger file can't be read.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A hash of everything that happened, in order: two runs with the same one were the same.
    pub log_hash: u64,
    /// What happened, line by line, if it was requested.
    pub log: Vec<String>,
    /// The faults that occurred, in order.
    pub faults: Vec<Placed>,
    /// The broken rules.
    pub broken: Vec<String>,
    /// Every place of an operation, in order, if it was requested.
    pub places: Vec<String>,
    /// Requests that ended as done.
    pub done: usize,
    /// Requests that ended as failed.
    pub failed: usize,
    /// Operations on the cloud by function.
    pub operations: BTreeMap<String, u64>,
    /// Virtual seconds that it took.
    pub seconds: f64,
    /// Steps of its tasks: how much work it was, the same on every machine.
    pub steps: u64,
}

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'a> {
    pub(crate) seed: u64,
    /// These faults instead of those of the scenario's rates.
    pub(crate) faults: Option<&'a [Placed]>,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) with_log: bool,
    pub(crate) with_places: bool,
}

/// Runs a scenario, and checks its result.
pub(crate) fn run(scenario: &Scenario, options: Options<'_>) -> Result<Outcome, SimulationError> {
    let (mut outcome, after) = run_unchecked(scenario, options)?;
    let mut expected = BTreeMap::new();
    for dropped in &after.dropped {
        expected.insert(dropped.request.clone(), undisturbed(&dropped.upload)?);
    }
    outcome.broken.extend(check::all(&after, &expected));
    let is_done = |dropped: &&Dropped| check::state_of(&after.state, &dropped.request) == Some("done");
    outcome.done = after.dropped.iter().filter(is_done).count();
    outcome.failed = after.dropped.len() - outcome.done;
    Ok(outcome)
}

/// The results of runs without faults, by upload. The size is limited, so that a million runs need no more memory than
/// a thousand.
struct Known {
    states: BTreeMap<String, Arc<State>>,
    objects: usize,
}

/// How many objects the cached undisturbed runs may have, all together.
const MOST_OBJECTS_KEPT: usize = 20_000;

/// The results of the upload without faults.
fn undisturbed(upload: &Upload) -> Result<Arc<State>, SimulationError> {
    static KNOWN: Mutex<Known> = Mutex::new(Known { states: BTreeMap::new(), objects: 0 });
    let key = format!("{upload:?}");
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(state) = known().states.get(&key) {
        return Ok(state.clone());
    }
    let (_, after) = run_unchecked(&Scenario::undisturbed(upload), Options::default())?;
    let state = Arc::new(after.state);
    let mut known = known();
    if known.objects > MOST_OBJECTS_KEPT {
        *known = Known { states: BTreeMap::new(), objects: 0 };
    }
    known.objects += state.objects.len();
    known.states.insert(key, state.clone());
    Ok(state)
}

fn run_unchecked(scenario: &Scenario, options: Options<'_>) -> Result<(Outcome, After), SimulationError> {
    let executor = Executor::default();
    let listener: Arc<Mutex<Option<Arc<Bus>>>> = Arc::default();
    let of_memory = listener.clone();
    let memory = MemoryCloud::new(Arc::new(move |event, topic| {
        let bus = of_memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bus) = bus {
            bus.send(&event, topic);
        }
    }))?;
    let fate = match options.faults {
        Some(faults) => Fate::given(options.seed, faults),
        None => Fate::drawn(options.seed, scenario.rates),
    };
    let world = Arc::new(World::new(executor.clone(), memory, fate, options.flaw, scenario.rough));
    {
        let mut record = world.record();
        record.lines = options.with_log.then(Vec::new);
        record.places = options.with_places.then(Vec::new);
    }
    let bus = Bus::new(world.clone(), scenario.load_window_s.is_some(), scenario.sweep_every_s.is_some())?;
    let bus = Arc::new(bus);
    *listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(bus.clone());
    let of_world = world.clone();
    let _clock = ClockInPlace::new(move || of_world.wall_clock());
    let _at_once = AtOnce::begin();
    let users = Users { world: world.clone(), bus, dropped: Arc::default() };
    users.begin(scenario);
    let rest = executor.run(LAST_US, MOST_POLLS);
    if let Err(restless) = rest {
        let why = match restless {
            Restless::TooLong => "something still waits after 30 days",
            Restless::TooBusy => "the handlers keep each other busy for ever",
        };
        world.broken(why.to_owned());
    }
    // The bus listens to the cloud that it holds: without this the two would keep each other for ever.
    *listener.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let dropped = std::mem::take(&mut *users.lock());
    let mut record = std::mem::take(&mut *world.record());
    let faults = world.fate.fired();
    let files_left = world.memory.files_left()?;
    if rest.is_ok() && files_left > 0 {
        record.broken.push(format!("{files_left} temporary files are left"));
    }
    let outcome = Outcome {
        log_hash: record.log_hash(),
        log: record.lines.take().unwrap_or_default(),
        faults: faults.clone(),
        broken: record.broken,
        places: record.places.unwrap_or_default(),
        done: 0,
        failed: 0,
        operations: record.operations,
        seconds: executor.now_us() as f64 / 1e6,
        steps: executor.steps(),
    };
    let state = world.memory.state();
    let (tries, told_again, killed, given_up) = (record.tries, record.told_again, record.killed, record.given_up);
    Ok((outcome, After { state, dropped, faults, tries, told_again, killed, given_up }))
}

/// Uploads, deletions, and faults of machines.
#[derive(Clone)]
struct Users {
    world: Arc<World>,
    bus: Arc<Bus>,
    dropped: Arc<Mutex<Vec<Dropped>>>,
}

impl Users {
    fn lock(&self) -> MutexGuard<'_, Vec<Dropped>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, scenario: &Scenario) {
        for upload in scenario.uploads.clone() {
            let users = self.clone();
            self.at(upload.at_s * 1_000, move || users.upload(upload));
        }
        for (at_ms, name) in scenario.deletions.clone() {
            let users = self.clone();
            self.at(at_ms, move || {
                users.take_away(&name);
                users.world.memory.remove(&ObjectName::new(Bucket::Uploads, name.clone()));
            });
        }
        let last_s = scenario.uploads.iter().map(|upload| upload.at_s).max().unwrap_or_default();
        for (every_s, event) in
            [(scenario.load_window_s, Event::LoadWindow {}), (scenario.sweep_every_s, Event::RequestsSweep {})]
        {
            if let Some(every_s) = every_s {
                self.tick(every_s, event, last_s);
            }
        }
        for (nth, at_ms) in scenario.deaths_ms.iter().copied().enumerate() {
            let users = self.clone();
            self.at(at_ms, move || {
                let draw = |rates: &Rates, _: &mut fastrand::Rng| (rates.operation > 0.0).then_some(Fault::HostDies);
                if users.world.fate.strikes(&format!("host death {nth}"), None, draw).is_some() {
                    users.world.log(format_args!("every running handler dies"));
                    users.bus.host_dies();
                }
            });
        }
        if let Some((at_ms, seconds)) = scenario.clock_set_back {
            let users = self.clone();
            self.at(at_ms, move || {
                let draw = |rates: &Rates, _: &mut fastrand::Rng| {
                    (rates.operation > 0.0).then_some(Fault::ClockSetBack(seconds))
                };
                if let Some(Fault::ClockSetBack(seconds)) = users.world.fate.strikes("the clock", None, draw) {
                    users.world.set_clock_back(seconds);
                }
            });
        }
    }

    fn at(&self, at_ms: i64, act: impl FnOnce() + Send + 'static) {
        let executor = self.world.executor.clone();
        self.world.executor.spawn(async move {
            executor.sleep_until(at_ms * 1_000).await;
            act();
        });
    }

    /// The clock starts a function again and again until every request is over. If a request hangs, the interval grows, and at last the clock stops.
    fn tick(&self, every_s: u64, event: Event, last_upload_s: i64) {
        let (users, executor) = (self.clone(), self.world.executor.clone());
        self.world.executor.spawn(async move {
            let mut wait = Duration::from_secs(every_s);
            for nth in 1.. {
                executor.sleep(wait).await;
                if executor.now_us() > last_upload_s * 1_000_000 && users.all_is_over()
                    || executor.now_us() > LAST_TICK_US
                {
                    return;
                }
                users.bus.tick(&event, nth);
                if nth > TICKS_AT_FIRST {
                    wait = wait.mul_f64(1.2);
                }
            }
        });
    }

    fn all_is_over(&self) -> bool {
        let is_over = |dropped: &Dropped| self.world.memory.look_at(&Marker::Ended.object(&dropped.request)).is_ok();
        self.lock().iter().all(is_over)
    }

    fn upload(&self, upload: Upload) {
        self.take_away(&upload.name);
        let settings = serde_json::to_string(&upload.settings).unwrap_or_default();
        let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), settings)]);
        let options = PutOptions { metadata, ..PutOptions::default() };
        match self.world.memory.write(&upload.object(), upload.text.clone().into(), options) {
            Ok(info) => {
                if let Some(request) = info.finalized().request() {
                    self.world.log(format_args!("{} is uploaded: {request}", info.object));
                    self.lock().push(Dropped { upload, info, request, taken_away: false });
                }
            }
            Err(error) => self.world.broken(format!("the upload itself fails: {error}")),
        }
    }

    /// What was uploaded under this name goes. A request that has no more use for it must not mind.
    fn take_away(&self, name: &str) {
        for dropped in self.lock().iter_mut().filter(|dropped| dropped.upload.name == name) {
            self.world.log(format_args!("the upload of {} goes", dropped.request));
            dropped.taken_away |= self.needs_upload(dropped);
        }
    }

    fn needs_upload(&self, dropped: &Dropped) -> bool {
        let read = |file: ResultFile| self.world.memory.read(&file.object(&dropped.request));
        let is_cut = read(ResultFile::Manifest).is_ok_and(|(_, json)| {
            let manifest: Option<Manifest> = serde_json::from_slice(&json).ok();
            manifest.is_some_and(|manifest| manifest.segments.iter().all(|segment| segment.sha256.is_some()))
        });
        let is_joined = !dropped.upload.settings.video || read(ResultFile::AnnotatedVideo).is_ok();
        !(is_cut && is_joined)
    }
}

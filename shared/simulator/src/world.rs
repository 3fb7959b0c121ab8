//! The common state of a run: the cloud in memory, the clock, the faults, and the record of what happened.

use crate::{
    executor::Executor,
    fault::{Fate, Fnv},
    flaw::Flaw,
    memory::MemoryCloud,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use trackdrop_cloud::StorageError;
use trackdrop_pipeline::{RequestId, Timestamp, names::ObjectName};

/// 2026-01-01: when every simulation begins.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

/// What a store answers when an object is written more often than once a second.
pub(crate) const TOO_MANY: &str = "429: more than one write a second";

/// What all parts of a run share.
pub(crate) struct World {
    pub(crate) executor: Executor,
    pub(crate) memory: MemoryCloud,
    pub(crate) fate: Fate,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) rough: bool,
    record: Mutex<Record>,
}

/// A delivery that was abandoned after its last attempt.
#[derive(Clone, Debug)]
pub(crate) struct GivenUp {
    pub(crate) message: String,
    pub(crate) request: Option<RequestId>,
    pub(crate) reason: String,
    /// Attempts that no fault used up.
    pub(crate) unexplained: Vec<u32>,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Record {
    log: Fnv,
    pub(crate) lines: Option<Vec<String>>,
    /// Rules that were broken during the run.
    pub(crate) broken: Vec<String>,
    /// By message and result: the deliveries that tried to write it.
    pub(crate) tries: BTreeMap<(String, String), BTreeSet<String>>,
    /// Every place where an operation was done, in order.
    pub(crate) places: Option<Vec<String>>,
    /// Objects whose events the sweeper published again.
    pub(crate) told_again: Vec<ObjectName>,
    /// Deliveries that were abandoned after their last attempt.
    pub(crate) given_up: Vec<GivenUp>,
    /// Deliveries that died with their host.
    pub(crate) killed: Vec<String>,
    /// Operations by the name of the function.
    pub(crate) operations: BTreeMap<String, u64>,
    /// When each name was last written, for the limit of one write a second.
    last_write_us: BTreeMap<ObjectName, i64>,
    clock_set_back_us: i64,
}

impl Record {
    pub(crate) fn log_hash(&self) -> u64 {
        self.log.0
    }
}

impl World {
    pub(crate) fn new(executor: Executor, memory: MemoryCloud, fate: Fate, flaw: Option<Flaw>, rough: bool) -> Self {
        Self { executor, memory, fate, flaw, rough, record: Mutex::default() }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual wall clock.
    pub(crate) fn wall_clock(&self) -> Timestamp {
        let set_back_us = self.record().clock_set_back_us;
        Timestamp::from_micros(BEGINNING_US + self.executor.now_us() - set_back_us)
    }

    pub(crate) fn set_clock_back(&self, seconds: u64) {
        self.record().clock_set_back_us += seconds as i64 * 1_000_000;
    }

    /// Records what happened. Two runs are the same if their records are the same.
    pub(crate) fn log(&self, what: std::fmt::Arguments<'_>) {
        let line = format!("{:>14.6} {what}", self.executor.now_us() as f64 / 1e6);
        let mut record = self.record();
        record.log.take(line.as_bytes());
        if let Some(lines) = &mut record.lines {
            lines.push(line);
        }
    }

    pub(crate) fn broken(&self, rule: String) {
        self.log(format_args!("BROKEN: {rule}"));
        self.record().broken.push(rule);
    }

    /// One write a second of an object: an attempt sooner than that answers 429.
    pub(crate) fn too_many_writes(&self, object: &ObjectName) -> Option<StorageError> {
        let now_us = self.executor.now_us();
        let last_us = *self.record().last_write_us.get(object)?;
        (now_us < last_us + 1_000_000)
            .then(|| StorageError::Unavailable { doing: format!("writing {object}"), reason: TOO_MANY.to_owned() })
    }

    pub(crate) fn wrote(&self, object: &ObjectName) {
        let now_us = self.executor.now_us();
        self.record().last_write_us.insert(object.clone(), now_us);
    }
}

//! Which faults occur, and where: chosen by the seed, or given as a list.

use crate::scenario::Rates;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An operation fails and had no effect.
    ErrorBefore,
    /// An operation has its effect, but its caller gets an error.
    ErrorAfter,
    /// An operation has its effect, the answer is lost, and the client does it again.
    DoneTwice,
    /// An operation answers late, by this many milliseconds.
    Delay(u64),
    /// The handler's process dies before an operation has its effect.
    CrashBefore,
    /// The handler's process dies after an operation had its effect.
    CrashAfter,
    /// A message arrives late, by this many milliseconds.
    Late(u64),
    /// A message is delivered a second time, on its own.
    Duplicate,
    /// The event of a new object is lost.
    Lost,
    /// A handler succeeded, but its acknowledgement is lost.
    AckLost,
    /// Every handler that runs at this moment dies.
    HostDies,
    /// The clock is set back by this many seconds.
    ClockSetBack(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorBefore => write!(f, "error, no effect"),
            Self::ErrorAfter => write!(f, "error after the effect"),
            Self::DoneTwice => write!(f, "answer lost, done again by the client"),
            Self::Delay(ms) => write!(f, "answers {:.1} s late", *ms as f64 / 1e3),
            Self::CrashBefore => write!(f, "crash before the effect"),
            Self::CrashAfter => write!(f, "crash after the effect"),
            Self::Late(ms) => write!(f, "arrives {:.1} s late", *ms as f64 / 1e3),
            Self::Duplicate => write!(f, "delivered twice"),
            Self::Lost => write!(f, "lost"),
            Self::AckLost => write!(f, "acknowledgement lost"),
            Self::HostDies => write!(f, "every running handler dies"),
            Self::ClockSetBack(seconds) => write!(f, "the clock is set back by {seconds} s"),
        }
    }
}

/// The faults at an operation, in the order that a test of each of them takes.
pub const AT_AN_OPERATION: [Fault; 6] = [
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::DoneTwice,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Delay(700_000),
];

/// A fault and its place. The place names the operation and not the time. So it is found again in a run with fewer
/// faults.
pub type Placed = (String, Fault);

/// Decides which faults occur. The same place in the same run always gets the same decision, whatever else happens,
/// because a decision depends on the seed and the place, and not on one stream of random numbers.
pub(crate) struct Fate {
    seed: u64,
    source: FaultSource,
    state: Mutex<State>,
}

enum FaultSource {
    Drawn(Rates),
    Given(BTreeMap<String, Fault>),
}

#[derive(Default)]
struct State {
    fired: Vec<Placed>,
    /// By message: which of its attempts faults have used up.
    used_up: BTreeMap<String, BTreeSet<u32>>,
}

/// A message, which of its attempts it is about, and how many of them faults may use up.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) message: String,
    pub(crate) nth: u32,
    pub(crate) attempts: u32,
}

impl Fate {
    pub(crate) fn drawn(seed: u64, rates: Rates) -> Self {
        Self { seed, source: FaultSource::Drawn(rates), state: Mutex::default() }
    }

    pub(crate) fn given(seed: u64, faults: &[Placed]) -> Self {
        Self { seed, source: FaultSource::Given(faults.iter().cloned().collect()), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults that occurred, in order.
    pub(crate) fn fired(&self) -> Vec<Placed> {
        self.lock().fired.clone()
    }

    /// A source of randomness for one place.
    pub(crate) fn random(&self, place: &str) -> fastrand::Rng {
        let mut hash = Fnv::default();
        hash.take(&self.seed.to_le_bytes());
        hash.take(place.as_bytes());
        fastrand::Rng::with_seed(hash.0)
    }

    /// The fault at a place, if any: `draw` chooses one where faults are drawn.
    pub(crate) fn strikes(
        &self,
        place: &str,
        budget: Option<&Budget>,
        draw: impl FnOnce(&Rates, &mut fastrand::Rng) -> Option<Fault>,
    ) -> Option<Fault> {
        let fault = match &self.source {
            FaultSource::Drawn(rates) => draw(rates, &mut self.random(&format!("fault {place}")))?,
            FaultSource::Given(faults) => *faults.get(place)?,
        };
        if let Some(budget) = budget.filter(|_| fault.uses_an_attempt_up())
            && !self.use_up(budget)
        {
            return None;
        }
        self.lock().fired.push((place.to_owned(), fault));
        Some(fault)
    }

    /// Uses up this attempt of a message. False if it must not be used up. An attempt that is lost already does not
    /// count again.
    pub(crate) fn use_up(&self, budget: &Budget) -> bool {
        let mut state = self.lock();
        let used = state.used_up.entry(budget.message.clone()).or_default();
        if used.contains(&budget.nth) {
            return true;
        }
        if used.len() as u64 >= u64::from(budget.attempts) {
            return false;
        }
        used.insert(budget.nth)
    }

    /// Attempts of a message, from 1 to the last one, that no fault used up.
    pub(crate) fn not_used_up(&self, message: &str, last: u32) -> Vec<u32> {
        let state = self.lock();
        let used = state.used_up.get(message);
        (1..=last).filter(|nth| used.is_none_or(|used| !used.contains(nth))).collect()
    }

    /// The fault at an operation.
    pub(crate) fn at_operation(&self, place: &str, budget: &Budget) -> Option<Fault> {
        self.strikes(place, Some(budget), |rates, random| {
            if random.f64() >= rates.operation {
                return None;
            }
            Some(match random.u8(..100) {
                0..20 => Fault::ErrorBefore,
                20..40 => Fault::ErrorAfter,
                40..50 => Fault::DoneTwice,
                50..62 => Fault::CrashBefore,
                62..75 => Fault::CrashAfter,
                75..92 => Fault::Delay(random.u64(50..5_000)),
                _ => Fault::Delay(random.u64(600_000..1_400_000)),
            })
        })
    }
}

impl Fault {
    /// Whether this fault can cause the work of a delivery to be done again.
    pub(crate) fn repeats_work(self) -> bool {
        self.uses_an_attempt_up() || self == Self::Duplicate
    }

    fn uses_an_attempt_up(self) -> bool {
        match self {
            Self::ErrorBefore | Self::ErrorAfter | Self::CrashBefore | Self::CrashAfter | Self::AckLost => true,
            Self::Delay(ms) => Duration::from_millis(ms) > Duration::from_secs(60),
            Self::DoneTwice | Self::Late(_) | Self::Lost | Self::Duplicate | Self::HostDies | Self::ClockSetBack(_) => {
                false
            }
        }
    }
}

/// FNV-1a: small, and the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

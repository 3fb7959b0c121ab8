//! `trackdrop simulate`: the whole flow in a simulation that tries to break it.

use crate::{args::SimulateArguments, output::line};
use anyhow::bail;
use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use trackdrop_simulator::{
    SimulationError,
    counter::{Counter, measure},
    explain, simulate as simulate_seed,
};

/// What the counter is measured with.
const COMPLETIONS: [u32; 4] = [10, 100, 1_000, 10_000];
/// How many runs there are between two lines of progress.
const TELL_EVERY: u64 = 10_000;

/// Sums over all runs.
#[derive(Default)]
struct Sums {
    next: u64,
    done: usize,
    failed: usize,
    faults: usize,
    virtual_s: f64,
    broken: Vec<u64>,
}

pub(crate) fn simulate(arguments: &SimulateArguments) -> anyhow::Result<ExitCode> {
    if arguments.counter {
        return counter();
    }
    let sums = Mutex::new(Sums::default());
    let stop = AtomicBool::new(false);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A run stays in one thread, with a clock of its own; runs are independent of each other.
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| run_seeds(arguments, &sums, &stop))).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(outcome) => Ok(outcome?),
            Err(_) => bail!("a simulation panicked"),
        })
    })?;
    let mut sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    sums.broken.sort_unstable();
    if let Some(&seed) = sums.broken.first() {
        line!(
            "{}",
            explain(seed, None)?.unwrap_or_else(|| format!("seed {seed} broke a rule once and then not again"))
        );
        bail!("{} of {} seeds break the flow; the first is {seed}", sums.broken.len(), sums.next);
    }
    line!("{} runs from seed {}: no rule was broken", sums.next, arguments.seed);
    line!("{} requests done, {} failed with a reason", sums.done, sums.failed);
    line!("{} faults in {:.0} virtual hours", sums.faults, sums.virtual_s / 3_600.0);
    Ok(ExitCode::SUCCESS)
}

fn run_seeds(arguments: &SimulateArguments, sums: &Mutex<Sums>, stop: &AtomicBool) -> Result<(), SimulationError> {
    let lock = || sums.lock().unwrap_or_else(PoisonError::into_inner);
    while !stop.load(Ordering::Relaxed) {
        let seed = {
            let mut sums = lock();
            if sums.next >= arguments.runs {
                break;
            }
            sums.next += 1;
            if sums.next.is_multiple_of(TELL_EVERY) {
                eprintln!("{} of {} runs", sums.next, arguments.runs);
            }
            arguments.seed.wrapping_add(sums.next - 1)
        };
        let outcome = simulate_seed(seed, None).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
        let mut sums = lock();
        sums.done += outcome.done;
        sums.failed += outcome.failed;
        sums.faults += outcome.faults.len();
        sums.virtual_s += outcome.seconds;
        if !outcome.broken.is_empty() {
            sums.broken.push(seed);
            stop.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// The completion counter beside the naive one.
fn counter() -> anyhow::Result<ExitCode> {
    line!("{:<10} {:>8}  {:>16}  {:>22}", "counter", "segments", "seconds to merge", "operations per segment");
    for counter in [Counter::Sharded, Counter::OneObject] {
        for segments in COMPLETIONS {
            let measured = measure(counter, segments)?;
            let (seconds, operations) = (measured.seconds, measured.operations);
            line!("{:<10} {segments:>8}  {seconds:>16.3}  {operations:>22.1}", counter.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `trackdrop simulate`: runs the whole flow in a simulation with faults.

mod day;

use crate::{args::SimulateArguments, output::line, run::INTERRUPTED};
use anyhow::bail;
use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};
use trackdrop_simulator::{
    SimulationError,
    counter::{Counter, measure},
    explain, simulate as simulate_seed,
};

/// What the counter is measured with.
const COMPLETIONS: [u32; 4] = [10, 100, 1_000, 10_000];
/// How long it is silent between two lines of progress; the first one comes sooner.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Sums over all runs.
struct Sums {
    /// Runs that were begun; all of them have ended when the threads have.
    begun: u64,
    done: usize,
    failed: usize,
    faults: usize,
    virtual_s: f64,
    broken: Vec<u64>,
    tell_at: Instant,
}

pub(crate) fn simulate(arguments: &SimulateArguments) -> anyhow::Result<ExitCode> {
    if arguments.counter {
        return counter();
    }
    if let Some(name) = &arguments.day {
        return day::day(name, arguments);
    }
    let tell_at = Instant::now() + TELL_EVERY / 10;
    let sums = Sums { begun: 0, done: 0, failed: 0, faults: 0, virtual_s: 0.0, broken: vec![], tell_at };
    let sums = Mutex::new(sums);
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = stop_when_interrupted(stop.clone())?;
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
        bail!("{} of {} seeds break the flow; the first is {seed}", sums.broken.len(), sums.begun);
    }
    line!("{} runs from seed {}: no rule was broken", sums.begun, arguments.seed);
    line!("{} requests done, {} failed with a reason", sums.done, sums.failed);
    line!("{} faults in {:.0} virtual hours", sums.faults, sums.virtual_s / 3_600.0);
    if interrupted.load(Ordering::Relaxed) && sums.begun < arguments.runs {
        let (seed, runs) = (arguments.seed.wrapping_add(sums.begun), arguments.runs - sums.begun);
        eprintln!("trackdrop: stopped. Resume with: trackdrop simulate --seed {seed} --runs {runs}");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets `stop` when the command is interrupted or asked to end: what was begun is finished, so that the seeds that were run have no hole.
/// Gives whether that has happened.
fn stop_when_interrupted(stop: Arc<AtomicBool>) -> anyhow::Result<Arc<AtomicBool>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let interrupted = Arc::new(AtomicBool::new(false));
    let noted = interrupted.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        noted.store(true, Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
    });
    Ok(interrupted)
}

fn run_seeds(arguments: &SimulateArguments, sums: &Mutex<Sums>, stop: &AtomicBool) -> Result<(), SimulationError> {
    let lock = || sums.lock().unwrap_or_else(PoisonError::into_inner);
    while !stop.load(Ordering::Relaxed) {
        let seed = {
            let mut sums = lock();
            if sums.begun >= arguments.runs {
                break;
            }
            if Instant::now() >= sums.tell_at {
                sums.tell_at = Instant::now() + TELL_EVERY;
                eprintln!("{} of {} runs", sums.begun, arguments.runs);
            }
            sums.begun += 1;
            arguments.seed.wrapping_add(sums.begun - 1)
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

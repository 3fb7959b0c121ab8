//! Random runs of the flow: nothing is lost, nothing is doubled.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use trackdrop_simulator::{Flaw, explain, simulate};

/// Every seed below `count`, on all cores; gives how many requests were done and failed, and how many faults struck.
fn run_seeds(count: u64) -> [u64; 3] {
    let next = AtomicU64::new(0);
    let sums = [0; 3].map(AtomicU64::new);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let outcome = simulate(seed, None).unwrap();
                    if !outcome.broken.is_empty() {
                        panic!("{}", explain(seed, None).unwrap().unwrap_or_default());
                    }
                    let numbers = [outcome.done, outcome.failed, outcome.faults.len()];
                    for (sum, number) in sums.iter().zip(numbers) {
                        sum.fetch_add(number as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    sums.map(AtomicU64::into_inner)
}

#[test]
fn two_thousand_seeds_lose_and_double_nothing() {
    let [done, failed, faults] = run_seeds(2_000);
    eprintln!("{done} requests done, {failed} failed with a reason, {faults} faults");
    // The runs are worth something only where much goes wrong and most of it is survived.
    assert!(done > 2_000 && failed > 100 && faults > 10_000, "{done} {failed} {faults}");
}

#[test]
fn one_seed_is_the_same_run_every_time() {
    for seed in 0..40 {
        let [first, second] = [(); 2].map(|()| simulate(seed, None).unwrap());
        assert_eq!((first.log_hash, &first.faults), (second.log_hash, &second.faults), "seed {seed}");
    }
    assert_ne!(simulate(1, None).unwrap().log_hash, simulate(2, None).unwrap().log_hash);
}

#[test]
fn every_planted_mistake_is_found() {
    for flaw in
        [Flaw::StaleListings, Flaw::CreatesOverwrite, Flaw::BlindCompareAndSet, Flaw::AcknowledgedFirst, Flaw::LoadsAdd]
    {
        let found = (0..200).find(|&seed| !simulate(seed, Some(flaw)).unwrap().broken.is_empty());
        let seed = found.unwrap_or_else(|| panic!("{flaw:?} is not found in 200 seeds"));
        let text = explain(seed, Some(flaw)).unwrap().unwrap();
        assert!(text.contains("are enough"), "{text}");
        eprintln!("{flaw:?}: {}", text.lines().take_while(|line| *line != "uploads:").collect::<Vec<_>>().join("\n"));
    }
}

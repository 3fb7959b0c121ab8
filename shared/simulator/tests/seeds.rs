//! Random runs of the flow: nothing is lost, nothing is doubled.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use trackdrop_pipeline::RequestSettings;
use trackdrop_simulator::{Flaw, Rates, Scenario, Upload, explain, simulate, simulate_scenario};

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
fn every_planted_mistake_is_found_by_the_rule_against_it() {
    for (flaw, rule) in [
        (Flaw::StaleListings, "hangs as"),
        (Flaw::AcknowledgedFirst, "hangs"),
        (Flaw::LosesManifests, "hangs without a manifest"),
        (Flaw::CreatesOverwrite, "was written 2 times"),
        (Flaw::BlindCompareAndSet, "its manifest is not that of an undisturbed run"),
        (Flaw::FetchesAnyGeneration, "of its upload"),
        (Flaw::LoadsAdd, "its rows were loaded 2 times"),
        (Flaw::LoadsNothing, "its rows were loaded 0 times"),
        (Flaw::RowsTwice, "tracks.parquet has rows twice"),
        (Flaw::LosesRequestRows, "has 0 rows in requests"),
        (Flaw::SecondRowOfAnotherMoment, "has 2 rows in requests"),
        (Flaw::LoadsOtherRows, "other rows were loaded"),
        (Flaw::LosesSummaries, "has no summary"),
        (Flaw::RowOfAnotherMoment, "the row says"),
        (Flaw::NoWorkReportTheSecondTime, "its summary is"),
        (Flaw::TellsNobody, "but was published as []"),
        (Flaw::TellsFailures, "is done (None), but was published as"),
        (Flaw::TellsNoReason, "but was published as [RequestFinished"),
        (Flaw::LosesReasons, "ended as failed with the reason None"),
        (Flaw::GivesUpAtOnce, "though no fault struck its attempts"),
        (Flaw::LosesDetections, "is missing"),
        (Flaw::OtherBytesTheSecondTime, "differs from that of an undisturbed run"),
        (Flaw::DeliversTwice, "2 times, with 0 faults on its way"),
        (Flaw::DoesNotCheck, "does its work 1 times though the result existed before"),
        (Flaw::LeavesFiles, ".tmp was written"),
        (Flaw::LeavesFiles, "exists, which an undisturbed run does not make"),
        (Flaw::LeavesTemporaryFiles, "temporary files are left"),
        (Flaw::WritesForAnother, "which is not its request's"),
        (Flaw::WritesForAnother, "was written"),
        (Flaw::DeletesChunks, "deletes work/split_chunks/"),
        (Flaw::PanicsTheSecondTime, "panics"),
        (Flaw::DeliversForEver, "something still waits after 30 days"),
        (Flaw::NeverRests, "the handlers keep each other busy for ever"),
        (Flaw::ForgetsWindows, "its rows were loaded 2 times"),
        (Flaw::ForgetsWindows, "has 2 rows in requests"),
        (Flaw::SweepsInVain, "failed without need: "),
    ] {
        let breaks =
            |seed: &u64| simulate(*seed, Some(flaw)).unwrap().broken.iter().any(|broken| broken.contains(rule));
        let seed = (0..300).find(breaks).unwrap_or_else(|| panic!("{flaw:?} is not found in 300 seeds"));
        let text = explain(seed, Some(flaw)).unwrap().unwrap();
        assert!(text.contains("are enough"), "{text}");
        eprintln!("{flaw:?}: seed {seed}");
    }
}

#[test]
fn what_breaks_a_long_request_is_told_within_bounds() {
    let is_long = |seed: &u64| Scenario::of(*seed).uploads.iter().any(|upload| upload.text.contains("gop=1 "));
    let seed =
        (0..2_000).find(|seed| is_long(seed) && simulate(*seed, Some(Flaw::LoadsNothing)).unwrap().done > 0).unwrap();
    let text = explain(seed, Some(Flaw::LoadsNothing)).unwrap().unwrap();
    assert!(text.contains("its rows were loaded 0 times") && text.contains("faults are enough"), "{text}");
}

#[test]
fn requests_of_more_segments_than_one_group_lose_and_double_nothing() {
    for (seed, segments, video) in [(0, 1_203, true), (1, 2_000, false)] {
        let settings = RequestSettings { segment_seconds: 0.1, video, ..RequestSettings::default() };
        let text = format!("frames={segments} gop=1 seed=3");
        let upload = Upload { at_s: 1, name: "long.mp4".to_owned(), text, settings };
        let rates = Rates { operation: 0.002, duplicate: 0.01, late: 0.01, ack_lost: 0.002, lost: 0.0 };
        let scenario = Scenario { rates, deaths_ms: vec![4_000], ..Scenario::undisturbed(&upload) };
        let outcome = simulate_scenario(&scenario, seed).unwrap();
        assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], 1));
        assert!(outcome.faults.len() > 50, "{}", outcome.faults.len());
    }
}

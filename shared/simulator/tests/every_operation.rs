//! A small request, with one fault at one operation, for every operation and every fault: it ends as if nothing had been.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use trackdrop_pipeline::RequestSettings;
use trackdrop_simulator::{AT_AN_OPERATION, Fault, Placed, Scenario, Upload, simulate_with};

/// Three segments and a video.
fn small_request() -> Scenario {
    let settings = RequestSettings { segment_seconds: 1.0, ..RequestSettings::default() };
    Scenario::undisturbed(&Upload {
        at_s: 1,
        name: "clip.mp4".to_owned(),
        text: "frames=24 gop=5 seed=13".to_owned(),
        settings,
    })
}

/// Runs each list of faults, on all cores; every one must strike and change nothing.
fn change_nothing(runs: &[Vec<Placed>], all_strike: bool) {
    let (scenario, next) = (small_request(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(faults) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = simulate_with(&scenario, 0, faults).unwrap();
                    assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], 1), "{faults:?}");
                    assert!(!all_strike || outcome.faults.len() == faults.len(), "{faults:?} did not all strike");
                }
            });
        }
    });
}

fn operations() -> Vec<String> {
    let outcome = simulate_with(&small_request(), 0, &[]).unwrap();
    assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], 1));
    let functions = ["split", "track", "merge", "load", "annotate", "join"];
    assert!(functions.iter().all(|function| outcome.places.iter().any(|place| place.starts_with(function))));
    outcome.places
}

#[test]
fn one_fault_at_every_single_operation_changes_nothing() {
    let places = operations();
    let runs: Vec<_> =
        places.iter().flat_map(|place| AT_AN_OPERATION.map(|fault| vec![(place.clone(), fault)])).collect();
    change_nothing(&runs, true);
    eprintln!("{} operations, {} runs", places.len(), runs.len());
}

#[test]
fn a_crash_at_every_operation_and_again_at_every_attempt_but_the_last_changes_nothing() {
    let runs: Vec<_> = operations()
        .iter()
        .flat_map(|place| {
            [Fault::CrashBefore, Fault::CrashAfter].map(|fault| {
                (1..=4).map(|attempt| (place.replacen("#1/1/", &format!("#1/{attempt}/"), 1), fault)).collect()
            })
        })
        .collect();
    // A second attempt takes another way, so that not each of these places is met again.
    change_nothing(&runs, false);
}

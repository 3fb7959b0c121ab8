//! A small request, with one fault at one operation, for every operation and every fault: it ends as if nothing had been.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use trackdrop_pipeline::RequestSettings;
use trackdrop_simulator::{AT_AN_OPERATION, Fault, Outcome, Placed, Scenario, Upload, simulate_with};

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
    let scenario = small_request();
    run_all(&scenario, runs, |faults, outcome| {
        assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], 1), "{faults:?}");
        assert!(!all_strike || outcome.faults.len() == faults.len(), "{faults:?} did not all strike");
    });
}

/// Runs each list of faults, on all cores.
fn run_all(scenario: &Scenario, runs: &[Vec<Placed>], check: impl Fn(&[Placed], &Outcome) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(faults) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(faults, &simulate_with(scenario, 0, faults).unwrap());
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

/// What a stage is for: once it stands, the stage's other operations only say so.
fn effect_of(place: &str) -> bool {
    let Some((_, put)) = place.split_once("/put ") else { return false };
    ["work/detections/", "work/merged/", "work/loaded/", "work/processed_chunks/"].iter().any(|of| put.starts_with(of))
        || put.ends_with("/annotated.mp4")
        || put.starts_with("work/split_chunks/") && put.ends_with("000002.mkv")
}

#[test]
fn a_delivery_that_is_given_up_at_any_operation_ends_its_request_and_fails_it_only_where_its_work_is_missing() {
    // The first attempt goes as far as an operation, the others fail as soon as they begin.
    let places = operations();
    let given_up = |place: &String| {
        let (message, _) = place.split_once("#1/1/").unwrap();
        let manifest = places[0].rsplit_once("stat ").unwrap().1;
        let others = (2..=10).map(|nth| (format!("{message}#1/{nth}/stat {manifest}"), Fault::ErrorBefore));
        let first = (place.clone(), Fault::ErrorAfter);
        [first].into_iter().chain(others).collect::<Vec<_>>()
    };
    let runs: Vec<_> = places.iter().map(given_up).collect();
    let scenario = Scenario { rough: true, ..small_request() };
    let (done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    run_all(&scenario, &runs, |faults, outcome| {
        let place = &faults[0].0;
        assert_eq!(outcome.broken, [""; 0], "{place}");
        let message = place.split_once("#1/1/").unwrap().0;
        let of_message: Vec<_> = places.iter().filter(|place| place.starts_with(&format!("{message}#"))).collect();
        let effect = of_message.iter().position(|place| effect_of(place)).unwrap();
        let struck = of_message.iter().position(|of| *of == place).unwrap();
        // A fold of progress may fail: the attempt goes on.
        if struck >= effect {
            assert_eq!(outcome.done, 1, "{faults:?}");
        }
        let count = if outcome.done == 1 { &done } else { &failed };
        count.fetch_add(1, Ordering::Relaxed);
    });
    let [done, failed] = [done, failed].map(AtomicUsize::into_inner);
    eprintln!("{done} done, {failed} failed");
    assert!(done > 40 && failed > 20, "{done} {failed}");
}

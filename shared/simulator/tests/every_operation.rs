//! Small requests, with one fault at one operation, for every operation and every fault: they end as if nothing had been.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use trackdrop_pipeline::{Refinements, RequestSettings};
use trackdrop_simulator::{AT_AN_OPERATION, Fault, Outcome, Placed, Scenario, Upload, simulate_with};

fn upload(text: &str) -> Upload {
    let settings = RequestSettings { segment_seconds: 1.0, ..RequestSettings::default() };
    Upload { at_s: 1, name: "clip.mp4".to_owned(), text: text.to_owned(), settings }
}

/// Three segments and a video.
fn small_request() -> Scenario {
    Scenario::undisturbed(&upload("frames=24 gop=5 seed=13"))
}

/// A request, and the faults that bring it on the way that is to be looked at.
struct Case {
    scenario: Scenario,
    on_its_way: Vec<Placed>,
    done: usize,
    /// Functions that have something to do on this way.
    functions: &'static [&'static str],
}

/// The same, with refined tracks: `merge` then writes in a second pass.
fn refined_request() -> Scenario {
    let mut upload = upload("frames=24 gop=5 seed=13");
    upload.settings.refine = Refinements::best();
    Scenario::undisturbed(&upload)
}

fn cases() -> [Case; 5] {
    let is_lost = ("split uploads/clip.mp4@1767225601000000#1 lost".to_owned(), Fault::Lost);
    [
        Case {
            scenario: small_request(),
            on_its_way: vec![],
            done: 1,
            functions: &["split", "track", "merge", "load", "annotate", "join"],
        },
        Case { scenario: refined_request(), on_its_way: vec![], done: 1, functions: &["merge"] },
        // A permanent failure.
        Case {
            scenario: Scenario::undisturbed(&upload("no video at all")),
            on_its_way: vec![],
            done: 0,
            functions: &["split"],
        },
        Case {
            scenario: Scenario { load_window_s: Some(60), ..small_request() },
            on_its_way: vec![],
            done: 1,
            functions: &["load", "trackdrop.load.window"],
        },
        Case {
            scenario: Scenario { sweep_every_s: Some(900), ..small_request() },
            on_its_way: vec![is_lost],
            done: 1,
            functions: &["split", "trackdrop.requests.sweep"],
        },
    ]
}

/// Runs each list of faults, on all cores; every one must strike and change nothing.
fn change_nothing(case: &Case, runs: &[Vec<Placed>], all_strike: bool) {
    run_all(&case.scenario, runs, |faults, outcome| {
        assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], case.done), "{faults:?}");
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

fn operations(case: &Case) -> Vec<String> {
    let outcome = simulate_with(&case.scenario, 0, &case.on_its_way).unwrap();
    assert_eq!((outcome.broken.as_slice(), outcome.done), (&[][..], case.done));
    assert_eq!(outcome.faults, case.on_its_way);
    assert!(case.functions.iter().all(|function| outcome.places.iter().any(|place| place.starts_with(function))));
    outcome.places
}

#[test]
fn one_fault_at_every_single_operation_changes_nothing() {
    for case in cases() {
        let places = operations(&case);
        let with = |fault| [case.on_its_way.clone(), vec![fault]].concat();
        let runs: Vec<_> =
            places.iter().flat_map(|place| AT_AN_OPERATION.map(|fault| with((place.clone(), fault)))).collect();
        change_nothing(&case, &runs, true);
        eprintln!("{} operations, {} runs", places.len(), runs.len());
    }
}

#[test]
fn a_crash_at_every_operation_and_at_every_attempt_but_the_last_changes_nothing() {
    for case in cases() {
        let crashing = |place: &String, fault| {
            let places = (1..=4).map(|attempt| place.replacen("#1/1/", &format!("#1/{attempt}/"), 1));
            case.on_its_way.iter().cloned().chain(places.map(|place| (place, fault))).collect()
        };
        let runs: Vec<_> = operations(&case)
            .iter()
            .flat_map(|place| [Fault::CrashBefore, Fault::CrashAfter].map(|fault| crashing(place, fault)))
            .collect();
        // A second attempt takes another way, so that not each of these places is met again.
        change_nothing(&case, &runs, false);
    }
}

/// The effect of a stage: once it exists, the stage's other operations only record it.
fn effect_of(place: &str) -> bool {
    let Some((_, put)) = place.split_once("/put ") else { return false };
    ["work/detections/", "work/merged/", "work/loaded/", "work/processed_chunks/"].iter().any(|of| put.starts_with(of))
        || put.ends_with("/annotated.mp4")
        || put.starts_with("work/split_chunks/") && put.ends_with("000002.mkv")
}

#[test]
fn an_abandoned_delivery_ends_its_request_and_fails_it_only_if_its_work_is_missing() {
    // The first attempt goes as far as an operation, the others fail as soon as they begin.
    let [case, ..] = cases();
    let places = operations(&case);
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
        // A fold of progress may fail: the attempt continues.
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

//! Mistakes of the product that the simulation found, each as the uploads and the few faults that it took. The meaning of a seed changes with every
//! handler; these do not. Each fault must strike: if a handler no longer comes to its place, the run proves nothing and must be recorded again.
//! docs/faults.md lists the mistakes.
#![allow(clippy::unwrap_used)]

use trackdrop_pipeline::{RequestId, RequestSettings, Timestamp};
use trackdrop_simulator::{Fault, Placed, Rates, Scenario, Upload, simulate_scenario, simulate_with};

const BEGINNING_US: i64 = 1_767_225_600_000_000;

fn upload(at_s: i64, name: &str, text: &str, segment_seconds: f64, video: bool) -> Upload {
    let settings = RequestSettings { segment_seconds, video, ..RequestSettings::default() };
    Upload { at_s, name: name.to_owned(), text: text.to_owned(), settings }
}

/// Runs with these faults, of which each must strike, and which must change nothing. `UPLOAD` and `REQUEST` in a place are replaced by those of the
/// first upload. Returns how many requests were done.
#[track_caller]
fn changes_nothing(seed: u64, scenario: &Scenario, faults: &[(&str, Fault)]) -> usize {
    let Upload { at_s, name, .. } = &scenario.uploads[0];
    let generation = BEGINNING_US + at_s * 1_000_000;
    let request = RequestId::of_upload("uploads", name, generation, Timestamp::from_micros(generation));
    let of_upload = format!("uploads/{name}@{generation}");
    let place = |place: &str| place.replace("REQUEST", request.as_str()).replace("UPLOAD", &of_upload);
    let faults: Vec<Placed> = faults.iter().map(|&(at, fault)| (place(at), fault)).collect();
    let outcome = simulate_with(scenario, seed, &faults).unwrap();
    assert_eq!(outcome.broken, [""; 0]);
    let mut struck = outcome.faults;
    struck.sort();
    let mut all = faults;
    all.sort();
    assert_eq!(struck, all);
    outcome.done
}

#[test]
fn split_dies_before_it_records_its_chunks_and_the_request_is_done_meanwhile() {
    let uploads = vec![upload(1, "a b/день.mkv", "frames=24 gop=5 seed=20", 4.0, true)];
    let faults = [("split UPLOAD#1/1/put results/REQUEST/manifest.json (3)", Fault::ErrorBefore)];
    changes_nothing(26, &Scenario { uploads, ..Scenario::default() }, &faults);
}

#[test]
fn split_dies_before_it_records_its_chunks_and_the_upload_is_deleted_meanwhile() {
    let uploads = vec![upload(1, "a b/день.mkv", "frames=24 gop=5 seed=20", 4.0, false)];
    let deletions = vec![(20_000, "a b/день.mkv".to_owned())];
    let faults = [
        ("split UPLOAD#1/1/put results/REQUEST/manifest.json (3)", Fault::ErrorBefore),
        ("split UPLOAD#1/2/stat results/REQUEST/manifest.json", Fault::ErrorBefore),
        ("split UPLOAD#1/3/stat results/REQUEST/manifest.json", Fault::ErrorBefore),
    ];
    changes_nothing(26, &Scenario { uploads, deletions, ..Scenario::default() }, &faults);
}

#[test]
fn two_deliveries_tell_the_end_at_the_same_time() {
    let uploads = vec![upload(2, "a b/день.mkv", "frames=10 gop=5 seed=13", 1.0, false)];
    let faults = [("load work/merged/REQUEST#1/1/record REQUEST", Fault::Delay(1_221_000))];
    changes_nothing(65, &Scenario { uploads, ..Scenario::default() }, &faults);
}

#[test]
fn the_upload_is_overwritten_before_split_reads_it() {
    let uploads = vec![
        upload(5, "a b/день.mkv", "frames=7 gop=10 seed=4", 1.0, true),
        upload(6, "a b/день.mkv", "frames=10 gop=5 seed=13", 2.0, true),
    ];
    let faults = [("split UPLOAD#1/1/fetch uploads/a b/день.mkv", Fault::ErrorAfter)];
    changes_nothing(24, &Scenario { uploads, ..Scenario::default() }, &faults);
}

#[test]
fn the_upload_is_overwritten_and_split_is_given_up() {
    let uploads = vec![
        upload(1, "clip.mp4", "frames=7 gop=10 seed=4", 1.0, true),
        upload(2, "clip.mp4", "frames=10 gop=5 seed=13", 2.0, true),
    ];
    let places: Vec<_> =
        (1..=5).map(|nth| format!("split UPLOAD#1/{nth}/stat results/REQUEST/manifest.json")).collect();
    let faults: Vec<_> = places.iter().map(|place| (place.as_str(), Fault::ErrorBefore)).collect();
    changes_nothing(0, &Scenario { uploads, rough: true, ..Scenario::default() }, &faults);
}

#[test]
fn the_last_delivery_is_given_up_while_it_tells_the_end_of_a_done_request() {
    let uploads = vec![upload(1, "clip.mp4", "frames=7 gop=10 seed=4", 1.0, false)];
    let places: Vec<_> =
        (1..=8).map(|nth| format!("load work/merged/REQUEST#1/{nth}/stat work/ended/REQUEST")).collect();
    let faults: Vec<_> = places.iter().map(|place| (place.as_str(), Fault::ErrorBefore)).collect();
    changes_nothing(0, &Scenario { uploads, rough: true, ..Scenario::default() }, &faults);
}

/// Seeds 1666 and 3564: every attempt of `split` fails once the chunks exist and before the manifest says what they are.
#[test]
fn split_is_given_up_before_it_records_its_chunks_and_the_request_is_done_meanwhile() {
    let uploads = vec![upload(1, "a b/день.mkv", "frames=24 gop=5 seed=20", 4.0, true)];
    let faults = [
        ("split UPLOAD#1/1/put results/REQUEST/manifest.json (3)", Fault::ErrorBefore),
        ("split UPLOAD#1/2/get results/REQUEST/manifest.json", Fault::CrashBefore),
        ("split UPLOAD#1/3/stat results/REQUEST/manifest.json", Fault::ErrorBefore),
        ("split UPLOAD#1/4/get results/REQUEST/manifest.json", Fault::ErrorAfter),
        ("split UPLOAD#1/5/stat results/REQUEST/manifest.json", Fault::ErrorBefore),
    ];
    assert_eq!(changes_nothing(26, &Scenario { uploads, rough: true, ..Scenario::default() }, &faults), 1);
}

#[test]
fn split_is_given_up_before_it_records_its_chunks_and_before_they_are_tracked() {
    let uploads = vec![upload(1, "a b/день.mkv", "frames=24 gop=5 seed=20", 4.0, true)];
    let faults = [
        ("split UPLOAD#1/1/put results/REQUEST/manifest.json (3)", Fault::ErrorBefore),
        ("split UPLOAD#1/2/get results/REQUEST/manifest.json", Fault::CrashBefore),
        ("split UPLOAD#1/3/stat results/REQUEST/manifest.json", Fault::ErrorBefore),
        ("split UPLOAD#1/4/list work/split_chunks/REQUEST/", Fault::ErrorAfter),
        ("split UPLOAD#1/5/put results/REQUEST/manifest.json", Fault::ErrorBefore),
        ("track work/split_chunks/REQUEST/000000.mkv#1 late", Fault::Late(2_000_000)),
    ];
    assert_eq!(changes_nothing(26, &Scenario { uploads, rough: true, ..Scenario::default() }, &faults), 1);
}

/// Seed 1764 of a mix with more long requests, whose faults are too many to be listed: progress took every second in which the manifest could be
/// written, and merge waited for its turn until its last attempt was over.
#[test]
fn the_progress_of_a_long_request_leaves_the_manifest_to_those_who_need_it() {
    let upload = upload(3, "clip.mp4", "frames=1679 gop=1 seed=3", 0.1, true);
    let rates = Rates { operation: 0.03, duplicate: 0.06, late: 0.2, ack_lost: 0.1, lost: 0.0 };
    let outcome = simulate_scenario(&Scenario { uploads: vec![upload], rates, ..Scenario::default() }, 1764).unwrap();
    assert_eq!((outcome.broken, outcome.done), (vec![], 1));
    assert!(outcome.faults.len() > 2_000, "{}", outcome.faults.len());
}

//! Parity with the reference on our own test sequences, which travel with the repository.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/golden.rs"]
mod golden;

use std::path::Path;

fn check(wanted: &str, runs: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let found = golden::read_runs(&folder, |name| name.starts_with(wanted)).expect("readable fixtures");
    assert_eq!(found.len(), runs);
    for run in &found {
        let (rows, largest) = run.check();
        println!("{}: {rows} rows, {largest:.1e} px", run.name);
    }
}

#[test]
fn a_score_on_a_threshold_is_neither_high_nor_low() {
    check("edge_thresholds", 1);
}

#[test]
fn a_low_score_continues_a_track_but_starts_none() {
    check("edge_low_recovery", 1);
}

#[test]
fn a_newborn_track_is_confirmed_only_by_the_very_next_frame() {
    check("edge_unconfirmed", 1);
}

#[test]
fn a_track_that_times_out_can_still_be_matched_one_frame_later() {
    check("edge_gap", 4);
}

#[test]
fn of_two_tracks_on_one_spot_the_longer_lived_stays() {
    check("edge_dup", 1);
}

#[test]
fn a_small_crowd_is_tracked_as_by_the_reference() {
    check("synth10", 4);
}

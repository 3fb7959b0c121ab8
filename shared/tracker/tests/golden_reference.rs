//! Parity with the reference on all golden runs, MOTChallenge sequences included.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/golden.rs"]
mod golden;

/// How many there are: a folder that lost some must not pass for complete.
const RUNS: usize = 42;

#[test]
fn every_row_is_that_of_the_reference() {
    let Some(folder) = golden::reference_folder() else {
        println!("SKIPPED: TRACKDROP_GOLDEN names no folder of golden runs");
        return;
    };
    let runs = golden::read_runs(&folder, |_| true).expect("readable golden runs");
    assert_eq!(runs.len(), RUNS);
    println!("| run | frames | rows | same frames, ids and order | largest difference |\n|---|---|---|---|---|");
    let (mut all, mut most) = (0, 0.0_f64);
    for run in &runs {
        let (rows, largest) = run.check();
        println!("| {} | {} | {rows} | yes | {largest:.1e} px |", run.name, run.frames.len());
        (all, most) = (all + rows, most.max(largest));
    }
    println!("| all {RUNS} | | {all} | yes | {most:.1e} px |");
}

//! Time of one step, output included. A sample is one pass over a sequence, there and back, so that motion stays smooth;
//! divan's figures are therefore means over a pass.

#![allow(clippy::expect_used, reason = "a benchmark may fail loudly")]

#[path = "../tests/support/crowd.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod crowd;
#[path = "../tests/support/golden.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod golden;

use divan::{Bencher, black_box};
use trackdrop_tracker::{ByteTrack, Detection, Settings};

fn main() {
    divan::main();
}

const FRAMES: usize = 200;

#[divan::bench(args = [10, 50, 200, 1_000, 5_000], sample_count = 20, sample_size = 400)]
fn random_walk(bencher: Bencher, people: usize) {
    step_there_and_back(bencher, Settings::default(), crowd::random_walk(people, FRAMES));
}

#[divan::bench(args = [500], sample_count = 5, sample_size = 40)]
fn piled_up(bencher: Bencher, people: usize) {
    step_there_and_back(bencher, Settings::default(), crowd::pile(people, 20));
}

#[divan::bench(args = ["MOT17-04.eval", "MOT20-01.eval", "synth10.eval", "synth50.eval", "synth200.eval"], sample_count = 20, sample_size = 2_100)]
fn golden_run(bencher: Bencher, name: &str) {
    let runs = golden::reference_folder().and_then(|folder| golden::read_runs(&folder, |run| run == name).ok());
    if let Some(run) = runs.and_then(|mut runs| runs.pop()) {
        step_there_and_back(bencher, run.settings, run.frames);
    }
}

#[divan::bench(args = [500], sample_count = 5, sample_size = 40)]
fn identical(bencher: Bencher, people: usize) {
    step_there_and_back(bencher, Settings::default(), crowd::identical(people, 20));
}

fn step_there_and_back(bencher: Bencher, settings: Settings, frames: Vec<Vec<Detection>>) {
    let mut tracker = ByteTrack::new(settings).expect("valid settings");
    for detections in &frames {
        tracker.step(detections);
    }
    let mut sequence = frames.iter().rev().chain(&frames).cycle();
    bencher.bench_local(|| {
        let detections = sequence.next().expect("an endless sequence");
        black_box(tracker.step(black_box(detections)).len())
    });
}

//! Times trackers side by side: `cargo run --release` in this folder, or `scripts/bench/trackers` from anywhere.
//!
//! A round walks every tracker over the whole test sequence, one after the other, so that what else the machine does meets all of them
//! alike. The table gives the median over the rounds of the mean time of a frame, output included, and how many times longer than ours
//! a peer took in the same round (median). The peers are configured as near to ByteTrack's defaults as they allow; they compute in `f32`,
//! and neither gives the reference's tracks.

// The tests use more of it than the bench does.
#[allow(dead_code)]
#[path = "../../../shared/tracker/tests/support/crowd.rs"]
mod crowd;
#[path = "../../../shared/tracker/tests/support/golden.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod golden;

use edgefirst_tracker::{ByteTrackBuilder, DetectionBox, Tracker};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use trackdrop_tracker::{ByteTrack, Detection, Settings};
use trackforge::trackers::byte_track;

/// Rounds of a test sequence; fewer where a peer needs long for one.
const ROUNDS: usize = 9;
/// A peer that needs longer than this for a walk is timed once and no more.
const PATIENCE: Duration = Duration::from_secs(20);
/// A walk lasts at least so long, so that what a small test sequence takes is more than the clock's grain.
const LONG_ENOUGH: Duration = Duration::from_millis(20);

struct TestSequence {
    name: String,
    frames: Vec<Vec<Detection>>,
}

fn main() {
    println!(
        "| test sequence | detections a frame, at most | trackdrop | trackforge 0.5.1 | edgefirst-tracker 0.38.2 |"
    );
    println!("|---|---|---|---|---|");
    for people in [10, 50, 200, 1_000, 5_000] {
        // The peers need a second a frame and more for the largest crowd; so that the whole bench takes a few minutes.
        let frames =
            [(5_000, 4), (1_000, 20)].iter().find(|(from, _)| people >= *from).map_or(200, |(_, frames)| *frames);
        measure(&TestSequence {
            name: format!("{people} objects, random walk, 5 % misses"),
            frames: crowd::random_walk(people, frames),
        });
    }
    for name in ["MOT17-04.eval", "MOT20-01.eval", "synth10.eval", "synth50.eval", "synth200.eval"] {
        let runs = golden::reference_folder().and_then(|folder| golden::read_runs(&folder, |run| run == name).ok());
        match runs.and_then(|mut runs| runs.pop()) {
            Some(run) => measure(&TestSequence { name: name.trim_end_matches(".eval").into(), frames: run.frames }),
            None => eprintln!("no golden run {name} here: left out"),
        }
    }
    measure(&TestSequence { name: "500 objects piled up within 20 px".into(), frames: crowd::pile(500, 20) });
}

/// Times a test sequence, if its name contains the argument of the command or there is none.
fn measure(sequence: &TestSequence) {
    if std::env::args().nth(1).is_some_and(|part| !sequence.name.contains(&part)) {
        return;
    }
    let peers: [(&str, fn(&TestSequence) -> Duration); 2] = [("trackforge", trackforge), ("edgefirst", edgefirst)];
    let mut ours = Vec::new();
    let mut theirs = [Vec::new(), Vec::new()];
    let mut impatient = [false, false];
    for _ in 0..ROUNDS {
        let our_time = trackdrop(sequence);
        ours.push(our_time.as_secs_f64());
        for (i, (_, walk)) in peers.iter().enumerate() {
            if !impatient[i] {
                let started = Instant::now();
                let time = walk(sequence);
                theirs[i].push((time.as_secs_f64(), time.as_secs_f64() / our_time.as_secs_f64()));
                impatient[i] = started.elapsed() > PATIENCE;
            }
        }
    }
    let objects = sequence.frames.iter().map(Vec::len).max().unwrap_or_default();
    let cells = theirs.map(|rounds| {
        let time = median(rounds.iter().map(|round| round.0).collect());
        let ratio = median(rounds.iter().map(|round| round.1).collect());
        format!("{} ({ratio:.1}x)", shown(time))
    });
    println!("| {} | {objects} | {} | {} | {} |", sequence.name, shown(median(ours)), cells[0], cells[1]);
}

/// Mean time of a step over passes there and back, so that motion stays smooth, after one pass to warm up.
fn walk(sequence: &TestSequence, mut step: impl FnMut(usize)) -> Duration {
    let frames = sequence.frames.len();
    (0..frames).for_each(&mut step);
    let mut steps = 0;
    let started = Instant::now();
    loop {
        (0..frames).rev().for_each(&mut step);
        (0..frames).for_each(&mut step);
        steps += 2 * frames as u32;
        if started.elapsed() >= LONG_ENOUGH {
            return started.elapsed() / steps;
        }
    }
}

fn trackdrop(sequence: &TestSequence) -> Duration {
    let Ok(mut tracker) = ByteTrack::new(Settings::default()) else { unreachable!("the default settings are valid") };
    walk(sequence, |frame| {
        black_box(tracker.step(black_box(&sequence.frames[frame])));
    })
}

fn trackforge(sequence: &TestSequence) -> Duration {
    // track_thresh, track_buffer, match_thresh, and the score of a birth.
    let mut tracker = byte_track::ByteTrack::new(0.6, 30, 0.9, 0.7);
    let in_its_form = |detection: &Detection| {
        let Detection { x1, y1, x2, y2, score } = *detection;
        ([x1, y1, x2 - x1, y2 - y1].map(|value| value as f32), score as f32, 0)
    };
    let frames: Vec<Vec<_>> = sequence.frames.iter().map(|frame| frame.iter().map(in_its_form).collect()).collect();
    // It takes its input by value; the copy is part of what it costs.
    walk(sequence, |frame| {
        black_box(tracker.update(black_box(frames[frame].clone())));
    })
}

#[derive(Clone, Copy, Debug)]
struct Boxed([f32; 4], f32);

impl DetectionBox for Boxed {
    fn bbox(&self) -> [f32; 4] {
        self.0
    }

    fn score(&self) -> f32 {
        self.1
    }

    fn label(&self) -> usize {
        0
    }
}

fn edgefirst(sequence: &TestSequence) -> Duration {
    const FRAME_NS: u64 = 33_333_333;
    let builder = ByteTrackBuilder::new().track_high_conf(0.6).track_iou(0.1).track_extra_lifespan(30 * FRAME_NS);
    let mut tracker = builder.build::<Boxed>();
    let in_its_form = |detection: &Detection| {
        let Detection { x1, y1, x2, y2, score } = *detection;
        Boxed([x1, y1, x2, y2].map(|value| value as f32), score as f32)
    };
    let frames: Vec<Vec<_>> = sequence.frames.iter().map(|frame| frame.iter().map(in_its_form).collect()).collect();
    let mut now = 0;
    walk(sequence, |frame| {
        now += FRAME_NS;
        black_box(tracker.update(black_box(&frames[frame]), now));
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.3} µs", s * 1e6).replace(".000", ""),
        s => format!("{:.2} ms", s * 1e3),
    }
}

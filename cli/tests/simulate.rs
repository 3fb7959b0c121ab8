//! `trackdrop simulate` reports its progress, and resumes where it was interrupted.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

fn simulate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackdrop"));
    command.arg("simulate").args(arguments);
    command
}

#[test]
fn an_interrupted_simulation_says_where_to_go_on() {
    let mut running =
        simulate(&["--seed", "7", "--runs", "1000000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(running.stderr.take().unwrap()).lines();
    let progress = told.next().unwrap().unwrap();
    assert!(progress.ends_with(" of 1000000 runs"), "{progress}");
    let interrupted = Command::new("kill").arg("-INT").arg(running.id().to_string()).status().unwrap();
    assert!(interrupted.success());
    let last = told.last().unwrap().unwrap();
    let output = running.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{out}");
    let runs: u64 = out.split(' ').next().unwrap().parse().unwrap();
    assert!(out.contains("runs from seed 7: no rule was broken") && runs > 0, "{out}");
    let (seed, left) = ((7 + runs).to_string(), (1_000_000 - runs).to_string());
    assert!(last.ends_with(&format!("trackdrop simulate --seed {seed} --runs {left}")), "{last}");
    let next = simulate(&["--seed", &seed, "--runs", "2"]).output().unwrap();
    assert!(next.status.success() && next.stdout.starts_with(format!("2 runs from seed {seed}").as_bytes()));
}

//! What `scripts/bench-detector` times inside one process, by turns, so that the ratios hold on a machine that others use too.
//!
//! ```text
//! bench stage MODEL VIDEO ROUNDS      the track stage beside ONNX Runtime alone; pieces of it
//! bench memory MODEL VIDEO TIMES      the track stage over the video so many times; its peak memory
//! bench start MODEL ROUNDS            opening a detector with a kept optimised graph and without one
//! bench annotate VIDEO ROUNDS         the annotate stage beside the encoder alone; pieces of it
//! ```

mod annotate;
mod clip;
mod stage;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = |text: &str| text.parse::<usize>().with_context(|| format!("{text:?} is not a number"));
    match arguments[..] {
        ["stage", model, video, rounds] => stage::stage(model, video, count(rounds)?),
        ["memory", model, video, times] => stage::memory(model, video, count(times)?),
        ["start", model, rounds] => stage::start(model, count(rounds)?),
        ["annotate", video, rounds] => annotate::annotate(video, count(rounds)?),
        _ => bail!(
            "give: stage MODEL VIDEO ROUNDS, memory MODEL VIDEO TIMES, start MODEL ROUNDS, or annotate VIDEO ROUNDS"
        ),
    }
}

/// The middle value.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

/// The middle of the rounds' ratios.
fn ratio(some: &[f64], others: &[f64]) -> f64 {
    median(&some.iter().zip(others).map(|(one, other)| one / other).collect::<Vec<_>>())
}

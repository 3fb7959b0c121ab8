//! What `scripts/bench/detector` times inside one process, by turns, so that the ratios hold on a machine that others use too.
//!
//! ```text
//! bench stage MODEL VIDEO ROUNDS      the track stage compared with ONNX Runtime alone; pieces of it
//! bench memory MODEL VIDEO TIMES      the track stage over the video TIMES times; its memory after each
//! bench start MODEL ROUNDS            opening a detector with a stored optimised graph and without one
//! bench inspect TRACKDROP MODEL ROUNDS  `trackdrop model inspect` compared with ONNX Runtime that loads the model
//! bench load MODEL                    what it is compared with
//! bench model FILE CONVOLUTIONS       writes a large model for it
//! bench turn MODEL VIDEO ROUNDS       the track stage on a clip as it is, and as if it were stored on its side
//! bench resize MODEL VIDEO ROUNDS    the track stage with OpenCV's filter and with FFmpeg's
//! bench annotate VIDEO ROUNDS         the annotate stage compared with the encoder alone; pieces of it
//! ```

mod annotate;
mod by_turns;
mod clip;
mod inspect;
mod resize;
mod stage;
mod turn;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    trackdrop_flow::allocator::settle();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = |text: &str| text.parse::<usize>().with_context(|| format!("{text:?} is not a number"));
    match arguments[..] {
        ["stage", model, video, rounds] => stage::stage(model, video, count(rounds)?),
        ["memory", model, video, times] => stage::memory(model, video, count(times)?),
        ["start", model, rounds] => stage::start(model, count(rounds)?),
        ["inspect", trackdrop, model, rounds] => inspect::inspect(trackdrop, model, count(rounds)?),
        ["load", model] => inspect::load(model),
        ["model", file, convolutions] => inspect::write_model(file, count(convolutions)?),
        ["turn", model, video, rounds] => turn::turn(model, video, count(rounds)?),
        ["resize", model, video, rounds] => resize::resize(model, video, count(rounds)?),
        ["annotate", video, rounds] => annotate::annotate(video, count(rounds)?),
        _ => bail!(
            "give: stage MODEL VIDEO ROUNDS, memory MODEL VIDEO TIMES, start MODEL ROUNDS, \
             inspect TRACKDROP MODEL ROUNDS, load MODEL, model FILE CONVOLUTIONS, turn MODEL VIDEO ROUNDS, \
             resize MODEL VIDEO ROUNDS, or annotate VIDEO ROUNDS"
        ),
    }
}

/// Milliseconds of processor that this process has used so far, of all its threads.
fn processor_ms() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // What follows the name, which is in parentheses, is a list of numbers; the 14th and 15th of the line are user and system time.
    let after = stat.rsplit_once(')').context("/proc/self/stat has no name in it")?.1;
    let ticks = after.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    // A tick is 10 ms on every Linux that Rust runs on.
    Ok(10.0 * ticks.sum::<Result<u64, _>>()? as f64)
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

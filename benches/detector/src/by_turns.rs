//! Two clips through the track stage by turns, so that both see the same machine.

use crate::{
    clip::Clip,
    median, ratio,
    stage::{run_stage, threads},
};
use anyhow::Result;
use trackdrop_track::MediaSegmentDetector;

/// Prints a row for each clip, by its name in the table: frames a second, their ratio to the first clip's, and milliseconds of decoding a frame.
pub(crate) fn by_turns(
    stage: &MediaSegmentDetector,
    clips: [(&str, &Clip); 2],
    rounds: usize,
    decoding: &str,
) -> Result<()> {
    let mut fps = [Vec::new(), Vec::new()];
    let mut decode_ms = [Vec::new(), Vec::new()];
    for (_, clip) in clips {
        run_stage(stage, clip)?;
    }
    for _ in 0..rounds {
        for (at, (_, clip)) in clips.iter().enumerate() {
            let (of_round, spent) = run_stage(stage, clip)?;
            fps[at].push(of_round);
            decode_ms[at].push(spent.get("decode").copied().unwrap_or_default());
        }
    }
    println!("{rounds} rounds by turns, {} threads\n", threads());
    println!("| | frames/s, median | ratio, median of the rounds | {decoding}, ms a frame |\n|---|---|---|---|");
    for (at, (name, _)) in clips.iter().enumerate() {
        let (of_it, ms) = (median(&fps[at]), median(&decode_ms[at]));
        println!("| {name} | {of_it:.1} | {:.3} | {ms:.3} |", ratio(&fps[at], &fps[0]));
    }
    println!();
    Ok(())
}

//! Prints the tables of `docs/tracking.md`: what it costs to look at every other frame, every third or every fourth, on sequences as they are and
//! on ten draws of each.
//!
//!     cargo run --release -p trackdrop-refine --example stride_table

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{Draw, Known, MOT15, MOT17, Result, Tracked};
use std::{num::NonZeroU32, path::Path};
use trackdrop_eval::{Evaluation, pooled};
use trackdrop_refine::{Link, Refine, Smooth};
use trackdrop_tracker::Settings;

/// Sequences whose camera does not move.
const STATIC: [&str; 4] = ["MOT17-02", "MOT17-09", "MOT15-PETS09-S2L1", "MOT15-TUD-Campus"];
const STRIDES: [u32; 5] = [1, 2, 3, 4, 6];

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    let best = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let rts = Refine { smooth: Some(Smooth::Rts), ..Refine::default() };
    let all: Vec<Known> = MOT17.into_iter().chain(MOT15).collect();
    let refinements = [("nothing else", Refine::default()), ("`--smooth rts`", rts), ("`--refine`", best)];
    for (name, refine) in &refinements {
        let headings: String = STRIDES.iter().map(|every| format!(" {every} |")).collect();
        println!(
            "With {name}: HOTA / AssA / IDF1 / IDSW\n\n| `--detect-every` |{headings}\n|---|{}",
            "---|".repeat(STRIDES.len())
        );
        let mut still: Vec<Vec<Evaluation>> = vec![Vec::new(); STRIDES.len()];
        for &known in &all {
            let mut cells = String::new();
            for (every, still) in STRIDES.into_iter().zip(&mut still) {
                let every = NonZeroU32::new(every).ok_or("a stride of 0")?;
                let tracked = Tracked::looking(&folder, known, Settings::default(), every)?;
                let refined = refine.apply_to_looks(tracked.rows.clone(), &tracked.detections, &tracked.video, every);
                let evaluation = tracked.evaluate(&refined.rows)?;
                cells += &format!(" {} |", cell(&evaluation));
                if STATIC.contains(&known.0) {
                    still.push(evaluation);
                }
            }
            println!("| {} |{cells}", known.0);
        }
        let cells: String = still.iter().map(|evaluations| format!(" {} |", cell(&pooled(evaluations)))).collect();
        println!("| the four of a static camera, pooled |{cells}\n");
    }
    print_draws(&folder, &all, &refinements)
}

/// What each stride gains or loses against all looks, HOTA: the mean of ten draws, and in brackets the least of them.
fn print_draws(folder: &Path, all: &[Known], refinements: &[(&str, Refine)]) -> Result<()> {
    let draws: Vec<Draw> = Draw::ten().collect();
    for (name, refine) in refinements {
        let headings: String = STRIDES[1..].iter().map(|every| format!(" {every} |")).collect();
        println!("Ten draws with {name}\n\n| `--detect-every` |{headings}\n|---|{}", "---|".repeat(STRIDES.len() - 1));
        let mut still = vec![vec![Vec::new(); draws.len()]; STRIDES.len()];
        for &known in all {
            let mut of_strides = Vec::new();
            for (every, still) in STRIDES.into_iter().zip(&mut still) {
                let every = NonZeroU32::new(every).ok_or("a stride of 0")?;
                let mut hota = Vec::new();
                for (&draw, still) in draws.iter().zip(still) {
                    let tracked = Tracked::drawn(folder, known, Settings::default(), every, draw)?;
                    let refined =
                        refine.apply_to_looks(tracked.rows.clone(), &tracked.detections, &tracked.video, every);
                    let evaluation = tracked.evaluate(&refined.rows)?;
                    hota.push(evaluation.hota.hota);
                    if STATIC.contains(&known.0) {
                        still.push(evaluation);
                    }
                }
                of_strides.push(hota);
            }
            println!("| {} |{}", known.0, gains(&of_strides));
        }
        let pooled = |of_draws: &Vec<Vec<Evaluation>>| of_draws.iter().map(|draw| pooled(draw).hota.hota).collect();
        println!(
            "| the four of a static camera, pooled |{}\n",
            gains(&still.iter().map(pooled).collect::<Vec<Vec<f64>>>())
        );
    }
    Ok(())
}

/// By stride and draw, against the first stride.
fn gains(hota: &[Vec<f64>]) -> String {
    let gain = |of_stride: &Vec<f64>| {
        let gains: Vec<f64> = of_stride.iter().zip(&hota[0]).map(|(some, all)| some - all).collect();
        let least = gains.iter().copied().fold(f64::INFINITY, f64::min);
        format!(" {:+.1} ({least:+.1}) |", gains.iter().sum::<f64>() / gains.len() as f64)
    };
    hota[1..].iter().map(gain).collect()
}

fn cell(evaluation: &Evaluation) -> String {
    let Evaluation { hota, clear, identity, .. } = evaluation;
    format!("{:.2} / {:.2} / {:.2} / {}", hota.hota, hota.ass_a, identity.idf1, clear.switches)
}

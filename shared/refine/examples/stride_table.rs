//! Prints the table of `docs/tracking.md`: what it costs to look at every other frame, every third or every fourth.
//!
//!     cargo run --release -p trackdrop-refine --example stride_table

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{Known, MOT15, MOT17, Result, Tracked};
use std::num::NonZeroU32;
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
    for (name, refine) in [("nothing else", Refine::default()), ("`--smooth rts`", rts), ("`--refine`", best)] {
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
    Ok(())
}

fn cell(evaluation: &Evaluation) -> String {
    let Evaluation { hota, clear, identity, .. } = evaluation;
    format!("{:.2} / {:.2} / {:.2} / {}", hota.hota, hota.ass_a, identity.idf1, clear.switches)
}

//! Prints the table of `docs/tracking.md`: what each refinement makes of ByteTrack's tracks.
//!
//!     cargo run --release -p trackdrop-refine --example identity_table

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{Known, MOT15, MOT17, Result, Tracked};
use trackdrop_eval::{Evaluation, pooled};
use trackdrop_refine::{Gaps, Link, Refine, Smooth, Smoothing};
use trackdrop_tracker::Settings;

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    let (none, link) = (Refine::default(), Some(Link::default()));
    let rts = Some(Smooth::Rts);
    let linked = Refine { link, ..none.clone() };
    let gaussian = Some(Smooth::Gaussian(Smoothing::default()));
    let variants = [
        ("ByteTrack", none.clone()),
        ("`--fill-gaps 18 --smooth 2`", Refine { fill_gaps: Some(Gaps::default()), smooth: gaussian, ..none.clone() }),
        ("`--smooth rts`", Refine { smooth: rts, ..none }),
        ("`--link`", linked.clone()),
        ("`--link --recover`", Refine { recover: true, ..linked.clone() }),
        ("`--link --smooth rts`", Refine { smooth: rts, ..linked.clone() }),
        ("`--refine`", Refine { recover: true, smooth: rts, ..linked }),
    ];
    for (group, sequences) in [("MOT17", &MOT17[..]), ("MOT15", &MOT15[..])] {
        let track = |&known: &Known| Tracked::of(&folder, known, Settings::default());
        let tracked = sequences.iter().map(track).collect::<Result<Vec<_>>>()?;
        let names = tracked.iter().map(|sequence| format!(" {} |", sequence.name)).collect::<String>();
        println!("HOTA / AssA / IDF1 / IDSW\n\n| |{names} {group} pooled |\n|---|{}---|", "---|".repeat(tracked.len()));
        for (name, refine) in &variants {
            let evaluate = |sequence: &Tracked| {
                let refined = refine.apply(sequence.rows.clone(), &sequence.detections, &sequence.video);
                sequence.evaluate(&refined.rows)
            };
            let evaluations = tracked.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
            let cells = evaluations.iter().map(|one| format!(" {} |", cell(one))).collect::<String>();
            println!("| {name} |{cells} {} |", cell(&pooled(&evaluations)));
        }
        println!();
    }
    Ok(())
}

fn cell(evaluation: &Evaluation) -> String {
    let Evaluation { hota, clear, identity, .. } = evaluation;
    format!("{:.2} / {:.2} / {:.2} / {}", hota.hota, hota.ass_a, identity.idf1, clear.switches)
}

//! Prints the tables of `docs/tracking.md`: what each refinement makes of ByteTrack's tracks, for each sequence and in the mean of twenty draws.
//!
//!     cargo run --release -p trackdrop-refine --example identity_table

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{Draw, Known, MOT15, MOT17, Result, Tracked};
use std::{num::NonZeroU32, path::Path};
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
    print_draws(&folder, &variants)
}

/// Single links decide about a short sequence, so the same refinements are applied to other starts of it, forwards and backwards.
fn print_draws(folder: &Path, variants: &[(&str, Refine)]) -> Result<()> {
    println!("Mean of twenty draws: HOTA / IDF1 / IDSW\n\n| | MOT17 pooled | MOT15 pooled |\n|---|---|---|");
    let draws: Vec<Draw> = Draw::twenty().collect();
    let mut means = vec![Vec::new(); variants.len()];
    for sequences in [&MOT17[..], &MOT15[..]] {
        let mut sums = vec![[0.0; 3]; variants.len()];
        for &draw in &draws {
            let track = |&known: &Known| Tracked::drawn(folder, known, Settings::default(), NonZeroU32::MIN, draw);
            let tracked = sequences.iter().map(track).collect::<Result<Vec<_>>>()?;
            for ((_, refine), sums) in variants.iter().zip(&mut sums) {
                let evaluate = |sequence: &Tracked| {
                    let refined = refine.apply(sequence.rows.clone(), &sequence.detections, &sequence.video);
                    sequence.evaluate(&refined.rows)
                };
                let Evaluation { hota, clear, identity, .. } =
                    pooled(&tracked.iter().map(evaluate).collect::<Result<Vec<_>>>()?);
                let values = [hota.hota, identity.idf1, clear.switches as f64];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        for (sums, means) in sums.iter().zip(&mut means) {
            let [hota, idf1, switches] = sums.map(|sum| sum / draws.len() as f64);
            means.push(format!("{hota:.2} / {idf1:.2} / {switches:.0}"));
        }
    }
    for ((name, _), means) in variants.iter().zip(&means) {
        println!("| {name} | {} |", means.join(" | "));
    }
    Ok(())
}

fn cell(evaluation: &Evaluation) -> String {
    let Evaluation { hota, clear, identity, .. } = evaluation;
    format!("{:.2} / {:.2} / {:.2} / {}", hota.hota, hota.ass_a, identity.idf1, clear.switches)
}

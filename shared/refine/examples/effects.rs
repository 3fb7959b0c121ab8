//! Measures the older named deviations on the golden sequences that have ground truth, and prints the tables of `docs/tracking.md`.
//!
//!     cargo run --release -p trackdrop-refine --example effects

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{MOT15, Result, Tracked};
use trackdrop_eval::Evaluation;
use trackdrop_refine::{Backfill, Gaps, Refine, Smooth, Smoothing};
use trackdrop_tracker::Settings;

/// What to do to the tracks.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    /// Whether the tracker's buffer counts frames of the sequence's own rate.
    scale_buffer: bool,
    backfill: bool,
    max_missing_frames: u32,
    sigma_frames: Option<f64>,
}

const AS_TRACKED: Variant =
    Variant { name: "as tracked", scale_buffer: false, backfill: false, max_missing_frames: 0, sigma_frames: None };

const VARIANTS: [Variant; 10] = [
    AS_TRACKED,
    Variant { name: "buffer scaled by frame rate", scale_buffer: true, ..AS_TRACKED },
    Variant { name: "first box", backfill: true, ..AS_TRACKED },
    Variant { name: "gaps up to 8", max_missing_frames: 8, ..AS_TRACKED },
    Variant { name: "gaps up to 18 (reference)", max_missing_frames: 18, ..AS_TRACKED },
    Variant { name: "gaps up to 28", max_missing_frames: 28, ..AS_TRACKED },
    Variant { name: "smoothed, sigma 2", sigma_frames: Some(2.0), ..AS_TRACKED },
    Variant { name: "gaps up to 18, sigma 2", max_missing_frames: 18, sigma_frames: Some(2.0), ..AS_TRACKED },
    Variant { name: "gaps up to 18, sigma 4", max_missing_frames: 18, sigma_frames: Some(4.0), ..AS_TRACKED },
    Variant {
        name: "all three, sigma 2",
        backfill: true,
        max_missing_frames: 18,
        sigma_frames: Some(2.0),
        ..AS_TRACKED
    },
];

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    for known in MOT15 {
        println!("**{}**\n", known.0);
        println!("| | HOTA | DetA | AssA | MOTA | IDF1 | IDSW | Frag | FP | FN | rows added |");
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for variant in VARIANTS {
            let frame_rate = if variant.scale_buffer { known.1 } else { Settings::default().frame_rate };
            let tracked = Tracked::of(&folder, known, Settings { frame_rate, ..Settings::default() })?;
            let refined = variant.refine()?.apply(tracked.rows.clone(), &tracked.all_detections, &tracked.video).rows;
            let added = refined.len() - tracked.rows.len();
            print_line(variant.name, &tracked.evaluate(&refined)?, added);
        }
        println!();
    }
    Ok(())
}

impl Variant {
    fn refine(&self) -> Result<Refine> {
        let smooth = self.sigma_frames.map(Smoothing::new).transpose()?.map(Smooth::Gaussian);
        Ok(Refine {
            backfill: self.backfill.then(Backfill::default),
            fill_gaps: Some(Gaps { max_missing_frames: self.max_missing_frames, ..Gaps::default() }),
            smooth,
            ..Refine::default()
        })
    }
}

fn print_line(name: &str, evaluation: &Evaluation, added: usize) {
    let (hota, clear, identity) = (&evaluation.hota, &evaluation.clear, &evaluation.identity);
    println!(
        "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} | {} | {added} |",
        hota.hota,
        hota.det_a,
        hota.ass_a,
        clear.mota,
        identity.idf1,
        clear.switches,
        clear.fragments,
        clear.false_positives,
        clear.false_negatives
    );
}

//! Measures the named deviations on the golden sequences that have ground truth, and prints the README's tables.
//!
//!     cargo run --release -p trackdrop-eval --example offline_effects

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::Result;
use trackdrop_eval::offline::{Backfill, Gaps, Smoothing, backfill_first_boxes, fill_gaps, smooth};
use trackdrop_eval::{Evaluation, Options, Row, Sequence, evaluate};
use trackdrop_tracker::{ByteTrack, Detection, MAX_ASPECT, MIN_BOX_AREA_PX2, Settings, passes_output_filter};

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

/// Frames per second of the sequences, as MOTChallenge states them.
fn frame_rate(name: &str) -> f64 {
    match name {
        "MOT15-KITTI-17" => 10.0,
        "MOT15-PETS09-S2L1" => 7.0,
        _ => 25.0,
    }
}

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    for (name, _) in golden::metrics(&folder)? {
        let truth = golden::ground_truth(&folder, &name)?;
        let (detections, frames) = golden::detections(&folder, &name)?;
        println!("**{name}**\n");
        println!("| | HOTA | DetA | AssA | MOTA | IDF1 | IDSW | Frag | FP | FN | rows added |");
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for variant in VARIANTS {
            let frame_rate = if variant.scale_buffer { frame_rate(&name) } else { Settings::default().frame_rate };
            let tracks = track(&detections, frames, frame_rate)?;
            let refined = variant.apply(&tracks, &detections)?;
            let added = refined.rows().len() - tracks.rows().len();
            print_line(variant.name, &evaluate(&truth, &refined, &Options::default()), added);
        }
        println!();
    }
    Ok(())
}

/// The tracks that the reference would write to its result file.
fn track(detections: &Sequence, frames: u32, frame_rate: f64) -> Result<Sequence> {
    let mut tracker = ByteTrack::new(Settings { frame_rate, ..Settings::default() })?;
    let mut rows = Vec::new();
    for frame in 1..=frames {
        let corners = detections.frame(frame).iter().map(|&Row { x, y, w, h, score, .. }| Detection {
            x1: x,
            y1: y,
            x2: x + w,
            y2: y + h,
            score,
        });
        let tracks = tracker.step(&corners.collect::<Vec<_>>());
        let kept = tracks.iter().filter(|track| passes_output_filter(track, MIN_BOX_AREA_PX2, MAX_ASPECT));
        rows.extend(kept.map(|track| Row { score: track.score, ..Row::new(frame, track.id, track.tlwh()) }));
    }
    Ok(Sequence::from_rows(rows)?)
}

impl Variant {
    fn apply(&self, tracks: &Sequence, detections: &Sequence) -> Result<Sequence> {
        let mut refined = tracks.clone();
        if self.backfill {
            refined = backfill_first_boxes(&refined, detections, &Backfill::default());
        }
        refined = fill_gaps(&refined, &Gaps { max_missing_frames: self.max_missing_frames, ..Gaps::default() });
        if let Some(sigma_frames) = self.sigma_frames {
            refined = smooth(&refined, &Smoothing::new(sigma_frames)?);
        }
        Ok(refined)
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

//! Prints the tables of `docs/tracking.md`: what `--detect-every auto` chooses on sequences with ground truth, and what that costs.
//!
//!     cargo run --release -p trackdrop-probe --example auto_table

#[path = "../../refine/tests/support/golden.rs"]
mod golden;

use golden::{Known, MOT15, MOT17, Result, Tracked};
use std::{num::NonZeroU32, path::Path};
use trackdrop_eval::Evaluation;
use trackdrop_pipeline::{Refinements, RequestSettings, looks::MostLoss, stride::StrideChoice};
use trackdrop_probe::{Asked, Budget, Stretch, choose};
use trackdrop_refine::Detection;
use trackdrop_tracker::Settings;

/// Frames of a stretch, where the whole sequence is divided into stretches.
const STRETCH: u32 = 120;
/// Bounds that are shown, in percent.
const BOUNDS: [&str; 4] = ["auto", "auto:5", "auto:10", "auto:20"];

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    for (name, refine) in [("nothing else", Refinements::default()), ("`--refine`", Refinements::best())] {
        let settings = RequestSettings { refine, ..RequestSettings::default() };
        let bounds: String = BOUNDS.iter().map(|bound| format!(" `{bound}` |")).collect();
        println!(
            "With {name}\n\n| | frames | 5 % of them | loss at 2 | at 3 |{bounds}\n|---|---|---|---|---|{}",
            "---|".repeat(BOUNDS.len())
        );
        for known in MOT17.into_iter().chain(MOT15) {
            println!("{}", line(&folder, known, &settings)?);
        }
        println!();
    }
    Ok(())
}

fn line(folder: &Path, known: Known, settings: &RequestSettings) -> Result<String> {
    let (name, frame_rate, size) = known;
    let all = Tracked::of(folder, known, Settings::default())?;
    let asked = Asked::of(settings, None, frame_rate, size)?;
    let every_frame: Vec<u64> = (0..u64::from(all.video.frame_count)).collect();
    let few = Budget::default().stretches(&every_frame, all.video.frame_count.into());
    let few: Vec<Stretch> =
        few.into_iter().map(|at| stretch(&all, at.start as u32, (at.end - at.start) as u32)).collect();
    let usual = choose(&few, &asked, MostLoss::USUAL)?;
    let length = STRETCH.min(all.video.frame_count / 2);
    let whole: Vec<Stretch> =
        (0..all.video.frame_count / length).map(|nth| stretch(&all, nth * length, length)).collect();
    let loss = |choice: &StrideChoice, at: usize| {
        choice
            .trials
            .get(at)
            .map_or("–".to_owned(), |trial| format!("{:.1} ± {:.1}", trial.loss_percent, trial.error_percent))
    };
    let tried = choose(&whole, &asked, MostLoss::USUAL)?;
    let base = evaluation(folder, known, &asked, 1)?;
    let mut cells = String::new();
    for bound in BOUNDS {
        let Ok(trackdrop_pipeline::DetectEvery::Auto(most)) = bound.parse() else { return Err(bound.into()) };
        let every = choose(&whole, &asked, most)?.detect_every.get();
        let at = evaluation(folder, known, &asked, every)?;
        cells += &format!(" {every}: {:+.1} |", at.hota.hota - base.hota.hota);
    }
    let frames = all.video.frame_count;
    Ok(format!("| {name} | {frames} | {} | {} | {} |{cells}", usual.detect_every, loss(&tried, 0), loss(&tried, 1)))
}

fn stretch(all: &Tracked, first: u32, frame_count: u32) -> Stretch {
    let inside = all.all_detections.iter().filter(|seen| (first..first + frame_count).contains(&seen.frame));
    let moved = |seen: &Detection| Detection { frame: seen.frame - first, ..*seen };
    Stretch { frame_count, detections: inside.map(moved).collect() }
}

fn evaluation(folder: &Path, known: Known, asked: &Asked, every: u32) -> Result<Evaluation> {
    let every = NonZeroU32::new(every).ok_or("a stride of 0")?;
    let tracked = Tracked::looking(folder, known, Settings::default(), every)?;
    let refined = asked.refine.apply_to_looks(tracked.rows.clone(), &tracked.detections, &tracked.video, every);
    tracked.evaluate(&refined.rows)
}

//! What fewer looks may cost on sequences of a static camera with ground truth, pooled.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/golden.rs"]
mod golden;

use golden::{Draw, MOT15, MOT17, Tracked};
use std::{num::NonZeroU32, path::Path};
use trackdrop_eval::pooled;
use trackdrop_refine::{Link, Refine, Smooth};
use trackdrop_tracker::Settings;

/// As tracked, smoothed, and with all of `--refine`.
fn refinements() -> [Refine; 3] {
    let smooth = Some(Smooth::Rts);
    let rts = Refine { smooth, ..Refine::default() };
    [Refine::default(), rts, Refine { link: Some(Link::default()), recover: true, smooth, ..Refine::default() }]
}

fn hota(folder: &Path, refine: &Refine, every: u32, draw: Draw) -> f64 {
    let every = NonZeroU32::new(every).unwrap();
    let sequences = [MOT17[0], MOT17[2], MOT15[1], MOT15[2]].map(|known| {
        let tracked = Tracked::drawn(folder, known, Settings::default(), every, draw).unwrap();
        let refined = refine.apply_to_looks(tracked.rows.clone(), &tracked.detections, &tracked.video, every);
        tracked.evaluate(&refined.rows).unwrap()
    });
    pooled(&sequences).hota.hota
}

#[test]
fn every_second_look_costs_at_most_half_a_point_and_every_third_one_and_a_half() {
    let Some(folder) = golden::folder() else { return };
    for refine in refinements() {
        let all = hota(&folder, &refine, 1, Draw::default());
        for (every, lost) in [(2, 0.5), (3, 1.5)] {
            let some = hota(&folder, &refine, every, Draw::default());
            assert!(some > all - lost, "every {every}: {some:.2} instead of {all:.2} with {refine:?}");
        }
    }
}

#[test]
fn wherever_the_first_look_is_every_second_one_is_as_good_and_mostly_better() {
    let Some(folder) = golden::folder() else { return };
    for refine in refinements() {
        let gain = |draw| hota(&folder, &refine, 2, draw) - hota(&folder, &refine, 1, draw);
        let gains: Vec<f64> = Draw::ten().map(gain).collect();
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        assert!(mean > 1.0 && gains.iter().all(|&gain| gain > -0.5), "{gains:.2?} with {refine:?}");
    }
}

//! What fewer looks may cost on sequences of a static camera with ground truth, pooled.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/golden.rs"]
mod golden;

use golden::{MOT15, MOT17, Tracked};
use std::num::NonZeroU32;
use trackdrop_eval::pooled;
use trackdrop_refine::{Link, Refine, Smooth};
use trackdrop_tracker::Settings;

#[test]
fn every_second_look_costs_next_to_nothing_and_every_third_little() {
    let Some(folder) = golden::folder() else { return };
    let best = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let hota = |refine: &Refine, every: u32| {
        let every = NonZeroU32::new(every).unwrap();
        let sequences = [MOT17[0], MOT17[2], MOT15[1], MOT15[2]].map(|known| {
            let tracked = Tracked::looking(&folder, known, Settings::default(), every).unwrap();
            let refined = refine.apply_to_looks(tracked.rows.clone(), &tracked.detections, &tracked.video, every);
            tracked.evaluate(&refined.rows).unwrap()
        });
        pooled(&sequences).hota.hota
    };
    for (refine, lost_at) in [(best, [0.5, 1.5]), (Refine::default(), [0.6, 1.5])] {
        let all = hota(&refine, 1);
        for (every, lost) in [2, 3].into_iter().zip(lost_at) {
            let some = hota(&refine, every);
            assert!(some > all - lost, "every {every}: {some:.2} instead of {all:.2}");
        }
    }
}

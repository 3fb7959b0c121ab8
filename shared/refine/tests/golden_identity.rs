//! How good the refinements are on sequences with ground truth: no change may lose what was reached.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "support/golden.rs"]
mod golden;

use golden::{Known, MOT15, MOT17, Tracked};
use trackdrop_eval::{Evaluation, pooled};
use trackdrop_refine::{Link, Refine, Smooth};
use trackdrop_tracker::Settings;

fn measured(sequences: &[Known], refine: &Refine) -> Option<Evaluation> {
    let folder = golden::folder()?;
    let evaluate = |&known: &Known| {
        let tracked = Tracked::of(&folder, known, Settings::default()).unwrap();
        let refined = refine.apply(tracked.rows.clone(), &tracked.detections, &tracked.video);
        tracked.evaluate(&refined.rows).unwrap()
    };
    Some(pooled(&sequences.iter().map(evaluate).collect::<Vec<_>>()))
}

fn assert_at_least(is: &Evaluation, [hota, ass_a, idf1]: [f64; 3], switches: u64) {
    let numbers = [is.hota.hota, is.hota.ass_a, is.identity.idf1];
    let rounded = numbers.map(|number| (number * 10.0).round() / 10.0);
    assert!(rounded[0] >= hota && rounded[1] >= ass_a && rounded[2] >= idf1, "{numbers:?}");
    assert!(is.clear.switches <= switches, "{} switches", is.clear.switches);
}

#[test]
fn smoothing_by_motion_is_as_good_as_it_was() {
    let rts = Refine { smooth: Some(Smooth::Rts), ..Refine::default() };
    let Some(mot17) = measured(&MOT17, &rts) else { return };
    assert_at_least(&mot17, [55.7, 48.9, 65.2], 295);
    assert_at_least(&measured(&MOT15[1..], &rts).unwrap(), [43.4, 0.0, 0.0], 43);
}

#[test]
fn linking_is_as_good_as_it_was() {
    let Some(mot17) = measured(&MOT17, &Refine { link: Some(Link::default()), ..Refine::default() }) else { return };
    assert_at_least(&mot17, [56.3, 52.4, 69.6], 300);
}

#[test]
fn all_of_it_is_as_good_as_it_was() {
    let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let Some(mot17) = measured(&MOT17, &all) else { return };
    assert_at_least(&mot17, [59.5, 55.0, 71.3], 260);
}

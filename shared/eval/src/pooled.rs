//! Evaluates several videos as one.

use crate::{
    clear::Clear,
    evaluation::Evaluation,
    hota::{ALPHAS, Hota, HotaAtAlpha},
    identity::Identity,
};

/// Combines the evaluations of several videos, as TrackEval's `COMBINED`: as if their frames followed each other, and
/// no object were in two videos. Counts are added, and shares are computed from the sums. So a long video has more
/// weight than a short one.
#[must_use]
pub fn pooled(evaluations: &[Evaluation]) -> Evaluation {
    let sum = |of: fn(&Evaluation) -> u64| evaluations.iter().map(of).sum::<u64>();
    let truths = sum(truths) as f64;
    let tracks = sum(|one| one.clear.true_positives + one.clear.false_positives) as f64;
    let per_alpha: [HotaAtAlpha; ALPHAS] = std::array::from_fn(|index| at_alpha(evaluations, index, truths, tracks));
    let mean = |part: fn(&HotaAtAlpha) -> f64| per_alpha.iter().map(part).sum::<f64>() / ALPHAS as f64;
    let hota = Hota {
        hota: mean(|at| at.hota),
        det_a: mean(|at| at.det_a),
        ass_a: mean(|at| at.ass_a),
        det_re: mean(|at| at.det_re),
        det_pr: mean(|at| at.det_pr),
        ass_re: mean(|at| at.ass_re),
        ass_pr: mean(|at| at.ass_pr),
        loc_a: mean(|at| at.loc_a),
        per_alpha,
    };
    let matched = sum(|one| one.clear.true_positives);
    let (false_positives, switches) = (sum(|one| one.clear.false_positives), sum(|one| one.clear.switches));
    let errors = if truths == 0.0 { 0.0 } else { (false_positives + switches) as f64 };
    let iou_sum: f64 = evaluations.iter().map(|one| one.clear.motp * one.clear.true_positives as f64).sum();
    let clear = Clear {
        mota: 100.0 * (matched as f64 - errors) / truths.max(1.0),
        motp: iou_sum / (matched as f64).max(1.0),
        switches,
        fragments: sum(|one| one.clear.fragments),
        mostly_tracked: sum(|one| one.clear.mostly_tracked),
        partly_tracked: sum(|one| one.clear.partly_tracked),
        mostly_lost: sum(|one| one.clear.mostly_lost),
        true_positives: matched,
        false_positives,
        false_negatives: sum(|one| one.clear.false_negatives),
    };
    let right = sum(|one| one.identity.true_positives);
    let percent_of = |all: f64| 100.0 * right as f64 / all.max(1.0);
    let identity = Identity {
        idf1: percent_of((truths + tracks) / 2.0),
        idp: percent_of(tracks),
        idr: percent_of(truths),
        true_positives: right,
        false_positives: sum(|one| one.identity.false_positives),
        false_negatives: sum(|one| one.identity.false_negatives),
    };
    let (objects, tracks) = (sum(|one| one.objects), sum(|one| one.tracks));
    Evaluation { hota, clear, identity, objects, tracks, frame_shift: None }
}

/// Rows of ground truth.
fn truths(evaluation: &Evaluation) -> u64 {
    evaluation.clear.true_positives + evaluation.clear.false_negatives
}

fn at_alpha(evaluations: &[Evaluation], index: usize, truths: f64, tracks: f64) -> HotaAtAlpha {
    // How many rows are matched at this threshold. It is a whole number, except for the rounding of the share.
    let matched_of = |one: &Evaluation| (one.hota.per_alpha[index].det_re / 100.0 * self::truths(one) as f64).round();
    let matched: f64 = evaluations.iter().map(matched_of).sum();
    let weighted = |part: fn(&HotaAtAlpha) -> f64| {
        evaluations.iter().map(|one| matched_of(one) * part(&one.hota.per_alpha[index])).sum::<f64>()
    };
    let per_match = |part: fn(&HotaAtAlpha) -> f64| weighted(part) / matched.max(1.0);
    let det_a = matched / (truths + tracks - matched).max(1.0);
    let ass_a = per_match(|at| at.ass_a);
    HotaAtAlpha {
        alpha: crate::hota::alpha(index),
        hota: 100.0 * (det_a * ass_a / 100.0).sqrt(),
        det_a: 100.0 * det_a,
        ass_a,
        det_re: 100.0 * matched / truths.max(1.0),
        det_pr: 100.0 * matched / tracks.max(1.0),
        ass_re: per_match(|at| at.ass_re),
        ass_pr: per_match(|at| at.ass_pr),
        loc_a: if matched > 0.0 { per_match(|at| at.loc_a) } else { 100.0 },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Options, Row, Sequence, evaluate};

    fn walk(id: u64, start: u32, frames: u32, x: f64) -> impl Iterator<Item = Row> {
        (0..frames).map(move |i| Row::new(start + i, id, [x + 3.0 * f64::from(i), 5.0, 40.0, 90.0]))
    }

    #[test]
    fn pooling_two_videos_is_evaluating_one_after_the_other() {
        let video = |first: u32, ids: u64| {
            let truth: Vec<Row> = walk(ids, first, 20, 0.0).chain(walk(ids + 1, first + 4, 12, 300.0)).collect();
            let tracks: Vec<Row> = walk(ids, first, 9, 4.0)
                .chain(walk(ids + 2, first + 9, 8, 27.0 + ids as f64))
                .chain(walk(ids + 1, first + 2, 10, 291.0))
                .collect();
            (truth, tracks)
        };
        let (a, b) = (video(1, 1), video(101, 11));
        let of = |truth: &[Row], tracks: &[Row]| {
            let sequence = |rows: &[Row]| Sequence::from_rows(rows.to_vec()).unwrap();
            evaluate(&sequence(truth), &sequence(tracks), &Options::default())
        };
        let both = of(&[a.0.clone(), b.0.clone()].concat(), &[a.1.clone(), b.1.clone()].concat());
        let pooled = pooled(&[of(&a.0, &a.1), of(&b.0, &b.1)]);
        assert_eq!(
            (&pooled.clear.switches, pooled.clear.false_negatives),
            (&both.clear.switches, both.clear.false_negatives)
        );
        assert_eq!(pooled.identity.true_positives, both.identity.true_positives);
        for (pooled, both) in [
            (pooled.hota.hota, both.hota.hota),
            (pooled.hota.ass_pr, both.hota.ass_pr),
            (pooled.hota.loc_a, both.hota.loc_a),
            (pooled.clear.mota, both.clear.mota),
            (pooled.clear.motp, both.clear.motp),
            (pooled.identity.idf1, both.identity.idf1),
        ] {
            assert!((pooled - both).abs() < 1e-9, "{pooled} instead of {both}");
        }
    }
}

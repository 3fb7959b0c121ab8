//! Chooses the stride.

use crate::{Asked, Stretch};
use std::num::NonZeroU32;
use trackdrop_eval::{Evaluation, pooled};
use trackdrop_pipeline::{
    Failure, Stride,
    looks::MostLoss,
    stride::{StrideChoice, StrideReason, StrideTrial},
};

/// The strides that are tried, in addition to 1.
pub const STRIDES: [u32; 7] = [2, 3, 4, 5, 6, 8, 10];

/// The lowest number of stretches with an object.
const FEWEST_SEEN: usize = 2;

/// Chooses the largest stride N so that N and all smaller strides lose at most `most`. The standard error of each loss
/// is added to it, because few stretches do not show everything. All strides are tried, for the table.
///
/// The result does not say where the stretches are. The caller, which knows it, adds that.
///
/// # Errors
/// Permanent: the tracker refuses a setting.
pub fn choose(stretches: &[Stretch], asked: &Asked, most: MostLoss) -> Result<StrideChoice, Failure> {
    let mut choice = StrideChoice {
        detect_every: Stride::ALL,
        reason: StrideReason::TooShort,
        most_loss_percent: most.percent(),
        frames_looked_at: stretches.iter().map(|stretch| u64::from(stretch.frame_count)).sum(),
        stretches: Vec::new(),
        trials: Vec::new(),
    };
    if stretches.is_empty() {
        return Ok(choice);
    }
    let tried: Vec<Vec<Tried>> = stretches.iter().map(|stretch| try_all(stretch, asked)).collect::<Result<_, _>>()?;
    if tried.iter().filter(|tried| !tried.is_empty()).count() < FEWEST_SEEN {
        return Ok(StrideChoice { reason: StrideReason::NothingSeen, ..choice });
    }
    for every in STRIDES {
        let of_stretches: Vec<Evaluation> =
            tried.iter().flatten().filter(|tried| tried.every == every).map(|tried| tried.evaluation.clone()).collect();
        choice.trials.push(trial(every, &of_stretches)?);
    }
    let within = choice.trials.iter().take_while(|trial| trial.is_within(choice.most_loss_percent));
    (choice.detect_every, choice.reason) = match (within.last(), choice.trials.last()) {
        (None, _) => (Stride::ALL, StrideReason::AllLoseMore),
        (Some(best), Some(last)) if best.detect_every == last.detect_every => {
            (best.detect_every, StrideReason::LongestTried)
        }
        (Some(best), _) => (best.detect_every, StrideReason::NextLosesMore),
    };
    Ok(choice)
}

/// The result of a stride on a stretch, over all frames at which the stride can begin.
struct Tried {
    every: u32,
    evaluation: Evaluation,
}

/// The results of all strides on a stretch. None if no object was tracked.
fn try_all(stretch: &Stretch, asked: &Asked) -> Result<Vec<Tried>, Failure> {
    let mut all = Vec::new();
    for every in STRIDES {
        let stride = NonZeroU32::new(every).unwrap_or(NonZeroU32::MIN);
        let evaluation = pooled(&stretch.trials(asked, stride).map_err(Failure::permanent_from)?);
        if evaluation.objects == 0 {
            return Ok(Vec::new());
        }
        all.push(Tried { every, evaluation });
    }
    Ok(all)
}

/// The loss over all stretches, and the standard error of its mean.
fn trial(every: u32, of_stretches: &[Evaluation]) -> Result<StrideTrial, Failure> {
    let loss = |evaluation: &Evaluation| 100.0 - evaluation.identity.idf1;
    let count = of_stretches.len() as f64;
    let mean = of_stretches.iter().map(loss).sum::<f64>() / count;
    let squares: f64 = of_stretches.iter().map(|one| (loss(one) - mean).powi(2)).sum();
    let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
    let hundredths = |percent: f64| (percent * 100.0).ceil() / 100.0;
    Ok(StrideTrial {
        detect_every: every.try_into().map_err(Failure::permanent_from)?,
        loss_percent: hundredths(loss(&pooled(of_stretches))),
        error_percent: hundredths(error),
    })
}

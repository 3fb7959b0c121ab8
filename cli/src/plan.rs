//! `trackdrop plan`: predicts the time and the cost of a video before it is processed.

use crate::{args::PlanArguments, output::line, probe, settings};
use anyhow::bail;
use serde_json::json;
use trackdrop_media::{PlannedSegment, index};
use trackdrop_pipeline::{
    DetectEvery, Looks, StrideChoice,
    cost::{CostEstimate, Prices},
    stride::StrideTrial,
};

/// What detection of a video would take.
#[derive(Debug)]
struct Prediction {
    /// Frames that the detector looks at.
    looks: u64,
    segments: usize,
    instances: usize,
    /// From the first segment's event to the last segment's detections.
    wall_s: f64,
    /// Seconds that all instances together are started or busy.
    busy_s: f64,
    cost: CostEstimate,
}

/// What is predicted of a video.
#[derive(Debug)]
pub(crate) struct Plan {
    frames: u64,
    warnings: Vec<String>,
    /// What a probe chose, if there was one.
    choice: Option<StrideChoice>,
    /// For every frame, and for each stride that the probe tried: the stride, its loss, and what it would take.
    strides: Vec<(u32, Option<StrideTrial>, Prediction)>,
    /// The detector looks at every N-th frame.
    every: u32,
    predicted: Prediction,
}

pub(crate) fn plan(arguments: &PlanArguments) -> anyhow::Result<()> {
    let plan = Plan::new(arguments)?;
    if arguments.json {
        line!("{}", plan.json());
        return Ok(());
    }
    plan.print(arguments)
}

impl Plan {
    pub(crate) fn new(arguments: &PlanArguments) -> anyhow::Result<Self> {
        for (name, value, least) in [
            ("--fps-per-gpu", arguments.fps_per_gpu, f64::MIN_POSITIVE),
            ("--start-seconds", arguments.start_seconds, 0.0),
            ("--segment-seconds", arguments.segment_seconds, 0.1),
        ] {
            if !value.is_finite() || value < least {
                bail!("{name} {value} can't be used: it must be at least {least:e}");
            }
        }
        let choice = match (arguments.probe, arguments.detect_every) {
            (true, _) => Some(probe::probe(arguments)?),
            (false, DetectEvery::Auto(_)) => bail!(
                "--detect-every {} is chosen from the video itself: give --probe, too, or a number of frames",
                arguments.detect_every
            ),
            (false, _) => None,
        };
        let source = settings::source(&arguments.video, &arguments.reading)?;
        let video = index(&source, &crate::host::limits()?)?;
        let chosen = choice.as_ref().map(|choice| choice.detect_every);
        // A number that is given counts, whatever the probe says.
        let every = arguments.detect_every.frames().or(chosen).map_or(1, |stride| stride.get());
        let segments = video.plan(arguments.segment_seconds)?;
        let prices = Prices::built_in();
        let predict_for = |every| {
            let (looks, most) = (looks_of(&segments, every), arguments.max_instances.get());
            predict(&looks, arguments.fps_per_gpu, most, arguments.start_seconds, &prices)
        };
        let tried = choice.iter().flat_map(|choice| &choice.trials);
        let tried = tried.map(|trial| (trial.detect_every.get(), Some(*trial)));
        let strides = std::iter::once((1, None)).chain(tried);
        let strides = strides.map(|(every, trial)| (every, trial, predict_for(every))).collect();
        let (frames, predicted) = (video.frame_count(), predict_for(every));
        Ok(Self { frames, warnings: video.warnings, choice, strides, every, predicted })
    }

    /// With the same keys for the command and the console.
    pub(crate) fn json(&self) -> serde_json::Value {
        let Self { frames, warnings, choice, strides, every, predicted } = self;
        let strides = strides.iter().map(|(every, trial, predicted)| {
            let (loss, error) = trial.as_ref().map(|trial| (trial.loss_percent, trial.error_percent)).unzip();
            json!({
                "detect_every": every, "looks": predicted.looks, "loss_percent": loss, "error_percent": error,
                "wall_seconds": predicted.wall_s, "gpu_seconds": predicted.busy_s, "usd": predicted.cost.usd,
            })
        });
        let strides: Vec<_> = strides.collect();
        let probed = choice
            .as_ref()
            .map(|choice| json!({ "stride": choice, "strides": strides, "explanation": probe::in_words(choice) }));
        json!({
            "frames": frames, "detect_every": every, "looks": predicted.looks,
            "segments": predicted.segments, "instances": predicted.instances,
            "warnings": warnings, "wall_seconds": predicted.wall_s, "gpu_seconds": predicted.busy_s,
            "cost": predicted.cost, "probe": probed,
        })
    }

    fn print(&self, arguments: &PlanArguments) -> anyhow::Result<()> {
        let Self { frames, predicted, every, .. } = self;
        let cost = &predicted.cost;
        line!("frames     {frames} in {} segments", predicted.segments);
        if let Some(choice) = &self.choice {
            self.print_table(choice)?;
        }
        if *every > 1 {
            line!("looks      at {} of them, every {every} frames", predicted.looks);
        }
        line!(
            "detection  {:.0} s on {} instances at {} frames/s each, {} s to start included",
            predicted.wall_s,
            predicted.instances,
            arguments.fps_per_gpu,
            arguments.start_seconds
        );
        line!("cost       about ${:.4}, prices of {}:", cost.usd, cost.prices_as_of);
        line!("           {}", cost.formula);
        line!("           an estimate for detection; the other stages run on instances without GPU");
        for warning in &self.warnings {
            line!("note       {warning}");
        }
        Ok(())
    }

    fn print_table(&self, choice: &StrideChoice) -> anyhow::Result<()> {
        line!(
            "probe      {} frames in {} stretches, looked at in full",
            choice.frames_looked_at,
            choice.stretches.len()
        );
        line!("           every      looks    loss of IDF1     GPU s        $");
        for (every, trial, predicted) in &self.strides {
            let loss = match trial {
                Some(trial) => format!("{:.2} ± {:.2} %", trial.loss_percent, trial.error_percent),
                None => "none".to_owned(),
            };
            let mark = if *every == choice.detect_every.get() { "  <- auto" } else { "" };
            let Prediction { looks, busy_s, cost, .. } = predicted;
            line!("           {every:>5} {looks:>10} {loss:>15} {busy_s:>9.0} {:>8.4}{mark}", cost.usd);
        }
        line!("auto       {}", probe::in_words(choice));
        Ok(())
    }
}

/// How many frames of each segment the detector looks at.
fn looks_of(segments: &[PlannedSegment], every: u32) -> Vec<u64> {
    let last_frame = segments.last().and_then(|last| last.span.end_frame().checked_sub(1));
    let looks = Looks::new(every, last_frame);
    segments.iter().map(|segment| looks.count(segment.span.first_frame, segment.span.frame_count)).collect()
}

/// Each segment, in order, goes to the instance that is free first. So there are never more instances than segments.
fn predict(looks: &[u64], fps: f64, max_instances: usize, start_s: f64, prices: &Prices) -> Prediction {
    let instances = max_instances.min(looks.len()).max(1);
    let mut free_at = vec![start_s; instances];
    for &count in looks {
        if let Some(first) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *first += count as f64 / fps;
        }
    }
    let total: u64 = looks.iter().sum();
    let busy_s = total as f64 / fps + start_s * instances as f64;
    Prediction {
        looks: total,
        segments: looks.len(),
        instances,
        wall_s: free_at.into_iter().fold(0.0, f64::max),
        busy_s,
        cost: prices.estimate(busy_s, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_instances_take_less_time_and_cost_only_their_start_more() {
        let (frames, prices) = ([300; 10], Prices::built_in());
        let one = predict(&frames, 100.0, 1, 20.0, &prices);
        assert_eq!((one.wall_s, one.busy_s), (50.0, 50.0));
        let four = predict(&frames, 100.0, 4, 20.0, &prices);
        assert_eq!((four.wall_s, four.busy_s), (29.0, 110.0), "two of the four have three segments");
        let many = predict(&frames, 100.0, 1000, 20.0, &prices);
        assert_eq!((many.instances, many.wall_s), (10, 23.0), "a segment is not divided");
        assert!((four.cost.usd - 110.0 * prices.per_second(prices.track)).abs() < 1e-12);
    }
}

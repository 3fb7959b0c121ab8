//! `trackdrop eval`: tracks against ground truth, or against another tracker's.

use crate::{
    args::EvalArguments,
    output::line,
    refine,
    track_files::{SINGLE_PRECISION_PX, read},
};
use anyhow::bail;
use std::path::PathBuf;
use trackdrop_eval::{CompareOptions, Evaluation, Options, Preprocessing};

pub(crate) fn eval(arguments: &EvalArguments) -> anyhow::Result<()> {
    let iou = arguments.iou;
    if !(iou > 0.0 && iou <= 1.0) {
        bail!("--iou {iou} is not above 0 and at most 1");
    }
    let (text, json) = match arguments.compare.as_deref() {
        Some([a, b]) => {
            let (a, b) = (read(a)?, read(b)?);
            let exact = CompareOptions::default().tolerance_px;
            let tolerance_px = if a.single_precision || b.single_precision { SINGLE_PRECISION_PX } else { exact };
            let options = CompareOptions { iou, tolerance_px };
            let comparison = trackdrop_eval::compare(&a.sequence, &b.sequence, &options);
            (comparison.to_string(), serde_json::to_value(&comparison)?)
        }
        Some(_) => bail!("--compare takes two files"),
        None if arguments.gt.is_empty() => bail!("give --gt and --tracks, or --compare A B"),
        None => told(&arguments.gt, &evaluations(arguments)?)?,
    };
    if arguments.json {
        line!("{json}");
    } else {
        line!("{}", text.trim_end());
    }
    Ok(())
}

/// Each sequence against its ground truth, the tracks refined as asked for.
fn evaluations(arguments: &EvalArguments) -> anyhow::Result<Vec<Evaluation>> {
    let EvalArguments { gt, tracks, detections, frame_rate, .. } = arguments;
    let refine = refine::of(&arguments.refine, None)?;
    if tracks.len() != gt.len() {
        bail!("{} of --gt and {} of --tracks: give one for each, in the same order", gt.len(), tracks.len());
    }
    for (option, count, may_be_one) in
        [("--detections", detections.len(), false), ("--frame-rate", frame_rate.len(), true)]
    {
        if count != 0 && refine.is_none() {
            bail!(
                "{option} is for refinements: give --refine, or some of --link, --recover, --smooth, --fill-gaps, --backfill"
            );
        }
        if count != 0 && count != gt.len() && !(may_be_one && count == 1) {
            bail!("{count} of {option} for {} of --gt: give one for each, in the same order", gt.len());
        }
    }
    let evaluate = |(index, truth, tracks): (usize, &PathBuf, &PathBuf)| {
        let truth = read(truth)?.sequence;
        let options = Options { iou: arguments.iou, preprocessing: Preprocessing::suggested_for(&truth) };
        let sequence = match &refine {
            None => read(tracks)?.sequence,
            Some(refine) => {
                let frame_rate = frame_rate.get(index).or(frame_rate.first()).copied();
                let detections = detections.get(index).map(PathBuf::as_path);
                let given = refine::Given::read(tracks, detections, refine, frame_rate, None)?;
                refine::sequence(&refine.apply(given.rows, &given.detections, &given.video).rows)?
            }
        };
        Ok(trackdrop_eval::evaluate(&truth, &sequence, &options))
    };
    let sequences: Vec<_> =
        gt.iter().zip(tracks).enumerate().map(|(index, (gt, tracks))| (index, gt, tracks)).collect();
    trackdrop_eval::on_all_cores(sequences, evaluate).into_iter().collect()
}

/// Prints one sequence without its name, and several with their names and pooled.
fn told(names: &[PathBuf], evaluations: &[Evaluation]) -> anyhow::Result<(String, serde_json::Value)> {
    if let [one] = evaluations {
        return Ok((one.to_string(), serde_json::to_value(one)?));
    }
    let pooled = trackdrop_eval::pooled(evaluations);
    let mut text = String::new();
    let mut sequences = Vec::new();
    for (name, evaluation) in names.iter().zip(evaluations) {
        let name = name.display().to_string();
        text.push_str(&format!("{name}\n{evaluation}\n"));
        sequences.push(serde_json::json!({ "gt": name, "metrics": evaluation }));
    }
    text.push_str(&format!("pooled\n{pooled}"));
    Ok((text, serde_json::json!({ "sequences": sequences, "pooled": pooled })))
}

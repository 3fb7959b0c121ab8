//! `trackdrop eval`: tracks against ground truth, or against another tracker's.

use crate::{args::EvalArguments, output::line, refine};
use anyhow::bail;
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};
use trackdrop_eval::{CompareOptions, Evaluation, Mistakes, Options, Preprocessing, Stretch};
use trackdrop_exchange::{SINGLE_PRECISION_PX, read_tracks, read_tracks_of};

/// One video against its ground truth.
#[derive(Debug)]
struct Evaluated {
    evaluation: Evaluation,
    /// Where they differ, if that is asked for.
    mistakes: Option<Mistakes>,
}

pub(crate) fn eval(arguments: &EvalArguments) -> anyhow::Result<()> {
    let iou = arguments.iou;
    if !(iou > 0.0 && iou <= 1.0) {
        bail!("--iou {iou} is not above 0 and at most 1");
    }
    let (text, json) = match arguments.compare.as_deref() {
        Some([_, _]) if refine::of(&arguments.refine, None)?.is_some() => {
            bail!(
                "refinements are for --gt and --tracks: refine the files that you compare by `trackdrop retrack --tracks`"
            )
        }
        Some([a, b]) => {
            let (a, b) = (read_tracks(a)?, read_tracks(b)?);
            let exact = CompareOptions::default().tolerance_px;
            let tolerance_px = if a.single_precision || b.single_precision { SINGLE_PRECISION_PX } else { exact };
            let options = CompareOptions { iou, tolerance_px };
            let comparison = trackdrop_eval::compare(&a.sequence, &b.sequence, &options);
            (comparison.to_string(), serde_json::to_value(&comparison)?)
        }
        Some(_) => bail!("--compare takes two files"),
        None if arguments.gt.is_empty() => bail!("give --gt and --tracks, or --compare A B"),
        None => told(&arguments.gt, &evaluations(arguments)?, arguments.mistakes)?,
    };
    if arguments.json {
        line!("{json}");
    } else {
        line!("{}", text.trim_end());
    }
    Ok(())
}

/// Each sequence against its ground truth, the tracks refined as asked for.
fn evaluations(arguments: &EvalArguments) -> anyhow::Result<Vec<Evaluated>> {
    let EvalArguments { gt, tracks, detections, frame_rate, .. } = arguments;
    let refine = refine::of(&arguments.refine, None)?;
    if tracks.len() != gt.len() {
        bail!("{} of --gt and {} of --tracks: give one for each, in the same order", gt.len(), tracks.len());
    }
    if refine.is_some() && !arguments.classes.is_empty() {
        bail!(
            "--classes and refinements: refine first, by `trackdrop retrack REQUEST --classes`, and evaluate the version"
        );
    }
    let classes: Vec<_> = arguments.classes.iter().map(|name| name.trim().to_owned()).collect();
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
        let truth = read_tracks(truth)?.sequence;
        let options = Options { iou: arguments.iou, preprocessing: Preprocessing::suggested_for(&truth) };
        let sequence = match &refine {
            None => read_tracks_of(tracks, &classes)?.sequence,
            Some(refine) => {
                let frame_rate = frame_rate.get(index).or(frame_rate.first()).copied();
                let detections = detections.get(index).map(PathBuf::as_path);
                let given = refine::Given::read(tracks, detections, refine, frame_rate, None)?;
                refine::sequence(&refine.apply(given.rows, &given.detections, &given.video).rows)?
            }
        };
        let mistakes = arguments.mistakes.map(|_| trackdrop_eval::mistakes(&truth, &sequence, &options));
        Ok(Evaluated { evaluation: trackdrop_eval::evaluate(&truth, &sequence, &options), mistakes })
    };
    let sequences: Vec<_> =
        gt.iter().zip(tracks).enumerate().map(|(index, (gt, tracks))| (index, gt, tracks)).collect();
    trackdrop_eval::on_all_cores(sequences, evaluate).into_iter().collect()
}

/// Prints one sequence without its name, and several with their names and pooled.
fn told(
    names: &[PathBuf],
    evaluated: &[Evaluated],
    most: Option<usize>,
) -> anyhow::Result<(String, serde_json::Value)> {
    let most = most.unwrap_or_default();
    let mut text = String::new();
    let mut sequences = Vec::new();
    for (name, Evaluated { evaluation, mistakes }) in names.iter().zip(evaluated) {
        if evaluated.len() > 1 {
            writeln!(text, "{}", name.display())?;
        }
        write!(text, "{evaluation}")?;
        let mut metrics = serde_json::to_value(evaluation)?;
        if let Some(mistakes) = mistakes {
            list(&mut text, mistakes, most)?;
            metrics["mistakes"] = json!({
                "switches": first(&mistakes.switches, most),
                "missed": first(&mistakes.missed, most),
                "false_alarms": first(&mistakes.false_alarms, most),
            });
        }
        if evaluated.len() == 1 {
            return Ok((text, metrics));
        }
        writeln!(text)?;
        sequences.push(json!({ "gt": name.display().to_string(), "metrics": metrics }));
    }
    let evaluations: Vec<_> = evaluated.iter().map(|one| one.evaluation.clone()).collect();
    let pooled = trackdrop_eval::pooled(&evaluations);
    write!(text, "pooled\n{pooled}")?;
    Ok((text, json!({ "sequences": sequences, "pooled": pooled })))
}

fn first<T>(all: &[T], most: usize) -> &[T] {
    &all[..all.len().min(most)]
}

/// The first mistakes of each kind, with the frames in which to look.
fn list(text: &mut String, mistakes: &Mistakes, most: usize) -> std::fmt::Result {
    let Mistakes { switches, missed, false_alarms } = mistakes;
    heading(text, "switches", switches.len(), most)?;
    for switch in first(switches, most) {
        let trackdrop_eval::Switch { object, old_track, last_frame, new_track, frame } = switch;
        writeln!(
            text,
            "  object {object}: track {old_track} until frame {last_frame}, track {new_track} from frame {frame}"
        )?;
    }
    for (name, of, stretches) in [("missed", "object", missed), ("false alarms", "track", false_alarms)] {
        heading(text, name, stretches.len(), most)?;
        for Stretch { id, first_frame, last_frame, rows } in first(stretches, most) {
            writeln!(text, "  {of} {id}: frames {first_frame} to {last_frame}, {rows} boxes")?;
        }
    }
    Ok(())
}

fn heading(text: &mut String, name: &str, count: usize, most: usize) -> std::fmt::Result {
    match count > most {
        true => writeln!(text, "{name}: {most} of {count}"),
        false => writeln!(text, "{name}: {count}"),
    }
}

//! `trackdrop eval`: tracks against ground truth, or against another tracker's.

use crate::{args::EvalArguments, output::line, refine};
use anyhow::{Context, bail};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use trackdrop_eval::{CompareOptions, Evaluation, Options, Preprocessing, Row, Sequence};
use trackdrop_exchange::{WrittenTrack, read_written_tracks};
use trackdrop_tables::tracks;

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
    let evaluate = |(index, (truth, tracks)): (usize, (&PathBuf, &PathBuf))| {
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
    gt.iter().zip(tracks).enumerate().map(evaluate).collect()
}

/// One sequence as it is; several with their names, and pooled.
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

/// Boxes of `tracks.parquet` are `f32`: in a picture of 8,192 pixels two edges of a box that was rounded are together less than this away
/// from the tracker's own.
const SINGLE_PRECISION_PX: f64 = 1e-3;

/// Tracks from a file.
pub(crate) struct Tracks {
    pub(crate) sequence: Sequence,
    /// Whether the file holds boxes as `f32`.
    single_precision: bool,
}

/// Any file of tracks: text by its content, Parquet by its ending: a request's `tracks.parquet`, or what `retrack --out` wrote.
pub(crate) fn read(path: &Path) -> anyhow::Result<Tracks> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return Ok(Tracks { sequence: trackdrop_eval::read_file(path)?, single_precision: false });
    }
    let shown = path.display();
    let unreadable = || format!("{shown} can't be read");
    let bytes = Bytes::from(std::fs::read(path).with_context(unreadable)?);
    if let Some(rows) = read_written_tracks(bytes.clone()).with_context(unreadable)? {
        let to_row = |row: WrittenTrack| -> anyhow::Result<Row> {
            let frame = u32::try_from(row.frame).with_context(|| format!("{shown}: frame {}", row.frame))?;
            let id = u64::try_from(row.id).with_context(|| format!("{shown}: id {}", row.id))?;
            Ok(Row { score: row.score, observed: row.observed, ..Row::new(frame, id, row.tlwh) })
        };
        return Ok(Tracks { sequence: sequence(rows.into_iter().map(to_row), path)?, single_precision: false });
    }
    let rows = tracks::read(bytes).with_context(unreadable)?;
    let to_row = |row: tracks::TrackRow| -> anyhow::Result<Row> {
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        // Frames count from 0 with us and from 1 in evaluation.
        let frame = row.frame_index.checked_add(1).and_then(|frame| u32::try_from(frame).ok());
        let frame = frame.with_context(|| format!("{shown}: frame_index {}", row.frame_index))?;
        let id = u64::try_from(row.track_id).with_context(|| format!("{shown}: track_id {}", row.track_id))?;
        let mut row_out = Row::new(frame, id, [x1, y1, x2 - x1, y2 - y1]);
        (row_out.score, row_out.observed) = (f64::from(row.score), row.observed);
        Ok(row_out)
    };
    Ok(Tracks { sequence: sequence(rows.into_iter().map(to_row), path)?, single_precision: true })
}

fn sequence(rows: impl Iterator<Item = anyhow::Result<Row>>, path: &Path) -> anyhow::Result<Sequence> {
    let rows = rows.collect::<anyhow::Result<_>>()?;
    Sequence::from_rows(rows).with_context(|| path.display().to_string())
}

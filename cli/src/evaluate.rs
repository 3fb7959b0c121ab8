//! `trackdrop eval`: tracks against ground truth, or against another tracker's.

use crate::{args::EvalArguments, output::line};
use anyhow::{Context, bail};
use std::path::Path;
use trackdrop_eval::{CompareOptions, Options, Preprocessing, Row, Sequence};
use trackdrop_exchange::{FileTrack, read_track_parquet};

pub(crate) fn eval(arguments: &EvalArguments) -> anyhow::Result<()> {
    let iou = arguments.iou;
    if !(iou > 0.0 && iou <= 1.0) {
        bail!("--iou {iou} is not above 0 and at most 1");
    }
    let (text, json) = match (&arguments.gt, &arguments.tracks, arguments.compare.as_deref()) {
        (_, _, Some([a, b])) => {
            let (a, b) = (read(a)?, read(b)?);
            let exact = CompareOptions::default().tolerance_px;
            let tolerance_px = if a.single_precision || b.single_precision { SINGLE_PRECISION_PX } else { exact };
            let options = CompareOptions { iou, tolerance_px };
            let comparison = trackdrop_eval::compare(&a.sequence, &b.sequence, &options);
            (comparison.to_string(), serde_json::to_value(&comparison)?)
        }
        (Some(truth), Some(tracks), _) => {
            let truth = read(truth)?.sequence;
            let options = Options { iou, preprocessing: Preprocessing::suggested_for(&truth) };
            let evaluation = trackdrop_eval::evaluate(&truth, &read(tracks)?.sequence, &options);
            (evaluation.to_string(), serde_json::to_value(&evaluation)?)
        }
        _ => bail!("give --gt and --tracks, or --compare A B"),
    };
    if arguments.json {
        line!("{json}");
    } else {
        line!("{}", text.trim_end());
    }
    Ok(())
}

/// Boxes of `tracks.parquet` are `f32`: in a picture of 8,192 pixels two edges of a box that was rounded are together less than this away
/// from the tracker's own.
const SINGLE_PRECISION_PX: f64 = 1e-3;

/// Tracks from a file.
struct Tracks {
    sequence: Sequence,
    /// Whether the file holds boxes as `f32`.
    single_precision: bool,
}

/// Any file of tracks: text by its content, Parquet by its ending: a request's `tracks.parquet`, or what `retrack --out` wrote.
fn read(path: &Path) -> anyhow::Result<Tracks> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return Ok(Tracks { sequence: trackdrop_eval::read_file(path)?, single_precision: false });
    }
    let file = read_track_parquet(path)?;
    let to_row =
        |row: FileTrack| Row { score: row.score, observed: row.observed, ..Row::new(row.frame, row.id, row.tlwh) };
    let sequence = Sequence::from_rows(file.rows.into_iter().map(to_row).collect());
    Ok(Tracks {
        sequence: sequence.with_context(|| path.display().to_string())?,
        single_precision: file.single_precision,
    })
}

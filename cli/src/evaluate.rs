//! `trackdrop eval`: tracks against ground truth, or against another tracker's.

use crate::{args::EvalArguments, output::line};
use anyhow::{Context, bail};
use std::path::Path;
use trackdrop_eval::{CompareOptions, Options, Preprocessing, Row, Sequence};
use trackdrop_tables::tracks;

pub(crate) fn eval(arguments: &EvalArguments) -> anyhow::Result<()> {
    let iou = arguments.iou;
    if !(iou > 0.0 && iou <= 1.0) {
        bail!("--iou {iou} is not above 0 and at most 1");
    }
    let (text, json) = match (&arguments.gt, &arguments.tracks, arguments.compare.as_deref()) {
        (_, _, Some([a, b])) => {
            let options = CompareOptions { iou, ..CompareOptions::default() };
            let comparison = trackdrop_eval::compare(&read(a)?, &read(b)?, &options);
            (comparison.to_string(), serde_json::to_value(&comparison)?)
        }
        (Some(truth), Some(tracks), _) => {
            let truth = read(truth)?;
            let options = Options { iou, preprocessing: Preprocessing::suggested_for(&truth) };
            let evaluation = trackdrop_eval::evaluate(&truth, &read(tracks)?, &options);
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

/// Any file of tracks: text by its content, our Parquet by its ending.
fn read(path: &Path) -> anyhow::Result<Sequence> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return Ok(trackdrop_eval::read_file(path)?);
    }
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{shown} can't be read"))?;
    let rows = tracks::read(bytes.into()).with_context(|| format!("{shown} can't be read"))?;
    let to_row = |row: tracks::TrackRow| -> anyhow::Result<Row> {
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        // Frames count from 0 with us and from 1 in evaluation.
        let frame = u32::try_from(row.frame_index + 1).with_context(|| format!("frame_index {}", row.frame_index))?;
        let id = u64::try_from(row.track_id).with_context(|| format!("track_id {}", row.track_id))?;
        let mut row_out = Row::new(frame, id, [x1, y1, x2 - x1, y2 - y1]);
        (row_out.score, row_out.observed) = (f64::from(row.score), row.observed);
        Ok(row_out)
    };
    let rows = rows.into_iter().map(to_row).collect::<anyhow::Result<_>>()?;
    Ok(Sequence::from_rows(rows)?)
}

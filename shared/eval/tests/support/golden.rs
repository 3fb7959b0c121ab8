//! Sequences with ground truth, from the folder of golden runs beside the checkout. Their data derives from MOTChallenge and
//! may not be copied into the repository.

use std::{
    error::Error,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use trackdrop_eval::{Row, Sequence, parse, read_file};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folder of golden runs that `TRACKDROP_GOLDEN` names.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRACKDROP_GOLDEN").map(PathBuf::from);
    if folder.is_none() {
        println!("SKIPPED: TRACKDROP_GOLDEN names no folder of golden runs");
    }
    folder
}

/// The sequences with ground truth: their names, and TrackEval's numbers for the reference's `eval` run.
pub(crate) fn metrics(folder: &Path) -> Result<Vec<(String, Value)>> {
    let metrics: Value = serde_json::from_reader(File::open(folder.join("metrics.json"))?)?;
    let metrics = metrics["metrics"].as_object().ok_or("metrics by sequence")?;
    Ok(metrics.iter().map(|(name, numbers)| (name.clone(), numbers.clone())).collect())
}

pub(crate) fn ground_truth(folder: &Path, sequence: &str) -> Result<Sequence> {
    Ok(read_file(&folder.join("gt").join(sequence).with_extension("txt"))?)
}

/// What the reference returned and would have written to its result file, unrounded.
#[allow(dead_code, reason = "the example tracks by itself")]
pub(crate) fn reference_tracks(folder: &Path, sequence: &str) -> Result<Sequence> {
    let text = unzip(&folder.join(format!("mot/out/{sequence}.eval.csv.gz")))?;
    let kept = text.lines().enumerate().filter(|(number, line)| *number == 0 || line.ends_with(",1"));
    let kept: Vec<&str> = kept.map(|(_, line)| line).collect();
    Ok(parse(kept.join("\n").as_bytes(), Path::new(sequence))?)
}

/// The detections given to the reference, numbered within each frame, and how many frames there are.
#[allow(dead_code, reason = "only the example tracks")]
pub(crate) fn detections(folder: &Path, sequence: &str) -> Result<(Sequence, u32)> {
    let manifest: Value = serde_json::from_reader(File::open(folder.join("manifest.json"))?)?;
    let runs = manifest["runs"].as_array().ok_or("a list of runs")?;
    let run = runs.iter().find(|run| run["seq"] == sequence && run["set"] == "eval").ok_or("the eval run")?;
    let mut rows = Vec::new();
    for (line, id) in unzip(&folder.join(format!("mot/inputs/{sequence}.csv.gz")))?.lines().skip(1).zip(0..) {
        let values = line.split(',').map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
        let &[frame, x1, y1, x2, y2, score] = values.as_slice() else { return Err("six values".into()) };
        rows.push(Row { score, ..Row::new(frame as u32, id, [x1, y1, x2 - x1, y2 - y1]) });
    }
    Ok((Sequence::from_rows(rows)?, run["frames"].as_u64().ok_or("frames")? as u32))
}

fn unzip(path: &Path) -> Result<String> {
    let mut text = String::new();
    GzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

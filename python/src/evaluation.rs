//! Compares tracks with ground truth.

use crate::{arrays, error};
use pyo3::prelude::*;
use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};
use trackdrop_eval::{Evaluation, Options, Preprocessing, Row, Sequence, on_all_cores, pooled};
use trackdrop_exchange::read_tracks;

/// Rows of tracks or ground truth: a file, or columns.
#[derive(FromPyObject)]
pub(crate) enum Source<'py> {
    File(PathBuf),
    Columns(Columns<'py>),
}

/// Frames from 1, ids, `[N, 4]` of left, top, width and height, scores, class numbers.
type Columns<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// Rows that are parsed after the lock is released.
enum Unread {
    File(PathBuf),
    Rows(Vec<Row>),
}

/// The metrics as JSON, and as the command's table.
#[pyfunction]
pub(crate) fn evaluate(
    py: Python<'_>,
    ground_truth: Source<'_>,
    tracks: Source<'_>,
    iou: f64,
    preprocessing: &str,
) -> PyResult<Told> {
    check_iou(iou)?;
    let preprocessing = rules(preprocessing)?;
    let video = Video::new("", ground_truth, tracks)?;
    py.detach(|| {
        let (truth, tracks) = thread::scope(|scope| {
            let truth = scope.spawn(|| video.truth.read("gt"));
            let tracks = video.tracks.read("tracks");
            (truth.join().unwrap_or_else(|panic| resume_unwind(panic)), tracks)
        });
        metrics_and_table(&measured(&truth?, &tracks?, iou, preprocessing))
    })
}

/// The metrics and the table of each video in the order given, and of all of them together.
#[pyfunction]
pub(crate) fn evaluate_all(
    py: Python<'_>,
    videos: Vec<(String, Source<'_>, Source<'_>)>,
    iou: f64,
    preprocessing: &str,
) -> PyResult<(Vec<Told>, Told)> {
    check_iou(iou)?;
    let preprocessing = rules(preprocessing)?;
    let unread = videos.into_iter().map(|(name, truth, tracks)| Video::new(&format!("{name}: "), truth, tracks));
    let unread: Vec<Video> = unread.collect::<PyResult<_>>()?;
    py.detach(|| {
        let measure = |video: Video| {
            let [truth, tracks] = ["gt", "tracks"].map(|side| format!("{}{side}", video.prefix));
            Ok(measured(&video.truth.read(&truth)?, &video.tracks.read(&tracks)?, iou, preprocessing))
        };
        let found: Vec<Evaluation> = on_all_cores(unread, measure).into_iter().collect::<PyResult<_>>()?;
        let told = found.iter().map(metrics_and_table).collect::<PyResult<_>>()?;
        Ok((told, metrics_and_table(&pooled(&found))?))
    })
}

/// Metrics as JSON, and as the command's table.
type Told = (String, String);

fn metrics_and_table(evaluation: &Evaluation) -> PyResult<Told> {
    Ok((serde_json::to_string(evaluation).map_err(error::value)?, evaluation.to_string()))
}

fn measured(truth: &Sequence, tracks: &Sequence, iou: f64, preprocessing: Option<Preprocessing>) -> Evaluation {
    let preprocessing = preprocessing.unwrap_or_else(|| Preprocessing::suggested_for(truth));
    trackdrop_eval::evaluate(truth, tracks, &Options { iou, preprocessing })
}

fn check_iou(iou: f64) -> PyResult<()> {
    let is_share = iou > 0.0 && iou <= 1.0;
    is_share.then_some(()).ok_or_else(|| error::value(format!("iou {iou} is not above 0 and at most 1")))
}

/// The named rules; none for those that the ground truth suggests.
fn rules(name: &str) -> PyResult<Option<Preprocessing>> {
    match name {
        "auto" => Ok(None),
        "plain" => Ok(Some(Preprocessing::Plain)),
        "mot17" => Ok(Some(Preprocessing::Mot17)),
        "mot20" => Ok(Some(Preprocessing::Mot20)),
        other => {
            let names = "\"auto\", \"plain\", \"mot17\" or \"mot20\"";
            Err(error::value(format!("preprocessing must be {names}, got {other:?}")))
        }
    }
}

/// Ground truth and tracks of one video, before they are read.
struct Video {
    /// The prefix of error messages.
    prefix: String,
    truth: Unread,
    tracks: Unread,
}

impl Video {
    fn new(prefix: &str, truth: Source<'_>, tracks: Source<'_>) -> PyResult<Self> {
        let truth = Unread::new(&format!("{prefix}gt"), truth)?;
        Ok(Self { prefix: prefix.to_owned(), truth, tracks: Unread::new(&format!("{prefix}tracks"), tracks)? })
    }
}

impl Unread {
    fn new(name: &str, source: Source<'_>) -> PyResult<Self> {
        let (frames, ids, tlwh, scores, classes) = match source {
            Source::File(path) => return Ok(Self::File(path)),
            Source::Columns(columns) => columns,
        };
        let frames = arrays::whole_numbers(&format!("{name}: frame"), &frames)?;
        let ids = arrays::whole_numbers(&format!("{name}: id"), &ids)?;
        let boxes = arrays::boxes(&tlwh)?;
        arrays::same_length(&format!("{name}: id"), ids.len(), frames.len())?;
        arrays::same_length(&format!("{name}: boxes"), boxes.len(), frames.len())?;
        let count = frames.len();
        let optional = |name: &str, column: Option<Bound<'_, PyAny>>| {
            let values = column.map(|column| arrays::column::<f64>(name, &column, "float64")).transpose()?;
            values.iter().try_for_each(|values| arrays::same_length(name, values.len(), count))?;
            Ok::<_, PyErr>(values)
        };
        let scores = optional("score", scores)?;
        let classes = optional("class", classes)?;
        let mut rows = Vec::with_capacity(count);
        for (i, (&frame, &id)) in frames.iter().zip(&ids).enumerate() {
            let refused =
                |what: &str, value, from| error::value(format!("{name}, row {i}: {what} {value} is not from {from}"));
            let frame = u32::try_from(frame).map_err(|_| refused("frame", frame, 1))?;
            let id = u64::try_from(id).map_err(|_| refused("id", id, 0))?;
            let class = classes.as_ref().map(|classes| classes[i]);
            rows.push(Row {
                score: scores.as_ref().map_or(1.0, |scores| scores[i]),
                // The same rule as for files: a class that is not a whole number from 0 counts as no class.
                class: class
                    .filter(|class| (0.0..=65_535.0).contains(class) && class.fract() == 0.0)
                    .map(|class| class as u16),
                ..Row::new(frame, id, boxes[i])
            });
        }
        Ok(Self::Rows(rows))
    }

    fn read(self, name: &str) -> PyResult<Sequence> {
        match self {
            Self::File(path) => read_file(&path),
            Self::Rows(rows) => Sequence::from_rows(rows)
                .map_err(|problem| error::value(format!("{name}, row {}: {problem}", problem.row()))),
        }
    }
}

/// Reads any file of tracks. Parquet is recognised by its ending, and text formats by their content.
pub(crate) fn read_file(path: &Path) -> PyResult<Sequence> {
    Ok(read_tracks(path).map_err(error::exchange)?.sequence)
}

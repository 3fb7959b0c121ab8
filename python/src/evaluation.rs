//! Tracks against ground truth.

use crate::{arrays, error};
use pyo3::prelude::*;
use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};
use trackdrop_eval::{Options, Preprocessing, Row, Sequence};
use trackdrop_exchange::{FileTrack, read_track_parquet};

/// Rows of tracks or ground truth: a file, or columns.
#[derive(FromPyObject)]
pub(crate) enum Source<'py> {
    File(PathBuf),
    Columns(Columns<'py>),
}

/// Frames from 1, ids, `[N, 4]` of left, top, width and height, scores, class numbers.
type Columns<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// Rows that wait for the lock to be released.
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
) -> PyResult<(String, String)> {
    if !(iou > 0.0 && iou <= 1.0) {
        return Err(error::value(format!("iou {iou} is not above 0 and at most 1")));
    }
    let preprocessing = match preprocessing {
        "auto" => None,
        "plain" => Some(Preprocessing::Plain),
        "mot17" => Some(Preprocessing::Mot17),
        "mot20" => Some(Preprocessing::Mot20),
        other => {
            let names = "\"auto\", \"plain\", \"mot17\" or \"mot20\"";
            return Err(error::value(format!("preprocessing must be {names}, got {other:?}")));
        }
    };
    let (truth, tracks) = (Unread::new("gt", ground_truth)?, Unread::new("tracks", tracks)?);
    py.detach(|| {
        let (truth, tracks) = thread::scope(|scope| {
            let truth = scope.spawn(|| truth.read("gt"));
            let tracks = tracks.read("tracks");
            (truth.join().unwrap_or_else(|panic| resume_unwind(panic)), tracks)
        });
        let (truth, tracks) = (truth?, tracks?);
        let preprocessing = preprocessing.unwrap_or_else(|| Preprocessing::suggested_for(&truth));
        let evaluation = trackdrop_eval::evaluate(&truth, &tracks, &Options { iou, preprocessing });
        Ok((serde_json::to_string(&evaluation).map_err(error::value)?, evaluation.to_string()))
    })
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
                // As in files: a class that is not a whole number from 0 counts as no class.
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

/// Any file of tracks: text by its content, Parquet by its ending.
pub(crate) fn read_file(path: &Path) -> PyResult<Sequence> {
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("parquet")) {
        return trackdrop_eval::read_file(path).map_err(error::read);
    }
    let rows = read_track_parquet(path).map_err(error::exchange)?.rows;
    let to_row =
        |row: FileTrack| Row { score: row.score, observed: row.observed, ..Row::new(row.frame, row.id, row.tlwh) };
    Sequence::from_rows(rows.into_iter().map(to_row).collect())
        .map_err(|problem| error::value(format!("{}: {problem}", path.display())))
}

//! Tracks against ground truth or against other tracks, as `trackdrop eval` compares them, with the frames in which they differ.

use crate::{Console, json::Text, problem::Problem, requests};
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::{path, sync::Arc};
use trackdrop_eval::{Evaluation, Options, Preprocessing, Sequence};
use trackdrop_exchange::{ExchangeError, read_track_parquet};
use trackdrop_pipeline::{RequestId, names::ResultFile};

/// Bytes that a page sends at a time, at most: two files of more than half a million lines each.
pub(crate) const MOST_SENT_BYTES: usize = 64 << 20;
/// Mistakes of each kind that are sent.
const MOST_MISTAKES: usize = 200;
/// Boxes of ground truth that are sent, to be drawn.
const MOST_BOXES: usize = 200_000;

/// A text file of the person who looks at the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentFile {
    /// As the person knows it; error messages use it.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl SentFile {
    fn sequence(&self) -> Result<Sequence, Problem> {
        let read = trackdrop_eval::parse(self.text.as_bytes(), path::Path::new(&self.name));
        read.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }
}

/// What tracks are compared with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Truth {
    /// Ground truth, or tracks of another program.
    File(SentFile),
    /// The tracks of another request, for example another version.
    Request(RequestId),
}

/// How a request is compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    truth: Truth,
    /// Overlap from which two boxes match.
    iou: f64,
    /// The classes of the tracks that are compared; none for all.
    #[serde(default)]
    classes: Vec<String>,
}

/// The metrics, and where to look. Frames are indices from 0.
#[derive(Debug, Serialize)]
struct Answer {
    metrics: Evaluation,
    /// In words, if the tracks seem to count frames from another number.
    warning: Option<String>,
    preprocessing: Preprocessing,
    switches: List<[u64; 5]>,
    missed: List<[u64; 4]>,
    false_alarms: List<[u64; 4]>,
    /// The boxes of the ground truth that count: frame, id, and left, top, right and bottom edge. None if there are too many.
    boxes: Option<Vec<(u32, u64, [f64; 4])>>,
}

/// The first ones of a list.
#[derive(Debug, Serialize)]
struct List<T> {
    count: usize,
    first: Vec<T>,
}

impl<T> List<T> {
    fn new<M>(all: &[M], line: impl Fn(&M) -> T) -> Self {
        Self { count: all.len(), first: all.iter().take(MOST_MISTAKES).map(line).collect() }
    }
}

/// Compares the tracks of a request.
pub(crate) async fn of_request(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    body: Bytes,
) -> Result<Text, Problem> {
    let Comparison { truth, iou, classes } = read(&body)?;
    let tracks = tracks_of(&console, &request).await?;
    let other = match &truth {
        Truth::File(_) => None,
        Truth::Request(other) => Some(tracks_of(&console, other.as_str()).await?),
    };
    // One after the other: each has all rows of two files in memory.
    let _turn = console.evaluations.acquire().await.map_err(std::io::Error::other)?;
    tokio::task::spawn_blocking(move || {
        let truth = match (&truth, &other) {
            (Truth::File(file), _) => file.sequence()?,
            (_, Some(other)) => stored(other.path(), &classes)?,
            (Truth::Request(other), None) => return Err(Problem::not_found(format!("{other} has no tracks"))),
        };
        compared(&truth, &stored(tracks.path(), &classes)?, iou)
    })
    .await?
}

/// Two files that are compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileComparison {
    truth: SentFile,
    tracks: SentFile,
    iou: f64,
}

/// Compares two files, of which no video is known.
pub(crate) async fn of_files(State(console): State<Arc<Console>>, body: Bytes) -> Result<Text, Problem> {
    let FileComparison { truth, tracks, iou } = read(&body)?;
    let _turn = console.evaluations.acquire().await.map_err(std::io::Error::other)?;
    tokio::task::spawn_blocking(move || compared(&truth.sequence()?, &tracks.sequence()?, iou)).await?
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("nothing that can be compared: {error}")))
}

async fn tracks_of(console: &Console, request: &str) -> Result<Arc<crate::files::Fetched>, Problem> {
    let manifest = requests::found(console, request).await?;
    if !manifest.state.has_rows() {
        let why = format!("{request} is not done ({}): there are no tracks to compare", manifest.state.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    console.files.get(&*console.cloud.storage, &ResultFile::Tracks.object(&manifest.request_id)).await
}

fn stored(file: &path::Path, classes: &[String]) -> Result<Sequence, Problem> {
    Ok(read_track_parquet(file, classes)?.sequence)
}

fn compared(truth: &Sequence, tracks: &Sequence, iou: f64) -> Result<Text, Problem> {
    if !(iou > 0.0 && iou <= 1.0) {
        return Err(Problem::bad(format!("the overlap {iou} is not above 0 and at most 1")));
    }
    let options = Options { iou, preprocessing: Preprocessing::suggested_for(truth) };
    let metrics = trackdrop_eval::evaluate(truth, tracks, &options);
    let mistakes = trackdrop_eval::mistakes(truth, tracks, &options);
    let index = |frame: u32| u64::from(frame.saturating_sub(1));
    let stretch =
        |one: &trackdrop_eval::Stretch| [one.id, index(one.first_frame), index(one.last_frame), u64::from(one.rows)];
    let counting = || truth.rows().iter().filter(|row| options.preprocessing.counts(row));
    let boxes = (counting().count() <= MOST_BOXES)
        .then(|| counting().map(|row| (row.frame_index(), row.id, row.corners())).collect());
    let answer = Answer {
        warning: metrics.frame_shift.as_ref().map(ToString::to_string),
        metrics,
        preprocessing: options.preprocessing,
        switches: List::new(&mistakes.switches, |one| {
            [one.object, one.old_track, index(one.last_frame), one.new_track, index(one.frame)]
        }),
        missed: List::new(&mistakes.missed, stretch),
        false_alarms: List::new(&mistakes.false_alarms, stretch),
        boxes,
    };
    Ok(Text(serde_json::to_string(&answer).map_err(std::io::Error::from)?))
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        let status = match error {
            ExchangeError::UnknownClass { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

//! What the page can have done. The host of the functions does it: the console runs no stage.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};
use trackdrop_pipeline::{Edit, RequestId, Stage};

/// How a video is to be processed: options of `trackdrop run`, under their names there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wishes {
    /// The detector's file; none for the console's.
    pub model: Option<String>,
    /// Classes to be tracked, parted by commas; none for all.
    pub classes: Option<String>,
    /// Score below which detections are ignored.
    pub min_score: Option<f64>,
    /// Score above which a detection takes part in the first association.
    pub track_thresh: Option<f64>,
    /// The detector looks at every N-th frame.
    pub detect_every: Option<u32>,
    /// Whether no annotated video is made.
    pub no_video: bool,
    /// Whether the best crop of each object is stored.
    pub crops: bool,
    /// Whether what was processed before with other settings is processed again.
    pub force: bool,
}

/// A detector to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its file, which is asked for.
    pub path: String,
}

/// Why something is not done, and what helps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The host of the functions.
#[async_trait]
pub trait Works: fmt::Debug + Send + Sync {
    /// Detectors to choose from, first the one that is taken where none is asked for.
    fn models(&self) -> Vec<Model>;

    /// Refuses what could not be carried out, before anything is uploaded.
    async fn check(&self, name: &str, wishes: &Wishes) -> Result<(), Refused>;

    /// Makes a request of a file, as `trackdrop run` does, and works for it from now on. The file stays. May be repeated.
    async fn begin(&self, name: &str, content: &Path, wishes: &Wishes) -> Result<RequestId, Refused>;

    /// Works for a request that is not over; one that failed is tried again.
    async fn go_on(&self, request: &RequestId) -> Result<(), Refused>;

    /// Ends a request now: as failed, with the reason that it was cancelled. What is done of it stays.
    async fn cancel(&self, request: &RequestId) -> Result<(), Refused>;

    /// Makes another version of a request's tracks: with the first `keep` of its edits, and then these. Where that is a version that there is, gives that.
    async fn mend(&self, request: &RequestId, keep: usize, edits: Vec<Edit>) -> Result<RequestId, Refused>;

    /// Deletes a request, as `trackdrop delete` does.
    async fn delete(&self, request: &RequestId, with_upload: bool) -> Result<(), Refused>;

    /// The requests that are worked for.
    fn unfinished(&self) -> Vec<RequestId>;

    /// Frames that a stage has done of pieces of a request that are in work.
    fn in_work(&self, request: &RequestId, stage: Stage) -> u64;

    /// What a person should know: an attempt that is repeated, or why nothing continues; with the request that it is about.
    fn notes(&self) -> Vec<(Option<RequestId>, String)>;
}

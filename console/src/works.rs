//! The actions that the page can request. The host of the functions does them; the console runs no stage.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use trackdrop_exchange::Retracked;
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

/// How a request's detections are tracked again: options of `trackdrop retrack`, under their names there. What is not given stays as it is in the
/// request; only an annotated video is made unless `no_video` says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retracking {
    /// Classes to be tracked, parted by commas.
    pub classes: Option<String>,
    /// Score below which detections are ignored.
    pub min_score: Option<f64>,
    /// Detections of every N-th frame are tracked, a multiple of what the request was detected with.
    pub detect_every: Option<u32>,
    /// Score above which a detection takes part in the first association.
    pub track_thresh: Option<f64>,
    /// Cost limit of the first association.
    pub match_thresh: Option<f64>,
    /// Frames for which a lost track is retained.
    pub track_buffer: Option<u32>,
    /// Whether the cost is not weighed by the detection's score.
    pub no_score_fusion: bool,
    /// Whether a lost track is retained for `track_buffer` / 30 seconds, at any frame rate.
    pub scale_buffer: bool,
    /// Whether each class is associated separately.
    pub per_class: bool,
    /// What links also compare: `color`, the vectors of a network (its file), or `none`.
    pub appearance: Option<String>,
    /// Whether all recommended refinements are applied.
    pub refine: bool,
    /// Seconds over which pieces of tracks are linked.
    pub link: Option<f64>,
    /// Whether detections that belong to no track are added to the tracks that pass there.
    pub recover: bool,
    /// Frames of a gap that is filled, at most.
    pub fill_gaps: Option<u32>,
    /// How boxes are smoothed: `rts`, or a standard deviation in frames.
    pub smooth: Option<String>,
    /// Whether a track begins with the detection that it was born from.
    pub backfill: bool,
    /// Whether no annotated video is made.
    pub no_video: bool,
    /// Classes whose objects are made unrecognisable in the annotated video, parted by commas.
    pub blur: Option<String>,
    /// What is drawn into the annotated video: `all` or `none`.
    pub boxes: Option<String>,
    /// Whether the best crop of each object is stored.
    pub crops: bool,
    /// Formats that are written beside the results, parted by commas.
    pub exports: Option<String>,
}

/// What is to be done with files of another program: options of `trackdrop retrack --detections` and `--tracks`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileWork {
    /// Detections that are tracked, or that refinements of the tracks need.
    pub detections: Option<PathBuf>,
    /// Tracks that are refined.
    pub tracks: Option<PathBuf>,
    /// The file of the result; its ending is its format.
    pub out: PathBuf,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Frames of the video, if the files end earlier.
    pub frames: Option<u32>,
    /// The other options.
    pub options: Retracking,
}

/// What is to be predicted: options of `trackdrop plan`, under their names there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Planning {
    /// The video's path on the machine of the console.
    pub video: String,
    /// Frames per second that one GPU detects.
    pub fps_per_gpu: Option<f64>,
    /// The largest number of GPU instances.
    pub max_instances: Option<u32>,
    /// Seconds that a new instance needs until it can detect.
    pub start_seconds: Option<f64>,
    /// Target length of the segments, in seconds.
    pub segment_seconds: Option<f64>,
    /// The detector looks at every N-th frame; `auto` needs a probe.
    pub detect_every: Option<String>,
    /// Whether the detector runs on a few stretches of the video, on the machine of the console.
    pub probe: bool,
    /// Whether a probe refines its tracks.
    pub refine: bool,
    /// The detector of a probe; none for the console's.
    pub model: Option<String>,
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

    /// Continues a request that has not ended; a failed one is retried.
    async fn go_on(&self, request: &RequestId) -> Result<(), Refused>;

    /// Ends a request now, as failed, with the reason that it was cancelled. Finished work remains.
    async fn cancel(&self, request: &RequestId) -> Result<(), Refused>;

    /// Makes another version of a request's tracks: with the first `keep` of its edits, and then these. Where that is a version that there is, gives that.
    async fn mend(&self, request: &RequestId, keep: usize, edits: Vec<Edit>) -> Result<RequestId, Refused>;

    /// Makes another version of a request's tracks, as `trackdrop retrack` does. Where there is that version already, gives that.
    async fn retrack(&self, request: &RequestId, retracking: &Retracking) -> Result<RequestId, Refused>;

    /// Tracks or refines files of another program, as `trackdrop retrack` does.
    async fn retrack_files(&self, work: &FileWork) -> Result<Retracked, Refused>;

    /// Predicts time and cost of a video: what `trackdrop plan --json` prints.
    async fn plan(&self, planning: &Planning) -> Result<serde_json::Value, Refused>;

    /// Deletes a request, as `trackdrop delete` does.
    async fn delete(&self, request: &RequestId, with_upload: bool) -> Result<(), Refused>;

    /// The requests in progress.
    fn unfinished(&self) -> Vec<RequestId>;

    /// Frames that a stage has done of pieces of a request that are in work.
    fn in_work(&self, request: &RequestId, stage: Stage) -> u64;

    /// What a person should know: an attempt that is repeated, or why nothing continues; with the request that it is about.
    fn notes(&self) -> Vec<(Option<RequestId>, String)>;
}

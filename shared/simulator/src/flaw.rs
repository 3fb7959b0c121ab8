//! Bugs that are planted on purpose, to prove that the rules find them.

use crate::memory::MemoryCloud;
use bytes::Bytes;
use std::collections::BTreeMap;
use trackdrop_cloud::{LocalFile, ObjectInfo, Precondition, PutOptions, StorageError};
use trackdrop_pipeline::{
    Bucket, Event, Manifest, RequestFinished, RequestState, Timestamp,
    names::{ObjectName, ResultFile, request_of},
};
use trackdrop_tables::{
    requests::RequestRow,
    tracks::{self, TracksOf, TracksWriter},
};

/// A planted bug: of the store, of the warehouse, of the bus, or of a handler as its operations show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Listings don't see the writes of the last 100 ms: the completion counter loses count.
    StaleListings,
    /// Create-only writes overwrite what exists.
    CreatesOverwrite,
    /// Compare-and-set writes don't look at the generation.
    BlindCompareAndSet,
    /// A fetch returns what the name holds now, of whatever generation.
    FetchesAnyGeneration,
    /// Fetched files stay on the disk of the process that fetched them.
    LeavesTemporaryFiles,
    /// Deliveries are acknowledged before their handler has succeeded.
    AcknowledgedFirst,
    /// A delivery is abandoned after its first failure.
    GivesUpAtOnce,
    /// Every message is delivered twice, though no fault says so.
    DeliversTwice,
    /// What was acknowledged is delivered again a day later, and so on.
    DeliversForEver,
    /// A dead process continues to wake itself, so the run never ends.
    NeverRests,
    /// Loads into the warehouse add their rows each time.
    LoadsAdd,
    /// Loads into the warehouse answer that they were done, and were not.
    LoadsNothing,
    /// Rows of the table `requests` are lost.
    LosesRequestRows,
    /// A row of the table `requests` names another moment of the end than the summary.
    RowOfAnotherMoment,
    /// The same, but only what a second attempt records.
    SecondRowOfAnotherMoment,
    /// What is loaded are the rows of an empty file.
    LoadsOtherRows,
    /// `track` does not see that its result exists.
    DoesNotCheck,
    /// The end of a failed request is published without its reason.
    TellsNoReason,
    /// The end of a request is not published.
    TellsNobody,
    /// The end of every request is published as a failure.
    TellsFailures,
    /// Handlers panic at their second attempt.
    PanicsTheSecondTime,
    /// What a second attempt writes has other bytes.
    OtherBytesTheSecondTime,
    /// What a second attempt writes says nothing of the work that it took.
    NoWorkReportTheSecondTime,
    /// A marker is written under another request's name.
    WritesForAnother,
    /// Chunks are deleted once they were fetched.
    DeletesChunks,
    /// Beside the tracks another file is left in `results`.
    LeavesFiles,
    /// `tracks.parquet` has its last row twice.
    RowsTwice,
    /// The manifest is lost.
    LosesManifests,
    /// The manifest of a failed request has no reason.
    LosesReasons,
    /// The detections of the whole video are lost.
    LosesDetections,
    /// The summary is lost.
    LosesSummaries,
    /// A window of `load` is not found open: each attempt gathers a list of its own.
    ForgetsWindows,
    /// Events that the sweeper publishes again are lost.
    SweepsInVain,
}

impl Flaw {
    /// The object that a write goes to.
    pub(crate) fn target(self, object: &ObjectName) -> ObjectName {
        match request_of(object) {
            Some(request) if self == Self::WritesForAnother && object.name.starts_with("merged/") => {
                let (_, time) = request.as_str().rsplit_once('_').unwrap_or_default();
                ObjectName::new(object.bucket, format!("merged/req_AAAAAAAA_{time}"))
            }
            _ => object.clone(),
        }
    }

    /// Writes as this mistake does; `is_second` marks a second attempt.
    pub(crate) fn write(
        self,
        memory: &MemoryCloud,
        object: &ObjectName,
        content: &Bytes,
        options: &PutOptions,
        is_second: bool,
    ) -> Result<ObjectInfo, StorageError> {
        let (mut content, mut options) = (content.clone(), options.clone());
        let is = |file: ResultFile| request_of(object).is_some_and(|request| file.object(&request) == *object);
        let mut is_lost = false;
        match self {
            Self::CreatesOverwrite if options.precondition == Precondition::NotExists => {
                options.precondition = Precondition::None;
            }
            Self::BlindCompareAndSet if matches!(options.precondition, Precondition::Generation(_)) => {
                options.precondition = Precondition::None;
            }
            Self::OtherBytesTheSecondTime if is_second && object.bucket == Bucket::Work && !content.is_empty() => {
                content = [content, Bytes::from_static(b"?")].concat().into();
            }
            Self::NoWorkReportTheSecondTime if is_second => drop(options.metadata.remove("trackdrop-work")),
            Self::RowsTwice if is(ResultFile::Tracks) => {
                content = last_row_twice(memory, object, &content).unwrap_or(content);
            }
            Self::LosesReasons if is(ResultFile::Manifest) => content = without_reason(&content).unwrap_or(content),
            Self::LosesManifests => is_lost = is(ResultFile::Manifest),
            Self::LosesDetections => is_lost = is(ResultFile::Detections),
            Self::LosesSummaries => is_lost = is(ResultFile::Summary),
            _ => {}
        }
        let info = memory.write(object, content, options)?;
        if is_lost {
            memory.remove(object);
        }
        if self == Self::LeavesFiles && is(ResultFile::Tracks) {
            let left = ObjectName::new(object.bucket, format!("{}.tmp", object.name));
            memory.write(&left, Bytes::new(), PutOptions::default())?;
        }
        Ok(info)
    }

    /// Fetches as this mistake does.
    pub(crate) fn fetch(
        self,
        memory: &MemoryCloud,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let generation = generation.filter(|_| self != Self::FetchesAnyGeneration);
        let (info, file) = memory.copy(object, generation)?;
        if let (Self::LeavesTemporaryFiles, LocalFile::Copied(copy)) = (self, &file) {
            // Another name of the same file, which nobody deletes.
            std::fs::hard_link(copy, copy.with_extension("left")).ok();
        }
        Ok((info, file))
    }

    /// Lists as this mistake does.
    pub(crate) fn list(self, memory: &MemoryCloud, prefix: &ObjectName) -> Vec<ObjectInfo> {
        let mut all = memory.all(prefix);
        if self == Self::StaleListings {
            let now = Timestamp::now();
            all.retain(|info| now.seconds_since(info.created) > 0.1);
        }
        all
    }

    /// The row that is recorded; none where it is lost.
    pub(crate) fn row(self, row: &RequestRow, is_second: bool) -> Option<RequestRow> {
        match self {
            Self::LosesRequestRows => None,
            Self::SecondRowOfAnotherMoment if !is_second => Some(row.clone()),
            Self::RowOfAnotherMoment | Self::SecondRowOfAnotherMoment => {
                let finished_at = Timestamp::from_micros(row.finished_at.micros() + 1);
                Some(RequestRow { finished_at, ..row.clone() })
            }
            _ => Some(row.clone()),
        }
    }

    /// The message that is published; none where it is lost.
    pub(crate) fn message(self, event: &Event) -> Option<Event> {
        match (self, event) {
            (Self::TellsNobody, Event::RequestFinished(_)) => None,
            (Self::TellsNoReason, Event::RequestFinished(finished)) => {
                Some(Event::RequestFinished(RequestFinished { error: None, ..finished.clone() }))
            }
            (Self::TellsFailures, Event::RequestFinished(finished)) => {
                let state = RequestState::Failed;
                Some(Event::RequestFinished(RequestFinished { state, ..finished.clone() }))
            }
            _ => Some(event.clone()),
        }
    }
}

fn last_row_twice(memory: &MemoryCloud, object: &ObjectName, content: &Bytes) -> Option<Bytes> {
    let (_, json) = memory.read(&ResultFile::Manifest.object(&request_of(object)?)).ok()?;
    let manifest: Manifest = serde_json::from_slice(&json).ok()?;
    let video = manifest.source.video?;
    let of = TracksOf {
        request_id: manifest.request_id,
        video: manifest.source.uri.strip_prefix("uploads/")?.to_owned(),
        uploaded_at: manifest.source.uploaded_at,
        time_base: video.time_base,
        origin_pts: video.origin_pts,
    };
    let rows = tracks::read(content.clone()).ok()?;
    let mut writer = TracksWriter::new(Vec::new(), of).ok()?;
    for row in rows.iter().chain(rows.last()) {
        writer.push(row.clone()).ok()?;
    }
    Some(writer.finish(None).ok()?.0.into())
}

fn without_reason(content: &Bytes) -> Option<Bytes> {
    let mut manifest: BTreeMap<String, serde_json::Value> = serde_json::from_slice(content).ok()?;
    manifest.insert("error".to_owned(), serde_json::Value::Null);
    Some(serde_json::to_vec(&manifest).ok()?.into())
}

//! Finds requests that stand still, says why, and heals what a crash between a result and its marker can leave behind.
//!
//! Every step is redelivered until it is done or dead, so this finds nothing while all is well. It finds: a delivery that was lost for good (an event
//! that outlived its subscription), a queue that does not move, a window that nobody loads.

use crate::{Cloud, NewObject, count::MARKER_TYPE, end, manifest};
use serde::Serialize;
use std::collections::BTreeSet;
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, ObjectFinalized, RequestId, Stage, Timestamp,
    names::{self, Marker, ObjectName, PerSegment, ResultFile},
};

/// How many missing segments are named.
const NAMED: usize = 10;

/// A request that stands still.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandsStill {
    /// The request.
    pub request_id: RequestId,
    /// The stage that does not go on.
    pub stage: Stage,
    /// Seconds since the last sign of life.
    pub seconds: f64,
    /// What is missing.
    pub why: String,
    /// Whether what was missing was done now.
    pub healed: bool,
}

/// The unfinished requests without a sign of life for so many seconds, in the order of their ids.
pub async fn sweep(cloud: &Cloud, still_for_s: f64) -> Result<Vec<StandsStill>, Failure> {
    let now = Timestamp::now();
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for request in manifest::all(cloud).await? {
        known.insert(request.clone());
        // The end is told last: until its marker stands the request is not over, whatever the manifest says.
        if cloud.find(&Marker::Ended.object(&request)).await?.is_some() {
            continue;
        }
        let Some((manifest, _)) = manifest::read(cloud, &request).await? else { continue };
        let (last, standing) = look(cloud, &manifest).await?;
        let seconds = now.seconds_since(last);
        if seconds < still_for_s {
            continue;
        }
        let healed = heal(cloud, &request, &standing).await?;
        let Standing { stage, why, .. } = standing;
        found.push(StandsStill { request_id: request, stage, seconds, why, healed });
    }
    for upload in cloud.storage.list(&ObjectName::new(Bucket::Uploads, "")).await? {
        let (object, generation, created) = (upload.object, upload.generation, upload.created);
        let shown = object.to_string();
        let Some(request) = (ObjectFinalized { object, generation, created }).request() else { continue };
        let seconds = now.seconds_since(created);
        if seconds >= still_for_s && !known.contains(&request) {
            let why = format!("{shown} was never planned: its event did not reach split");
            found.push(StandsStill { request_id: request, stage: Stage::Split, seconds, why, healed: false });
        }
    }
    found.sort_by(|a, b| a.request_id.cmp(&b.request_id));
    Ok(found)
}

/// Where a request stands.
struct Standing {
    stage: Stage,
    why: String,
    /// What a crash left undone, though all that it needs stands.
    undone: Option<Undone>,
}

enum Undone {
    Marker(Marker),
    End,
}

impl Standing {
    fn at(stage: Stage, why: impl Into<String>) -> Self {
        Self { stage, why: why.into(), undone: None }
    }
}

async fn heal(cloud: &Cloud, request: &RequestId, standing: &Standing) -> Result<bool, Failure> {
    match &standing.undone {
        None => return Ok(false),
        Some(Undone::Marker(marker)) => {
            cloud.create(NewObject::of_bytes(marker.object(request), "", MARKER_TYPE)).await?;
        }
        Some(Undone::End) => end::finish_if_complete(cloud, request).await?,
    }
    Ok(true)
}

/// When the last sign of life was, and what the request waits for.
async fn look(cloud: &Cloud, manifest: &Manifest) -> Result<(Timestamp, Standing), Failure> {
    let request = &manifest.request_id;
    let segments = manifest.segment_count as usize;
    let mut last = manifest.progress.updated_at;
    let mut alive = |info: &ObjectInfo| last = last.max(info.created);
    if manifest.state.is_final() {
        let standing = Standing::at(Stage::Load, "it is over, but its end was not told to all");
        return Ok((last, Standing { undone: Some(Undone::End), ..standing }));
    }
    if manifest.segments.is_empty() {
        return Ok((last, Standing::at(Stage::Split, "it is not planned yet")));
    }
    let by = manifest.detected_in();
    let mut all = async |kind: PerSegment, by: &RequestId| -> Result<Vec<ObjectInfo>, Failure> {
        let all = cloud.storage.list(&ObjectName::new(Bucket::Work, kind.prefix(by))).await?;
        all.iter().for_each(&mut alive);
        Ok(all)
    };
    let chunks = all(PerSegment::Chunk, by).await?.len();
    let detections = all(PerSegment::Detections, by).await?;
    let annotated = all(PerSegment::Annotated, request).await?;
    let mut marked = Vec::new();
    for marker in [Marker::Tracked, Marker::Merged, Marker::Loaded, Marker::Annotated] {
        let found = cloud.find(&marker.object(request)).await?;
        found.iter().for_each(&mut alive);
        marked.push(found.is_some());
    }
    let [is_tracked, is_merged, is_loaded, is_annotated] = marked[..] else { unreachable!("four markers") };
    let joined = cloud.find(&ResultFile::AnnotatedVideo.object(request)).await?;
    joined.iter().for_each(&mut alive);
    let standing = if !is_tracked && detections.len() < segments {
        if chunks < segments && detections.len() == chunks {
            Standing::at(Stage::Split, format!("{chunks} of {segments} chunks are cut"))
        } else {
            Standing::at(Stage::Track, missing("tracked", &detections, segments))
        }
    } else if !is_tracked {
        let standing = Standing::at(Stage::Track, "all segments are tracked, but nobody said so");
        Standing { undone: Some(Undone::Marker(Marker::Tracked)), ..standing }
    } else if !is_merged {
        Standing::at(Stage::Merge, "all segments are tracked, but not merged")
    } else if manifest.settings.video && joined.is_none() {
        if is_annotated {
            Standing::at(Stage::Join, "all segments are drawn, but not joined")
        } else if annotated.len() < segments {
            Standing::at(Stage::Annotate, missing("drawn", &annotated, segments))
        } else {
            let standing = Standing::at(Stage::Annotate, "all segments are drawn, but nobody said so");
            Standing { undone: Some(Undone::Marker(Marker::Annotated)), ..standing }
        }
    } else if !is_loaded {
        let waits = cloud.find(&ObjectName::new(Bucket::Work, format!("loads/waiting/{request}"))).await?.is_some();
        let why = if waits { "it waits for a window that nobody loads" } else { "its rows are not loaded" };
        Standing::at(Stage::Load, why)
    } else {
        let standing = Standing::at(Stage::Load, "all results stand, but its end was not told");
        Standing { undone: Some(Undone::End), ..standing }
    };
    Ok((last, standing))
}

/// Which segments are not done, the first of them by number.
fn missing(done: &str, objects: &[ObjectInfo], segments: usize) -> String {
    let standing: BTreeSet<usize> = objects
        .iter()
        .filter_map(|info| names::segment_of(&info.object))
        .map(|segment| segment.get() as usize)
        .collect();
    let missing: Vec<_> = (0..segments).filter(|segment| !standing.contains(segment)).collect();
    let named: Vec<_> = missing.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if missing.len() > NAMED { ", ..." } else { "" };
    format!("{} of {segments} segments are {done}; missing: {}{more}", standing.len(), named.join(", "))
}

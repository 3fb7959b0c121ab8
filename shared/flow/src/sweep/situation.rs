//! Finds what a request waits for, and what lets it continue.

use crate::{Cloud, end, round::Round};
use std::collections::BTreeMap;
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{
    Bucket, Failure, Manifest, ObjectFinalized, Stage, Timestamp,
    names::{self, Marker, ObjectName, PerSegment, ResultFile},
};

/// How many missing segments a message names.
const NAMED: usize = 10;

/// The state of a request.
pub(super) struct Situation {
    pub(super) round: Round,
    /// The last activity.
    pub(super) last: Timestamp,
    pub(super) stage: Stage,
    pub(super) why: String,
    /// What it waits for. More than one after the flow divides.
    pub(super) remedies: Vec<Remedy>,
}

/// What restarts a request.
pub(super) enum Remedy {
    /// Publish events of these objects once more.
    Tell(Vec<ObjectFinalized>),
    /// Create a marker; everything that it states is complete.
    Mark(Marker),
    /// Publish its end.
    End,
    /// Nothing: what it needs does not exist any more.
    Gone(String),
}

/// What a request waits for, and since when.
pub(super) async fn read(cloud: &Cloud, manifest: &Manifest) -> Result<Situation, Failure> {
    let request = &manifest.request_id;
    let (round, mut last) = (manifest.reopened_at, manifest.progress.updated_at);
    if manifest.state.is_final() {
        let why = "the request ended, but its end was not published everywhere".to_owned();
        return Ok(Situation { round, last, stage: Stage::Load, why, remedies: vec![Remedy::End] });
    }
    let mut seen = Seen::default();
    for kind in [PerSegment::Chunk, PerSegment::Detections, PerSegment::Tracks, PerSegment::Annotated] {
        let by = match kind {
            PerSegment::Chunk | PerSegment::Detections => manifest.detected_in(),
            PerSegment::Tracks | PerSegment::Annotated => request,
        };
        for info in cloud.storage.list(&ObjectName::new(Bucket::Work, kind.prefix(by))).await? {
            last = last.max(info.created);
            if let Some(segment) = names::segment_of(&info.object) {
                seen.of(kind).insert(segment.get(), info);
            }
        }
    }
    let mut find = async |object: ObjectName| -> Result<Option<ObjectInfo>, Failure> {
        let found = cloud.find(&object).await?;
        last = found.as_ref().map_or(last, |info| last.max(info.created));
        Ok(found)
    };
    let existing = Existing {
        tracked: find(Marker::Tracked.object(request)).await?,
        merged: find(Marker::Merged.object(request)).await?,
        annotated: find(Marker::Annotated.object(request)).await?,
        loaded: find(Marker::Loaded.object(request)).await?,
        video: find(ResultFile::AnnotatedVideo.object(request)).await?,
    };
    let waits = match (&existing.tracked, &existing.merged) {
        (None, _) => before_tracked(cloud, manifest, &seen).await?,
        (Some(tracked), None) => {
            vec![(Stage::Merge, "all segments have detections, but are not merged".into(), tell(tracked))]
        }
        (Some(_), Some(merged)) => after_merged(manifest, &seen, &existing, merged),
    };
    let stage = waits.first().map_or(Stage::Load, |&(stage, ..)| stage);
    let (mut why, mut remedies) = (Vec::new(), Vec::new());
    for (_, what, remedy) in waits {
        why.push(what);
        remedies.push(remedy);
    }
    Ok(Situation { round, last, stage, why: why.join("; "), remedies })
}

/// What a request has one of.
struct Existing {
    tracked: Option<ObjectInfo>,
    merged: Option<ObjectInfo>,
    annotated: Option<ObjectInfo>,
    loaded: Option<ObjectInfo>,
    video: Option<ObjectInfo>,
}

/// The stalled stage, what it waits for, and the remedy.
type Waits = (Stage, String, Remedy);

fn tell(info: &ObjectInfo) -> Remedy {
    Remedy::Tell(vec![info.finalized()])
}

async fn before_tracked(cloud: &Cloud, manifest: &Manifest, seen: &Seen) -> Result<Vec<Waits>, Failure> {
    let Seen { chunks, detections, .. } = seen;
    let segments = manifest.segment_count;
    if segments > 0 && detections.len() as u32 >= segments {
        let why = "all segments have detections, but the marker is missing".to_owned();
        return Ok(vec![(Stage::Track, why, Remedy::Mark(Marker::Tracked))]);
    }
    let cut = (0..segments).filter(|segment| chunks.contains_key(segment) || detections.contains_key(segment)).count();
    if segments > 0 && cut as u32 == segments {
        let remedy = untaken(chunks, detections, segments);
        return Ok(vec![(Stage::Track, missing("have detections", detections, segments), remedy)]);
    }
    let why = match segments {
        0 => "it is not planned yet".to_owned(),
        _ => format!("{cut} of {segments} chunks are cut"),
    };
    let was_cut = segments > 0 && manifest.segments.iter().all(|segment| segment.sha256.is_some());
    let remedy = match was_cut {
        true => Remedy::Gone("chunks were cut, but are gone: upload the video again".to_owned()),
        false => upload_of(cloud, manifest).await?,
    };
    let mut waits = vec![(Stage::Split, why, remedy)];
    let not_tracked = chunks.iter().filter(|(segment, _)| !detections.contains_key(segment));
    let objects: Vec<_> = not_tracked.map(|(_, info)| info.finalized()).collect();
    if !objects.is_empty() {
        waits.push((Stage::Track, format!("{} of them have no detections", objects.len()), Remedy::Tell(objects)));
    }
    Ok(waits)
}

/// After `merge` there are two branches: rows are loaded, and segments are drawn and joined.
fn after_merged(manifest: &Manifest, seen: &Seen, existing: &Existing, merged: &ObjectInfo) -> Vec<Waits> {
    let (Seen { tracks, drawn, .. }, segments) = (seen, manifest.segment_count);
    let mut waits = Vec::new();
    if existing.loaded.is_none() {
        waits.push((Stage::Load, "its rows are not loaded".to_owned(), tell(merged)));
    }
    // A request whose video has failed ends without it.
    if manifest.settings.video && existing.video.is_none() && manifest.error.is_none() {
        waits.push(match &existing.annotated {
            Some(annotated) => (Stage::Join, "all segments are drawn, but not joined".to_owned(), tell(annotated)),
            None if drawn.len() as u32 >= segments => {
                let why = "all segments are drawn, but the marker is missing".to_owned();
                (Stage::Annotate, why, Remedy::Mark(Marker::Annotated))
            }
            None => (Stage::Annotate, missing("are drawn", drawn, segments), untaken(tracks, drawn, segments)),
        });
    }
    if waits.is_empty() {
        waits.push((Stage::Load, "all results exist, but the end was not published".to_owned(), Remedy::End));
    }
    waits
}

/// Objects of a request by segment.
#[derive(Default)]
struct Seen {
    chunks: BTreeMap<u32, ObjectInfo>,
    detections: BTreeMap<u32, ObjectInfo>,
    tracks: BTreeMap<u32, ObjectInfo>,
    drawn: BTreeMap<u32, ObjectInfo>,
}

impl Seen {
    fn of(&mut self, kind: PerSegment) -> &mut BTreeMap<u32, ObjectInfo> {
        match kind {
            PerSegment::Chunk => &mut self.chunks,
            PerSegment::Detections => &mut self.detections,
            PerSegment::Tracks => &mut self.tracks,
            PerSegment::Annotated => &mut self.drawn,
        }
    }
}

/// Publishes again the event that started each segment that is not done.
fn untaken(started_by: &BTreeMap<u32, ObjectInfo>, done: &BTreeMap<u32, ObjectInfo>, segments: u32) -> Remedy {
    let mut objects = Vec::new();
    for segment in (0..segments).filter(|segment| !done.contains_key(segment)) {
        match started_by.get(&segment) {
            Some(info) => objects.push(info.finalized()),
            None => {
                return Remedy::Gone(format!(
                    "the object that segment {segment} is made from was deleted: upload the video again"
                ));
            }
        }
    }
    Remedy::Tell(objects)
}

/// Publishes the event of the upload again, if the upload is still that of the request.
async fn upload_of(cloud: &Cloud, manifest: &Manifest) -> Result<Remedy, Failure> {
    let object = ObjectName::new(Bucket::Uploads, end::video_name(manifest));
    let upload = cloud.find(&object).await?.filter(|info| info.generation == manifest.source.generation);
    Ok(match upload {
        Some(info) => Remedy::Tell(vec![info.finalized()]),
        None => Remedy::Gone(format!("{object} was deleted or overwritten before it was cut: upload it again")),
    })
}

/// Which segments are not done, the first of them by number.
fn missing(what: &str, done: &BTreeMap<u32, ObjectInfo>, segments: u32) -> String {
    let missing: Vec<_> = (0..segments).filter(|segment| !done.contains_key(segment)).collect();
    let named: Vec<_> = missing.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if missing.len() > NAMED { ", ..." } else { "" };
    format!("{} of {segments} segments {what}; missing: {}{more}", segments as usize - missing.len(), named.join(", "))
}

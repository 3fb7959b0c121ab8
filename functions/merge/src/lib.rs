//! `merge` tracks objects: it computes the tracks of a video from all its detections. (`track` detects objects. The
//! names can't be changed, because services, accounts, metrics and triggers use them.)
//!
//! Identity is one ordered fold: the tracker takes the detections of all segments one after the other, in the order of
//! the video. So the borders of chunks have no effect. The ledger checks that a segment accounts for exactly the frames
//! of the plan, before any result of that segment is written.
//! Every result is a pure function of the stored detections and the settings.
//!
//! ```
//! use trackdrop_flow::{Cloud, stage::Staged};
//! use trackdrop_merge::Merge;
//! use trackdrop_pipeline::Handler;
//!
//! fn handler(cloud: Cloud) -> impl Handler {
//!     Staged(Merge::new(cloud))
//! }
//! ```

mod blur;
mod classes;
mod damage;
mod edits;
mod exports;
mod fold;
mod looks;
mod merging;
mod networks;
mod refine;

use async_trait::async_trait;
use futures_util::stream::{self, Stream, StreamExt};
use std::{pin::pin, sync::Arc};
use trackdrop_flow::{
    Cloud, Doing, NewObject, WorkReport, beside::Beside, blocking, downloading, manifest, stage::StageHandler, version,
};
use trackdrop_pipeline::{
    Activity, Delivery, Failure, Manifest, ObjectFinalized, RequestId, RequestState, SegmentNumber, Stage, Stopwatch,
    ledger::LedgerTotal,
    manifest::{ManifestSegment, VideoInfo},
    names::{Marker, PerSegment, ResultFile},
    settings::classes_named,
};
use trackdrop_refine::Video;
use trackdrop_tables::{
    TableError,
    detections::{self, SegmentFile, SegmentFooter},
};

use blur::Absences;
use classes::{Classes, Votes};
use damage::Damage;
use fold::Fold;
use looks::Strides;
use merging::{Finished, Merging, is_refined};
use networks::Networks;
use refine::SegmentRows;

pub use edits::{Impossible, apply as apply_edits};

/// How many segments are read ahead, and how many are written at the same time. A store takes tens of milliseconds to
/// answer one call, and the fold takes one or two milliseconds for a segment. The fold itself takes the segments one
/// after the other, in order.
pub const AT_ONCE: usize = 8;

/// Segments that are decoded, or that wait decoded: the one in hand and the one after it.
const DECODED_AT_ONCE: usize = 2;

const PARQUET: &str = "application/vnd.apache.parquet";

/// The handler.
#[derive(Debug)]
pub struct Merge {
    cloud: Cloud,
}

impl Merge {
    /// A handler over this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl StageHandler for Merge {
    const STAGE: Stage = Stage::Merge;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, _: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        if self.cloud.find(&Marker::Merged.object(request)).await?.is_some() {
            return Ok(());
        }
        let started = Stopwatch::start();
        // Shared with the blocking work: the plan lists every frame, so a copy a segment would grow with the square of the length.
        let manifest = Arc::new(manifest::advance(&self.cloud, request, RequestState::Merging).await?);
        let Voted { classes, absences, blur } = self.vote(&manifest, delivery).await?;
        let mut merging = Merging::begin(&self.cloud, &manifest, classes, delivery)?;
        merging.set_drawing(&manifest, blur.clone(), absences);
        let mut files = pin!(self.files(&manifest));
        let mut writes = Beside::new(AT_ONCE);
        for segment in &manifest.segments {
            delivery.step()?;
            let file = writes.during(next(&mut files, delivery)).await??;
            let (plan, of) = (segment.clone(), Arc::clone(&manifest));
            let (folded, tracks) = writes.during(blocking(move || merging.take(&of, &plan, file))).await??;
            merging = folded;
            self.write_segment(&mut writes, &manifest, segment, tracks).await?;
        }
        if let Some(refiner) = merging.refiner.take() {
            let (of, votes) = (Arc::clone(&manifest), merging.votes.take());
            let refined = blocking(move || refiner.finish(&of, votes.unwrap_or_default())).await?;
            merging.classes = Arc::new(refined.classes);
            merging.links = refined.links;
            let mut rows = refined.rows;
            // Refined tracks have fewer gaps, other boxes, and may have other ids.
            merging.set_drawing(&manifest, blur, rows.absences(video_of(&manifest)?.time_base));
            let (mut now, mut following) = (SegmentRows::default(), SegmentRows::default());
            for (number, segment) in manifest.segments.iter().enumerate() {
                delivery.step()?;
                let of = Arc::clone(&manifest);
                let emitting = blocking(move || {
                    if number == 0 {
                        rows.of_segment(&of.segments[0], &mut now)?;
                    }
                    let (plan, classes) = (&of.segments[number], Arc::clone(&merging.classes));
                    let next = of.segments.get(number + 1);
                    let (read, emitted) = beside(
                        || next.map_or(Ok(()), |next| rows.of_segment(next, &mut following)),
                        || merging.emit(&of, plan, now.drain(&of, &classes)),
                    );
                    let (merging, tracks) = emitted?;
                    read?;
                    Ok((rows, following, now, merging, tracks))
                });
                let tracks;
                (rows, now, following, merging, tracks) = writes.during(emitting).await??;
                self.write_segment(&mut writes, &manifest, segment, tracks).await?;
            }
        }
        writes.end().await?;
        self.write_results(&manifest, merging, started, delivery).await
    }
}

impl Merge {
    /// The detections of all segments, in order; some are on their way while one is folded.
    fn downloads(&self, manifest: &Arc<Manifest>) -> impl Stream<Item = Result<bytes::Bytes, Failure>> + Send + use<> {
        let (cloud, manifest) = (self.cloud.clone(), Arc::clone(manifest));
        let numbers: Vec<_> = manifest.segments.iter().map(|segment| segment.segment_number).collect();
        let download = move |number| detections(cloud.clone(), Arc::clone(&manifest), number);
        stream::iter(numbers).map(download).buffered(AT_ONCE)
    }

    /// The same, decoded: one segment while the one before it is folded.
    fn files(&self, manifest: &Arc<Manifest>) -> impl Stream<Item = Result<SegmentFile, Failure>> + Send + use<> {
        let (downloads, manifest) = (self.downloads(manifest), Arc::clone(manifest));
        let decode = move |(at, bytes): (usize, Result<bytes::Bytes, Failure>)| {
            let manifest = Arc::clone(&manifest);
            async move {
                let bytes = bytes?;
                blocking(move || read_segment(&manifest.segments[at], bytes)).await
            }
        };
        downloads.enumerate().map(decode).buffered(DECODED_AT_ONCE)
    }

    /// The first of two passes: how much is damaged, and which class each identity has over the whole video, where tracks are not refined. A second
    /// pass costs little beside detection, and no memory that grows with the video's rows.
    async fn vote(&self, manifest: &Arc<Manifest>, delivery: &Delivery) -> Result<Voted, Failure> {
        let mut voting: Option<(Strides, Option<(Fold, Votes)>)> = None;
        let mut blur = Vec::new();
        let mut absences = Absences::new(video_of(manifest)?.time_base);
        let mut damage = Damage::default();
        let mut association = Doing::begin(delivery, Activity::Association);
        let mut downloads = pin!(self.downloads(manifest));
        for segment in &manifest.segments {
            delivery.step()?;
            let bytes = next(&mut downloads, delivery).await?;
            let (segment, manifest) = (segment.clone(), Arc::clone(manifest));
            (voting, absences, blur, damage, association) = blocking(move || {
                let footer = read_footer(&segment, bytes.clone())?;
                damage.take(&segment, &footer.account);
                let (strides, folding) = match voting {
                    Some(voting) => voting,
                    None => {
                        blur = blurred(&manifest, &footer)?;
                        let strides = Strides::of(&manifest, &footer.account)?;
                        // Refined tracks are other identities, which vote once they are known.
                        let folding = match is_refined(&manifest.settings, &strides) {
                            true => None,
                            false => {
                                let frame_rate = video_of(&manifest)?.frame_rate.to_f64();
                                Some((Fold::new(&manifest.settings, &footer, frame_rate)?, Votes::new(&footer)))
                            }
                        };
                        (strides, folding)
                    }
                };
                let Some((mut fold, mut votes)) = folding else {
                    return Ok((Some((strides, None)), absences, blur, damage, association));
                };
                let SegmentFile { rows, .. } = read_segment(&segment, bytes)?;
                let is_blurred = !manifest.settings.blur.is_empty();
                association.time(|| {
                    fold.frames(&segment, &strides.tracked, &rows, None, |frame_index, pts, frame| {
                        votes.take(frame.matched);
                        for matched in frame.matched.iter().filter(|_| is_blurred) {
                            absences.take(matched.track.id as i64, frame_index, pts, matched.bbox());
                        }
                    })
                })?;
                association.frames(segment.span.frame_count);
                Ok((Some((strides, Some((fold, votes)))), absences, blur, damage, association))
            })
            .await?;
        }
        damage.check(manifest)?;
        let votes = voting.and_then(|(_, folding)| folding).map(|(_, votes)| votes);
        Ok(Voted { classes: votes.map(Votes::decide).unwrap_or_default(), absences, blur })
    }

    async fn write_segment(
        &self,
        writes: &mut Beside,
        manifest: &Manifest,
        segment: &ManifestSegment,
        tracks: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let Some(tracks) = tracks else { return Ok(()) };
        let object = PerSegment::Tracks.object(&manifest.request_id, segment.segment_number);
        let new = NewObject::of_bytes(object, tracks, PARQUET).with_metadata(version::chunks_metadata(manifest));
        let cloud = self.cloud.clone();
        writes.add(async move { cloud.create(new).await.map(drop) }).await
    }

    async fn write_results(
        &self,
        manifest: &Manifest,
        merging: Merging,
        started: Stopwatch,
        delivery: &Delivery,
    ) -> Result<(), Failure> {
        let request = &manifest.request_id;
        let (ledger, networks) = (merging.ledger.total().clone(), merging.networks.clone());
        let finished = blocking(move || merging.finish()).await?;
        let Finished { detections, tracks, rows, by_class } = finished;
        let mut work = WorkReport::of(delivery, started, ledger.frames, video_of(manifest)?.seconds());
        (work.rows, work.tracks) = (rows, by_class);
        let file = NewObject::of_file(ResultFile::Detections.object(request), detections, PARQUET);
        self.cloud.create(file).await?;
        exports::create(&self.cloud, manifest, &tracks, delivery).await?;
        let file = NewObject::of_file(ResultFile::Tracks.object(request), tracks, PARQUET);
        self.cloud.create(file.with_work(&work)).await?;
        self.record(request, ledger, networks).await?;
        self.cloud.mark(Marker::Merged.object(request)).await?;
        Ok(())
    }

    async fn record(&self, request: &RequestId, ledger: LedgerTotal, networks: Networks) -> Result<(), Failure> {
        manifest::update(&self.cloud, request, |manifest| {
            manifest.ledger = Some(ledger.clone());
            (manifest.model, manifest.appearance_network) = (networks.model.clone(), networks.appearance.clone());
            // Also where no video is drawn: rows are loaded now.
            if !manifest.state.is_final() {
                manifest.state = RequestState::Annotating;
            }
            true
        })
        .await?;
        Ok(())
    }
}

async fn detections(cloud: Cloud, manifest: Arc<Manifest>, number: SegmentNumber) -> Result<bytes::Bytes, Failure> {
    let object = PerSegment::Detections.object(manifest.detected_in(), number);
    match cloud.storage.get(&object).await {
        Ok((_, bytes)) => Ok(bytes),
        // `merge` starts when all detections exist, so these were deleted. For a version the reason is known: the detections are those of an earlier
        // request, which can be deleted by itself, and no attempt helps. Any other missing object is attempted again, and ends as a dead letter.
        Err(error) if error.is_not_found() && manifest.retrack_of.is_some() => Err(Failure::permanent(format!(
            "{error}: the detections of the first request were deleted. Process the video again with these settings"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The next segment's detections; the time that they are waited for is download.
async fn next<T>(
    downloads: &mut (impl Stream<Item = Result<T, Failure>> + Unpin + Send),
    delivery: &Delivery,
) -> Result<T, Failure> {
    downloading(delivery, downloads.next()).await.unwrap_or_else(|| {
        Err(Failure::permanent("there are fewer files of detections than segments: process the video again"))
    })
}

/// Two things at the same time.
fn beside<A: Send, B>(other: impl FnOnce() -> A + Send, own: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let own = own();
        (other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), own)
    })
}

/// What the first pass comes to.
struct Voted {
    classes: Classes,
    /// Where tracks have no row, where that matters.
    absences: Absences,
    /// The classes that are to be blurred, as the model names them.
    blur: Vec<String>,
}

fn video_of(manifest: &Manifest) -> Result<&VideoInfo, Failure> {
    let unplanned = || Failure::permanent("the manifest has no plan: process the video again");
    manifest.source.video.as_ref().ok_or_else(unplanned)
}

/// The video as the refinements know it.
fn refined_video(manifest: &Manifest) -> Result<Video, Failure> {
    let video = video_of(manifest)?;
    let frames: u64 = manifest.segments.iter().map(|segment| segment.span.frame_count).sum();
    Ok(Video {
        frame_rate: video.frame_rate.to_f64(),
        frame_count: u32::try_from(frames).unwrap_or(u32::MAX),
        size_px: Some([f64::from(video.width_px), f64::from(video.height_px)]),
    })
}

fn read_segment(segment: &ManifestSegment, bytes: bytes::Bytes) -> Result<SegmentFile, Failure> {
    detections::read_segment(bytes)
        .map_err(|error| Failure::permanent(format!("detections of segment {}: {error}", segment.segment_number)))
}

fn read_footer(segment: &ManifestSegment, bytes: bytes::Bytes) -> Result<SegmentFooter, Failure> {
    detections::read_footer(bytes)
        .map_err(|error| Failure::permanent(format!("detections of segment {}: {error}", segment.segment_number)))
}

/// The classes that are to be blurred, as the model names them. Refuses one that it does not know: nothing of it would be blurred.
fn blurred(manifest: &Manifest, footer: &SegmentFooter) -> Result<Vec<String>, Failure> {
    let names = &footer.class_names;
    let mut blurred = Vec::new();
    for asked in &manifest.settings.blur {
        let classes = classes_named(asked, names);
        if classes.is_empty() {
            return Err(Failure::permanent(format!(
                "class {asked:?} is to be blurred, but the model {} does not know it; it knows: {}",
                footer.model.name,
                names.join(", ")
            )));
        }
        blurred.extend(classes.into_iter().map(|class| names[class].clone()));
    }
    Ok(blurred)
}

fn table(error: TableError) -> Failure {
    match error {
        TableError::Io(error) => Failure::from_io("writing results", error),
        TableError::Format(_) => Failure::permanent_from(error),
    }
}

//! `merge` tracks: all detections of a video become its tracks. (`track` detects; the names of the functions are given.)
//!
//! Identity is one ordered fold over all detections, segment after segment, so chunk borders have no effect. The ledger
//! checks that a segment accounts for exactly the frames of the plan, before any result of that segment is written.
//! Every result is a pure function of the stored detections and the settings.

mod classes;
mod damage;
mod exports;
mod fold;
mod refine;

use async_trait::async_trait;
use futures_util::stream::{self, Stream, StreamExt};
use std::{
    collections::{BTreeMap, VecDeque},
    io::BufWriter,
    pin::pin,
    sync::Arc,
};
use tempfile::{NamedTempFile, TempPath};
use trackdrop_flow::{
    Cloud, Doing, NewObject, WorkReport, beside::Beside, blocking, end, manifest, stage::StageHandler, version,
};
use trackdrop_pipeline::{
    Activity, Delivery, Failure, FailureKind, Manifest, ObjectFinalized, RequestId, RequestState, SegmentNumber, Stage,
    Stopwatch,
    ledger::{Ledger, LedgerTotal},
    manifest::{ManifestSegment, ModelIdentity, VideoInfo},
    names::{Marker, PerSegment, ResultFile},
};
use trackdrop_refine::Video;
use trackdrop_tables::{
    TableError,
    detections::{self, DetectionRow, DetectionsWriter, SegmentFooter},
    tracks::{TrackRow, TracksOf, TracksWriter},
};
use trackdrop_tracker::BIRTH_MARGIN;

use classes::{Classes, Votes};
use damage::Damage;
use fold::Fold;
use refine::Refiner;

pub use fold::tracker_settings;
pub use refine::refine_of;

/// How many frames of tracks before a segment go with it, for the trails that are drawn.
pub const TRAIL_FRAMES: u64 = 30;

/// Segments that are read ahead, and that are written at the same time: a store answers each in tens of milliseconds, and folding takes one or two. The
/// fold itself takes one after the other, in order.
pub const AT_ONCE: usize = 8;

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
        let classes = self.vote(&manifest, delivery).await?;
        let mut merging = Merging::begin(&self.cloud, &manifest, classes, delivery)?;
        let mut downloads = pin!(self.downloads(&manifest));
        let mut writes = Beside::new(AT_ONCE);
        for segment in &manifest.segments {
            delivery.step()?;
            let bytes = writes.during(next(&mut downloads, delivery)).await??;
            let (plan, of) = (segment.clone(), Arc::clone(&manifest));
            let (folded, tracks) = writes.during(blocking(move || merging.take(&of, &plan, bytes))).await??;
            merging = folded;
            self.write_segment(&mut writes, &manifest, segment, tracks).await?;
        }
        if let Some(refiner) = merging.refiner.take() {
            let (of, votes, video) = (Arc::clone(&manifest), merging.votes.take(), refined_video(&manifest)?);
            let refined = blocking(move || refiner.finish(&of, &video, votes.unwrap_or_default())).await?;
            merging.classes = Arc::new(refined.classes);
            let rows = Arc::new(refined.rows);
            for segment in &manifest.segments {
                delivery.step()?;
                let (plan, of, rows) = (segment.clone(), Arc::clone(&manifest), Arc::clone(&rows));
                let emitting = blocking(move || merging.emit(&of, &plan, of_segment(&rows, &plan)));
                let (emitted, tracks) = writes.during(emitting).await??;
                merging = emitted;
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

    /// The first of two passes: which class each identity has over the whole video. A second pass costs little
    /// beside detection, and no memory that grows with the video's rows.
    async fn vote(&self, manifest: &Arc<Manifest>, delivery: &Delivery) -> Result<Classes, Failure> {
        let mut voting: Option<(Fold, Votes)> = None;
        let mut damage = Damage::default();
        let mut association = Doing::begin(delivery, Activity::Association);
        let mut downloads = pin!(self.downloads(manifest));
        for segment in &manifest.segments {
            delivery.step()?;
            let bytes = next(&mut downloads, delivery).await?;
            let (segment, manifest) = (segment.clone(), Arc::clone(manifest));
            (voting, damage, association) = blocking(move || {
                let (rows, footer) = read_segment(&segment, bytes)?;
                damage.take(&segment, &footer.account);
                let (mut fold, mut votes) = match voting {
                    Some(voting) => voting,
                    None => (
                        Fold::new(&manifest.settings, &footer, video_of(&manifest)?.frame_rate.to_f64())?,
                        Votes::new(&footer),
                    ),
                };
                association.time(|| fold.frames(&segment, &rows, |_, _, tracks, _| votes.take(tracks)))?;
                association.frames(segment.frame_count);
                Ok((Some((fold, votes)), damage, association))
            })
            .await?;
        }
        damage.check(manifest)?;
        Ok(voting.map(|(_, votes)| votes.decide()).unwrap_or_default())
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
        let (ledger, model) = (merging.ledger.total().clone(), merging.model.clone());
        let finished = blocking(move || merging.finish()).await?;
        let Finished { detections, tracks, rows, by_class } = finished;
        let mut work = WorkReport::of(delivery, started, ledger.frames, video_of(manifest)?.seconds());
        (work.rows, work.tracks) = (rows, by_class);
        let file = NewObject::of_file(ResultFile::Detections.object(request), detections, PARQUET);
        self.cloud.create(file).await?;
        exports::create(&self.cloud, manifest, &tracks, delivery).await?;
        let file = NewObject::of_file(ResultFile::Tracks.object(request), tracks, PARQUET);
        self.cloud.create(file.with_work(&work)).await?;
        self.record(request, ledger, model).await?;
        self.cloud.mark(Marker::Merged.object(request)).await?;
        Ok(())
    }

    async fn record(
        &self,
        request: &RequestId,
        ledger: LedgerTotal,
        model: Option<ModelIdentity>,
    ) -> Result<(), Failure> {
        manifest::update(&self.cloud, request, |manifest| {
            manifest.ledger = Some(ledger.clone());
            manifest.model = model.clone();
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
        // Its own detections may be on their way; those of another request were there and have been cleared away.
        Err(error) if error.is_not_found() && manifest.retrack_of.is_some() => {
            Err(Failure::permanent(format!("{error} any more: process the video again with these settings")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The next segment's detections; the time that they are waited for is download.
async fn next(
    downloads: &mut (impl Stream<Item = Result<bytes::Bytes, Failure>> + Unpin + Send),
    delivery: &Delivery,
) -> Result<bytes::Bytes, Failure> {
    let started = Stopwatch::start();
    let bytes = downloads.next().await;
    delivery.spend(Activity::Download, started.seconds());
    bytes
        .unwrap_or_else(|| Err(Failure::permanent("there are fewer detections than segments: process the video again")))
}

/// The state of the fold between two segments.
struct Merging {
    ledger: Ledger,
    fold: Option<Fold>,
    classes: Arc<Classes>,
    /// Where tracks are refined: rows are held until all are known.
    refiner: Option<Refiner>,
    /// With which refined tracks choose their classes: links make other identities than those of the first pass.
    votes: Option<Votes>,
    model: Option<ModelIdentity>,
    detections: DetectionsWriter<BufWriter<NamedTempFile>>,
    tracks: TracksWriter<BufWriter<NamedTempFile>>,
    /// Rows of the segment in hand, after the trail that leads into it.
    recent: VecDeque<TrackRow>,
    association: Doing,
}

/// The results, written.
struct Finished {
    detections: TempPath,
    tracks: TempPath,
    rows: u64,
    by_class: BTreeMap<String, u64>,
}

impl Merging {
    fn begin(cloud: &Cloud, manifest: &Manifest, classes: Classes, delivery: &Delivery) -> Result<Self, Failure> {
        let file = || -> Result<_, Failure> {
            let file = NamedTempFile::new_in(cloud.storage.scratch());
            Ok(BufWriter::new(file.map_err(|error| Failure::from_io("making a temporary file", error))?))
        };
        Ok(Self {
            ledger: Ledger::default(),
            fold: None,
            classes: Arc::new(classes),
            refiner: None,
            votes: None,
            model: None,
            detections: DetectionsWriter::new(file()?).map_err(table)?,
            tracks: TracksWriter::new(file()?, tracks_of(manifest)?).map_err(table)?,
            recent: VecDeque::new(),
            association: Doing::begin(delivery, Activity::Association),
        })
    }

    /// Checks the ledger and folds one segment in; gives the segment's own tracks where they are to be drawn.
    fn take(
        mut self,
        manifest: &Manifest,
        segment: &ManifestSegment,
        bytes: bytes::Bytes,
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let (rows, footer) = read_segment(segment, bytes)?;
        self.ledger
            .take(&segment.planned(), &footer.account)
            .map_err(|error| Failure::from_error(FailureKind::Permanent, error))?;
        self.agree_on_model(segment.segment_number, &footer)?;
        for &row in &rows {
            self.detections.push(row).map_err(table)?;
        }
        let mut fold = match self.fold.take() {
            Some(fold) => fold,
            None => self.begin_fold(manifest, &footer)?,
        };
        let (mut tracks, mut refused) = (Vec::new(), Ok(()));
        let (classes, refiner) = (&self.classes, &mut self.refiner);
        self.association.time(|| {
            fold.frames(segment, &rows, |frame_index, pts, matched, shown| match refiner {
                Some(refiner) if refused.is_ok() => refused = refiner.take(frame_index, matched, shown),
                Some(_) => {}
                None => tracks.extend(matched.iter().map(|matched| classes.row(frame_index, pts, matched))),
            })
        })?;
        refused?;
        self.association.frames(segment.frame_count);
        self.fold = Some(fold);
        if self.refiner.is_some() { Ok((self, None)) } else { self.emit(manifest, segment, &tracks) }
    }

    fn begin_fold(&mut self, manifest: &Manifest, footer: &SegmentFooter) -> Result<Fold, Failure> {
        let (settings, frame_rate) = (&manifest.settings, video_of(manifest)?.frame_rate.to_f64());
        if !settings.refine.is_none() {
            let birth_score = tracker_settings(settings, footer.track_thresh, frame_rate).track_thresh + BIRTH_MARGIN;
            self.refiner = Some(Refiner::new(refine_of(settings, birth_score)?));
            self.votes = Some(Votes::new(footer));
        }
        Fold::new(settings, footer, frame_rate)
    }

    /// Writes the final rows of a segment; gives the segment's own tracks where they are to be drawn.
    fn emit(
        mut self,
        manifest: &Manifest,
        segment: &ManifestSegment,
        rows: &[TrackRow],
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let trail_from = segment.first_frame.saturating_sub(TRAIL_FRAMES) as i64;
        self.recent.retain(|row| row.frame_index >= trail_from);
        self.recent.extend(rows.iter().cloned());
        for row in rows {
            self.tracks.push(row.clone()).map_err(table)?;
        }
        let tracks = if manifest.settings.video { Some(self.segment_tracks(manifest)?) } else { None };
        Ok((self, tracks))
    }

    fn agree_on_model(&mut self, segment: SegmentNumber, footer: &SegmentFooter) -> Result<(), Failure> {
        match &self.model {
            None => self.model = Some(footer.model.clone()),
            Some(model) if model.sha256 != footer.model.sha256 => {
                return Err(Failure::permanent(format!(
                    "segment {segment} was detected by another model ({} instead of {}): process the video again",
                    footer.model.name, model.name
                )));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The segment's own tracks, after those of the frames just before it: what `annotate` draws.
    fn segment_tracks(&self, manifest: &Manifest) -> Result<Vec<u8>, Failure> {
        let mut writer = TracksWriter::new(Vec::new(), tracks_of(manifest)?).map_err(table)?;
        for row in &self.recent {
            writer.push(row.clone()).map_err(table)?;
        }
        Ok(writer.finish().map_err(table)?.0)
    }

    fn finish(self) -> Result<Finished, Failure> {
        let (detections, _) = self.detections.finish(None).map_err(table)?;
        let (tracks, rows) = self.tracks.finish().map_err(table)?;
        let close = |buffer: BufWriter<NamedTempFile>| {
            let file = buffer.into_inner().map_err(|error| Failure::from_io("writing results", error.into_error()))?;
            Ok::<_, Failure>(file.into_temp_path())
        };
        let by_class = self.classes.count();
        Ok(Finished { detections: close(detections)?, tracks: close(tracks)?, rows, by_class })
    }
}

fn read_segment(segment: &ManifestSegment, bytes: bytes::Bytes) -> Result<(Vec<DetectionRow>, SegmentFooter), Failure> {
    detections::read_segment(bytes)
        .map_err(|error| Failure::permanent(format!("detections of segment {}: {error}", segment.segment_number)))
}

/// The rows of a segment's frames, out of those of all frames.
fn of_segment<'a>(rows: &'a [TrackRow], segment: &ManifestSegment) -> &'a [TrackRow] {
    let until = |frame: u64| rows.partition_point(|row| row.frame_index < frame as i64);
    &rows[until(segment.first_frame)..until(segment.first_frame + segment.frame_count)]
}

fn video_of(manifest: &Manifest) -> Result<&VideoInfo, Failure> {
    let unplanned = || Failure::permanent("the manifest has no plan: process the video again");
    manifest.source.video.as_ref().ok_or_else(unplanned)
}

/// The video as the refinements know it.
fn refined_video(manifest: &Manifest) -> Result<Video, Failure> {
    let video = video_of(manifest)?;
    let frames: u64 = manifest.segments.iter().map(|segment| segment.frame_count).sum();
    Ok(Video {
        frame_rate: video.frame_rate.to_f64(),
        frame_count: u32::try_from(frames).unwrap_or(u32::MAX),
        size_px: Some([f64::from(video.width_px), f64::from(video.height_px)]),
    })
}

fn tracks_of(manifest: &Manifest) -> Result<TracksOf, Failure> {
    let video = video_of(manifest)?;
    Ok(TracksOf {
        request_id: manifest.request_id.clone(),
        video: end::video_name(manifest),
        uploaded_at: manifest.source.uploaded_at,
        time_base: video.time_base,
        origin_pts: video.origin_pts,
    })
}

fn table(error: TableError) -> Failure {
    match error {
        TableError::Io(error) => Failure::from_io("writing results", error),
        TableError::Format(_) => Failure::from_error(FailureKind::Permanent, error),
    }
}

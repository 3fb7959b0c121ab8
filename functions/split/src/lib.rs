//! `split` plans a video: it turns a new object in `uploads` into a manifest and chunks.
//!
//! 1. `split` indexes the video. With `detect_every: auto` it also runs the detector on some stretches of the video,
//!    and chooses the stride.
//! 2. It stores the plan in the manifest, by a conditional write.
//! 3. It cuts the chunks one after the other. Each chunk starts `track` as soon as it is stored.
//!
//! A redelivery finds the plan and the existing chunks, and cuts only the missing ones.
//!
//! ```
//! use std::sync::Arc;
//! use trackdrop_flow::{Cloud, stage::Staged};
//! use trackdrop_pipeline::Handler;
//! use trackdrop_split::{Limits, MediaCutter, Split};
//!
//! fn handler(cloud: Cloud) -> impl Handler {
//!     Staged(Split::new(cloud, Arc::new(MediaCutter { limits: Limits::default() })))
//! }
//! ```

mod media;
mod notes;
mod probe;
mod progress;

use async_trait::async_trait;
use std::{io::Read, ops::Range, path::Path, sync::Arc};
use tempfile::TempPath;
use trackdrop_cloud::{ObjectInfo, OpenObject};
use trackdrop_flow::{
    Cloud, Doing, NewObject, WorkReport,
    beside::Beside,
    blocking,
    blocking::{ReadTime, items, read_at},
    chunks::{self, Chunks},
    claim::{self, Claim},
    downloading, manifest,
    stage::StageHandler,
};
use trackdrop_pipeline::{
    Activity, Appearance, Delivery, DetectEvery, Failure, Manifest, ObjectFinalized, OfferedModels, PtsList, RequestId,
    RequestSettings, SegmentDescription, SegmentNumber, SegmentSpan, Stage, Stopwatch,
    manifest::{ManifestSegment, Progress, VideoInfo},
    names::{LONGEST_SHOWN, PerSegment, cut},
};

use notes::InWork;
use progress::IndexProgress;

pub use media::MediaCutter;
pub use probe::{Question, probe};
pub use trackdrop_media::{Limits, NoteEvery, Source};
pub use trackdrop_probe::{Budget, Prober, Seen};

/// Opens videos to cut them. Blocks.
pub trait Cutter: Send + Sync + std::fmt::Debug {
    /// Indexes the video stream of `source` that the settings choose, and plans segments of about the length in the
    /// settings. The same file and settings always give the same plan.
    ///
    /// # Errors
    /// Permanent: the source is not a video that can be cut. Transient: the source can't be read now.
    fn open(&self, source: &Source, settings: &RequestSettings) -> Result<Box<dyn OpenVideo>, Failure>;
}

/// A video that is indexed and planned. Its methods block.
pub trait OpenVideo: Send {
    /// The facts about the video.
    fn info(&self) -> VideoInfo;
    /// The segments, in order.
    fn segments(&self) -> Vec<PlannedSegment>;
    /// Cuts the wanted segments, in ascending order. Each is cut into a temporary file in `scratch`, which is passed to
    /// `take`.
    ///
    /// # Errors
    /// Errors of `take`; a chunk that cannot be read or written.
    fn cut(
        &mut self,
        wanted: &[SegmentNumber],
        scratch: &Path,
        take: &mut dyn FnMut(SegmentNumber, TempPath) -> Result<(), Failure>,
    ) -> Result<(), Failure>;
    /// Indices of the frames at which decoding can begin, ascending.
    fn key_frames(&self) -> Vec<u64>;
    /// Cuts these frames into a temporary file in `scratch`, as if they were a segment. The first of them is a key
    /// frame. The plan has no effect on this.
    ///
    /// # Errors
    /// The source can't be read, or the file can't be written.
    fn cut_stretch(&mut self, frames: &Range<u64>, scratch: &Path) -> Result<(PlannedSegment, TempPath), Failure>;
}

/// A planned segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSegment {
    /// The frames that it owns.
    pub span: SegmentSpan,
    /// Their PTS.
    pub frame_pts: PtsList,
    /// Whether its frames are re-encoded without loss.
    pub lossless_transcode: bool,
}

/// The handler. An upload that is not on this host is read in ranges, without a copy.
#[derive(Debug)]
pub struct Split {
    cloud: Cloud,
    cutter: Arc<dyn Cutter>,
    spool_bytes: u64,
    note_every: NoteEvery,
    models: Option<OfferedModels>,
    prober: Option<Arc<dyn Prober>>,
    budget: Budget,
}

/// Bytes on disk for an upload that must be read whole before it can be cut: see [`Source::with_spool`].
const SPOOL_BYTES: u64 = 1 << 30;
/// How many chunks can wait to be written while the next one is cut. The number is small, because they need disk space.
const CHUNKS_AHEAD: usize = 2;
/// How many chunks are written at the same time. In the time that the store needs for one chunk, several are cut.
pub const WRITES_AT_ONCE: usize = 4;

impl Split {
    /// A handler over this cloud and cutter.
    pub fn new(cloud: Cloud, cutter: Arc<dyn Cutter>) -> Self {
        let (spool_bytes, note_every, budget) = (SPOOL_BYTES, NoteEvery::default(), Budget::default());
        Self { cloud, cutter, spool_bytes, note_every, models: None, prober: None, budget }
    }

    /// Sets another bound than 1 GiB on the disk space for an upload that must be read whole before it can be cut, such
    /// as a Matroska file or a transport stream. Bytes beyond the bound are read twice.
    #[must_use]
    pub fn with_spool(self, spool_bytes: u64) -> Self {
        Self { spool_bytes, ..self }
    }

    /// Sets how often the results so far about such an upload are stored, for the deliveries that resume it.
    #[must_use]
    pub fn with_notes_every(self, note_every: NoteEvery) -> Self {
        Self { note_every, ..self }
    }

    /// Sets the models that uploads can name. Without it an upload can name any model, as a user can on their own
    /// machine.
    #[must_use]
    pub fn with_models(self, models: OfferedModels) -> Self {
        Self { models: Some(models), ..self }
    }

    /// Sets a detector for `detect_every: auto`: it looks at a few stretches of such a video. Without a detector, such
    /// a video is refused.
    #[must_use]
    pub fn with_prober(self, prober: Arc<dyn Prober>) -> Self {
        Self { prober: Some(prober), ..self }
    }

    /// Sets how much of a video the detector may look at for that.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }
}

#[async_trait]
impl StageHandler for Split {
    const STAGE: Stage = Stage::Split;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, upload: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        if chunks::record_if_all_exist(&self.cloud, request).await? {
            return Ok(());
        }
        let started = Stopwatch::start();
        let (info, opened) = downloading(delivery, self.find(upload)).await?;
        let settings = RequestSettings::of_upload(&info.metadata).map_err(Failure::permanent_from)?;
        if let Some(offered) = &self.models {
            let network = settings.appearance.as_ref().and_then(Appearance::network);
            for asked in settings.model.iter().chain(network.map(|asked| &asked.network)) {
                offered.find(asked).map_err(Failure::permanent_from)?;
            }
        }
        let reads = ReadTime::default();
        let may_be_noted = matches!(opened, OpenObject::Ranges(_)) && info.bytes > self.note_every.bytes;
        let claim = Claim::of(&info, &settings);
        let is_new = manifest::state(&self.cloud, request).await?.is_none();
        // Another request can hold the claim of this content. This is checked before the upload is read, so that it is
        // not read in vain. It is checked again afterwards, because in the meantime that request may have been cut, or
        // another one may have claimed the content.
        if is_new && let Some(other) = claim.is_taken(&self.cloud, request).await? {
            return claim::leave_to(&self.cloud, request, &info.object, &other).await;
        }
        let video = self.open(request, &info, opened, &reads, settings.clone(), delivery).await?;
        let mut planned = plan(request, &info, settings, &*video)?;
        let video = self.choose_stride(&mut planned, video, is_new, delivery).await?;
        if is_new && let Some(other) = claim.take(&self.cloud, request).await? {
            return claim::leave_to(&self.cloud, request, &info.object, &other).await;
        }
        // Stores the plan, unless there is one.
        let existing = manifest::plan(&self.cloud, &planned).await?;
        if is_new {
            claim.check(&self.cloud, request).await?;
        }
        if existing.state.is_final() {
            return Ok(());
        }
        agree(&existing, &planned)?;
        let chunks = self.cut_missing(&existing, video, reads, started, delivery).await?;
        chunks::record(&self.cloud, request, &chunks).await?;
        if may_be_noted {
            notes::forget(&self.cloud, request).await?;
        }
        Ok(())
    }

    async fn describe(&self, request: &RequestId, upload: &ObjectFinalized) -> Result<Option<Manifest>, Failure> {
        let info = self.cloud.find_upload(upload).await?;
        let settings = info.as_ref().and_then(|info| RequestSettings::of_upload(&info.metadata).ok());
        Ok(Some(manifest::unplanned(request, upload, info.as_ref(), settings.unwrap_or_default())))
    }
}

/// The whole plan as a manifest, before anything is cut.
fn plan(
    request: &RequestId,
    info: &ObjectInfo,
    settings: RequestSettings,
    video: &dyn OpenVideo,
) -> Result<Manifest, Failure> {
    let permanent = Failure::permanent_from;
    let mut manifest = manifest::unplanned(request, &info.finalized(), Some(info), settings);
    let (mut video_info, segments) = (video.info(), video.segments());
    if manifest.settings.source_clock {
        video_info.origin_pts = 0;
    }
    let (base, origin) = (video_info.time_base, video_info.origin_pts);
    let mut frames = 0;
    for (number, segment) in segments.into_iter().enumerate() {
        let segment_number = SegmentNumber::new(number as u64).map_err(permanent)?;
        let span = segment.span;
        frames += span.frame_count;
        manifest.segments.push(ManifestSegment {
            request_id: request.clone(),
            segment_file: PerSegment::Chunk.object(request, segment_number).name,
            segment_number,
            start_time: base.decimal_seconds(span.start_pts - origin),
            duration: base.decimal_seconds(span.end_pts - span.start_pts),
            original_video: manifest.source.uri.clone(),
            span,
            pts_sha256: segment.frame_pts.sha256(),
            frame_pts: segment.frame_pts,
            lossless_transcode: segment.lossless_transcode,
            bytes: None,
            sha256: None,
        });
    }
    manifest.segment_count = manifest.segments.len() as u32;
    manifest.source.video = Some(video_info);
    if frames == 0 {
        return Err(Failure::permanent("the video has no frame that is shown"));
    }
    // The description of each chunk must fit into its metadata. This is checked before the first chunk is cut, with the chunk that has the longest
    // numbers.
    if let Some(last) = manifest.segments.last() {
        let sha256 = "0".repeat(64);
        describe_chunk(&manifest, last.segment_number, sha256)?.to_metadata().map_err(Failure::permanent_from)?;
    }
    Ok(manifest)
}

/// Checks that the existing plan is the one that this release makes.
fn agree(existing: &Manifest, ours: &Manifest) -> Result<(), Failure> {
    let plan = |manifest: &Manifest| -> Vec<_> {
        manifest
            .segments
            .iter()
            .map(|segment| (segment.span.start_pts, segment.span.end_pts, segment.pts_sha256.clone()))
            .collect()
    };
    if plan(existing) == plan(ours) {
        return Ok(());
    }
    Err(Failure::permanent("the stored plan differs from this release's: process the video again (--force)"))
}

impl Split {
    /// The stride of a request with `detect_every: auto`: the one in its plan, or the one that some stretches of the video suggest.
    async fn choose_stride(
        &self,
        planned: &mut Manifest,
        mut video: Box<dyn OpenVideo>,
        is_new: bool,
        delivery: &Delivery,
    ) -> Result<Box<dyn OpenVideo>, Failure> {
        let DetectEvery::Auto(most) = planned.settings.detect_every else { return Ok(video) };
        if !is_new
            && let Some(existing) = manifest::read(&self.cloud, &planned.request_id).await?
            && existing.stride.is_some()
        {
            planned.stride = existing.stride;
            return Ok(video);
        }
        let Some(prober) = self.prober.clone() else {
            return Err(Failure::permanent(format!(
                "detect_every is {}, and `split` has no detector here to find out with: give a number of frames, such as 2, or let \
                 `trackdrop plan VIDEO --fps-per-gpu F --max-instances N --probe` find it",
                planned.settings.detect_every
            )));
        };
        let (request, settings) = (planned.request_id.clone(), planned.settings.clone());
        let (scratch, budget, attempt) = (self.cloud.storage.scratch().to_owned(), self.budget, delivery.clone());
        let (video, choice) = blocking(move || {
            let question = Question { request: &request, settings: &settings, most, budget, scratch: &scratch };
            let choice = probe(&mut *video, &question, &*prober, &attempt)?;
            Ok((video, choice))
        })
        .await?;
        planned.stride = Some(choice);
        Ok(video)
    }

    async fn find(&self, upload: &ObjectFinalized) -> Result<(ObjectInfo, OpenObject), Failure> {
        match self.cloud.storage.open(&upload.object, Some(upload.generation)).await {
            Err(error) if error.is_not_found() => Err(Failure::permanent(format!(
                "the upload {} was deleted or overwritten before it could be read: upload it again",
                upload.object
            ))),
            outcome => Ok(outcome?),
        }
    }

    async fn open(
        &self,
        request: &RequestId,
        info: &ObjectInfo,
        opened: OpenObject,
        reads: &ReadTime,
        settings: RequestSettings,
        delivery: &Delivery,
    ) -> Result<Box<dyn OpenVideo>, Failure> {
        let (cutter, name, attempt) = (self.cutter.clone(), &info.object.name, delivery.clone());
        let progress = IndexProgress::begin(delivery, info.bytes);
        let source = match &opened {
            OpenObject::File(file) => Source::from(file.path()),
            OpenObject::Ranges(ranges) => {
                Source::of_ranges(name, info.bytes, progress.of(read_at(ranges.clone(), reads)))
                    .with_spool(self.cloud.storage.scratch(), self.spool_bytes)
                    .with_notes(Arc::new(InWork::of(&self.cloud, request)), self.note_every)
            }
        };
        let source = source.named(&*cut(name, LONGEST_SHOWN));
        let reads = reads.clone();
        blocking(move || {
            let mut indexing = Doing::begin(&attempt, Activity::Index);
            let video = indexing.time(|| cutter.open(&source, &settings));
            indexing.reads(&reads);
            let video = video.map_err(|failure| progress.explain(failure))?;
            indexing.frames(video.info().frame_count);
            Ok(Box::new(WithSource { video, opened }) as Box<dyn OpenVideo>)
        })
        .await
    }

    /// Cuts the chunks that do not exist yet; returns size and SHA-256 of all.
    async fn cut_missing(
        &self,
        planned: &Manifest,
        mut video: Box<dyn OpenVideo>,
        reads: ReadTime,
        started: Stopwatch,
        delivery: &Delivery,
    ) -> Result<Chunks, Failure> {
        let request = &planned.request_id;
        let mut chunks = chunks::existing(&self.cloud, request).await?;
        let wanted: Vec<_> = planned
            .segments
            .iter()
            .map(|segment| segment.segment_number)
            .filter(|number| !chunks.contains_key(number))
            .collect();
        if wanted.is_empty() {
            return Ok(chunks);
        }
        let (scratch, attempt) = (self.cloud.storage.scratch().to_owned(), delivery.clone());
        let mut cut = items(CHUNKS_AHEAD, move |ready| {
            let mut cutting = Doing::begin(&attempt, Activity::Cut);
            let mut since = Stopwatch::start();
            video.cut(&wanted, &scratch, &mut |number, chunk| {
                attempt.step()?;
                cutting.bytes(std::fs::metadata(&chunk).map_or(0, |file| file.len()));
                cutting.busy(since);
                cutting.reads(&reads);
                cutting.spend();
                // Waits if the store is slower than cutting. This time does not count as cutting.
                ready((number, chunk))?;
                since = Stopwatch::start();
                Ok(())
            })
        });
        let mut since = started;
        let mut writes = Beside::new(WRITES_AT_ONCE);
        while let Some((number, chunk)) = writes.during(cut.next()).await? {
            // At the same time as the next one is cut.
            let (chunk, sha256, bytes) = writes.during(blocking(move || sha256_of(chunk))).await??;
            let description = describe_chunk(planned, number, sha256.clone())?;
            let metadata = description.to_metadata().map_err(Failure::permanent_from)?;
            let work = WorkReport::of(delivery, since, description.span.frame_count, description.span.seconds());
            since = Stopwatch::start();
            let object = PerSegment::Chunk.object(request, number);
            let new = NewObject::of_file(object, chunk, "video/x-matroska").with_metadata(metadata).with_work(&work);
            chunks.insert(number, (bytes, sha256));
            let done = chunks.len() as u32;
            writes.add(write_chunk(self.cloud.clone(), request.clone(), new, done)).await?;
        }
        cut.end().await?;
        writes.end().await?;
        Ok(chunks)
    }
}

/// Writes a chunk; about `nth` chunks exist then.
async fn write_chunk(cloud: Cloud, request: RequestId, new: NewObject, nth: u32) -> Result<(), Failure> {
    cloud.create(new).await?;
    let fold = |progress: &mut Progress| progress.segments_split = progress.segments_split.max(nth);
    manifest::fold_progress(&cloud, &request, fold).await;
    Ok(())
}

fn describe_chunk(planned: &Manifest, number: SegmentNumber, sha256: String) -> Result<SegmentDescription, Failure> {
    let segment = planned
        .segments
        .get(number.index())
        .ok_or_else(|| Failure::permanent(format!("segment {number} is not in the plan")))?;
    let video =
        planned.source.video.as_ref().ok_or_else(|| Failure::permanent("the plan does not describe its video"))?;
    Ok(SegmentDescription {
        request_id: planned.request_id.clone(),
        segment_number: number,
        segment_count: planned.segment_count,
        span: segment.span,
        pts_sha256: segment.pts_sha256.clone(),
        sha256,
        presentation: video.presentation.clone(),
        // The settings with the chosen number: a chunk does not say how it was chosen.
        settings: RequestSettings { detect_every: planned.detect_every().into(), ..planned.settings.clone() },
    })
}

/// Owns the source's file as long as the video is open.
struct WithSource {
    video: Box<dyn OpenVideo>,
    /// A copy is deleted with it.
    #[expect(dead_code, reason = "it is held")]
    opened: OpenObject,
}

impl OpenVideo for WithSource {
    fn info(&self) -> VideoInfo {
        self.video.info()
    }

    fn segments(&self) -> Vec<PlannedSegment> {
        self.video.segments()
    }

    fn cut(
        &mut self,
        wanted: &[SegmentNumber],
        scratch: &Path,
        take: &mut dyn FnMut(SegmentNumber, TempPath) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.video.cut(wanted, scratch, take)
    }

    fn key_frames(&self) -> Vec<u64> {
        self.video.key_frames()
    }

    fn cut_stretch(&mut self, frames: &Range<u64>, scratch: &Path) -> Result<(PlannedSegment, TempPath), Failure> {
        self.video.cut_stretch(frames, scratch)
    }
}

/// Returns the chunk with its SHA-256 and its size.
fn sha256_of(chunk: TempPath) -> Result<(TempPath, String, u64), Failure> {
    use sha2::{Digest, Sha256};
    let hash = || -> std::io::Result<(String, u64)> {
        let (mut file, mut hash, mut bytes) = (std::fs::File::open(&chunk)?, Sha256::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    bytes += read as u64;
                }
            }
        }
        Ok((hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), bytes))
    };
    let (sha256, bytes) =
        hash().map_err(|error| Failure::transient(format!("reading the chunk that was just cut: {error}")))?;
    Ok((chunk, sha256, bytes))
}

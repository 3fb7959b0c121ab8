//! `join`: the annotated segments become one video, by packet copy, with the source's audio.
//!
//! ```
//! use std::sync::Arc;
//! use trackdrop_flow::{Cloud, stage::Staged};
//! use trackdrop_join::{Join, MediaJoiner};
//! use trackdrop_pipeline::Handler;
//!
//! fn handler(cloud: Cloud) -> impl Handler {
//!     Staged(Join::new(cloud, Arc::new(MediaJoiner)))
//! }
//! ```

mod crops;
mod media;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use std::{path::Path, pin::pin, sync::Arc};
use trackdrop_cloud::{LocalFile, OpenObject};
use trackdrop_flow::{
    Cloud, Doing, NewObject, WorkReport, blocking,
    blocking::{ReadTime, read_at},
    downloading, end, manifest, scratch_file,
    stage::StageHandler,
};
use trackdrop_pipeline::{
    Activity, Bucket, Delivery, Failure, Manifest, ObjectFinalized, RequestId, Stage, Stopwatch,
    manifest::VideoInfo,
    names::{LONGEST_SHOWN, ObjectName, PerSegment, ResultFile, cut},
};

pub use media::MediaJoiner;
pub use trackdrop_media::Source;

/// How many segments are downloaded at the same time.
pub const AT_ONCE: usize = 8;

/// An annotated segment, and its place in the video.
#[derive(Debug)]
pub struct Part {
    /// The segment's file.
    pub file: LocalFile,
    /// PTS of its time 0, in the source's time base.
    pub start_pts: i64,
}

/// Joins annotated segments. Blocks.
pub trait Joiner: Send + Sync + std::fmt::Debug {
    /// Joins the parts in order, and adds the audio of `source`, if there is any.
    ///
    /// # Errors
    /// Permanent: parts or audio can't be copied into one file. Transient: a read or write failed, and can succeed
    /// later.
    fn join(&self, parts: &[Part], source: Option<&Source>, video: &VideoInfo, out: &Path) -> Result<Joined, Failure>;
}

/// The result of joining.
#[derive(Debug)]
pub struct Joined {
    /// Frames in the video.
    pub frames: u64,
    /// Remarks on it, such as sound that was left out.
    pub notes: Vec<String>,
}

/// The handler.
#[derive(Debug)]
pub struct Join {
    cloud: Cloud,
    joiner: Arc<dyn Joiner>,
}

impl Join {
    /// A handler over this cloud and joiner.
    pub fn new(cloud: Cloud, joiner: Arc<dyn Joiner>) -> Self {
        Self { cloud, joiner }
    }
}

#[async_trait]
impl StageHandler for Join {
    const STAGE: Stage = Stage::Join;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, _: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        let result = ResultFile::AnnotatedVideo.object(request);
        if self.cloud.find(&result).await?.is_none() {
            let started = Stopwatch::start();
            let manifest = manifest::expect(&self.cloud, request).await?;
            let (video, Joined { frames, notes }) = self.join(&manifest, delivery).await?;
            // Notes are stored before the video, because a delivery that finds the video does not examine the sound
            // again.
            manifest::update(&self.cloud, request, |manifest| {
                let changes = manifest.video_notes != notes;
                manifest.video_notes.clone_from(&notes);
                changes
            })
            .await?;
            if manifest.settings.crops {
                // Crops are stored before the video, too, because the existence of the video means that all is done.
                crops::create(&self.cloud, &manifest, delivery).await?;
            }
            let video_seconds = manifest.source.video.as_ref().map_or(0.0, VideoInfo::seconds);
            let work = WorkReport::of(delivery, started, frames, video_seconds);
            self.cloud.create(NewObject::of_file(result, video, "video/mp4").with_work(&work)).await?;
        }
        end::finish_if_complete(&self.cloud, request).await
    }
}

async fn fetch(cloud: Cloud, object: ObjectName, start_pts: i64) -> Result<Part, Failure> {
    let (_, file) = cloud.storage.fetch(&object, None).await?;
    Ok(Part { file, start_pts })
}

impl Join {
    async fn join(&self, manifest: &Manifest, delivery: &Delivery) -> Result<(tempfile::TempPath, Joined), Failure> {
        let storage = &self.cloud.storage;
        let objects: Vec<_> = manifest
            .segments
            .iter()
            .map(|segment| {
                (PerSegment::Annotated.object(&manifest.request_id, segment.segment_number), segment.span.start_pts)
            })
            .collect();
        let cloud = self.cloud.clone();
        let fetch = move |(object, start_pts)| fetch(cloud.clone(), object, start_pts);
        let parts = downloading(delivery, async {
            let mut parts = Vec::with_capacity(objects.len());
            let mut fetched = pin!(stream::iter(objects).map(fetch).buffered(AT_ONCE));
            while let Some(part) = fetched.next().await {
                parts.push(part?);
                delivery.step()?;
            }
            Ok::<_, Failure>(parts)
        })
        .await?;
        let video = manifest.source.video.clone().ok_or_else(|| Failure::permanent("the manifest has no plan"))?;
        let upload = ObjectName::new(Bucket::Uploads, end::video_name(manifest));
        let reads = ReadTime::default();
        let (mut source, mut opened, mut gone) = (None, None, None);
        // The parts have the pictures, and the upload has the sound.
        if video.audio_codec.is_some() {
            match downloading(delivery, storage.open(&upload, Some(manifest.source.generation))).await {
                Ok((info, object)) => {
                    let of_object = match &object {
                        OpenObject::File(file) => Source::from(file.path()),
                        OpenObject::Ranges(ranges) => {
                            Source::of_ranges(&upload.name, info.bytes, read_at(ranges.clone(), &reads))
                        }
                    };
                    let name = cut(&upload.name, LONGEST_SHOWN);
                    source = Some(of_object.named(&*name).read_as((&manifest.settings).into()));
                    opened = Some(object);
                }
                Err(error) if error.is_not_found() => {
                    gone = Some(format!(
                        "the annotated video is silent: the upload {upload} was deleted or overwritten before its sound could be copied"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (joiner, scratch) = (self.joiner.clone(), storage.scratch().to_owned());
        let planned = video.frame_count;
        let damaged = manifest.ledger.as_ref().map(|ledger| ledger.frames_damaged).unwrap_or_default();
        let attempt = delivery.clone();
        blocking(move || {
            // A copy is deleted with it.
            let _opened = opened;
            let mut joining = Doing::begin(&attempt, Activity::Join);
            let out = scratch_file(&scratch, ".mp4")?.into_temp_path();
            let joined = joining.time(|| joiner.join(&parts, source.as_ref(), &video, &out));
            joining.reads(&reads);
            let mut joined = joined?;
            joined.notes.extend(gone);
            let frames = joined.frames;
            joining.frames(frames);
            joining.bytes(std::fs::metadata(&out).map_or(0, |file| file.len()));
            if frames > planned || frames + damaged < planned {
                return Err(Failure::permanent(format!(
                    "the annotated video has {frames} frames, the source {planned} ({damaged} damaged)"
                )));
            }
            Ok((out, joined))
        })
        .await
    }
}

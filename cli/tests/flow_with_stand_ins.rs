//! The real handlers, store and bus, with stand-ins for decoder, detector and encoder: what holds whatever the video is.
//!
//! A stand-in video is text: `frames=<n> gop=<n>`. Frame i shows two objects that walk, so that tracks exist and ids matter.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::{TempDir, TempPath};
use trackdrop_annotate::{Annotate, Renderer};
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    local::{Bus, BusEvent, LocalCloud, Redrive},
};
use trackdrop_fail::Fail;
use trackdrop_flow::{
    Cloud, manifest,
    stage::{StageHandler, Staged},
};
use trackdrop_join::{Join, Joiner, Part};
use trackdrop_load::Load;
use trackdrop_merge::Merge;
use trackdrop_pipeline::{
    Bucket, Delivery, Failure, Handler, Manifest, ObjectFinalized, PtsList, Rational, RequestId, RequestSettings,
    RequestState, SegmentDescription, SegmentNumber, Stage,
    ledger::FrameAccount,
    manifest::{ModelIdentity, VideoInfo},
    names::{Marker, ObjectName, PerSegment, ResultFile},
    settings::METADATA_KEY,
    trigger::Trigger,
};
use trackdrop_split::{Cutter, OpenVideo, PlannedSegment, Split};
use trackdrop_tables::{
    detections::DetectionRow,
    tracks::{self, TrackRow},
};
use trackdrop_track::{ModelFacts, SegmentDetections, SegmentDetector, Track};

/// What goes wrong, and how often.
#[derive(Clone, Debug, Default)]
struct Trouble {
    /// Attempts of `track` that fail transiently, all segments together.
    busy_detector: Arc<AtomicU32>,
    /// The detector does not see this frame at all, and does not say so.
    lost_frame: Option<i64>,
    /// This frame can't be decoded, and the worker says so.
    missing_frame: Option<i64>,
    /// The stage whose work fails for good.
    broken: Option<Stage>,
}

impl Trouble {
    fn check(&self, stage: Stage) -> Result<(), Failure> {
        if self.broken == Some(stage) { Err(Failure::permanent(format!("{stage} is broken"))) } else { Ok(()) }
    }
}

#[derive(Clone)]
struct StandIn(Trouble);

struct Text {
    frames: i64,
    segments: Vec<PlannedSegment>,
    trouble: Trouble,
}

fn number(text: &str, key: &str) -> Option<i64> {
    text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

impl Cutter for StandIn {
    /// A time base of 1/10 s: one frame each tenth of a second.
    fn open(&self, source: &Path, target_s: f64) -> Result<Box<dyn OpenVideo>, Failure> {
        self.0.check(Stage::Split)?;
        let text = std::fs::read_to_string(source).map_err(|error| Failure::transient(error.to_string()))?;
        let (Some(frames), Some(gop)) = (number(&text, "frames"), number(&text, "gop")) else {
            return Err(Failure::permanent(format!("{source:?} is not a video")));
        };
        let gops = ((target_s * 10.0) as i64).div_euclid(gop).max(1);
        let starts: Vec<i64> = (0..frames).step_by((gop * gops) as usize).collect();
        let segments = starts
            .iter()
            .map(|&start| {
                let end = (start + gop * gops).min(frames);
                let frame_pts = PtsList::new((start..end).collect()).unwrap();
                PlannedSegment { start_pts: start, end_pts: end, frame_pts }
            })
            .collect();
        Ok(Box::new(Text { frames, segments, trouble: self.0.clone() }))
    }
}

impl OpenVideo for Text {
    fn info(&self) -> VideoInfo {
        VideoInfo {
            container: "text".into(),
            codec: "text".into(),
            width_px: 640,
            height_px: 480,
            time_base: Rational::new(1, 10).unwrap(),
            frame_rate: Rational::new(10, 1).unwrap(),
            rotation_degrees: 0,
            frame_count: self.frames as u64,
            origin_pts: 0,
            start_pts: 0,
            end_pts: self.frames,
            audio_codec: None,
            presentation: serde_json::Value::Null,
            warnings: vec![],
        }
    }

    fn segments(&self) -> Vec<PlannedSegment> {
        self.segments.clone()
    }

    fn cut(
        &mut self,
        wanted: &[SegmentNumber],
        scratch: &Path,
        take: &mut dyn FnMut(SegmentNumber, TempPath) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.trouble.check(Stage::Split)?;
        for &number in wanted {
            let file = tempfile::NamedTempFile::new_in(scratch).unwrap();
            std::fs::write(file.path(), self.segments[number.index()].frame_pts.to_string()).unwrap();
            take(number, file.into_temp_path())?;
        }
        Ok(())
    }
}

impl SegmentDetector for StandIn {
    fn model(&self, _: &SegmentDescription) -> Result<ModelFacts, Failure> {
        Ok(ModelFacts {
            identity: ModelIdentity { name: "stand-in".into(), sha256: "00".into() },
            class_names: vec!["person".into(), "car".into()],
            track_thresh: None,
        })
    }

    fn detect(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        delivery: &Delivery,
    ) -> Result<SegmentDetections, Failure> {
        let trouble = &self.0;
        trouble.check(Stage::Track)?;
        if trouble.busy_detector.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Failure::transient("the GPU is busy"));
        }
        let planned: PtsList = std::fs::read_to_string(chunk).unwrap().parse().unwrap();
        let unseen = |pts: i64| trouble.lost_frame == Some(pts) || trouble.missing_frame == Some(pts);
        let seen: Vec<i64> = planned.as_slice().iter().copied().filter(|&pts| !unseen(pts)).collect();
        let mut rows = vec![];
        for &pts in &seen {
            delivery.step()?;
            let frame_index = (segment.first_frame as i64) + pts - segment.start_pts;
            for (object, class_id) in [(0, 0), (1, 1)] {
                // Scores that waver through the threshold, boxes that walk: the tracker's state matters in every frame.
                let score = if (pts + object) % 7 == 3 { 0.3 } else { 0.8 };
                let x = 20.0 + 300.0 * object as f32 + 0.37 * pts as f32;
                rows.push(DetectionRow { frame_index, pts, bbox: [x, 50.0, x + 40.0, 150.0], score, class_id });
            }
        }
        let missing_pts: Vec<i64> =
            planned.as_slice().iter().copied().filter(|&pts| trouble.missing_frame == Some(pts)).collect();
        let mut all = [seen.clone(), missing_pts.clone()].concat();
        all.sort_unstable();
        let account = FrameAccount {
            frames_decoded: seen.len() as u64,
            missing_pts,
            damaged_pts: vec![],
            pts_sha256: PtsList::new(all).unwrap().sha256(),
        };
        Ok(SegmentDetections { rows, frame_pts: planned, account })
    }
}

impl Renderer for StandIn {
    fn render(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        rows: &[TrackRow],
        out: &Path,
        _: &Delivery,
    ) -> Result<u64, Failure> {
        self.0.check(Stage::Annotate)?;
        assert!(std::fs::metadata(chunk).unwrap().len() > 0);
        let mut drawn = String::new();
        for row in rows {
            drawn += &format!("{} {} {}\n", row.frame_index, row.track_id, row.class_name);
        }
        std::fs::write(out, drawn).unwrap();
        Ok(segment.frame_count)
    }
}

impl Joiner for StandIn {
    fn join(&self, parts: &[Part], _: &Path, video: &VideoInfo, out: &Path) -> Result<u64, Failure> {
        self.0.check(Stage::Join)?;
        let mut whole = Vec::new();
        for part in parts {
            whole.extend(format!("part {}\n", part.start_pts).into_bytes());
            whole.extend(std::fs::read(part.file.path()).unwrap());
        }
        std::fs::write(out, whole).unwrap();
        Ok(video.frame_count)
    }
}

/// The triggers of the product with waits that a test can bear.
fn triggers() -> Vec<Trigger> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../triggers");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let yaml = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut trigger = Trigger::parse(&yaml).unwrap();
            (trigger.retry.min_backoff_s, trigger.retry.max_backoff_s) = (0.0, 0.01);
            trigger
        })
        .collect()
}

struct World {
    local: Arc<LocalCloud>,
    cloud: Cloud,
    trouble: Trouble,
    folder: TempDir,
}

impl World {
    fn new(trouble: Trouble) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), triggers()).unwrap());
        let cloud = Cloud { storage: local.clone(), publisher: local.clone(), warehouse: local.clone() };
        Self { local, cloud, trouble, folder }
    }

    fn handlers(&self) -> BTreeMap<String, Arc<dyn Handler>> {
        fn named<S: StageHandler + 'static>(stage: S) -> (String, Arc<dyn Handler>) {
            (S::STAGE.name().to_owned(), Arc::new(Staged(stage)))
        }
        let (cloud, stand_in) = (&self.cloud, Arc::new(StandIn(self.trouble.clone())));
        BTreeMap::from([
            named(Split::new(cloud.clone(), stand_in.clone())),
            named(Track::new(cloud.clone(), stand_in.clone())),
            named(Merge::new(cloud.clone())),
            named(Load::new(cloud.clone())),
            named(Annotate::new(cloud.clone(), stand_in.clone())),
            named(Join::new(cloud.clone(), stand_in)),
            ("fail".to_owned(), Arc::new(Fail::new(cloud.clone())) as Arc<dyn Handler>),
        ])
    }

    async fn upload(&self, name: &str, text: &str, settings: &RequestSettings) -> (RequestId, ObjectName) {
        let object = ObjectName::new(Bucket::Uploads, name);
        let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), serde_json::to_string(settings).unwrap())]);
        let options = PutOptions { metadata, ..Default::default() };
        let info = self.local.put(&object, Content::Bytes(text.to_owned().into()), options).await.unwrap();
        let upload = ObjectFinalized { object: object.clone(), generation: info.generation, created: info.created };
        (upload.request().unwrap(), object)
    }

    /// Delivers until every request is over and no message is left.
    async fn settle(&self, requests: &[RequestId]) -> Vec<BusEvent> {
        let bus = Bus::new(self.local.clone(), self.handlers(), 8);
        let mut seen = vec![];
        let stop = async {
            loop {
                let mut left = 0;
                for request in requests {
                    left += self.local.pending(request).await.unwrap();
                    left += i64::from(self.cloud.find(&Marker::Ended.object(request)).await.unwrap().is_none());
                }
                if left == 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(120), bus.run(stop, |event| seen.push(event))).await;
        outcome.unwrap().unwrap();
        seen
    }

    async fn manifest(&self, request: &RequestId) -> Manifest {
        manifest::read(&self.cloud, request).await.unwrap().unwrap().0
    }

    async fn bytes(&self, request: &RequestId, file: ResultFile) -> bytes::Bytes {
        self.local.get(&file.object(request)).await.unwrap().1
    }

    async fn tracks(&self, request: &RequestId) -> Vec<TrackRow> {
        tracks::read(self.bytes(request, ResultFile::Tracks).await).unwrap()
    }

    async fn rows(&self) -> Vec<serde_json::Value> {
        self.local.request_rows().await.unwrap().iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }
}

fn seconds(segment_seconds: f64) -> RequestSettings {
    RequestSettings { segment_seconds, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_tracks_rows_and_a_video() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("a b.mp4", "frames=95 gop=10", &seconds(2.0)).await;
    assert!(world.settle(std::slice::from_ref(&request)).await.is_empty());
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.segment_count), (RequestState::Done, 5));
    let starts: Vec<_> = manifest.segments.iter().map(|segment| segment.start_time.as_str()).collect();
    assert_eq!(starts, ["0", "2", "4", "6", "8"]);
    assert_eq!(manifest.segments[4].duration, "1.5");
    assert_eq!(manifest.segments[4].first_frame, 80);
    assert!(manifest.segments.iter().all(|segment| segment.sha256.is_some() && segment.bytes.is_some()));
    assert_eq!(manifest.ledger.unwrap().frames_whole, 95);
    let tracks = world.tracks(&request).await;
    assert_eq!(tracks.len(), 2 * 95);
    assert!(
        tracks.iter().all(|row| (row.class_name.as_ref() == "person") == (row.track_id == 1)),
        "one class an identity"
    );
    let video = world.bytes(&request, ResultFile::AnnotatedVideo).await;
    assert_eq!(std::str::from_utf8(&video).unwrap().matches("part").count(), 5);
    assert_eq!(world.rows().await.len(), 1);
    assert_eq!(world.local.loaded_tracks().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracks_do_not_depend_on_how_the_video_was_cut() {
    let world = World::new(Trouble::default());
    let (request, upload) = world.upload("v.mp4", "frames=400 gop=5", &seconds(0.5)).await;
    world.settle(std::slice::from_ref(&request)).await;
    assert_eq!(world.manifest(&request).await.segment_count, 80);
    let results = [ResultFile::Tracks, ResultFile::Detections];
    let mut expected = vec![];
    for file in results {
        expected.push(world.bytes(&request, file).await);
    }
    for (length, segments) in [(2.0, 20), (1_000.0, 1), (7.3, 6)] {
        let info = world.local.stat(&upload).await.unwrap();
        let mut metadata = info.metadata.clone();
        metadata.insert(METADATA_KEY.to_owned(), serde_json::to_string(&seconds(length)).unwrap());
        assert!(world.local.redrive(&request, &upload, metadata, Redrive::Reset).await.unwrap());
        world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(world.manifest(&request).await.segment_count, segments);
        for (file, expected) in results.iter().zip(&expected) {
            assert!(world.bytes(&request, *file).await == *expected, "{file:?} at {length} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_all_come_again_change_nothing() {
    let world = World::new(Trouble::default());
    let (request, upload) = world.upload("v.mp4", "frames=60 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let mut generations = vec![];
    for bucket in [Bucket::Work, Bucket::Results] {
        generations.extend(world.local.list(&ObjectName::new(bucket, "")).await.unwrap());
    }
    let metadata = world.local.stat(&upload).await.unwrap().metadata;
    assert!(world.local.redrive(&request, &upload, metadata, Redrive::Resume).await.unwrap());
    world.settle(std::slice::from_ref(&request)).await;
    let mut after = vec![];
    for bucket in [Bucket::Work, Bucket::Results] {
        after.extend(world.local.list(&ObjectName::new(bucket, "")).await.unwrap());
    }
    // Only the manifest may be written again, with the same content but for the time of its progress.
    let manifest = ResultFile::Manifest.object(&request);
    generations.retain(|info| info.object != manifest);
    after.retain(|info| info.object != manifest);
    assert_eq!(after, generations);
    assert_eq!(world.manifest(&request).await.state, RequestState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_fails_for_a_while_is_repeated_and_changes_nothing() {
    let calm = World::new(Trouble::default());
    let trouble = Trouble { busy_detector: Arc::new(AtomicU32::new(4)), ..Default::default() };
    let busy = World::new(trouble);
    let mut results = vec![];
    for world in [&calm, &busy] {
        let (request, _) = world.upload("v.mp4", "frames=60 gop=10", &seconds(1.0)).await;
        let events = world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(events.len() as u32, if std::ptr::eq(world, &busy) { 4 } else { 0 }, "{events:?}");
        results.push(world.tracks(&request).await);
    }
    assert_eq!(results[0], results[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_never_succeeds_ends_the_request_with_the_last_reason() {
    let trouble = Trouble { busy_detector: Arc::new(AtomicU32::new(u32::MAX)), ..Default::default() };
    let world = World::new(trouble);
    let (request, _) = world.upload("v.mp4", "frames=10 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    let error = manifest.error.unwrap();
    assert_eq!((manifest.state, error.stage), (RequestState::Failed, Stage::Track));
    assert_eq!(error.message, "gave up after 5 attempts: the GPU is busy");
    let rows = world.rows().await;
    assert_eq!((rows[0]["state"].as_str(), rows[0]["error_stage"].as_str()), (Some("failed"), Some("track")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_fails_for_good_ends_the_request_in_manifest_and_table() {
    for stage in [Stage::Split, Stage::Track, Stage::Annotate, Stage::Join] {
        let world = World::new(Trouble { broken: Some(stage), ..Default::default() });
        let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
        assert!(world.settle(std::slice::from_ref(&request)).await.is_empty(), "{stage}: no attempt is repeated");
        let error = world.manifest(&request).await.error.unwrap();
        assert_eq!((error.stage, error.message), (stage, format!("{stage} is broken")));
        let rows = world.rows().await;
        assert_eq!((rows.len(), rows[0]["error"].as_str().unwrap()), (1, &*format!("{stage} is broken")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_lost_in_silence_fails_loudly_and_one_reported_missing_is_counted() {
    let world = World::new(Trouble { lost_frame: Some(17), ..Default::default() });
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let error = world.manifest(&request).await.error.unwrap();
    assert_eq!(error.stage, Stage::Merge);
    assert!(
        error.message.contains("segment 000001 was planned with 10 frames, but 9 were decoded"),
        "{}",
        error.message
    );

    let world = World::new(Trouble { missing_frame: Some(17), ..Default::default() });
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    let ledger = manifest.ledger.unwrap();
    assert_eq!((manifest.state, ledger.frames, ledger.frames_damaged), (RequestState::Done, 30, 1));
    let tracks = world.tracks(&request).await;
    assert!(tracks.iter().all(|row| row.frame_index == row.pts && row.pts != 17), "later frames keep their indices");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_segments_than_one_listing_page_are_counted_through_the_tree() {
    let world = World::new(Trouble::default());
    let settings = RequestSettings { video: false, ..seconds(0.1) };
    let (request, _) = world.upload("long.mp4", "frames=1203 gop=1", &settings).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.segment_count), (RequestState::Done, 1_203));
    let groups = world.local.list(&ObjectName::new(Bucket::Work, "counted/track/")).await.unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(world.tracks(&request).await.len(), 2 * 1_203);
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_and_scores_that_are_not_wanted_are_not_tracked_and_unknown_ones_are_refused() {
    let world = World::new(Trouble::default());
    let cars = RequestSettings { classes: Some(vec!["car".into()]), ..seconds(1.0) };
    let sure = RequestSettings { min_score: Some(0.5), ..seconds(1.0) };
    let unknown = RequestSettings { classes: Some(vec!["persn".into()]), ..seconds(1.0) };
    let mut requests = vec![];
    for (name, settings) in [("cars", &cars), ("sure", &sure), ("unknown", &unknown)] {
        requests.push(world.upload(name, "frames=30 gop=10", settings).await.0);
    }
    world.settle(&requests).await;
    assert!(world.tracks(&requests[0]).await.iter().all(|row| row.class_name.as_ref() == "car"));
    assert!(world.tracks(&requests[1]).await.iter().all(|row| row.score >= 0.5));
    let error = world.manifest(&requests[2]).await.error.unwrap().message;
    assert!(error.contains("\"persn\"") && error.contains("person, car"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_gone_or_no_video_fails_with_its_name() {
    let world = World::new(Trouble::default());
    let (text, _) = world.upload("notes.txt", "no video at all", &seconds(1.0)).await;
    let (gone, object) = world.upload("gone.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.local.delete(&object).await.unwrap();
    world.settle(&[text.clone(), gone.clone()]).await;
    let message = |manifest: Manifest| manifest.error.unwrap().message;
    assert_eq!(message(world.manifest(&text).await), "\"notes.txt\" is not a video");
    assert!(message(world.manifest(&gone).await).contains("gone.mp4 was deleted or overwritten"));
    assert!(world.folder.path().join("results").join(text.as_str()).join("manifest.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segments_tracks_lead_in_with_the_trail_of_the_frames_before() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=120 gop=10", &seconds(5.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let object = PerSegment::Tracks.object(&request, SegmentNumber::new(2).unwrap());
    let rows = tracks::read(world.local.get(&object).await.unwrap().1).unwrap();
    let frames: Vec<i64> = rows.iter().map(|row| row.frame_index).collect();
    assert_eq!((frames[0], frames[frames.len() - 1]), (100 - trackdrop_merge::TRAIL_FRAMES as i64, 119));
}

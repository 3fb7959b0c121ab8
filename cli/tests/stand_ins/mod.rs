//! Stand-ins for decoder, detector, encoder and joiner, and a world to run the real handlers in.
//!
//! A stand-in video is text: `frames=<n> gop=<n> seed=<n>`. What is seen in a frame depends on the seed and the frame alone. Without a
//! seed two objects walk.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

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
    local::{Bus, BusEvent, LocalCloud},
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
    SegmentDescription, SegmentNumber, Stage,
    ledger::FrameAccount,
    manifest::{ModelIdentity, VideoInfo},
    names::{Marker, ObjectName, ResultFile},
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
pub struct Trouble {
    /// Attempts of `track` that fail transiently, all segments together.
    pub busy_detector: Arc<AtomicU32>,
    /// The detector does not see this frame at all, and does not say so.
    pub lost_frame: Option<i64>,
    /// This frame can't be decoded, and the worker says so.
    pub missing_frame: Option<i64>,
    /// The stage whose work fails for good.
    pub broken: Option<Stage>,
}

impl Trouble {
    fn check(&self, stage: Stage) -> Result<(), Failure> {
        if self.broken == Some(stage) { Err(Failure::permanent(format!("{stage} is broken"))) } else { Ok(()) }
    }
}

#[derive(Clone)]
pub struct StandIn(pub Trouble);

struct Text {
    frames: i64,
    seed: Option<i64>,
    segments: Vec<PlannedSegment>,
    pub trouble: Trouble,
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
                PlannedSegment { start_pts: start, end_pts: end, frame_pts, lossless_transcode: false }
            })
            .collect();
        Ok(Box::new(Text { frames, seed: number(&text, "seed"), segments, trouble: self.0.clone() }))
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
            let seed = self.seed.map(|seed| seed.to_string()).unwrap_or_default();
            std::fs::write(file.path(), format!("{};{seed}", self.segments[number.index()].frame_pts)).unwrap();
            take(number, file.into_temp_path())?;
        }
        Ok(())
    }
}

/// What a random video shows in a frame: a few objects that walk, vanish now and then, and waver in score and class.
pub fn random_frame(seed: u64, frame_index: i64, pts: i64) -> Vec<DetectionRow> {
    let mut rows = Vec::new();
    for object in 0..(seed % 7) {
        let mut random = Random(seed ^ (object << 32) ^ (pts as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if random.below(10) == 0 {
            continue;
        }
        let x = (seed / 7 % 40 + 70 * object) as f32 + 0.61 * pts as f32 + random.below(300) as f32 / 100.0;
        let y = 40.0 + 13.0 * object as f32 + random.below(300) as f32 / 100.0;
        let score = 0.11 + random.below(880) as f32 / 1_000.0;
        let class_id = random.below(2) as i32;
        rows.push(DetectionRow { frame_index, pts, bbox: [x, y, x + 41.0, y + 97.0], score, class_id });
    }
    rows
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
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
        let text = std::fs::read_to_string(chunk).unwrap();
        let (planned, seed) = text.split_once(';').unwrap();
        let (planned, seed): (PtsList, _) = (planned.parse().unwrap(), seed.parse::<u64>().ok());
        let unseen = |pts: i64| trouble.lost_frame == Some(pts) || trouble.missing_frame == Some(pts);
        let seen: Vec<i64> = planned.as_slice().iter().copied().filter(|&pts| !unseen(pts)).collect();
        let mut rows = vec![];
        for &pts in &seen {
            delivery.step()?;
            let frame_index = (segment.first_frame as i64) + pts - segment.start_pts;
            if let Some(seed) = seed {
                rows.extend(random_frame(seed, frame_index, pts));
                continue;
            }
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
pub fn triggers() -> Vec<Trigger> {
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

/// The functions of one process over a data directory.
pub struct Hosted {
    pub local: Arc<LocalCloud>,
    pub cloud: Cloud,
    pub trouble: Trouble,
}

/// A data directory of its own, and one process on it.
pub struct World {
    pub hosted: Hosted,
    pub folder: TempDir,
}

impl std::ops::Deref for World {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.hosted
    }
}

impl World {
    pub fn new(trouble: Trouble) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), triggers()).unwrap());
        let cloud = Cloud { storage: local.clone(), publisher: local.clone(), warehouse: local.clone() };
        Self { hosted: Hosted { local, cloud, trouble }, folder }
    }
}

impl Hosted {
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

    pub async fn upload(&self, name: &str, text: &str, settings: &RequestSettings) -> (RequestId, ObjectName) {
        let object = ObjectName::new(Bucket::Uploads, name);
        let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), serde_json::to_string(settings).unwrap())]);
        let options = PutOptions { metadata, ..Default::default() };
        let info = self.local.put(&object, Content::Bytes(text.to_owned().into()), options).await.unwrap();
        let upload = ObjectFinalized { object: object.clone(), generation: info.generation, created: info.created };
        (upload.request().unwrap(), object)
    }

    /// Delivers until every request is over and no message is left.
    pub async fn settle(&self, requests: &[RequestId]) -> Vec<BusEvent> {
        self.settle_with(requests, 8).await
    }

    /// The same with a bound on how many deliveries of a function run at the same time.
    pub async fn settle_with(&self, requests: &[RequestId], most_at_once: usize) -> Vec<BusEvent> {
        let bus = Bus::new(self.local.clone(), self.handlers(), most_at_once);
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

    pub async fn manifest(&self, request: &RequestId) -> Manifest {
        manifest::read(&self.cloud, request).await.unwrap().unwrap().0
    }

    pub async fn bytes(&self, request: &RequestId, file: ResultFile) -> bytes::Bytes {
        self.local.get(&file.object(request)).await.unwrap().1
    }

    pub async fn tracks(&self, request: &RequestId) -> Vec<TrackRow> {
        tracks::read(self.bytes(request, ResultFile::Tracks).await).unwrap()
    }

    pub async fn rows(&self) -> Vec<serde_json::Value> {
        self.local.request_rows().await.unwrap().iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }
}

pub fn seconds(segment_seconds: f64) -> RequestSettings {
    RequestSettings { segment_seconds, ..Default::default() }
}

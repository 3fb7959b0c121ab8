//! Stand-ins for decoder, detector, encoder and joiner.
//!
//! A stand-in video is a text: `frames=<n> gop=<n> seed=<n>`. The objects in a frame depend only on the seed and the
//! frame. Without a seed, two objects walk.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempPath;
use trackdrop_annotate::{Rendered, Renderer};
use trackdrop_join::{Joined, Joiner, Part};
use trackdrop_pipeline::{
    Appearance, Delivery, Failure, Looks, PtsList, Rational, RequestSettings, SegmentDescription, SegmentNumber,
    SegmentSpan, Stage, VideoParams,
    ledger::FrameAccount,
    manifest::{ModelIdentity, VideoInfo},
};
use trackdrop_split::{Budget, Cutter, OpenVideo, PlannedSegment, Prober, Seen, Source};
use trackdrop_tables::{
    detections::{AppearanceColumn, DetectionRow},
    tracks::SegmentTracks,
};
use trackdrop_track::{ModelFacts, SegmentDetections, SegmentDetector};

/// Which work fails, and how often.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Attempts of `track` that fail transiently, all segments together.
    pub busy_detector: Arc<AtomicU32>,
    /// The detector skips this frame without reporting it.
    pub lost_frame: Option<i64>,
    /// This frame can't be decoded, and the worker reports it.
    pub missing_frame: Option<i64>,
    /// The stage whose work fails permanently.
    pub broken: Option<Stage>,
    /// Counts how often detector, encoder or joiner are set to work.
    pub works: Arc<AtomicU32>,
}

impl Trouble {
    fn check(&self, stage: Stage) -> Result<(), Failure> {
        if stage != Stage::Split {
            self.works.fetch_add(1, Ordering::SeqCst);
        }
        if self.broken == Some(stage) { Err(Failure::permanent(format!("{stage} is broken"))) } else { Ok(()) }
    }
}

/// Decoder, detector, encoder and joiner in one.
#[derive(Clone, Debug, Default)]
pub struct StandIn(pub Trouble);

/// In the text of a video whose annotated segments can't be joined.
pub const UNJOINABLE: &str = "unjoinable";

/// In the text of a video with sound, for which `join` opens the upload.
pub const WITH_SOUND: &str = "sound";

/// Ten pictures a second, each a tick.
const FRAME_RATE: Rational = Rational::of(10, 1);
const TIME_BASE: Rational = Rational::of(1, 10);

struct Text {
    frames: i64,
    gop: usize,
    seed: Option<i64>,
    segments: Vec<PlannedSegment>,
    is_joinable: bool,
    has_sound: bool,
    trouble: Trouble,
}

fn number(text: &str, key: &str) -> Option<i64> {
    text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

impl Cutter for StandIn {
    /// A time base of 1/10 s: one frame each tenth of a second.
    fn open(&self, source: &Source, settings: &RequestSettings) -> Result<Box<dyn OpenVideo>, Failure> {
        self.0.check(Stage::Split)?;
        let text = read(source.path())?;
        let (Some(frames), Some(gop)) = (number(&text, "frames"), number(&text, "gop")) else {
            return Err(Failure::permanent(format!("{:?} is not a video", source.name())));
        };
        let gops = ((settings.segment_seconds * 10.0) as i64).div_euclid(gop).max(1);
        let starts: Vec<i64> = (0..frames).step_by((gop * gops) as usize).collect();
        let segments = starts
            .iter()
            .map(|&start| {
                let end = (start + gop * gops).min(frames);
                let frame_pts = pts_list((start..end).collect())?;
                let span = SegmentSpan {
                    first_frame: start as u64,
                    frame_count: frame_pts.len() as u64,
                    start_pts: start,
                    end_pts: end,
                    time_base: TIME_BASE,
                };
                Ok(PlannedSegment { span, frame_pts, lossless_transcode: false })
            })
            .collect::<Result<_, Failure>>()?;
        let is_joinable = !text.contains(UNJOINABLE);
        let has_sound = text.contains(WITH_SOUND);
        let (seed, trouble) = (number(&text, "seed"), self.0.clone());
        let gop = usize::try_from(gop).unwrap_or(1).max(1);
        Ok(Box::new(Text { frames, gop, seed, segments, is_joinable, has_sound, trouble }))
    }
}

impl OpenVideo for Text {
    fn info(&self) -> VideoInfo {
        VideoInfo {
            container: "text".into(),
            codec: if self.is_joinable { "text" } else { UNJOINABLE }.into(),
            width_px: 640,
            height_px: 480,
            stored_width_px: Some(640),
            stored_height_px: Some(480),
            time_base: TIME_BASE,
            frame_rate: FRAME_RATE,
            rotation_degrees: 0,
            mirrored: Some(false),
            sample_aspect_ratio: Some(Rational::ONE),
            shown_width_px: Some(640),
            shown_height_px: Some(480),
            frame_count: self.frames as u64,
            origin_pts: 0,
            start_pts: 0,
            end_pts: self.frames,
            video_streams: None,
            audio_codec: self.has_sound.then(|| "text".into()),
            presentation: VideoParams::plain(640, 480, TIME_BASE, FRAME_RATE),
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
            let file = tempfile::NamedTempFile::new_in(scratch).map_err(|error| Failure::from_io("cutting", error))?;
            write(file.path(), self.chunk(&self.segments[number.index()].frame_pts))?;
            take(number, file.into_temp_path())?;
        }
        Ok(())
    }

    fn key_frames(&self) -> Vec<u64> {
        (0..self.frames as u64).step_by(self.gop).collect()
    }

    fn cut_stretch(&mut self, frames: &Range<u64>, scratch: &Path) -> Result<(PlannedSegment, TempPath), Failure> {
        self.trouble.check(Stage::Split)?;
        let (start_pts, end_pts) = (frames.start as i64, frames.end as i64);
        let frame_pts = pts_list((start_pts..end_pts).collect())?;
        let (first_frame, frame_count) = (frames.start, frames.end - frames.start);
        let span = SegmentSpan { first_frame, frame_count, start_pts, end_pts, time_base: TIME_BASE };
        let file = tempfile::NamedTempFile::new_in(scratch).map_err(|error| Failure::from_io("cutting", error))?;
        write(file.path(), self.chunk(&frame_pts))?;
        Ok((PlannedSegment { span, frame_pts, lossless_transcode: false }, file.into_temp_path()))
    }
}

impl Text {
    /// The text of a chunk with these frames.
    fn chunk(&self, frame_pts: &PtsList) -> String {
        format!("{frame_pts};{}", self.seed.map(|seed| seed.to_string()).unwrap_or_default())
    }
}

/// How much of a stand-in video may be looked at to find out how often it must be: they are short.
pub const BUDGET: Budget = Budget { most_share: 0.5, shortest: 5, longest: 12, fewest: 2, most: 3 };

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

/// What detections look like: a colour of the object, and a little of another that wavers.
fn looks_of(rows: &[DetectionRow], asked: &Appearance) -> AppearanceColumn {
    let mut column = AppearanceColumn::new(if asked.network().is_some() { 2 * VECTOR } else { 64 });
    for row in rows {
        let (object, noise) = (((row.bbox[1] - 40.0) / 13.0) as usize, row.bbox[0].to_bits() as usize);
        let amount = |place: usize| match place {
            place if place == object % VECTOR => 15,
            place if place == noise % VECTOR => (noise >> 4) as u8 & 7,
            _ => 0,
        };
        let bytes: Vec<u8> = match asked.network() {
            None => (0..64).map(|at| amount(at % VECTOR)).collect(),
            // The exponent of a float of 16 bits begins at bit 10, where 15 means 1.
            Some(_) => (0..VECTOR).flat_map(|place| (u16::from(amount(place)) << 10).to_le_bytes()).collect(),
        };
        column.push(&bytes);
    }
    column
}

/// Numbers of a vector.
const VECTOR: usize = 16;

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
    fn model(&self, settings: &RequestSettings, _: &Delivery) -> Result<ModelFacts, Failure> {
        let network = settings.appearance.as_ref().and_then(Appearance::network);
        Ok(ModelFacts {
            appearance_network: network
                .map(|network| ModelIdentity { name: network.network.clone(), sha256: "01".into() }),
            identity: ModelIdentity { name: "stand-in".into(), sha256: "00".into() },
            class_names: vec!["person".into(), "car".into()],
            track_thresh: None,
        })
    }

    fn detect(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        looks: Looks,
        delivery: &Delivery,
    ) -> Result<SegmentDetections, Failure> {
        let trouble = &self.0;
        trouble.check(Stage::Track)?;
        if trouble.busy_detector.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Failure::transient("the GPU is busy"));
        }
        look_at(trouble, chunk, segment, looks, delivery)
    }
}

/// Looking to find out how often to look is no work on a segment, and is not counted.
impl Prober for StandIn {
    fn look(&self, chunk: &Path, stretch: &SegmentDescription, delivery: &Delivery) -> Result<Seen, Failure> {
        let ModelFacts { class_names, track_thresh, .. } = self.model(&stretch.settings, delivery)?;
        let rows = look_at(&self.0, chunk, stretch, Looks::ALL, delivery)?.rows;
        Ok(Seen { rows, class_names, track_thresh })
    }
}

/// What is seen in a chunk.
fn look_at(
    trouble: &Trouble,
    chunk: &Path,
    segment: &SegmentDescription,
    looks: Looks,
    delivery: &Delivery,
) -> Result<SegmentDetections, Failure> {
    let text = read(chunk)?;
    let no_chunk = || Failure::permanent(format!("{text:?} is no chunk"));
    let (planned, seed) = text.split_once(';').ok_or_else(no_chunk)?;
    let (planned, seed): (PtsList, _) = (planned.parse().map_err(|_| no_chunk())?, seed.parse::<u64>().ok());
    let unseen = |pts: i64| trouble.lost_frame == Some(pts) || trouble.missing_frame == Some(pts);
    let to_look_at: Vec<i64> = looks.of(segment.span.first_frame, &planned).copied().collect();
    let seen: Vec<i64> = to_look_at.iter().copied().filter(|&pts| !unseen(pts)).collect();
    let mut rows = vec![];
    for &pts in &seen {
        delivery.step()?;
        let frame_index = (segment.span.first_frame as i64) + pts - segment.span.start_pts;
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
    let missing_pts: Vec<i64> = to_look_at.iter().copied().filter(|&pts| trouble.missing_frame == Some(pts)).collect();
    let mut all = [seen.clone(), missing_pts.clone()].concat();
    all.sort_unstable();
    let account = FrameAccount {
        frames_decoded: seen.len() as u64,
        missing_pts,
        damaged_pts: vec![],
        pts_sha256: pts_list(all)?.sha256(),
        detect_every: looks.every(),
    };
    let asked = segment.settings.appearance.as_ref();
    let appearances = asked.map(|asked| looks_of(&rows, asked)).unwrap_or_default();
    Ok(SegmentDetections { rows, appearances, frame_pts: planned, account })
}

impl Renderer for StandIn {
    fn render(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        tracks: &SegmentTracks,
        out: &Path,
        _: &Delivery,
    ) -> Result<Rendered, Failure> {
        self.0.check(Stage::Annotate)?;
        // What is drawn on is in the picture.
        let mut drawn = read(chunk)? + "\n";
        for row in &tracks.rows {
            drawn += &format!("{} {} {}\n", row.frame_index, row.track_id, row.class_name);
        }
        write(out, drawn)?;
        Ok(Rendered { frames: segment.span.frame_count, crops: vec![] })
    }
}

impl Joiner for StandIn {
    fn join(&self, parts: &[Part], _: Option<&Source>, video: &VideoInfo, out: &Path) -> Result<Joined, Failure> {
        self.0.check(Stage::Join)?;
        if video.codec == UNJOINABLE {
            return Err(Failure::permanent("join: the parts do not fit"));
        }
        let mut whole = String::new();
        for part in parts {
            whole += &format!("part {}\n{}", part.start_pts, read(part.file.path())?);
        }
        write(out, whole)?;
        Ok(Joined { frames: video.frame_count, notes: vec![] })
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::from_io("reading", error))
}

fn write(path: &Path, text: String) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::from_io("writing", error))
}

fn pts_list(pts: Vec<i64>) -> Result<PtsList, Failure> {
    PtsList::new(pts).map_err(|error| Failure::permanent(error.to_string()))
}

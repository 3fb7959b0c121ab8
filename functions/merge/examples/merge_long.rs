//! How long `merge` takes for a long video, and how much memory: the handler itself, from the detections of each segment to the results.
//!
//!     cargo run --release -p trackdrop-merge --example merge_long [HOURS [OBJECTS [MISSED [SETTINGS]]]]
//!
//! People walk at random at 30 frames per second; a share `MISSED` of the detections is missing (0.02 unless given). `SETTINGS` are those of
//! an upload as JSON, `{"refine": true}` unless given. Linux only: it reads `/proc/self`.

use std::{error::Error, f64::consts::TAU, sync::Arc, time::Instant};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_flow::{Cloud, NewObject, manifest, stage::StageHandler};
use trackdrop_merge::Merge;
use trackdrop_pipeline::{
    Bucket, Delivery, ObjectFinalized, PtsList, Rational, RequestId, RequestSettings, SegmentNumber, SegmentSpan,
    Timestamp, VideoParams,
    ledger::FrameAccount,
    manifest::{ManifestSegment, ModelIdentity, VideoInfo},
    names::{ObjectName, PerSegment, ResultFile},
};
use trackdrop_tables::detections::{DetectionRow, DetectionsWriter, SegmentFooter};

const AREA_PX: [f64; 2] = [1920.0, 1080.0];
const FRAMES: i64 = 300;
const TIME_BASE: Rational = Rational::of(1, 30);
const FRAME_RATE: Rational = Rational::of(30, 1);

fn main() -> Result<(), Box<dyn Error>> {
    // As the command and the services do.
    trackdrop_flow::allocator::settle();
    tokio::runtime::Builder::new_multi_thread().build()?.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: f64| arguments.next().map_or(Ok(usual), |argument| argument.parse::<f64>());
    let (hours, objects, missed) = (number(8.0)?, number(50.0)? as u32, number(0.02)?);
    let settings: RequestSettings =
        serde_json::from_str(&arguments.next().unwrap_or_else(|| r#"{"refine": true, "video": false}"#.to_owned()))?;
    let segments = ((hours * 3600.0 * 30.0) as i64).div_euclid(FRAMES).max(1);
    let folder = tempfile::tempdir()?;
    let local = Arc::new(LocalCloud::open(folder.path(), Vec::new())?);
    let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
    let upload = ObjectFinalized {
        object: ObjectName::new(Bucket::Uploads, "long.mp4"),
        generation: 1,
        created: Timestamp::from_micros(1_700_000_000_000_000),
    };
    let request = RequestId::of_upload("uploads", &upload.object.name, upload.generation, upload.created);
    store(&cloud, &request, &upload, settings, segments, crowd(objects, missed)).await?;

    // From here on the peak is that of merge alone.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (started, before) = (Instant::now(), processor_s()?);
    Merge::new(cloud.clone()).work(&request, &upload, &Delivery::new()).await?;
    let (wall, processors, peak) = (started.elapsed().as_secs_f64(), processor_s()? - before, peak_mb()?);
    let rows = cloud.storage.stat(&ResultFile::Tracks.object(&request)).await?.bytes as f64 / 1e6;
    println!(
        "{hours} h, {objects} objects: {wall:.1} s, of processors {processors:.1} s; peak {peak:.0} MB; tracks of {rows:.0} MB"
    );
    println!("for each hour {:.2} s, of processors {:.2} s", wall / hours, processors / hours);
    Ok(())
}

/// The manifest of a video that is detected, and its detections.
async fn store(
    cloud: &Cloud,
    request: &RequestId,
    upload: &ObjectFinalized,
    settings: RequestSettings,
    segments: i64,
    mut crowd: impl FnMut(i64, &mut Vec<DetectionRow>),
) -> Result<(), Box<dyn Error>> {
    let mut planned = manifest::unplanned(request, upload, None, settings);
    planned.source.video = Some(video(segments * FRAMES));
    planned.segment_count = segments as u32;
    for number in 0..segments {
        let (first, end) = (number * FRAMES, (number + 1) * FRAMES);
        let pts: Vec<i64> = (first..end).collect();
        let segment_number = SegmentNumber::new(number as u64)?;
        let frame_pts = PtsList::new(pts.clone())?;
        let account = FrameAccount::of(&pts, &pts.iter().map(|&pts| (pts, false)).collect::<Vec<_>>(), 1)?;
        planned.segments.push(ManifestSegment {
            request_id: request.clone(),
            segment_file: PerSegment::Chunk.object(request, segment_number).name,
            segment_number,
            start_time: String::new(),
            duration: String::new(),
            original_video: String::new(),
            span: SegmentSpan {
                first_frame: first as u64,
                frame_count: FRAMES as u64,
                start_pts: first,
                end_pts: end,
                time_base: TIME_BASE,
            },
            pts_sha256: frame_pts.sha256(),
            frame_pts: frame_pts.clone(),
            lossless_transcode: false,
            bytes: None,
            sha256: None,
        });
        let mut rows = Vec::new();
        (first..end).for_each(|frame| crowd(frame, &mut rows));
        let mut writer = DetectionsWriter::new(Vec::new())?;
        rows.into_iter().try_for_each(|row| writer.push(row))?;
        let footer = SegmentFooter {
            frame_pts,
            account,
            model: ModelIdentity { name: "crowd".into(), sha256: String::new() },
            class_names: vec!["person".into()],
            track_thresh: None,
            appearance: None,
            appearance_network: None,
        };
        let bytes = writer.finish(Some(&footer))?.0;
        let object = PerSegment::Detections.object(request, segment_number);
        cloud.create(NewObject::of_bytes(object, bytes, "application/vnd.apache.parquet")).await?;
    }
    manifest::create(cloud, &planned).await?;
    Ok(())
}

fn video(frames: i64) -> VideoInfo {
    let [width_px, height_px] = AREA_PX.map(|side| side as u32);
    VideoInfo {
        container: "none".into(),
        codec: "none".into(),
        width_px,
        height_px,
        stored_width_px: None,
        stored_height_px: None,
        time_base: TIME_BASE,
        frame_rate: FRAME_RATE,
        rotation_degrees: 0,
        mirrored: None,
        sample_aspect_ratio: None,
        shown_width_px: None,
        shown_height_px: None,
        frame_count: frames as u64,
        origin_pts: 0,
        start_pts: 0,
        end_pts: frames,
        video_streams: None,
        audio_codec: None,
        presentation: VideoParams::plain(width_px, height_px, TIME_BASE, FRAME_RATE),
        warnings: Vec::new(),
    }
}

/// Detections of people who walk at random, frame after frame.
fn crowd(objects: u32, missed: f64) -> impl FnMut(i64, &mut Vec<DetectionRow>) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut walkers: Vec<([f64; 2], [f64; 2], f64)> =
        (0..objects).map(|_| (AREA_PX.map(|side| side * random.f64()), [0.0; 2], 60.0 + 80.0 * random.f64())).collect();
    move |frame, rows| {
        for (centre, velocity, height) in &mut walkers {
            for ((centre, velocity), bound) in centre.iter_mut().zip(velocity).zip(AREA_PX) {
                *velocity = (*velocity + 0.2 * normal(&mut random)).clamp(-4.0, 4.0);
                *centre += *velocity;
                if !(0.0..=bound).contains(centre) {
                    *centre = centre.clamp(0.0, bound);
                    *velocity = -*velocity;
                }
            }
            let [x, y] = centre.map(|centre| centre + normal(&mut random));
            let (w, h) = (*height * 0.4, *height * (1.0 + 0.015 * normal(&mut random)));
            let score = (0.82 + 0.12 * normal(&mut random)).clamp(0.11, 0.99) as f32;
            if random.f64() >= missed {
                let bbox = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0].map(|edge| edge as f32);
                rows.push(DetectionRow { frame_index: frame, pts: frame, bbox, score, class_id: 0 });
            }
        }
    }
}

/// Box and Muller.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

/// User and system time of the threads of this process so far: fields 14 and 15 of `proc(5)`, in hundredths.
fn processor_s() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// The most memory that this process has held.
fn peak_mb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse::<f64>()? / 1e3)
}

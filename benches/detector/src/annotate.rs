//! The annotate stage compared with the encoder alone.

use crate::{clip::cut, median, processor_ms, ratio};
use anyhow::Result;
use std::{path::Path, time::Instant};
use trackdrop_annotate::{MediaRenderer, Renderer};
use trackdrop_flow::room::Room;
use trackdrop_media::{
    Annotation, BoxMark, Canvas, ChunkDescription, ChunkReader, Limits, SegmentEncoder, Trail, VideoEngine,
    VideoParams, draw,
};
use trackdrop_pipeline::Delivery;
use trackdrop_tables::tracks::{SegmentTracks, TrackRow};

const OBJECTS: i64 = 50;
/// Frames of the pictures that are encoded alone, all of which are in memory.
const MOST_FRAMES: usize = 150;

pub(crate) fn annotate(video: &str, rounds: usize) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let clip = cut(Path::new(video), None)?;
    let (chunk, segment) = &clip.chunks[0];
    let params = segment.presentation.clone();
    let source = ChunkDescription::read(chunk, &Limits::default())?;
    let window = source.window;
    let open = || {
        ChunkReader::open(chunk, &source.window, &source.frame_pts, &Limits::default(), threads)
            .map(|reader| reader.with_orientation(params.orientation))
    };
    let rows = rows(&source.frame_pts, segment.span.first_frame as i64, &params);
    let renderer = MediaRenderer {
        limits: Limits::default(),
        room: Room::new(u64::MAX),
        threads,
        video_engine: VideoEngine::Software,
    };
    let dir = tempfile::tempdir()?;
    let (whole_file, alone_file) = (dir.path().join("whole.mp4"), dir.path().join("alone.mp4"));

    // What the encoder alone is given: the pictures as they are annotated, trails apart.
    let mut pictures = Vec::new();
    let mut reader = open()?;
    let mut canvas = Canvas::new(&params)?;
    let (mut loading, mut drawing, mut with_trails) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(frame) = reader.next()?.filter(|_| pictures.len() < MOST_FRAMES) {
        let of_frame: Vec<_> = rows.iter().filter(|row| row.pts == frame.pts).collect();
        let (boxes, points) = (boxes(&of_frame), points(&rows, frame.pts));
        let trails: Vec<_> = points.iter().map(|(id, points)| Trail { track_id: *id, points }).collect();
        let mut milliseconds = |trails: &[Trail<'_>]| -> Result<(f64, f64)> {
            let started = Instant::now();
            canvas.load(&frame)?;
            let loaded = Instant::now();
            draw(&mut canvas, &Annotation { boxes: &boxes, trails });
            Ok((1000.0 * (loaded - started).as_secs_f64(), 1000.0 * loaded.elapsed().as_secs_f64()))
        };
        let (load, plain) = milliseconds(&[])?;
        loading.push(load);
        drawing.push(plain);
        with_trails.push(milliseconds(&trails)?.1);
        let mut picture = Canvas::new(&params)?;
        picture.load(&frame)?;
        draw(&mut picture, &Annotation { boxes: &boxes, trails: &trails });
        pictures.push((picture, frame.pts));
    }
    drop(reader);

    let tracks = SegmentTracks { rows, ..SegmentTracks::default() };
    let mut alone = Timed::default();
    let mut whole = Timed::default();
    let mut decoding = Timed::default();
    for round in 0..rounds {
        alone.add(|| {
            let mut encoder = SegmentEncoder::create(&alone_file, &params, &window, threads)?;
            for (picture, pts) in &mut pictures {
                encoder.write(picture, *pts)?;
            }
            Ok(encoder.finish()?)
        })?;
        whole.add(|| Ok(renderer.render(chunk, segment, &tracks, &whole_file, &Delivery::new())?.frames))?;
        decoding.add(|| {
            let (mut reader, mut frames) = (open()?, 0);
            while let Some(frame) = reader.next()? {
                frames += 1;
                reader.take_back(frame);
            }
            Ok(frames)
        })?;
        eprintln!("round {round}: {:.1} {:.1} frames/s", alone.fps[round], whole.fps[round]);
    }
    let of = Path::new(video).file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!(
        "### Annotate: {of}, {} x {}, {OBJECTS} boxes, {rounds} rounds by turns, {threads} threads\n",
        params.width, params.height
    );
    println!(
        "| | frames/s, median | of the encoder alone | processor, ms a frame | of the encoder's |\n|---|---|---|---|---|"
    );
    for (label, timed) in [("encoder alone", &alone), ("annotate stage", &whole), ("decoder alone", &decoding)] {
        let (fps, of_fps) = (median(&timed.fps), ratio(&timed.fps, &alone.fps));
        let (ms, of_ms) = (median(&timed.processor_ms), ratio(&alone.processor_ms, &timed.processor_ms));
        println!("| {label} | {fps:.1} | {of_fps:.3} | {ms:.2} | {of_ms:.3} |");
    }
    println!(
        "\nMilliseconds a frame: copy the picture {:.3}, draw 50 boxes {:.3}, draw 50 boxes and 50 trails {:.3}\n",
        median(&loading),
        median(&drawing),
        median(&with_trails)
    );
    Ok(())
}

/// Rounds of one thing.
#[derive(Default)]
struct Timed {
    fps: Vec<f64>,
    /// Of all threads, a frame.
    processor_ms: Vec<f64>,
}

impl Timed {
    /// A round; `work` gives the number of its frames.
    fn add(&mut self, work: impl FnOnce() -> Result<u64>) -> Result<()> {
        let (started, used) = (Instant::now(), processor_ms()?);
        let frames = work()? as f64;
        self.fps.push(frames / started.elapsed().as_secs_f64());
        self.processor_ms.push((processor_ms()? - used) / frames);
        Ok(())
    }
}

/// Objects that wander about in every frame.
fn rows(frame_pts: &[i64], first_frame: i64, params: &VideoParams) -> Vec<TrackRow> {
    let (width, height) = params.upright_size();
    let (width, height) = (width as f32, height as f32);
    let class_name: std::sync::Arc<str> = "person".into();
    let row = |(place, pts): (usize, i64), track_id: i64| {
        let (time, phase) = (place as f64 / 10.0, track_id as f64 * 1.7);
        let x = (0.5 + 0.45 * (time * 0.21 + phase).sin()) as f32 * width;
        let y = (0.5 + 0.40 * (time * 0.17 + phase * 1.3).cos()) as f32 * height;
        TrackRow {
            frame_index: first_frame + place as i64,
            pts,
            track_id,
            class_id: 0,
            class_name: class_name.clone(),
            score: 0.5 + track_id as f32 / 110.0,
            bbox: [x - width / 40.0, y - height / 12.0, x + width / 40.0, y + height / 12.0],
            observed: true,
        }
    };
    frame_pts.iter().copied().enumerate().flat_map(|frame| (1..=OBJECTS).map(move |id| row(frame, id))).collect()
}

fn boxes<'a>(rows: &[&'a TrackRow]) -> Vec<BoxMark<'a>> {
    let mark = |row: &&'a TrackRow| {
        let [x1, y1, x2, y2] = row.bbox;
        BoxMark { x1, y1, x2, y2, track_id: row.track_id as u64, label: &row.class_name, score: row.score }
    };
    rows.iter().map(mark).collect()
}

/// The trails up to a frame, of thirty points each.
fn points(rows: &[TrackRow], pts: i64) -> Vec<(u64, Vec<(f32, f32)>)> {
    (1..=OBJECTS)
        .map(|id| {
            let past = rows.iter().filter(|row| row.track_id == id && row.pts <= pts);
            let mut points: Vec<_> = past.map(|row| ((row.bbox[0] + row.bbox[2]) / 2.0, row.bbox[3])).collect();
            points.drain(..points.len().saturating_sub(30));
            (id as u64, points)
        })
        .collect()
}

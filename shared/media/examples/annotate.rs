//! Annotates a video with invented boxes and says how long each step took: `annotate IN.mp4 OUT.mp4 [SEGMENT_SECONDS]`.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use trackdrop_media::{
    Annotation, BoxMark, Canvas, ChunkReader, Cutter, JoinPart, Limits, MediaError, SegmentEncoder, Trail, draw, index,
    join,
};

const THREADS: usize = 2;

fn main() -> Result<(), MediaError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, out, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: annotate IN.mp4 OUT.mp4 [SEGMENT_SECONDS]");
        return Ok(());
    };
    let (source, out) = (Path::new(source), Path::new(out));
    let target = rest.first().and_then(|s| s.parse().ok()).unwrap_or(10.0);
    let limits = Limits::default();
    let mut clock = Clock(Instant::now());

    let video = index(source, &limits)?;
    let segments = video.plan(target)?;
    clock.lap(&format!("indexed {} frames, {} segments, {:?}", video.frame_count(), segments.len(), video.warnings));
    let (params, work) = (video.video_params(), out.with_extension("parts"));
    std::fs::create_dir_all(&work).map_err(|source| MediaError::Io {
        operation: "create",
        path: work.clone(),
        source,
    })?;

    let (mut cutter, mut canvas) = (Cutter::open(source, &video, &segments)?, Canvas::new(&params)?);
    let (mut decoding, mut drawing, mut encoding) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut files: Vec<PathBuf> = Vec::new();
    for segment in &segments {
        let chunk = work.join("chunk.mkv");
        cutter.next_chunk(&chunk)?;
        let window = segment.window();
        let mut reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &limits, THREADS)?
            .with_orientation(params.orientation);
        let file = work.join(format!("{:06}.mp4", segment.number));
        let mut encoder = SegmentEncoder::create(&file, &params, &window, THREADS)?;
        loop {
            let start = Instant::now();
            let Some(frame) = reader.next()? else { break };
            canvas.load(&frame)?;
            let decoded = Instant::now();
            draw_invented(&mut canvas, (frame.pts - video.shown_start_pts) as f64 * video.time_base.to_f64());
            let drawn = Instant::now();
            encoder.write(&mut canvas, frame.pts)?;
            decoding += decoded - start;
            drawing += drawn - decoded;
            encoding += drawn.elapsed();
        }
        encoder.finish()?;
        let report = reader.report();
        if !report.damaged.is_empty() {
            println!("segment {}: damaged frames {:?}", segment.number, report.damaged);
        }
        files.push(file);
    }
    clock.lap(&format!("cut; decoded in {decoding:?}, drew in {drawing:?}, encoded in {encoding:?}"));
    let parts: Vec<_> =
        files.iter().zip(&segments).map(|(path, s)| JoinPart { path, start_pts: s.span.start_pts }).collect();
    let report = join(&parts, Some(&source.into()), &params, out)?;
    clock.lap(&format!("joined: {report:?}"));
    Ok(())
}

/// Fifty boxes that wander about, with trails.
fn draw_invented(canvas: &mut Canvas, time_s: f64) {
    let (width, height) = (canvas.width() as f32, canvas.height() as f32);
    let labels = ["person", "car", "bicycle", "traffic light"];
    let place = |id: u64, time: f64| {
        let phase = id as f64 * 1.7;
        let x = 0.5 + 0.5 * (time * 0.21 + phase).sin();
        let y = 0.5 + 0.45 * (time * 0.17 + phase * 1.3).cos();
        (x as f32 * width, y as f32 * height)
    };
    let trails: Vec<Vec<(f32, f32)>> =
        (0..50).map(|id| (0..20).map(|back| place(id, time_s - 1.0 + f64::from(back) * 0.05)).collect()).collect();
    let trails: Vec<Trail<'_>> =
        trails.iter().enumerate().map(|(id, points)| Trail { track_id: id as u64, points }).collect();
    let boxes: Vec<BoxMark<'_>> = (0..50)
        .map(|id| {
            let (x, y) = place(id, time_s);
            let (half, tall) = (width / 40.0, height / 12.0);
            BoxMark {
                x1: x - half,
                y1: y - tall,
                x2: x + half,
                y2: y + tall,
                track_id: id,
                label: labels[id as usize % labels.len()],
                score: 0.5 + id as f32 / 100.0,
            }
        })
        .collect();
    draw(canvas, &Annotation { boxes: &boxes, trails: &trails });
}

struct Clock(Instant);

impl Clock {
    fn lap(&mut self, what: &str) {
        println!("{:>9.3} s  {what}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

//! The track stage compared with ONNX Runtime alone.

use crate::{
    clip::{Clip, cut},
    median, processor_ms, ratio,
};
use anyhow::{Context, Result};
use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
    value::Tensor,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use trackdrop_detector::{
    BatchDetections, ColorOrder, Detection, Detector, DetectorOptions, Device, DeviceChoice, ImageBatch, ModelInfo,
    Suppressor, onnx_runtime,
};
use trackdrop_flow::room::Room;
use trackdrop_media::{ChunkReader, Frame, Limits, RgbScaler, VideoEngine};
use trackdrop_pipeline::{Delivery, Looks};
use trackdrop_track::{DetectorPool, MediaSegmentDetector, SegmentDetector, filter_of};

pub(crate) const CPU: DeviceChoice = DeviceChoice::Only(Device::Cpu);
/// Tensors that the limit takes in turn.
const TENSORS: usize = 16;
/// Frames of a round of a single piece.
const PIECE: usize = 60;

/// The stage's detector without bounds, as the benches run it.
pub(crate) fn detecting(pool: Arc<DetectorPool>) -> MediaSegmentDetector {
    MediaSegmentDetector {
        pool,
        limits: Limits::default(),
        room: Room::new(u64::MAX),
        decoder_threads: 1,
        video_engine: VideoEngine::Software,
    }
}

pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Frames per second of the whole stage over the clip: as many segments at a time as the local host takes.
pub(crate) fn run_stage(detector: &MediaSegmentDetector, clip: &Clip) -> Result<(f64, BTreeMap<String, f64>)> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let delivery = Delivery::new();
    let frames = std::thread::scope(|scope| -> Result<usize> {
        let workers: Vec<_> = (0..threads().max(2))
            .map(|_| {
                scope.spawn(|| -> Result<usize> {
                    let mut frames = 0;
                    while let Some((chunk, segment)) = clip.chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        frames +=
                            detector.detect(chunk, segment, Looks::ALL, &delivery)?.account.frames_decoded as usize;
                    }
                    Ok(frames)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked"))).sum()
    })?;
    anyhow::ensure!(frames as u64 == clip.frames, "{frames} frames of {}", clip.frames);
    let fps = frames as f64 / started.elapsed().as_secs_f64();
    let spent = delivery.take_spent().into_iter();
    let spent = spent.map(|(what, seconds)| (what.name().to_owned(), 1000.0 * seconds / frames as f64)).collect();
    Ok((fps, spent))
}

/// ONNX Runtime alone: sessions side by side, each with its own threads, with the settings of Trackdrop's.
struct Alone {
    sessions: Vec<Session>,
    tensors: Vec<Tensor<f32>>,
    input: String,
}

impl Alone {
    fn open(
        environment: &Environment,
        model: &str,
        sessions: usize,
        threads: usize,
        tensors: &[Vec<f32>],
        info: &ModelInfo,
    ) -> Result<Self> {
        let sessions = (0..sessions).map(|_| session(environment, model, threads));
        let sessions = sessions.collect::<Result<Vec<_>, ort::Error>>()?;
        let shape = [1usize, 3, info.input_height as usize, info.input_width as usize];
        let tensors = tensors.iter().map(|values| Ok(Tensor::from_array((shape, values.clone()))?));
        let input = sessions[0].inputs()[0].name().to_owned();
        Ok(Self { tensors: tensors.collect::<Result<_>>()?, input, sessions })
    }

    fn fps(&mut self, frames: usize) -> Result<f64> {
        let (next, started) = (AtomicUsize::new(0), Instant::now());
        let (input, tensors) = (&self.input, &self.tensors);
        std::thread::scope(|scope| -> Result<()> {
            let next = &next;
            let workers: Vec<_> = self
                .sessions
                .iter_mut()
                .map(|session| {
                    scope.spawn(move || -> Result<()> {
                        loop {
                            let frame = next.fetch_add(1, Ordering::Relaxed);
                            if frame >= frames {
                                return Ok(());
                            }
                            session.run(ort::inputs![input.as_str() => &tensors[frame % tensors.len()]])?;
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
        })?;
        Ok(frames as f64 / started.elapsed().as_secs_f64())
    }
}

/// As Trackdrop's sessions are set.
pub(crate) fn session(environment: &Environment, model: &str, threads: usize) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(threads)?
        .with_config_entry("session.force_spinning_stop", "1")?
        .commit_from_file(model)
}

/// Frames of the clip, and the batches and tensors of them.
struct Prepared {
    frames: Vec<Frame>,
    batches: Vec<ImageBatch>,
    tensors: Vec<Vec<f32>>,
}

fn prepare(clip: &Clip, info: &ModelInfo) -> Result<Prepared> {
    let (chunk, _) = &clip.chunks[clip.chunks.len() / 2];
    let source = trackdrop_media::ChunkDescription::read(chunk, &Limits::default())?;
    let mut reader = ChunkReader::open(chunk, &source.window, &source.frame_pts, &Limits::default(), 1)?;
    let (mut frames, mut batches, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
    let mut scaler = RgbScaler::with_filter(filter_of(info.resize));
    while let Some(frame) = reader.next()?.filter(|_| frames.len() < TENSORS) {
        let mut batch = ImageBatch::new(info, 1, frame.width(), frame.height());
        let placement = batch.placement(0);
        let (rgb, stride) = batch.slot_mut(0);
        frame.rgb_scaled_into(&mut scaler, placement.inner_width, placement.inner_height, rgb, stride)?;
        tensors.push(tensor(&mut batch, info));
        batches.push(batch);
        frames.push(frame);
    }
    Ok(Prepared { frames, batches, tensors })
}

/// The input tensor of a batch, by the formula: (byte - mean) / std.
fn tensor(batch: &mut ImageBatch, info: &ModelInfo) -> Vec<f32> {
    let (width, height) = (info.input_width as usize, info.input_height as usize);
    let placement = batch.placement(0);
    let mut planes = vec![0.0f32; 3 * width * height];
    let color = |plane: usize| if info.color_order == ColorOrder::Rgb { plane } else { 2 - plane };
    let value = |byte: u8, plane: usize| (f32::from(byte) - info.mean[plane]) / info.std[plane];
    for (plane, values) in planes.chunks_mut(width * height).enumerate() {
        values.fill(value(info.pad_color[color(plane)], plane));
    }
    let (rgb, stride) = batch.slot_mut(0);
    for row in 0..placement.inner_height as usize {
        for column in 0..placement.inner_width as usize {
            let at = (row + placement.pad_top as usize) * width + column + placement.pad_left as usize;
            for plane in 0..3 {
                planes[plane * width * height + at] = value(rgb[color(plane)][row * stride + column], plane);
            }
        }
    }
    planes
}

/// Milliseconds of a call, the median of `times` calls.
fn milliseconds(times: usize, mut work: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut all = Vec::with_capacity(times);
    for time in 0..times {
        let started = Instant::now();
        work(time)?;
        all.push(1000.0 * started.elapsed().as_secs_f64());
    }
    Ok(median(&all))
}

pub(crate) fn stage(model: &str, video: &str, rounds: usize) -> Result<()> {
    let cores = threads();
    let pool = Arc::new(DetectorPool::new(cores, CPU));
    let lanes = pool.get(Some(model))?;
    let environment = onnx_runtime()?;
    let clip = cut(Path::new(video), Some(model))?;
    let Prepared { frames, batches, tensors } = prepare(&clip, lanes.info())?;
    let mut one = Alone::open(&environment, model, 1, cores, &tensors, lanes.info())?;
    let mut several = Alone::open(&environment, model, lanes.lanes(), cores / lanes.lanes(), &tensors, lanes.info())?;
    let mut single = Alone::open(&environment, model, 1, 1, &tensors, lanes.info())?;
    let alone =
        Detector::open(&DetectorOptions { model: model.into(), intra_threads: 1, device: CPU, ..Default::default() })?;
    let stage = detecting(pool);
    // As many frames as the clip has, up to what makes a round of a third of a minute.
    let count = (clip.frames as usize).min(600);
    for session in [&mut one, &mut several, &mut single] {
        session.fps(8)?;
    }
    run_stage(&stage, &clip)?;

    let (mut fps, mut used): ([Vec<f64>; 3], [Vec<f64>; 3]) = Default::default();
    let mut ms: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut spent = BTreeMap::new();
    for round in 0..rounds {
        let started = processor_ms()?;
        fps[0].push(one.fps(count)?);
        let of_one = processor_ms()?;
        fps[1].push(several.fps(count)?);
        let of_several = processor_ms()?;
        let (whole, in_stage) = run_stage(&stage, &clip)?;
        fps[2].push(whole);
        used[0].push((of_one - started) / count as f64);
        used[1].push((of_several - of_one) / count as f64);
        used[2].push((processor_ms()? - of_several) / clip.frames as f64);
        spent = in_stage;
        eprintln!("round {round}: {:.1} {:.1} {:.1} frames/s", fps[0][round], fps[1][round], whole);
        pieces(&mut ms, &clip, &frames, &batches, &alone, &mut single)?;
    }
    let name = Path::new(model).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let of = Path::new(video).file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!("### Track stage: {name}, {of}, {rounds} rounds by turns, {cores} threads\n");
    println!(
        "| | frames/s, median | stage / it, median of the rounds | processor, ms a frame | it / stage |\n|---|---|---|---|---|"
    );
    let labels = [
        format!("ONNX Runtime alone, one session on {cores} threads"),
        format!("ONNX Runtime alone, {} sessions on {} threads each", lanes.lanes(), cores / lanes.lanes()),
        "track stage".to_owned(),
    ];
    for ((label, fps_of), used_of) in labels.iter().zip(&fps).zip(&used) {
        let (of_fps, of_used) = (ratio(&fps[2], fps_of), ratio(used_of, &used[2]));
        println!("| {label} | {:.1} | {of_fps:.3} | {:.2} | {of_used:.3} |", median(fps_of), median(used_of));
    }
    println!("\nMilliseconds of one thread a frame, medians of the rounds:\n");
    for (piece, values) in &ms {
        println!("- {piece}: {:.3}", median(values));
    }
    println!(
        "\nMilliseconds a frame inside the stage, where threads share the cores, of the last round: {spent:.2?}\n"
    );
    Ok(())
}

/// Each step by itself, on one thread.
fn pieces(
    ms: &mut BTreeMap<&str, Vec<f64>>,
    clip: &Clip,
    frames: &[Frame],
    batches: &[ImageBatch],
    detector: &Detector,
    session: &mut Alone,
) -> Result<()> {
    let info = detector.info();
    let mut add = |what, value| ms.entry(what).or_default().push(value);

    let (chunk, _) = &clip.chunks[0];
    let source = trackdrop_media::ChunkDescription::read(chunk, &Limits::default())?;
    let mut reader = ChunkReader::open(chunk, &source.window, &source.frame_pts, &Limits::default(), 1)?;
    let started = Instant::now();
    let mut decoded = 0;
    while let Some(frame) = reader.next()? {
        decoded += 1;
        reader.take_back(frame);
    }
    add("1 decode", 1000.0 * started.elapsed().as_secs_f64() / f64::from(decoded));

    let mut scaler = RgbScaler::with_filter(filter_of(info.resize));
    let mut batch = batches[0].clone();
    let placement = batch.placement(0);
    add(
        "2 scale and convert to RGB",
        milliseconds(PIECE, |time| {
            let (rgb, stride) = batch.slot_mut(0);
            let (width, height) = (placement.inner_width, placement.inner_height);
            Ok(frames[time % frames.len()].rgb_scaled_into(&mut scaler, width, height, rgb, stride)?)
        })?,
    );

    let mut found = BatchDetections::default();
    // By turns, since their difference is small compared with either.
    let (mut whole, mut alone) = (Vec::new(), Vec::new());
    for time in 0..PIECE {
        let started = Instant::now();
        detector.detect_into(&batches[time % batches.len()], 1, 0.1, &mut found)?;
        let between = Instant::now();
        session.sessions[0]
            .run(ort::inputs![session.input.as_str() => &session.tensors[time % session.tensors.len()]])?;
        whole.push(1000.0 * (between - started).as_secs_f64());
        alone.push(1000.0 * between.elapsed().as_secs_f64());
    }
    add("3 inference alone", median(&alone));
    add("4 normalise, decode outputs, suppress (detect less inference)", median(&whole) - median(&alone));

    let candidates = crowd();
    let (mut suppressor, mut kept) = (Suppressor::default(), Vec::new());
    let times = milliseconds(1000, |_| {
        kept.clear();
        suppressor.suppress(&candidates, info.nms_iou.or(Some(0.6)), 300, &[], &mut kept);
        Ok(())
    })?;
    add("5 suppress 400 candidates around 50 objects", times);
    Ok(())
}

/// Fifty objects, each found eight times.
fn crowd() -> Vec<Detection> {
    (0..400u32)
        .map(|i| {
            let (object, copy) = ((i % 50) as f32, (i / 50) as f32);
            let (x, y) = (object * 37.0 % 360.0 + copy, object * 53.0 % 300.0 + copy * 0.7);
            let score = 0.1 + (i * 61 % 97) as f32 / 110.0;
            Detection { x1: x, y1: y, x2: x + 30.0 + copy, y2: y + 60.0, score, class_id: u32::from(object > 40.0) }
        })
        .collect()
}

/// What the process holds after each pass over the clip. If `in use` stays constant and the rest grows, the allocator holds memory that nothing uses;
/// `after trim` is what is left once it has returned what it can.
pub(crate) fn memory(model: &str, video: &str, times: usize) -> Result<()> {
    let pool = Arc::new(DetectorPool::new(threads(), CPU));
    let clip = cut(Path::new(video), Some(model))?;
    let stage = detecting(pool);
    let name = Path::new(model).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    println!("### Memory of the track stage: {name}, MiB\n");
    println!("| frames | resident | most so far | in use, of the allocator |\n|---|---|---|---|");
    for pass in 1..=times {
        run_stage(&stage, &clip)?;
        let (resident, most) = (status_mib("VmRSS:")?, status_mib("VmHWM:")?);
        println!("| {} | {resident:.1} | {most:.1} | {:.1} |", clip.frames as usize * pass, allocated_mib());
    }
    trim();
    println!("| after trim | {:.1} | | {:.1} |\n", status_mib("VmRSS:")?, allocated_mib());
    Ok(())
}

fn status_mib(what: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let text = status.lines().find_map(|line| line.strip_prefix(what));
    let text = text.with_context(|| format!("this system states no {what}"))?;
    Ok(text.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// What glibc's allocator has given out, of its heaps and by mapping; other systems do not say.
fn allocated_mib() -> f64 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: counts what the allocator's own tables say.
    let bytes = unsafe { libc::mallinfo2() };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return (bytes.uordblks + bytes.hblkhd) as f64 / f64::from(1 << 20);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    f64::NAN
}

/// Gives back what the allocator keeps and nobody has.
fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

pub(crate) fn start(model: &str, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let open = |graphs: bool, lanes| -> Result<f64> {
        let graphs = graphs.then(|| dir.path().to_owned());
        let options =
            DetectorOptions { model: model.into(), device: CPU, intra_threads: 1, lanes, graphs, ..Default::default() };
        let started = Instant::now();
        Detector::open(&options)?;
        Ok(1000.0 * started.elapsed().as_secs_f64())
    };
    println!(
        "### Opening {} on {} threads, ms, medians of {rounds} rounds by turns\n",
        Path::new(model).file_stem().unwrap_or_default().to_string_lossy(),
        threads()
    );
    println!("| lanes | no graph kept | a graph kept | ratio |\n|---|---|---|---|");
    open(true, 1)?;
    for lanes in [1, 2, 4] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            without.push(open(false, lanes)?);
            with.push(open(true, lanes)?);
        }
        println!("| {lanes} | {:.1} | {:.1} | {:.2} |", median(&without), median(&with), ratio(&without, &with));
    }
    println!();
    Ok(())
}

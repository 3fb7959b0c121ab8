//! How long it takes to re-track an hour of video: 108,000 frames with 50 objects in each.
//!
//!     cargo run --release -p trackdrop-exchange --example retrack_hour [FRAMES [OBJECTS]]
//!
//! Makes a crowd that walks at random, as CSV and as Parquet, re-tracks it from file to file several times, also refined as `--refine` does, and
//! says what each part takes on its own. The processor time tells what a machine with other work on it hides. The files are made in a temporary
//! folder (`TMPDIR`).

use fastrand::Rng;
use std::{
    error::Error,
    f64::consts::TAU,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    time::Instant,
};
use trackdrop_exchange::{
    Frames, TextFormat, TextSink, TrackFile, TrackSink, read_detections, retrack_file, retrack_file_refined,
};
use trackdrop_refine::{Link, Refine, Smooth, Video};
use trackdrop_tables::detections::{DetectionRow, DetectionsWriter};
use trackdrop_tracker::{ByteTrack, Settings, Track};

const RUNS: usize = 5;
const AREA_PX: [f64; 2] = [1920.0, 1080.0];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let frame_count = arguments.next().transpose()?.unwrap_or(108_000);
    let objects = arguments.next().transpose()?.unwrap_or(50);

    let folder = tempfile::tempdir()?;
    let settings = Settings::default();
    let refine = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let video = Video { frame_rate: 30.0, frame_count, size_px: None };
    println!("{frame_count} frames with {objects} objects each, {RUNS} runs a format\n");
    println!("| | read MB | written MB | fastest s | median s | processor s |\n|---|---|---|---|---|---|");
    let mut alone = [Times::new("the tracker alone, one thread"), Times::new("formatting CSV alone, one thread")];
    for ending in ["csv", "parquet"] {
        let input = folder.path().join("detections").with_extension(ending);
        match ending {
            "csv" => write_csv(&input, frame_count, objects)?,
            _ => write_parquet(&input, frame_count, objects)?,
        }
        let output = folder.path().join("tracks").with_extension(ending);
        let mut whole = Times::new("file to file");
        let mut refined = Times::new("file to file, refined");
        let mut read = Times::new("reading alone");
        for _ in 0..RUNS {
            let start = Clock::start()?;
            retrack_file(&input, &settings, None, || TrackFile::create(&output, false))?;
            whole.add(&start)?;
            let start = Clock::start()?;
            retrack_file_refined(&input, &settings, None, &refine, &video, || TrackFile::create(&output, true))?;
            refined.add(&start)?;
            let start = Clock::start()?;
            let frames = read_detections(&input)?;
            read.add(&start)?;
            if ending == "csv" {
                measure_alone(&frames, &settings, &mut alone)?;
            }
        }
        let megabytes = |path: &Path| Ok::<_, io::Error>(fs::metadata(path)?.len() / 1_000_000);
        let sizes = format!("{} | {}", megabytes(&input)?, megabytes(&output)?);
        for (times, sizes) in [(&mut whole, sizes.as_str()), (&mut refined, "|"), (&mut read, "|")] {
            times.print(ending, sizes);
        }
        fs::remove_file(&input)?;
        fs::remove_file(&output)?;
    }
    alone.iter_mut().for_each(|times| times.print("", "|"));
    Ok(())
}

/// A moment, by the wall clock and by the time that this process got from all processors, in seconds.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self(Instant::now(), processor_s()?))
    }
}

/// The times of one part in seconds, by the wall and of the processors, with its name.
struct Times(Vec<f64>, Vec<f64>, &'static str);

impl Times {
    fn new(name: &'static str) -> Self {
        Self(Vec::new(), Vec::new(), name)
    }

    fn add(&mut self, since: &Clock) -> Result<(), Box<dyn Error>> {
        self.0.push(since.0.elapsed().as_secs_f64());
        self.1.push(processor_s()? - since.1);
        Ok(())
    }

    fn print(&mut self, format: &str, sizes: &str) {
        let Self(wall, processor, name) = self;
        wall.sort_by(f64::total_cmp);
        processor.sort_by(f64::total_cmp);
        let median = wall.len() / 2;
        let name = format!("{format} {name}");
        println!("| {} | {sizes} | {:.2} | {:.2} | {:.2} |", name.trim(), wall[0], wall[median], processor[median]);
    }
}

/// User and system time of the threads of this process so far: fields 14 and 15 of `proc(5)`, in hundredths.
fn processor_s() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// The tracker without a writer, then the writer without a tracker.
fn measure_alone(frames: &Frames, settings: &Settings, [track, write]: &mut [Times; 2]) -> Result<(), Box<dyn Error>> {
    let mut tracker = ByteTrack::new(settings.clone())?;
    let start = Clock::start()?;
    let mut rows = 0;
    for number in 1..=frames.last_frame() {
        rows += tracker.step(frames.frame(number)).len();
    }
    track.add(&start)?;

    let mut tracker = ByteTrack::new(settings.clone())?;
    let mut tracks: Vec<Vec<Track>> = Vec::with_capacity(frames.last_frame() as usize);
    tracks.extend((1..=frames.last_frame()).map(|number| tracker.step(frames.frame(number)).to_vec()));
    assert_eq!(rows, tracks.iter().map(Vec::len).sum::<usize>());
    let start = Clock::start()?;
    let mut sink = TextSink::new(io::sink(), TextFormat::Csv, false);
    for (tracks, number) in tracks.iter().zip(1..) {
        sink.frame(number, tracks, &[])?;
    }
    sink.finish()?;
    write.add(&start)
}

fn write_csv(path: &Path, frame_count: u32, objects: u32) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "frame,x1,y1,x2,y2,score")?;
    crowd(frame_count, objects, |index, [x1, y1, x2, y2], score| {
        Ok(writeln!(out, "{},{x1},{y1},{x2},{y2},{score}", index + 1)?)
    })?;
    Ok(out.flush()?)
}

fn write_parquet(path: &Path, frame_count: u32, objects: u32) -> Result<(), Box<dyn Error>> {
    let mut writer = DetectionsWriter::new(BufWriter::with_capacity(1 << 20, File::create(path)?))?;
    crowd(frame_count, objects, |index, corners, score| {
        let (frame_index, pts) = (i64::from(index), i64::from(index) * 512);
        let bbox = corners.map(|edge| edge as f32);
        Ok(writer.push(DetectionRow { frame_index, pts, bbox, score: score as f32, class_id: 0 })?)
    })?;
    Ok(writer.finish(None)?.0.flush()?)
}

/// People who walk at random within the picture, each detected in each frame, now and then with a low score: frame index from 0, corners
/// and score.
fn crowd(
    frame_count: u32,
    objects: u32,
    mut detected: impl FnMut(u32, [f64; 4], f64) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    struct Walker {
        centre: [f64; 2],
        velocity: [f64; 2],
        size: [f64; 2],
    }
    let mut random = Rng::with_seed(1);
    let mut walkers: Vec<_> = (0..objects)
        .map(|_| {
            let height = 60.0 + 80.0 * random.f64();
            Walker { centre: AREA_PX.map(|side| side * random.f64()), velocity: [0.0; 2], size: [height * 0.4, height] }
        })
        .collect();

    for index in 0..frame_count {
        for walker in &mut walkers {
            for ((centre, velocity), bound) in walker.centre.iter_mut().zip(&mut walker.velocity).zip(AREA_PX) {
                *velocity = (*velocity + 0.2 * normal(&mut random)).clamp(-4.0, 4.0);
                *centre += *velocity;
                if !(0.0..=bound).contains(centre) {
                    *centre = centre.clamp(0.0, bound);
                    *velocity = -*velocity;
                }
            }
            let [x, y] = walker.centre.map(|centre| centre + normal(&mut random));
            let [width, height] = walker.size.map(|size| size * (1.0 + 0.015 * normal(&mut random)));
            let score = (0.82 + 0.12 * normal(&mut random)).clamp(0.05, 0.99);
            let (left, top) = (x - width / 2.0, y - height / 2.0);
            detected(index, [left, top, left + width, top + height], score)?;
        }
    }
    Ok(())
}

/// Box and Muller.
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

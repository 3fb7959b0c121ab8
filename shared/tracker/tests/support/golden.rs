//! Golden runs: detections, settings, and what the reference returned for them.

use std::{
    error::Error,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use trackdrop_tracker::{ByteTrack, Detection, LOW_FLOOR, MAX_ASPECT, Settings, passes_output_filter};

/// The runs of MOTChallenge data, which may not be copied into the repository: the folder that `TRACKDROP_GOLDEN` names.
#[allow(dead_code, reason = "not every test reads it")]
pub(crate) fn reference_folder() -> Option<PathBuf> {
    std::env::var_os("TRACKDROP_GOLDEN").map(PathBuf::from)
}

/// Largest difference of a coordinate or score, px.
const TOLERANCE: f64 = 1e-6;

pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// The detections of each frame.
    pub(crate) frames: Vec<Vec<Detection>>,
    rows: Vec<Row>,
    min_box_area: f64,
    max_aspect: f64,
}

/// One line of a golden output.
#[derive(Debug)]
struct Row {
    frame: usize,
    id: u64,
    tlwh: [f64; 4],
    score: f64,
    kept: bool,
}

/// The runs in the manifest of `folder` whose name (`sequence.set`) is `wanted`.
pub(crate) fn read_runs(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Run>, Box<dyn Error>> {
    let manifest: Value = serde_json::from_reader(File::open(folder.join("manifest.json"))?)?;
    let runs = manifest["runs"].as_array().ok_or("a list of runs")?;
    let named = runs.iter().map(|run| (format!("{}.{}", text(&run["seq"]), text(&run["set"])), run));
    named.filter(|(name, _)| wanted(name)).map(|(name, run)| read_run(folder, name, run)).collect()
}

fn read_run(folder: &Path, name: String, run: &Value) -> Result<Run, Box<dyn Error>> {
    let params = &run["params"];
    let settings = Settings {
        track_thresh: number(&params["track_thresh"])?,
        match_thresh: number(&params["match_thresh"])?,
        track_buffer: number(&params["track_buffer"])? as u32,
        frame_rate: number(&run["frame_rate"])?,
        score_fusion: !params["mot20"].as_bool().ok_or("mot20")?,
    };
    let mut frames = vec![Vec::new(); number(&run["frames"])? as usize];
    for line in read_csv(&folder.join(text(&run["input"])))? {
        let [frame, values @ ..] = line.as_slice() else { return Err("a frame".into()) };
        let frame = *frame as usize;
        if text(&run["set"]) == "bursts" && frame > 6 && (3..=8).contains(&(frame % 11)) {
            continue;
        }
        let &[x1, y1, x2, y2, score] = values else { return Err("five values".into()) };
        let detection = Detection { x1, y1, x2, y2, score };
        let single = text(&run["set"]) == "f32";
        let detection = if single { in_single_precision(&detection, settings.track_thresh) } else { detection };
        frames[frame - 1].push(detection);
    }
    let rows = read_csv(&folder.join(text(&run["output"])))?.into_iter().map(|line| Row {
        frame: line[0] as usize,
        id: line[1] as u64,
        tlwh: [line[2], line[3], line[4], line[5]],
        score: line[6],
        kept: line[7] == 1.0,
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), number(&run["rows"])? as usize, "{name}: rows in the file and in the manifest");
    let max_aspect = run["aspect_ratio_thresh"].as_f64().unwrap_or(MAX_ASPECT);
    Ok(Run { name, settings, frames, rows, min_box_area: number(&run["min_box_area"])?, max_aspect })
}

/// What the reference makes of `f32` input. It subtracts the corners before it widens them, and rounds its thresholds to
/// `f32` before it compares: so a score that equals a rounded threshold must here equal the threshold.
fn in_single_precision(detection: &Detection, track_thresh: f64) -> Detection {
    let [x1, y1, x2, y2, score] =
        [detection.x1, detection.y1, detection.x2, detection.y2, detection.score].map(|value| value as f32);
    let end = |start: f32, end: f32| f64::from(start) + f64::from(end - start);
    let threshold = [LOW_FLOOR, track_thresh].into_iter().find(|&threshold| threshold as f32 == score);
    Detection {
        x1: f64::from(x1),
        y1: f64::from(y1),
        x2: end(x1, x2),
        y2: end(y1, y2),
        score: threshold.unwrap_or(f64::from(score)),
    }
}

impl Run {
    /// Tracks every frame and compares row by row; returns the number of rows and the largest difference in px.
    pub(crate) fn check(&self) -> (usize, f64) {
        let mut tracker = ByteTrack::new(self.settings.clone()).expect("settings of the reference are valid");
        let mut expected = self.rows.iter();
        let mut largest = 0.0_f64;
        for (detections, frame) in self.frames.iter().zip(1..) {
            for track in tracker.step(detections) {
                let context = format!("{}, frame {frame}, {track:?}", self.name);
                let row = expected.next().unwrap_or_else(|| panic!("{context}: one row too many"));
                assert_eq!((row.frame, row.id), (frame, track.id), "{context}: expected {row:?}");
                for (is, should_be) in track.tlwh().into_iter().zip(row.tlwh) {
                    assert!((is - should_be).abs() <= TOLERANCE, "{context}: expected {row:?}");
                    largest = largest.max((is - should_be).abs());
                }
                assert_eq!(track.score, row.score, "{context}: expected {row:?}");
                assert_eq!(track.score, detections[track.detection].score, "{context}: detection index");
                let kept = passes_output_filter(track, self.min_box_area, self.max_aspect);
                assert_eq!(kept, row.kept, "{context}: output filter, expected {row:?}");
            }
        }
        assert!(expected.next().is_none(), "{}: rows are missing", self.name);
        assert_eq!(tracker.refused(), 0, "{}: the goldens hold no degenerate boxes", self.name);
        (self.rows.len(), largest)
    }
}

fn read_csv(path: &Path) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let mut content = String::new();
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    GzDecoder::new(file).read_to_string(&mut content)?;
    let lines = content.lines().skip(1);
    lines.map(|line| line.split(',').map(|value| Ok(value.parse()?)).collect()).collect()
}

fn number(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("expected a number, got {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

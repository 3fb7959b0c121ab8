//! Sequences with ground truth, from the folder of golden runs. Their data derives from MOTChallenge and
//! may not be copied into the repository.
#![allow(dead_code, reason = "each user needs a part of it")]

use std::{
    error::Error,
    fs::File,
    io::Read,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use trackdrop_eval::{Evaluation, Options, Preprocessing, Sequence, evaluate, read_file};
use trackdrop_refine::{Detection, Looks, Origin, Row, Video};
use trackdrop_tracker::{ByteTrack, MAX_ASPECT, MIN_BOX_AREA_PX2, Settings, passes_output_filter};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A sequence as MOTChallenge describes it: name, frames per second, width and height.
pub(crate) type Known = (&'static str, f64, [f64; 2]);

pub(crate) const MOT17: [Known; 4] = [
    ("MOT17-02", 30.0, [1920.0, 1080.0]),
    ("MOT17-05", 14.0, [640.0, 480.0]),
    ("MOT17-09", 30.0, [1920.0, 1080.0]),
    ("MOT17-10", 30.0, [1920.0, 1080.0]),
];

pub(crate) const MOT15: [Known; 3] = [
    ("MOT15-KITTI-17", 10.0, [1242.0, 375.0]),
    ("MOT15-PETS09-S2L1", 7.0, [768.0, 576.0]),
    ("MOT15-TUD-Campus", 25.0, [640.0, 480.0]),
];

/// How a sequence is shown. One sequence is one draw of what a stride meets: a look earlier or later is another one, and so is its reverse.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Draw {
    /// Frames left out at the start.
    pub(crate) cut: u32,
    pub(crate) is_backwards: bool,
}

impl Draw {
    /// The first five frames as starts, forwards and backwards.
    pub(crate) fn ten() -> impl Iterator<Item = Self> {
        Self::with_starts(5)
    }

    /// The first ten.
    pub(crate) fn twenty() -> impl Iterator<Item = Self> {
        Self::with_starts(10)
    }

    fn with_starts(starts: u32) -> impl Iterator<Item = Self> {
        [false, true].into_iter().flat_map(move |is_backwards| (0..starts).map(move |cut| Self { cut, is_backwards }))
    }

    /// Where a frame of a sequence of this many is shown.
    fn frame(self, frame: u32, frame_count: u32) -> Option<u32> {
        if self.is_backwards { frame_count - 1 - frame } else { frame }.checked_sub(self.cut)
    }
}

/// A sequence, tracked by ByteTrack as it is.
pub(crate) struct Tracked {
    pub(crate) name: &'static str,
    pub(crate) video: Video,
    /// Rows that pass the reference's output filter.
    pub(crate) rows: Vec<Row>,
    /// Detections that pass it.
    pub(crate) detections: Vec<Detection>,
    /// All that the tracker was given.
    pub(crate) all_detections: Vec<Detection>,
    truth: Sequence,
}

/// The folder of golden runs that `TRACKDROP_GOLDEN` names.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRACKDROP_GOLDEN").map(PathBuf::from);
    if folder.is_none() {
        println!("SKIPPED: TRACKDROP_GOLDEN names no folder of golden runs");
    }
    folder
}

impl Tracked {
    pub(crate) fn of(folder: &Path, known: Known, settings: Settings) -> Result<Self> {
        Self::looking(folder, known, settings, NonZeroU32::MIN)
    }

    /// The same where only every N-th frame was looked at.
    pub(crate) fn looking(folder: &Path, known: Known, settings: Settings, every: NonZeroU32) -> Result<Self> {
        Self::drawn(folder, known, settings, every, Draw::default())
    }

    /// The same of one draw.
    pub(crate) fn drawn(
        folder: &Path,
        (name, frame_rate, size): Known,
        settings: Settings,
        every: NonZeroU32,
        draw: Draw,
    ) -> Result<Self> {
        let truth = read_file(&folder.join("gt").join(name).with_extension("txt"))?;
        let mut detections = detections(folder, name)?;
        let of_sequence = detections.last().map_or(0, |last| last.frame + 1).max(truth.last_frame());
        let frame_count = of_sequence - draw.cut;
        let shown = |row: &trackdrop_eval::Row| Some((draw.frame(row.frame - 1, of_sequence)? + 1, *row));
        let truth = truth.rows().iter().filter_map(shown).map(|(frame, row)| trackdrop_eval::Row { frame, ..row });
        let truth = Sequence::from_rows(truth.collect())?;
        detections.retain_mut(|seen| draw.frame(seen.frame, of_sequence).map(|frame| seen.frame = frame).is_some());
        detections.sort_by_key(|seen| seen.frame);
        let mut tracker = ByteTrack::new(settings)?;
        let looks = Looks::new(every, frame_count);
        let detections: Vec<Detection> = detections.into_iter().filter(|seen| looks.at(seen.frame)).collect();
        let (mut rows, mut rest) = (Vec::new(), detections.as_slice());
        let (mut last, mut before) = (None, &[][..]);
        for frame in (0..frame_count).filter(|&frame| looks.at(frame)) {
            let (now, after) = rest.split_at(rest.partition_point(|detection| detection.frame <= frame));
            let boxes = now.iter().map(|&Detection { bbox: [x1, y1, x2, y2], score, .. }| {
                trackdrop_tracker::Detection { x1, y1, x2, y2, score }
            });
            let passed = last.map_or(1, |last| frame - last);
            last = Some(frame);
            for track in tracker.step_after(passed, &boxes.collect::<Vec<_>>()) {
                if passes_output_filter(track, MIN_BOX_AREA_PX2, MAX_ASPECT) {
                    let bbox = [track.x1, track.y1, track.x2, track.y2];
                    let measured = now[track.detection].bbox;
                    rows.push(Row { measured, score: track.score, ..Row::new(frame, track.id, bbox) });
                }
            }
            for &(id, detection) in tracker.births() {
                let first: &Detection = &before[detection];
                let at_birth = Row::new(first.frame, id, first.bbox);
                rows.push(Row { score: first.score, origin: Origin::Detected, ..at_birth });
            }
            (before, rest) = (now, after);
        }
        rows.sort_by_key(|row| row.frame);
        let passes = |detection: &&Detection| {
            let [x1, y1, x2, y2] = detection.bbox;
            (x2 - x1) * (y2 - y1) > MIN_BOX_AREA_PX2 && x2 - x1 <= MAX_ASPECT * (y2 - y1)
        };
        let all_detections = detections;
        let detections = all_detections.iter().filter(passes).copied().collect();
        let video = Video { frame_rate, frame_count, size_px: Some(size) };
        Ok(Self { name, video, rows, detections, all_detections, truth })
    }

    pub(crate) fn evaluate(&self, rows: &[Row]) -> Result<Evaluation> {
        let to_eval = |row: &Row| {
            let out = trackdrop_eval::Row::of_corners(row.frame, row.id, row.bbox);
            trackdrop_eval::Row { score: row.score, observed: row.is_observed(), ..out }
        };
        let tracks = Sequence::from_rows(rows.iter().map(to_eval).collect())?;
        let options = Options { preprocessing: Preprocessing::suggested_for(&self.truth), ..Options::default() };
        Ok(evaluate(&self.truth, &tracks, &options))
    }
}

/// All detections of a sequence by frame.
fn detections(folder: &Path, name: &str) -> Result<Vec<Detection>> {
    let mut text = String::new();
    GzDecoder::new(File::open(folder.join(format!("mot/inputs/{name}.csv.gz")))?).read_to_string(&mut text)?;
    let line = |line: &str| {
        let values = line.split(',').map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
        let &[frame, x1, y1, x2, y2, score] = values.as_slice() else { return Err("six values".into()) };
        Ok(Detection { frame: frame as u32 - 1, bbox: [x1, y1, x2, y2], score, class: 0 })
    };
    let mut detections = text.lines().skip(1).map(line).collect::<Result<Vec<_>>>()?;
    detections.sort_by_key(|detection| detection.frame);
    Ok(detections)
}

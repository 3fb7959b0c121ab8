//! Refinements of files: the user's options, and the rows of tracks of any program.

use crate::{
    args::{RefineArguments, TrackerArguments},
    settings,
};
use anyhow::{Context, bail};
use std::path::Path;
use trackdrop_eval::Sequence;
use trackdrop_exchange::{read_classes, read_detections, read_tracks};
use trackdrop_pipeline::{Refinements, RequestSettings};
use trackdrop_refine::{Detection, Link, Origin, Refine, Row, Video};
use trackdrop_tracker::{BIRTH_MARGIN, Settings};

/// What is asked for; none where nothing is. `--backfill` goes by the score from which the tracker starts a track.
pub(crate) fn of<'a>(
    arguments: &RefineArguments,
    tracker: impl Into<Option<&'a TrackerArguments>>,
) -> anyhow::Result<Option<Refine>> {
    let mut refinements = Refinements::default();
    settings::refine(&mut refinements, arguments);
    if refinements.is_none() {
        return Ok(None);
    }
    let settings = RequestSettings { refine: refinements, ..RequestSettings::default() };
    settings.check()?;
    let given = tracker.into().and_then(|tracker| tracker.track_thresh);
    let birth_score = given.unwrap_or(Settings::default().track_thresh) + BIRTH_MARGIN;
    Ok(Some(trackdrop_probe::refine_of(&settings, birth_score)?))
}

/// The same where each class was tracked by itself, or not.
pub(crate) fn of_classes(refine: Refine, per_class: bool) -> Refine {
    Refine { per_class, link: refine.link.map(|link| Link { per_class, ..link }), ..refine }
}

/// What is known of the video of a file, but for its frames.
pub(crate) fn video(frame_rate: Option<f64>) -> anyhow::Result<Video> {
    let frame_rate = frame_rate.unwrap_or(Settings::default().frame_rate);
    if !(frame_rate > 0.0 && frame_rate <= 1000.0) {
        bail!("--frame-rate {frame_rate} is not above 0 and at most 1000");
    }
    Ok(Video { frame_rate, frame_count: 0, size_px: None })
}

/// Anyone's tracks, ready to be refined.
pub(crate) struct Given {
    pub(crate) rows: Vec<Row>,
    pub(crate) detections: Vec<Detection>,
    pub(crate) video: Video,
}

impl Given {
    /// Reads tracks, and detections where they are given; refinements that need these are refused without them.
    pub(crate) fn read(
        tracks: &Path,
        detections: Option<&Path>,
        refine: &Refine,
        frame_rate: Option<f64>,
        frames: Option<u32>,
    ) -> anyhow::Result<Self> {
        let mut video = video(frame_rate)?;
        if detections.is_none() && (refine.recover || refine.backfill.is_some()) {
            bail!(
                "--recover (part of --refine) and --backfill look among the detections that {} was made from: give them by --detections, \
                 or ask for --link and --smooth rts alone",
                tracks.display()
            );
        }
        let sequence = read_tracks(tracks)?.sequence;
        if refine.per_class && sequence.rows().iter().any(|row| row.class.is_none()) {
            bail!(
                "{}: it has a row without a class; --per-class needs CSV with a column class, or MOTChallenge text with the class in its \
                 eighth column",
                tracks.display()
            );
        }
        let rows = rows(&sequence);
        let detections = match detections {
            None => Vec::new(),
            Some(path) => free(path, refine.per_class)?,
        };
        let last = rows.last().map_or(0, |row| row.frame + 1);
        video.frame_count = frames.unwrap_or(last.max(detections.last().map_or(0, |last| last.frame + 1)));
        if video.frame_count < last {
            bail!("--frames {} would leave out rows: {} has frame {last}", video.frame_count, tracks.display());
        }
        Ok(Self { rows, detections, video })
    }
}

/// Rows with frames from 0, in an order that does not depend on the file's: by frame and id.
fn rows(tracks: &Sequence) -> Vec<Row> {
    let to_row = |row: &trackdrop_eval::Row| {
        let origin = match row.observed {
            true => Origin::Tracked,
            false if row.score > 0.0 => Origin::Detected,
            false => Origin::Filled,
        };
        let class = row.class.map_or(0, i32::from);
        Row { score: row.score, class, origin, ..Row::new(row.frame_index(), row.id, row.corners()) }
    };
    let mut rows: Vec<Row> = tracks.rows().iter().map(to_row).collect();
    rows.sort_by_key(|row| (row.frame, row.id));
    rows
}

/// All valid detections of a file, by frame.
fn free(path: &Path, per_class: bool) -> anyhow::Result<Vec<Detection>> {
    let mut frames = read_detections(path)?;
    if per_class {
        frames = frames.with_classes(read_classes(path)?);
    }
    let of_frame = |number: u32| {
        let classes = frames.classes(number).unwrap_or_default();
        let usable = frames.frame(number).iter().enumerate().filter(|(_, detection)| !detection.is_degenerate());
        usable.map(move |(at, &trackdrop_tracker::Detection { x1, y1, x2, y2, score })| Detection {
            frame: number - 1,
            bbox: [x1, y1, x2, y2],
            score,
            class: classes.get(at).copied().unwrap_or(0),
        })
    };
    Ok((1..=frames.last_frame()).flat_map(of_frame).collect())
}

/// Refined rows as the metrics take them.
pub(crate) fn sequence(rows: &[Row]) -> anyhow::Result<Sequence> {
    let to_row = |row: &Row| {
        let out = trackdrop_eval::Row::of_corners(row.frame, row.id, row.bbox);
        trackdrop_eval::Row { score: row.score, observed: row.is_observed(), ..out }
    };
    Sequence::from_rows(rows.iter().map(to_row).collect()).context("refined tracks")
}

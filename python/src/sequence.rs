//! A whole sequence at once: the tracker frame by frame, then the refinements.

use crate::{arrays, error, table::Table};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use pyo3::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use trackdrop_eval::{
    Row, Sequence,
    offline::{Backfill, Gaps, Smoothing, backfill_first_boxes, fill_gaps, smooth},
};
use trackdrop_exchange::{ExchangeError, MAX_FRAME};
use trackdrop_tracker::{BIRTH_MARGIN, ByteTrack, Detection, PerClass, Rules, Settings, Track};

/// Coordinates beyond this are in no picture; the refinements refuse them.
const MAX_MAGNITUDE_PX: f64 = 1e9;

/// What is asked of a sequence besides the tracker's settings.
struct Wanted {
    per_class: bool,
    fill_gaps: Option<u32>,
    smooth: Option<f64>,
    backfill: bool,
}

/// All detections, by frame.
struct Detections {
    all: Vec<(Detection, i32)>,
    /// Frame number, from 1, and where it ends in `all`; frames without detections are left out.
    ends: Vec<(u32, usize)>,
}

/// An object in a frame.
struct TrackRow {
    frame: u32,
    id: u64,
    corners: [f64; 4],
    score: f64,
    observed: bool,
}

/// See `_trackdrop.pyi`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "called by trackdrop.track only")]
#[allow(clippy::fn_params_excessive_bools, reason = "each has a name in Python")]
pub(crate) fn track_sequence(
    py: Python<'_>,
    frames: &Bound<'_, PyAny>,
    xyxy: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    class_ids: Option<&Bound<'_, PyAny>>,
    tracker: (f64, f64, u32, f64, bool),
    frame_count: Option<u32>,
    per_class: bool,
    fill_gaps: Option<u32>,
    smooth: Option<f64>,
    backfill: bool,
) -> PyResult<Table> {
    let (track_thresh, match_thresh, track_buffer, frame_rate, score_fusion) = tracker;
    let settings = Settings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion };
    settings.validate().map_err(error::value)?;
    let frames = arrays::whole_numbers("frames", frames)?;
    let detections = arrays::detections(xyxy, scores)?;
    arrays::same_length("frames", frames.len(), detections.len())?;
    let has_classes = class_ids.is_some();
    let classes = match class_ids {
        Some(ids) => arrays::whole_numbers("class_ids", ids)?,
        None => vec![0; detections.len()],
    };
    arrays::same_length("class_ids", classes.len(), detections.len())?;
    if per_class && !has_classes {
        return Err(error::value("per_class needs the classes of the detections"));
    }
    let wanted = Wanted { per_class, fill_gaps, smooth, backfill };
    py.detach(|| {
        let detections = Detections::new(&frames, &detections, &classes)?;
        let last = detections.ends.last().map_or(0, |&(frame, _)| frame);
        let asked = frame_count.unwrap_or(last);
        if asked < last {
            return Err(error::exchange(ExchangeError::TooFewFrames { asked, last }));
        }
        let (mut rows, class_of) = associate(&detections, &settings, asked, &wanted)?;
        refine(&mut rows, &detections, settings.track_thresh + BIRTH_MARGIN, &wanted)?;
        to_table(&rows, has_classes.then_some(&class_of))
    })
}

impl Detections {
    fn new(frames: &[i64], detections: &[Detection], classes: &[i64]) -> PyResult<Self> {
        let mut order = Vec::with_capacity(frames.len());
        for (place, &frame) in frames.iter().enumerate() {
            let number = u32::try_from(frame).ok().filter(|frame| (1..=MAX_FRAME).contains(frame));
            let refused = || {
                error::value(format!(
                    "detection {place} is in frame {frame}; frames are numbered from 1 to {MAX_FRAME}{}",
                    if frame == 0 { ", so add 1 to indices that start at 0" } else { "" }
                ))
            };
            order.push((number.ok_or_else(refused)?, place));
        }
        // Stable: within a frame the order is the caller's, in which new ids are given.
        order.sort_by_key(|&(frame, _)| frame);
        let (mut all, mut ends): (Vec<_>, Vec<(u32, usize)>) = (Vec::with_capacity(order.len()), Vec::new());
        for (frame, place) in order {
            let class = classes[place];
            let class = i32::try_from(class).map_err(|_| error::value(format!("class id {class} is out of range")))?;
            all.push((detections[place], class));
            match ends.last_mut() {
                Some((last, end)) if *last == frame => *end = all.len(),
                _ => ends.push((frame, all.len())),
            }
        }
        Ok(Self { all, ends })
    }

    /// Every frame from 1 to `last` with its detections.
    fn frames(&self, last: u32) -> impl Iterator<Item = (u32, &[(Detection, i32)])> {
        let mut starts = 0;
        let mut ends = self.ends.iter().peekable();
        (1..=last).map(move |frame| match ends.next_if(|&&(of, _)| of == frame) {
            Some(&(_, end)) => (frame, &self.all[std::mem::replace(&mut starts, end)..end]),
            None => (frame, &[][..]),
        })
    }
}

/// The tracker's rows, and each identity's class: the one that its detections' scores vote for.
fn associate(
    detections: &Detections,
    settings: &Settings,
    last: u32,
    wanted: &Wanted,
) -> PyResult<(Vec<TrackRow>, BTreeMap<u64, i32>)> {
    let mut together = ByteTrack::new(settings.clone()).map_err(error::value)?;
    let mut per_class = PerClass::new(settings.clone(), Rules::REFERENCE).map_err(error::value)?;
    let (mut rows, mut votes, mut shown) = (Vec::new(), BTreeMap::<(u64, i32), f64>::new(), Vec::new());
    for (frame, of_frame) in detections.frames(last) {
        let by_class;
        let tracks: &[Track] = if wanted.per_class {
            by_class = per_class.step(of_frame).map_err(error::value)?;
            &by_class
        } else {
            shown.clear();
            shown.extend(of_frame.iter().map(|&(detection, _)| detection));
            together.step(&shown)
        };
        for &Track { id, x1, y1, x2, y2, score, detection } in tracks {
            *votes.entry((id, of_frame[detection].1)).or_default() += score;
            rows.push(TrackRow { frame, id, corners: [x1, y1, x2, y2], score, observed: true });
        }
    }
    let mut best: BTreeMap<u64, (i32, f64)> = BTreeMap::new();
    // Ascending, so that of equals the lowest class stays.
    for ((id, class), score) in votes {
        let winner = best.entry(id).or_insert((class, score));
        if score > winner.1 {
            *winner = (class, score);
        }
    }
    Ok((rows, best.into_iter().map(|(id, (class, _))| (id, class)).collect()))
}

/// Rows that a refinement does not change keep every bit that the tracker gave them.
fn refine(rows: &mut Vec<TrackRow>, detections: &Detections, birth_score: f64, wanted: &Wanted) -> PyResult<()> {
    let smoothing = wanted.smooth.map(Smoothing::new).transpose().map_err(error::value)?;
    if wanted.fill_gaps.is_none() && smoothing.is_none() && !wanted.backfill {
        return Ok(());
    }
    let (mut places, mut given) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        if let Some(row) = to_row(row.frame, row.id, row.corners, row.score) {
            places.push(place);
            given.push(row);
        }
    }
    let mut refined = Sequence::from_rows(given).map_err(error::value)?;
    if wanted.backfill {
        let last = detections.ends.last().map_or(0, |&(frame, _)| frame);
        let all =
            detections.frames(last).flat_map(|(frame, of_frame)| of_frame.iter().map(move |&(one, _)| (frame, one)));
        let numbered = (0..).zip(all).filter_map(|(id, (frame, Detection { x1, y1, x2, y2, score }))| {
            to_row(frame, id, [x1, y1, x2, y2], score)
        });
        let detections = Sequence::from_rows(numbered.collect()).map_err(error::value)?;
        let births = Backfill { min_score: birth_score, ..Backfill::default() };
        refined = backfill_first_boxes(&refined, &detections, &births);
    }
    if let Some(max_missing_frames) = wanted.fill_gaps {
        refined = fill_gaps(&refined, &Gaps { max_missing_frames, ..Gaps::default() });
    }
    if let Some(smoothing) = smoothing {
        refined = smooth(&refined, &smoothing);
    }
    let mut places = places.into_iter();
    let mut added = Vec::new();
    for row in refined.rows() {
        let corners = [row.x, row.y, row.x + row.w, row.y + row.h];
        if !row.observed {
            // A row between two detections has no score of its own.
            let score = row.score.max(0.0);
            added.push(TrackRow { frame: row.frame, id: row.id, corners, score, observed: false });
        } else if let (Some(place), true) = (places.next(), wanted.smooth.is_some()) {
            rows[place].corners = corners;
        }
    }
    rows.extend(added);
    // Stable: those of the tracker stay first in their frame.
    rows.sort_by_key(|row| row.frame);
    Ok(())
}

/// A row as the refinements take it; none for a box that is none, which stays as it is.
fn to_row(frame: u32, id: u64, corners: [f64; 4], score: f64) -> Option<Row> {
    let [x1, y1, x2, y2] = corners;
    let in_range = corners.iter().all(|edge| edge.abs() < MAX_MAGNITUDE_PX) && score.is_finite();
    (in_range && x1 <= x2 && y1 <= y2).then(|| Row { score, ..Row::new(frame, id, [x1, y1, x2 - x1, y2 - y1]) })
}

fn to_table(rows: &[TrackRow], class_of: Option<&BTreeMap<u64, i32>>) -> PyResult<Table> {
    let edge = |i: usize| Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.corners[i]))) as ArrayRef;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("frame", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.frame))))),
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id as i64)))),
        ("x1", edge(0)),
        ("y1", edge(1)),
        ("x2", edge(2)),
        ("y2", edge(3)),
        ("score", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.score)))),
    ];
    if let Some(class_of) = class_of {
        let classes = rows.iter().map(|row| class_of.get(&row.id).map_or(0, |&class| i64::from(class)));
        columns.push(("class_id", Arc::new(Int64Array::from_iter_values(classes))));
    }
    columns.push(("observed", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.observed))))));
    Table::from_columns(columns)
}

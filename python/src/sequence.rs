//! Tracks a whole sequence: the tracker frame by frame, then the refinements.

use crate::{arrays, error, table::Table};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use numpy::{PyReadonlyArray2, ndarray::ArrayView2};
use pyo3::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
};
use trackdrop_exchange::{ExchangeError, MAX_FRAME};
use trackdrop_pipeline as pipeline;
use trackdrop_refine::{Appearances, Backfill, Detection as Free, Gaps, Link, Refine, Row, Smooth, Smoothing, Video};
use trackdrop_tracker::{BIRTH_MARGIN, ByteTrack, Detection, PerClass, Rules, Settings, Track};

/// Coordinates beyond this are outside every picture. The refinements refuse them.
const MAX_MAGNITUDE_PX: f64 = 1e9;

/// All detections, by frame.
struct Detections {
    all: Vec<(Detection, i32)>,
    /// Where each of them was in the caller's arrays.
    places: Vec<usize>,
    /// Frame number, from 1, and where it ends in `all`; frames without detections are left out.
    ends: Vec<(u32, usize)>,
}

/// The detections of a frame.
struct OfFrame<'a> {
    /// From 1.
    number: u32,
    detections: &'a [(Detection, i32)],
    /// Where each of them was in the caller's arrays.
    places: &'a [usize],
}

/// What each detection looks like: rows of bytes as a request stores them, in the caller's order.
struct Looks<'a> {
    bytes: ArrayView2<'a, u8>,
    known: Appearances,
}

impl<'a> Looks<'a> {
    fn new(bytes: ArrayView2<'a, u8>, by_network: bool) -> Self {
        Self { bytes, known: if by_network { Appearances::of_vectors() } else { Appearances::default() } }
    }

    /// Adds that of a detection, and gives its place; none where it is not known.
    fn add(&mut self, place: usize) -> Option<NonZeroU32> {
        self.known.add_stored(&self.bytes.row(place).to_vec())
    }
}

/// How boxes are smoothed: `"rts"`, or the standard deviation of a Gaussian in frames.
#[derive(FromPyObject)]
enum AskedSmooth {
    Gaussian(f64),
    Named(String),
}

/// The options of a sequence besides the tracker's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    frame_count: Option<u32>,
    per_class: bool,
    link: Option<f64>,
    recover: bool,
    backfill: bool,
    fill_gaps: Option<u32>,
    smooth: Option<AskedSmooth>,
    size_px: Option<[f64; 2]>,
}

impl Options {
    fn refine(&self, birth_score: f64) -> PyResult<Refine> {
        let asked = match &self.smooth {
            None => None,
            Some(AskedSmooth::Named(name)) if name == "rts" => Some(pipeline::Smooth::RTS),
            Some(AskedSmooth::Named(name)) => {
                return Err(error::value(format!("smooth must be \"rts\" or a number of frames, got {name:?}")));
            }
            Some(AskedSmooth::Gaussian(sigma)) => Some(pipeline::Smooth::Gaussian(*sigma)),
        };
        // The same ranges and messages as the command.
        let refine = pipeline::Refinements { link: self.link, smooth: asked, ..pipeline::Refinements::default() };
        pipeline::RequestSettings { refine, ..Default::default() }.check().map_err(error::value)?;
        let smooth = match asked {
            None => None,
            Some(pipeline::Smooth::Named(_)) => Some(Smooth::Rts),
            Some(pipeline::Smooth::Gaussian(sigma)) => {
                Some(Smooth::Gaussian(Smoothing::new(sigma).map_err(error::value)?))
            }
        };
        let per_class = self.per_class;
        Ok(Refine {
            link: self.link.map(|max_gap_s| Link { max_gap_s, per_class }),
            recover: self.recover,
            per_class,
            backfill: self.backfill.then(|| Backfill { min_score: birth_score, ..Backfill::default() }),
            fill_gaps: self.fill_gaps.map(|max_missing_frames| Gaps { max_missing_frames, ..Gaps::default() }),
            smooth,
        })
    }
}

/// See `_trackdrop.pyi`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "called by trackdrop.track only")]
pub(crate) fn track_sequence(
    py: Python<'_>,
    frames: &Bound<'_, PyAny>,
    xyxy: &Bound<'_, PyAny>,
    scores: &Bound<'_, PyAny>,
    class_ids: Option<&Bound<'_, PyAny>>,
    tracker: (f64, f64, u32, f64, bool),
    appearance: Option<(bool, PyReadonlyArray2<'_, u8>)>,
    options: Options,
) -> PyResult<Table> {
    let (track_thresh, match_thresh, track_buffer, frame_rate, score_fusion) = tracker;
    let settings = Settings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion };
    settings.validate().map_err(error::value)?;
    let refine = options.refine(track_thresh + BIRTH_MARGIN)?;
    let frames = arrays::whole_numbers("frames", frames)?;
    let detections = arrays::detections(xyxy, scores)?;
    arrays::same_length("frames", frames.len(), detections.len())?;
    let has_classes = class_ids.is_some();
    let classes = match class_ids {
        Some(ids) => arrays::whole_numbers("class_ids", ids)?,
        None => vec![0; detections.len()],
    };
    arrays::same_length("class_ids", classes.len(), detections.len())?;
    if options.per_class && !has_classes {
        return Err(error::value("per_class needs the classes of the detections"));
    }
    if let Some((_, bytes)) = &appearance {
        arrays::same_length("appearance", bytes.as_array().nrows(), detections.len())?;
    }
    // Only linking compares appearance.
    let compared = appearance.as_ref().filter(|_| refine.link.is_some());
    let looks = compared.map(|(by_network, bytes)| Looks::new(bytes.as_array(), *by_network));
    py.detach(|| {
        let mut looks = looks;
        let detections = Detections::new(&frames, &detections, &classes)?;
        let last = detections.ends.last().map_or(0, |&(frame, _)| frame);
        let asked = options.frame_count.unwrap_or(last);
        if asked < last {
            return Err(error::exchange(ExchangeError::TooFewFrames { asked, last }));
        }
        let mut rows = associate(&detections, &settings, asked, options.per_class, looks.as_mut())?;
        if refine != Refine::default() {
            let video = Video { frame_rate, frame_count: asked, size_px: options.size_px };
            let appearances = looks.map(|looks| looks.known).unwrap_or_default();
            rows = refined(rows, &detections, asked, &refine, &appearances, &video);
        }
        to_table(&rows, has_classes.then(|| classes_of(&rows)).as_ref())
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
        // A stable sort, because within a frame new ids are given in the caller's order.
        order.sort_by_key(|&(frame, _)| frame);
        let (mut all, mut ends): (Vec<_>, Vec<(u32, usize)>) = (Vec::with_capacity(order.len()), Vec::new());
        let places = order.iter().map(|&(_, place)| place).collect();
        for (frame, place) in order {
            let class = classes[place];
            let class = i32::try_from(class).map_err(|_| error::value(format!("class id {class} is out of range")))?;
            all.push((detections[place], class));
            match ends.last_mut() {
                Some((last, end)) if *last == frame => *end = all.len(),
                _ => ends.push((frame, all.len())),
            }
        }
        Ok(Self { all, places, ends })
    }

    /// Every frame from 1 to `last` with its detections.
    fn frames(&self, last: u32) -> impl Iterator<Item = OfFrame<'_>> {
        let mut start = 0;
        let mut ends = self.ends.iter().peekable();
        (1..=last).map(move |number| {
            let end = ends.next_if(|&&(of, _)| of == number).map_or(start, |&(_, end)| end);
            let range = std::mem::replace(&mut start, end)..end;
            OfFrame { number, detections: &self.all[range.clone()], places: &self.places[range] }
        })
    }
}

/// The tracker's rows, by frame, with indices from 0.
fn associate(
    detections: &Detections,
    settings: &Settings,
    last: u32,
    by_class: bool,
    mut looks: Option<&mut Looks<'_>>,
) -> PyResult<Vec<Row>> {
    let mut together = ByteTrack::new(settings.clone()).map_err(error::value)?;
    let mut per_class = PerClass::new(settings.clone(), Rules::REFERENCE).map_err(error::value)?;
    let (mut rows, mut shown) = (Vec::new(), Vec::new());
    for OfFrame { number, detections: of_frame, places } in detections.frames(last) {
        let of_classes;
        let tracks: &[Track] = if by_class {
            of_classes = per_class.step(of_frame).map_err(error::value)?;
            &of_classes
        } else {
            shown.clear();
            shown.extend(of_frame.iter().map(|&(detection, _)| detection));
            together.step(&shown)
        };
        rows.extend(tracks.iter().map(|&Track { id, x1, y1, x2, y2, score, detection }| {
            let (found, class) = of_frame[detection];
            let measured = [found.x1, found.y1, found.x2, found.y2];
            let appearance = looks.as_mut().and_then(|looks| looks.add(places[detection]));
            Row { measured, score, class, appearance, ..Row::new(number - 1, id, [x1, y1, x2, y2]) }
        }));
    }
    Ok(rows)
}

/// The refined rows, by frame, and within a frame those of the tracker first. Rows with unusable boxes are not changed.
fn refined(
    rows: Vec<Row>,
    detections: &Detections,
    last: u32,
    refine: &Refine,
    appearances: &Appearances,
    video: &Video,
) -> Vec<Row> {
    let (usable, odd): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| is_usable(row.bbox) && is_usable(row.measured));
    let mut free = Vec::new();
    if refine.backfill.is_some() || refine.recover {
        let all = detections
            .frames(last)
            .flat_map(|of_frame| of_frame.detections.iter().map(move |&one| (of_frame.number - 1, one)));
        let one = |(frame, (Detection { x1, y1, x2, y2, score }, class))| Free {
            frame,
            bbox: [x1, y1, x2, y2],
            score,
            class,
        };
        let is_box = |one: &Free| is_usable(one.bbox) && one.score.is_finite();
        free.extend(all.map(one).filter(is_box));
        if refine.backfill.is_none() {
            // Only detections that no track has. If two detections are equal, it can be either.
            let key = |frame: u32, bbox: [f64; 4]| (frame, bbox.map(f64::to_bits));
            let taken: BTreeSet<_> = usable.iter().map(|row| key(row.frame, row.measured)).collect();
            free.retain(|one| !taken.contains(&key(one.frame, one.bbox)));
        }
    }
    let mut rows = refine.apply_seen(usable, &free, appearances, video).rows;
    if !odd.is_empty() {
        rows.extend(odd);
        // A stable sort, so that the rows of the tracker are first in their frame.
        rows.sort_by_key(|row| row.frame);
    }
    rows
}

/// Whether refinements can use a box.
fn is_usable(bbox: [f64; 4]) -> bool {
    let [x1, y1, x2, y2] = bbox;
    bbox.iter().all(|edge| edge.abs() < MAX_MAGNITUDE_PX) && x1 <= x2 && y1 <= y2
}

/// The class of each identity: the one with the highest sum of scores of its observed rows. Of equal ones the lowest.
fn classes_of(rows: &[Row]) -> BTreeMap<u64, i32> {
    let mut votes = BTreeMap::<(u64, i32), f64>::new();
    for row in rows.iter().filter(|row| row.is_observed()) {
        *votes.entry((row.id, row.class)).or_default() += row.score;
    }
    let mut best: BTreeMap<u64, (i32, f64)> = BTreeMap::new();
    for ((id, class), score) in votes {
        let winner = best.entry(id).or_insert((class, score));
        if score > winner.1 {
            *winner = (class, score);
        }
    }
    best.into_iter().map(|(id, (class, _))| (id, class)).collect()
}

fn to_table(rows: &[Row], class_of: Option<&BTreeMap<u64, i32>>) -> PyResult<Table> {
    let edge = |i: usize| Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.bbox[i]))) as ArrayRef;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("frame", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.frame) + 1)))),
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id as i64)))),
        ("x1", edge(0)),
        ("y1", edge(1)),
        ("x2", edge(2)),
        ("y2", edge(3)),
        // A row between two detections has no score of its own.
        ("score", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.score.max(0.0))))),
    ];
    if let Some(class_of) = class_of {
        let classes = rows.iter().map(|row| class_of.get(&row.id).map_or(0, |&class| i64::from(class)));
        columns.push(("class_id", Arc::new(Int64Array::from_iter_values(classes))));
    }
    columns.push(("observed", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_observed()))))));
    Table::from_columns(columns)
}

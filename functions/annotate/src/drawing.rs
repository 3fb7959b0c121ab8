//! Collects the boxes and trails of each picture from the rows.

use crate::pick::{Picked, Picker};
use std::collections::{BTreeMap, VecDeque};
use trackdrop_media::{Annotation, BoxMark, Canvas, Trail, draw, pixelate};
use trackdrop_pipeline::Failure;
use trackdrop_tables::tracks::{Drawing, SegmentTracks, TRAIL_FRAMES, TrackRow};

/// The objects in the picture, and their trails.
pub(crate) struct FrameDrawer<'a> {
    rows: &'a [TrackRow],
    drawing: &'a Drawing,
    next: usize,
    tracks: BTreeMap<i64, Past>,
    picker: Option<Picker>,
}

/// The state of an object in the picture.
#[derive(Default)]
struct Past {
    trail: VecDeque<(f32, f32)>,
    /// The score of the last observed row. Rows between observed ones have no score, and a label that changes with each
    /// frame can't be read.
    score: Option<f32>,
}

impl<'a> FrameDrawer<'a> {
    /// The state before a frame: rows of earlier frames are trails already.
    pub(crate) fn before(first_frame: i64, tracks: &'a SegmentTracks) -> Self {
        let SegmentTracks { rows, drawing } = tracks;
        let picker = drawing.crops.then(Picker::default);
        let mut drawer = Self { rows, drawing, next: 0, tracks: BTreeMap::new(), picker };
        while let Some(row) = rows.get(drawer.next).filter(|row| row.frame_index < first_frame) {
            let pts = row.pts;
            drawer.take(pts);
        }
        drawer
    }

    /// Takes the rows of one frame. They extend the trails; trails of objects that are not in this frame end.
    fn take(&mut self, pts: i64) -> &'a [TrackRow] {
        let from = self.next;
        while self.rows.get(self.next).is_some_and(|row| row.pts <= pts) {
            self.next += 1;
        }
        // Rows of frames that could not be decoded are skipped together, before the next frame that could.
        let rows = &self.rows[from..self.next];
        let last_frame = rows.last().map(|row| row.frame_index);
        let of_frame = &rows[rows.partition_point(|row| Some(row.frame_index) < last_frame)..];
        let of_frame = if rows.last().is_some_and(|row| row.pts == pts) { of_frame } else { &[] };
        self.tracks.retain(|id, _| of_frame.iter().any(|row| row.track_id == *id));
        for row in of_frame {
            let Past { trail, score } = self.tracks.entry(row.track_id).or_default();
            if row.observed {
                *score = Some(row.score);
            }
            let [x1, _, x2, y2] = row.bbox;
            trail.push_back(((x1 + x2) / 2.0, y2));
            if trail.len() as u64 > TRAIL_FRAMES {
                trail.pop_front();
            }
        }
        of_frame
    }

    /// Blurs, then picks crops, then draws. So a crop shows no more than the video, and nothing that was drawn.
    pub(crate) fn draw_frame(&mut self, canvas: &mut Canvas, pts: i64) -> Result<(), Failure> {
        let of_frame = self.take(pts);
        let is_blurred = |row: &TrackRow| self.drawing.blur.iter().any(|name| **name == *row.class_name);
        let between = self.drawing.between.iter().filter_map(|between| between.at(pts));
        let areas: Vec<_> = of_frame.iter().filter(|row| is_blurred(row)).map(|row| row.bbox).chain(between).collect();
        pixelate(canvas, &areas);
        if let Some(picker) = &mut self.picker {
            for row in of_frame.iter().filter(|row| row.observed && !is_blurred(row)) {
                picker.consider(canvas, row)?;
            }
        }
        if self.drawing.boxes.are_all() {
            self.draw_boxes(canvas, of_frame);
        }
        Ok(())
    }

    /// The best crop of each object, by track id.
    pub(crate) fn picked(self) -> Vec<Picked> {
        self.picker.map(Picker::picked).unwrap_or_default()
    }

    fn draw_boxes(&self, canvas: &mut Canvas, of_frame: &[TrackRow]) {
        let boxes: Vec<_> = of_frame
            .iter()
            .map(|row| BoxMark {
                x1: row.bbox[0],
                y1: row.bbox[1],
                x2: row.bbox[2],
                y2: row.bbox[3],
                track_id: row.track_id as u64,
                label: &row.class_name,
                // A NaN shows no score.
                score: self.tracks.get(&row.track_id).and_then(|past| past.score).unwrap_or(f32::NAN),
            })
            .collect();
        let points: Vec<(u64, Vec<(f32, f32)>)> =
            self.tracks.iter().map(|(&id, past)| (id as u64, past.trail.iter().copied().collect())).collect();
        let trails: Vec<_> = points.iter().map(|(track_id, points)| Trail { track_id: *track_id, points }).collect();
        draw(canvas, &Annotation { boxes: &boxes, trails: &trails });
    }
}

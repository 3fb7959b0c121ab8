//! Rows of tracks, and what else is known of a video.

use std::num::NonZeroU32;

/// One box of one object in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Frame index, from 0.
    pub frame: u32,
    /// The object.
    pub id: u64,
    /// Left, top, right and bottom edge, px, as the tracker gave them.
    pub bbox: [f64; 4],
    /// The same edges of the detection behind it; those of `bbox` where it is not known.
    pub measured: [f64; 4],
    /// Confidence; -1 where nothing was detected.
    pub score: f64,
    /// The class of the detection behind it.
    pub class: i32,
    /// Where the row is from.
    pub origin: Origin,
    /// What the detection behind it looks like: its place in [`Appearances`](crate::Appearances), if it is known.
    pub appearance: Option<NonZeroU32>,
}

/// Where a row is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The tracker returned it.
    Tracked,
    /// A detection that the tracker did not return in a track.
    Detected,
    /// Nothing was detected: it lies between rows.
    Filled,
}

impl Row {
    /// A tracked row of score 1 and class 0; `bbox` is left, top, right and bottom edge in px.
    #[must_use]
    pub fn new(frame: u32, id: u64, bbox: [f64; 4]) -> Self {
        Self { frame, id, bbox, measured: bbox, score: 1.0, class: 0, origin: Origin::Tracked, appearance: None }
    }

    /// Whether the tracker returned it.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.origin == Origin::Tracked
    }

    /// The row of a detection that the tracker did not return, as part of a track.
    pub(crate) fn of_detection(id: u64, detection: &Detection) -> Self {
        let &Detection { frame, bbox, score, class } = detection;
        Self { score, class, origin: Origin::Detected, ..Self::new(frame, id, bbox) }
    }
}

/// One box that the detector returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Frame index, from 0.
    pub frame: u32,
    /// Left, top, right and bottom edge, px.
    pub bbox: [f64; 4],
    /// Confidence.
    pub score: f64,
    /// Its class.
    pub class: i32,
}

/// What is known of the video beside its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Video {
    /// Frames per second.
    pub frame_rate: f64,
    /// How many frames it has.
    pub frame_count: u32,
    /// Width and height in px; none takes what the boxes cover.
    pub size_px: Option<[f64; 2]>,
}

impl Video {
    /// This many seconds in whole frames.
    pub(crate) fn frames(&self, seconds: f64) -> u32 {
        (seconds * self.frame_rate).round() as u32
    }
}

/// Left, top, width and height of corners.
pub(crate) fn tlwh([x1, y1, x2, y2]: [f64; 4]) -> [f64; 4] {
    [x1, y1, x2 - x1, y2 - y1]
}

/// Corners of left, top, width and height.
pub(crate) fn corners([x, y, w, h]: [f64; 4]) -> [f64; 4] {
    [x, y, x + w, y + h]
}

/// Centre of a box.
pub(crate) fn centre([x1, y1, x2, y2]: [f64; 4]) -> [f64; 2] {
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0]
}

/// Rows of a frame in order.
pub(crate) fn frames(rows: &[Row]) -> impl Iterator<Item = (u32, &[Row])> {
    rows.chunk_by(|a, b| a.frame == b.frame).map(|rows| (rows[0].frame, rows))
}

/// The items of one frame out of those sorted by frame.
pub(crate) fn of_frame<T>(items: &[T], frame: u32, frame_of: impl Fn(&T) -> u32) -> &[T] {
    let start = items.partition_point(|item| frame_of(item) < frame);
    let rest = &items[start..];
    &rest[..rest.partition_point(|item| frame_of(item) == frame)]
}

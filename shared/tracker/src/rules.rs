//! The ways in which other implementations of ByteTrack differ from the reference.

use serde::{Deserialize, Serialize};

use crate::{
    iou::Rect,
    kalman::Measurement,
    set_order::after_difference,
    settings::{BIRTH_MARGIN, DUPLICATE_DISTANCE, LOW_FLOOR, Settings},
};

/// Differences from the reference. Each can be set separately. The default has none. [`Rules::SUPERVISION`] has those
/// of the last ByteTrack of the Python package supervision (0.30).
///
/// With them, a user who comes from another tracker gets the same identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A score of exactly `track_thresh` is high. In the reference it is neither high nor low.
    pub thresh_is_high: bool,
    /// If `track_thresh + 0.1` exceeds 1, a track begins from a score of `track_thresh`. In the reference no track
    /// begins then.
    pub birth_thresh_capped: bool,
    /// In the IoU, sides of boxes are differences of corners. In the reference they are one pixel longer.
    pub plain_iou: bool,
    /// A tracked and a lost box are the same object from an IoU of 0.95. In the reference from 0.85.
    pub close_duplicates: bool,
    /// A track that is found again in the last frame of its buffer can be lost again. In the reference it is removed
    /// when it is lost again.
    pub forgive_timeout: bool,
    /// Ids are given when a track is confirmed, so they have no gaps. In the reference they are given when it begins.
    pub ids_at_confirmation: bool,
    /// Frames in a row in which an object must be seen until its track is confirmed. The counting is that of
    /// supervision. With 1, as in the reference, a track that begins in frame 1 is confirmed at once, and another one
    /// in its second frame.
    pub confirm_frames: u32,
    /// A pair whose cost equals the limit can be assigned, and each pair counts as 0.0001 cheaper.
    pub pairs_at_limit: bool,
    /// Measurements, boxes and costs are rounded to `f32`. If a score is an `f32`, its threshold is rounded, too.
    pub single_precision: bool,
    /// New tracks of a frame get their ids in the order in which CPython iterates over a set of the detections'
    /// indices. In the reference they get them in the order of the detections.
    pub births_in_set_order: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl Rules {
    /// No difference.
    pub const REFERENCE: Self = Self {
        thresh_is_high: false,
        birth_thresh_capped: false,
        plain_iou: false,
        close_duplicates: false,
        forgive_timeout: false,
        ids_at_confirmation: false,
        confirm_frames: 1,
        pairs_at_limit: false,
        single_precision: false,
        births_in_set_order: false,
    };

    /// Every difference of supervision 0.30.
    pub const SUPERVISION: Self = Self {
        thresh_is_high: true,
        birth_thresh_capped: true,
        plain_iou: true,
        close_duplicates: true,
        forgive_timeout: true,
        ids_at_confirmation: true,
        confirm_frames: 1,
        pairs_at_limit: true,
        single_precision: true,
        births_in_set_order: true,
    };

    /// Whether there is no difference from the reference.
    pub(crate) fn is_reference(&self) -> bool {
        *self == Self::REFERENCE
    }

    /// Whether a score is high, low, or neither.
    pub(crate) fn level(&self, score: f64, track_thresh: f64) -> Option<Level> {
        let thresh = self.thresh_for(score, track_thresh);
        if score > thresh || (self.thresh_is_high && score == thresh) {
            Some(Level::High)
        } else if score > self.thresh_for(score, LOW_FLOOR) && score < thresh {
            Some(Level::Low)
        } else {
            None
        }
    }

    /// Whether a new track begins from a score.
    pub(crate) fn gives_birth(&self, score: f64, settings: &Settings) -> bool {
        let thresh = settings.track_thresh + BIRTH_MARGIN;
        let thresh = if self.birth_thresh_capped && thresh > 1.0 { settings.track_thresh } else { thresh };
        score >= self.thresh_for(score, thresh)
    }

    /// The threshold with which a score is compared. NumPy rounds it to `f32` if the score is an `f32`.
    fn thresh_for(&self, score: f64, thresh: f64) -> f64 {
        let is_single = self.single_precision && f64::from(score as f32) == score;
        if is_single { f64::from(thresh as f32) } else { thresh }
    }

    pub(crate) fn duplicate_distance(&self) -> f64 {
        const CLOSE_DISTANCE: f64 = 0.05;
        if self.close_duplicates { CLOSE_DISTANCE } else { DUPLICATE_DISTANCE }
    }

    /// By how much a side is longer than the difference of its corners, px.
    pub(crate) fn extra_pixel(&self) -> f64 {
        if self.plain_iou { 0.0 } else { 1.0 }
    }

    /// What is added to a cost limit before costs are compared with it.
    pub(crate) fn limit_margin(&self) -> f64 {
        if self.pairs_at_limit { 1e-4 } else { 0.0 }
    }

    pub(crate) fn rect(&self, rect: Rect) -> Rect {
        if !self.single_precision {
            return rect;
        }
        let Rect { x1, y1, x2, y2 } = rect;
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|edge| f64::from(edge as f32));
        Rect { x1, y1, x2, y2 }
    }

    /// Centre, aspect ratio and height of a box by left, top, width and height.
    pub(crate) fn measurement(&self, x1: f64, y1: f64, width: f64, height: f64) -> Measurement {
        if !self.single_precision {
            return [x1 + width / 2.0, y1 + height / 2.0, width / height, height];
        }
        let [x1, y1, width, height] = [x1, y1, width, height].map(|value| value as f32);
        [x1 + width / 2.0, y1 + height / 2.0, width / height, height].map(f64::from)
    }

    /// The indices that are not `taken`, in the order in which tracks begin from them.
    pub(crate) fn order_of_untaken(&self, taken: &[bool], order: &mut Vec<usize>) {
        if self.births_in_set_order {
            after_difference(taken, order);
        } else {
            order.clear();
            order.extend((0..taken.len()).filter(|&index| !taken[index]));
        }
    }
}

/// Which association uses a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    High,
    Low,
}

//! Several refinements, in the order in which each gains from those before it.

use crate::{
    Appearances, Backfill, Detection, Gaps, Link, LinkMade, Row, Smoothing, Video, backfill_first_boxes, fill_gaps,
    link_seen, recover, smooth, smooth_rts,
};

/// Taken where a video's own rate is none that a camera has: a still picture, or a damaged header.
const USUAL_FRAME_RATE: f64 = 30.0;
const MAX_FRAME_RATE: f64 = 1e6;

/// What is done to the tracks; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refine {
    /// See [`link()`](crate::link()).
    pub link: Option<Link>,
    /// See [`recover()`].
    pub recover: bool,
    /// Whether [`recover()`] respects classes.
    pub per_class: bool,
    /// See [`backfill_first_boxes`].
    pub backfill: Option<Backfill>,
    /// See [`fill_gaps`].
    pub fill_gaps: Option<Gaps>,
    /// How boxes are smoothed.
    pub smooth: Option<Smooth>,
}

/// How boxes are smoothed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smooth {
    /// See [`smooth`].
    Gaussian(Smoothing),
    /// See [`smooth_rts`].
    Rts,
}

/// Refined tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// By frame; those that were given first, in their order.
    pub rows: Vec<Row>,
    /// The links, by id and time.
    pub links: Vec<LinkMade>,
}

impl Refine {
    /// Links first, since what is missing is known only then; smooths last, since every row helps.
    ///
    /// `rows` and `detections` are sorted by frame; no id is twice in a frame.
    #[must_use]
    pub fn apply(&self, rows: Vec<Row>, detections: &[Detection], video: &Video) -> Refined {
        self.apply_seen(rows, detections, &Appearances::default(), video)
    }

    /// As [`apply`](Self::apply), where it is known what objects look like: see [`link_seen`].
    #[must_use]
    pub fn apply_seen(
        &self,
        rows: Vec<Row>,
        detections: &[Detection],
        appearances: &Appearances,
        video: &Video,
    ) -> Refined {
        let video = &video.at_a_rate();
        let Refined { mut rows, links } = self.decide(rows, detections, appearances, video);
        if let Some(gaps) = &self.fill_gaps {
            rows = fill_gaps(rows, gaps);
        }
        match &self.smooth {
            Some(Smooth::Gaussian(smoothing)) => rows = smooth(rows, smoothing),
            Some(Smooth::Rts) => rows = smooth_rts(rows, video),
            None => {}
        }
        Refined { rows, links }
    }

    /// What decides which detections are of which object, and changes no box.
    pub(crate) fn decide(
        &self,
        rows: Vec<Row>,
        detections: &[Detection],
        appearances: &Appearances,
        video: &Video,
    ) -> Refined {
        let (mut rows, mut links) = (rows, Vec::new());
        if let Some(options) = &self.link {
            let linked = link_seen(rows, appearances, video, options);
            (rows, links) = (linked.rows, linked.links);
        }
        if let Some(backfill) = &self.backfill {
            rows = backfill_first_boxes(rows, detections, backfill);
        }
        if self.recover {
            rows = recover(rows, detections, video, self.per_class);
        }
        Refined { rows, links }
    }
}

impl Video {
    /// With a rate that a camera can have.
    pub(crate) fn at_a_rate(&self) -> Self {
        let is_rate = self.frame_rate > 0.0 && self.frame_rate <= MAX_FRAME_RATE;
        Self { frame_rate: if is_rate { self.frame_rate } else { USUAL_FRAME_RATE }, ..*self }
    }
}

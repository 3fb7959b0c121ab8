//! Tracks of a video in which only every nth frame was looked at.

use crate::{
    Appearances, Refine, Refined, Smooth, fill_gaps,
    gaps::between,
    row::{Detection, Row, Video},
    rts::{Relative, smooth_by},
    smooth,
    tracks::{add, by_id, tracks},
};
use std::num::NonZeroU32;

/// Which frames of a video were looked at: every nth from frame 0 on, and the last one, so that each other frame lies between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    every: u32,
    frame_count: u32,
}

impl Looks {
    /// Every nth frame of `frame_count` frames.
    #[must_use]
    pub fn new(every: NonZeroU32, frame_count: u32) -> Self {
        Self { every: every.get(), frame_count }
    }

    /// Whether a frame was looked at.
    #[must_use]
    pub fn at(&self, frame: u32) -> bool {
        frame.is_multiple_of(self.every) || frame.checked_add(1) == Some(self.frame_count)
    }

    /// How many frames were looked at.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.frame_count.checked_sub(1).map_or(0, |last| self.number(last) + 1)
    }

    /// The number of a look, from 0.
    fn number(&self, frame: u32) -> u32 {
        frame.div_ceil(self.every)
    }

    /// The frame of a look.
    fn frame(&self, number: u32) -> u32 {
        number.saturating_mul(self.every).min(self.frame_count.saturating_sub(1))
    }

    /// The video of the looks alone.
    fn video(&self, video: &Video) -> Video {
        Video { frame_rate: video.frame_rate / f64::from(self.every), frame_count: self.count(), ..*video }
    }
}

impl Refine {
    /// As [`apply`](Self::apply) for rows and detections of the frames that were looked at: what is decided is decided among the looks, in their
    /// time; then every frame between two looks that both have a row of an object gets one, on the straight line, or by the motion with
    /// [`Smooth::Rts`]. With all frames looked at it is `apply`.
    #[must_use]
    pub fn apply_to_looks(
        &self,
        rows: Vec<Row>,
        detections: &[Detection],
        video: &Video,
        every: NonZeroU32,
    ) -> Refined {
        self.apply_to_looks_seen(rows, detections, &Appearances::default(), video, every)
    }

    /// As [`apply_to_looks`](Self::apply_to_looks), where it is known what objects look like.
    #[must_use]
    pub fn apply_to_looks_seen(
        &self,
        mut rows: Vec<Row>,
        detections: &[Detection],
        appearances: &Appearances,
        video: &Video,
        every: NonZeroU32,
    ) -> Refined {
        if every.get() == 1 {
            return self.apply_seen(rows, detections, appearances, video);
        }
        let looks = Looks::new(every, video.frame_count);
        let video = &video.at_a_rate();
        let of_looks = &looks.video(video);
        rows.iter_mut().for_each(|row| row.frame = looks.number(row.frame));
        let numbered = |detection: &Detection| Detection { frame: looks.number(detection.frame), ..*detection };
        let detections: Vec<Detection> = detections.iter().map(numbered).collect();
        let Refined { mut rows, mut links } = self.decide(rows, &detections, appearances, of_looks);
        let noise = Relative::of_rows(&rows, of_looks);
        rows.iter_mut().for_each(|row| row.frame = looks.frame(row.frame));
        for link in &mut links {
            (link.last_frame, link.first_frame) = (looks.frame(link.last_frame), looks.frame(link.first_frame));
        }
        rows = fill_between(rows, &looks);
        if let Some(gaps) = &self.fill_gaps {
            rows = fill_gaps(rows, gaps);
        }
        match &self.smooth {
            Some(Smooth::Gaussian(smoothing)) => rows = smooth(rows, smoothing),
            Some(Smooth::Rts) => rows = smooth_by(rows, video, noise),
            None => {}
        }
        Refined { rows, links }
    }
}

/// Adds the rows between two looks that follow each other and both have a row of one id.
fn fill_between(mut rows: Vec<Row>, looks: &Looks) -> Vec<Row> {
    let order = by_id(&rows);
    let mut added = Vec::new();
    for track in tracks(&rows, &order) {
        for two in order[track].windows(2) {
            let (before, after) = (&rows[two[0] as usize], &rows[two[1] as usize]);
            if looks.number(after.frame) == looks.number(before.frame) + 1 {
                added.extend((before.frame + 1..after.frame).map(|frame| between(before, after, frame)));
            }
        }
    }
    add(&mut rows, added);
    rows
}

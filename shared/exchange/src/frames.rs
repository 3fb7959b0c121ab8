//! The detections of a video, frame by frame.

use std::ops::Range;
use trackdrop_tracker::Detection;

/// The last frame number taken: over seven days at 30 frames per second. A larger one is more likely a damaged file.
pub const MAX_FRAME: u32 = 20_000_000;

/// All detections of a video in one flat list, and where each frame starts in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    detections: Vec<Detection>,
    /// Frame `n` (from 1) is `starts[n - 1]..starts[n]`.
    starts: Vec<usize>,
    /// Of each detection, where classes count.
    classes: Option<Vec<i32>>,
}

/// A piece of a file: its detections in order, and for how many of them each frame number holds.
#[derive(Debug, Default)]
pub(crate) struct Part {
    detections: Vec<Detection>,
    runs: Vec<(u32, u32)>,
}

impl Part {
    /// Empties it, with room for `count` detections.
    pub(crate) fn clear(&mut self, count: usize) {
        self.detections.clear();
        self.detections.reserve(count);
        self.runs.clear();
    }

    /// Appends a detection of `frame`, which is from 1 to [`MAX_FRAME`].
    pub(crate) fn push(&mut self, frame: u32, detection: Detection) {
        self.detections.push(detection);
        match self.runs.last_mut() {
            Some((last, count)) if *last == frame => *count += 1,
            _ => self.runs.push((frame, 1)),
        }
    }

    /// The detections of each frame number, in the order of the file.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, &[Detection])> {
        let mut rest = self.detections.as_slice();
        self.runs.iter().map(move |&(frame, count)| {
            let (run, after) = rest.split_at(count as usize);
            rest = after;
            (frame, run)
        })
    }
}

impl Frames {
    /// Joins the parts of a file. Frames are sorted; the order within a frame is that of the file.
    pub(crate) fn join(parts: &[Part]) -> Self {
        let mut runs = Vec::with_capacity(parts.iter().map(|part| part.runs.len()).sum());
        parts.iter().for_each(|part| runs.extend(part.runs()));
        // Stable, and one pass where the file was sorted already.
        runs.sort_by_key(|&(frame, _)| frame);

        let mut detections = Vec::with_capacity(parts.iter().map(|part| part.detections.len()).sum());
        let mut starts = Vec::with_capacity(runs.last().map_or(0, |&(frame, _)| frame as usize) + 1);
        for (frame, run) in runs {
            starts.resize((frame as usize).max(starts.len()), detections.len());
            detections.extend_from_slice(run);
        }
        starts.push(detections.len());
        Self { detections, starts, classes: None }
    }

    /// The last frame that has a detection; 0 if none has.
    #[must_use]
    pub fn last_frame(&self) -> u32 {
        (self.starts.len() - 1) as u32 // Never more than `MAX_FRAME`.
    }

    /// The detections of a frame, counted from 1, in the order of the file. Empty for a frame that the file does not have.
    #[must_use]
    pub fn frame(&self, number: u32) -> &[Detection] {
        &self.detections[self.places(number)]
    }

    /// The classes of a frame's detections; none where classes don't count.
    #[must_use]
    pub fn classes(&self, number: u32) -> Option<&[i32]> {
        self.classes.as_ref().map(|classes| &classes[self.places(number)])
    }

    /// Each class is to be tracked by itself; these are the classes of [`detections`](Self::detections), as
    /// [`read_classes`](crate::read_classes) gives them. Those that are missing are 0.
    #[must_use]
    pub fn with_classes(mut self, mut classes: Vec<i32>) -> Self {
        classes.resize(self.detections.len(), 0);
        self.classes = Some(classes);
        self
    }

    /// Where a frame's detections are.
    fn places(&self, number: u32) -> Range<usize> {
        let number = number as usize;
        match number == 0 || number >= self.starts.len() {
            true => 0..0,
            false => self.starts[number - 1]..self.starts[number],
        }
    }

    /// All detections, in frame order.
    #[must_use]
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: &[(u32, f64)]) -> Part {
        let mut part = Part::default();
        for &(frame, x1) in rows {
            part.push(frame, Detection { x1, y1: 0.0, x2: x1 + 1.0, y2: 1.0, score: 0.5 });
        }
        part
    }

    fn lefts(frames: &Frames, number: u32) -> Vec<f64> {
        frames.frame(number).iter().map(|detection| detection.x1).collect()
    }

    #[test]
    fn a_frame_that_spans_two_parts_is_whole_and_a_frame_without_detections_is_empty() {
        let frames = Frames::join(&[part(&[(2, 1.0), (4, 2.0)]), part(&[(4, 3.0), (5, 4.0)])]);
        assert_eq!(frames.last_frame(), 5);
        let all: Vec<_> = (0..=6).map(|number| lefts(&frames, number)).collect();
        assert_eq!(all, [vec![], vec![], vec![1.0], vec![], vec![2.0, 3.0], vec![4.0], vec![]]);
        assert_eq!(frames.detections().len(), 4);
    }

    #[test]
    fn unsorted_frames_are_sorted_and_keep_their_order_within() {
        let frames = Frames::join(&[part(&[(3, 1.0), (1, 2.0), (3, 3.0)]), part(&[(1, 4.0), (3, 5.0)])]);
        assert_eq!(lefts(&frames, 1), [2.0, 4.0]);
        assert_eq!(lefts(&frames, 3), [1.0, 3.0, 5.0]);
    }

    #[test]
    fn no_detections_are_no_frames() {
        let frames = Frames::join(&[]);
        assert_eq!((frames.last_frame(), frames.frame(1)), (0, &[][..]));
    }
}

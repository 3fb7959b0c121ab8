//! The camera's motion, estimated as rows come.

use crate::{
    camera::{Scratch, Shift, Trail, common, reach},
    ids::ById,
    row::{Row, Video},
};
use std::collections::VecDeque;

/// What [`camera_path`](crate::camera::camera_path) gives, with rows of a few seconds in memory.
#[derive(Debug)]
pub(super) struct Camera {
    reach: usize,
    trails: ById<Trail>,
    /// The shifts of frames whose motion is not decided, from the frame after the path on.
    open: VecDeque<Vec<(u64, Shift)>>,
    path: Vec<[f64; 2]>,
    at: [f64; 2],
    frame_count: usize,
}

impl Camera {
    pub(super) fn new(video: &Video) -> Self {
        let (trails, open, path, at) = Default::default();
        Self { reach: reach(video), trails, open, path, at, frame_count: 0 }
    }

    /// Takes the rows of the next frame.
    pub(super) fn frame(&mut self, frame: u32, rows: &[Row]) {
        self.end_trails(|trail| trail.end() < frame);
        for row in rows {
            let trail = self.trails.entry(row.id).or_insert_with(|| Trail::at(frame));
            trail.take(row, self.reach, note(&mut self.open, self.path.len(), row.id));
            self.frame_count = frame as usize + 1;
        }
        // A piece whose last row was in the frame before may still give those of the last reach.
        self.decide((frame as usize).saturating_sub(self.reach + 1));
    }

    /// Where the camera is in each frame up to the last row.
    pub(super) fn path(mut self) -> Vec<[f64; 2]> {
        self.end_trails(|_| true);
        self.decide(self.frame_count);
        self.path
    }

    fn end_trails(&mut self, is_ended: impl Fn(&Trail) -> bool) {
        let ended: Vec<u64> = self.trails.iter().filter(|(_, trail)| is_ended(trail)).map(|(id, _)| *id).collect();
        for id in ended {
            if let Some(trail) = self.trails.remove(&id) {
                trail.end_here(self.reach, note(&mut self.open, self.path.len(), id));
            }
        }
    }

    /// Decides the motion from each frame before `until` to the next.
    fn decide(&mut self, until: usize) {
        let (mut shifts, mut scratch) = (Vec::new(), Scratch::default());
        while self.path.len() < until {
            let mut of_frame = self.open.pop_front().unwrap_or_default();
            of_frame.sort_unstable_by_key(|&(id, _)| id);
            shifts.clear();
            shifts.extend(of_frame.into_iter().map(|(_, shift)| shift));
            let [x, y] = common(&shifts, &mut scratch);
            self.path.push(self.at);
            self.at = [self.at[0] + x, self.at[1] + y];
        }
    }
}

fn note(open: &mut VecDeque<Vec<(u64, Shift)>>, decided: usize, id: u64) -> impl FnMut(u32, Shift) {
    move |frame, shift| {
        let place = frame as usize - decided;
        if open.len() <= place {
            open.resize_with(place + 1, Vec::new);
        }
        open[place].push((id, shift));
    }
}

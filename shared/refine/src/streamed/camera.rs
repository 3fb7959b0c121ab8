//! The camera's motion, estimated as rows come.

use crate::{
    camera::{Scratch, Shift, Trail, common, reach},
    ids::ById,
    row::{Row, Video},
};
use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

/// What [`camera_path`](crate::camera::camera_path) gives, with rows of a few seconds in memory. It is computed in a thread of its own, beside the
/// tracker.
#[derive(Debug)]
pub(super) struct Camera {
    video: Video,
    gathered: Boxes,
    work: Option<Work>,
}

/// The thread, and the way to it.
#[derive(Debug)]
struct Work {
    full: SyncSender<Boxes>,
    path: JoinHandle<Vec<[f64; 2]>>,
}

/// The boxes of some frames, by id.
#[derive(Debug, Default)]
struct Boxes {
    boxes: Vec<(u64, [f64; 4])>,
    /// Each frame, and where its boxes end.
    frames: Vec<(u32, usize)>,
}

/// Frames or boxes that are handed over together, and how many times as many may wait.
const FRAMES_AT_ONCE: usize = 256;
const BOXES_AT_ONCE: usize = 2048;
const WAITING: usize = 8;

impl Camera {
    pub(super) fn new(video: &Video) -> Self {
        Self { video: *video, gathered: Boxes::default(), work: None }
    }

    /// Takes the rows of the next frame.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn frame(&mut self, frame: u32, rows: &[Row]) -> io::Result<()> {
        let Boxes { boxes, frames } = &mut self.gathered;
        boxes.extend(rows.iter().map(|row| (row.id, row.bbox)));
        frames.push((frame, boxes.len()));
        if frames.len() >= FRAMES_AT_ONCE || boxes.len() >= BOXES_AT_ONCE { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let work = match self.work.take() {
            Some(work) => work,
            None => Work::begin(&self.video)?,
        };
        // It ends early only by a panic, which `path` hands on.
        work.full.send(std::mem::take(&mut self.gathered)).ok();
        self.work = Some(work);
        Ok(())
    }

    /// Where the camera is in each frame up to the last row.
    ///
    /// # Errors
    /// As those of [`frame`](Self::frame).
    pub(super) fn path(mut self) -> io::Result<Vec<[f64; 2]>> {
        self.hand_over()?;
        let Some(Work { full, path }) = self.work else { return Ok(Vec::new()) };
        drop(full);
        Ok(path.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Work {
    fn begin(video: &Video) -> io::Result<Self> {
        let (full, to_take) = sync_channel::<Boxes>(WAITING);
        let mut moves = Moves::new(video);
        let path = thread::Builder::new().name("camera".into()).spawn(move || {
            for gathered in to_take {
                let mut start = 0;
                for &(frame, end) in &gathered.frames {
                    moves.frame(frame, &gathered.boxes[start..end]);
                    start = end;
                }
            }
            moves.path()
        })?;
        Ok(Self { full, path })
    }
}

/// The motion as far as it is known.
struct Moves {
    reach: usize,
    trails: ById<Trail>,
    /// The shifts of frames whose motion is not decided, from the frame after the path on.
    open: VecDeque<Vec<(u64, Shift)>>,
    path: Vec<[f64; 2]>,
    at: [f64; 2],
    frame_count: usize,
}

impl Moves {
    fn new(video: &Video) -> Self {
        let (trails, open, path, at) = Default::default();
        Self { reach: reach(video), trails, open, path, at, frame_count: 0 }
    }

    fn frame(&mut self, frame: u32, boxes: &[(u64, [f64; 4])]) {
        self.end_trails(|trail| trail.end() < frame);
        for &(id, bbox) in boxes {
            let trail = self.trails.entry(id).or_insert_with(|| Trail::at(frame));
            trail.take(bbox, self.reach, note(&mut self.open, self.path.len(), id));
            self.frame_count = frame as usize + 1;
        }
        // A piece whose last row was in the frame before may still give those of the last reach.
        self.decide((frame as usize).saturating_sub(self.reach + 1));
    }

    fn path(mut self) -> Vec<[f64; 2]> {
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

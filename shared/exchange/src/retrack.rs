//! Detections through the tracker, once more.

use crate::{
    detections::DetectionFile,
    error::ExchangeError,
    frames::{Frames, Part},
};
use std::{
    io, mem,
    ops::ControlFlow,
    path::Path,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};
use trackdrop_tracker::{ByteTrack, Detection, Settings, Track};

/// Takes tracks, frame by frame.
pub trait TrackSink {
    /// The tracks of the next frame, in the tracker's order, and after them those that a refinement added, whose `detection` means
    /// nothing; frames are numbered from 1, and none is left out.
    ///
    /// # Errors
    /// They can't be written. The sink is not used again.
    fn frame(&mut self, number: u32, tracks: &[Track], added: &[Track]) -> io::Result<()>;

    /// Writes the rest, after the last frame.
    ///
    /// # Errors
    /// It can't be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// What was tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retracked {
    /// Frames stepped through, also those without a detection.
    pub frames: u32,
    /// Rows: one per track per frame.
    pub rows: u64,
    /// Different ids among the rows.
    pub ids: u64,
    /// Detections that the tracker refused, for example with NaN or without a size.
    pub refused: u64,
}

/// Tracks all frames from 1 on and gives every activated track to the sink, which is then finished.
///
/// The last frame is `frame_count`, or else the last with a detection. Frames without detections are steps, too: in them
/// tracks grow old. The tracker runs in a thread of its own while the sink writes in this one.
///
/// # Errors
/// A setting is out of its range; `frame_count` would leave out detections; or the sink fails.
pub fn retrack(
    frames: &Frames,
    settings: &Settings,
    frame_count: Option<u32>,
    sink: &mut dyn TrackSink,
) -> Result<Retracked, ExchangeError> {
    let last = frames.last_frame();
    let asked = frame_count.unwrap_or(last);
    if asked < last {
        return Err(ExchangeError::TooFewFrames { asked, last });
    }
    let tracker = ByteTrack::new(settings.clone())?;
    let retracked = side_by_side(tracker, sink, |mut tracking| {
        for number in 1..=asked {
            if tracking.step(number, frames.frame(number)).is_break() {
                break;
            }
        }
        tracking.finish()
    })?;
    sink.finish().map_err(ExchangeError::Write)?;
    Ok(retracked)
}

/// As [`retrack`] of what [`read_detections`](crate::read_detections) reads, with the same results, but while the file is being read, and without
/// holding it in memory. Where frames are not in ascending order the file is read once more, whole.
///
/// `create` makes the sink, and may be called twice: a sink that was not finished counts for nothing.
///
/// # Errors
/// As those of the two, and of `create`.
pub fn retrack_file<S: TrackSink>(
    path: &Path,
    settings: &Settings,
    frame_count: Option<u32>,
    mut create: impl FnMut() -> Result<S, ExchangeError>,
) -> Result<Retracked, ExchangeError> {
    let file = DetectionFile::open(path)?;
    let tracker = ByteTrack::new(settings.clone())?;
    let mut sink = create()?;
    let end = side_by_side(tracker, &mut sink, |tracking| {
        let mut order = InOrder { tracking, asked: frame_count, current: 0, detections: Vec::new(), is_sorted: true };
        file.parts(|part| order.take(part)).map(|()| order.finish())
    })??;
    match end {
        End::Tracked(retracked) => {
            sink.finish().map_err(ExchangeError::Write)?;
            Ok(retracked)
        }
        End::TooFewFrames { asked, last } => Err(ExchangeError::TooFewFrames { asked, last }),
        End::Unsorted => {
            drop(sink);
            retrack(&file.read()?, settings, frame_count, &mut create()?)
        }
    }
}

/// How a file that was tracked while it was read ended.
enum End {
    Tracked(Retracked),
    TooFewFrames { asked: u32, last: u32 },
    Unsorted,
}

/// Detections that come in pieces, as steps of the tracker.
struct InOrder<'a> {
    tracking: Tracking<'a>,
    asked: Option<u32>,
    /// The frame whose detections are being gathered; 0 before the first.
    current: u32,
    detections: Vec<Detection>,
    is_sorted: bool,
}

impl InOrder<'_> {
    fn take(&mut self, part: &Part) -> ControlFlow<()> {
        for (frame, run) in part.runs() {
            if frame < self.current {
                self.is_sorted = false;
                return ControlFlow::Break(());
            }
            // A frame may begin in one piece and end in the next.
            if frame > self.current {
                self.step_until(frame)?;
                self.current = frame;
            }
            self.detections.extend_from_slice(run);
        }
        ControlFlow::Continue(())
    }

    /// Steps through the gathered frame and those without detections after it, up to before `frame`.
    fn step_until(&mut self, frame: u32) -> ControlFlow<()> {
        let end = self.asked.map_or(frame, |asked| frame.min(asked.saturating_add(1)));
        for number in self.current.max(1)..end {
            let detections = if number == self.current { self.detections.as_slice() } else { &[] };
            self.tracking.step(number, detections)?;
        }
        self.detections.clear();
        ControlFlow::Continue(())
    }

    fn finish(mut self) -> End {
        if !self.is_sorted {
            return End::Unsorted;
        }
        let (last, asked) = (self.current, self.asked.unwrap_or(self.current));
        if asked < last {
            return End::TooFewFrames { asked, last };
        }
        // A break is the sink's failure, which is reported on the other side.
        match self.step_until(asked.saturating_add(1)) {
            ControlFlow::Continue(()) | ControlFlow::Break(()) => End::Tracked(self.tracking.finish()),
        }
    }
}

/// Runs `track` in a thread of its own, while this one gives what it tracks to the sink.
fn side_by_side<T: Send>(
    tracker: ByteTrack,
    sink: &mut dyn TrackSink,
    track: impl FnOnce(Tracking<'_>) -> T + Send,
) -> Result<T, ExchangeError> {
    let (full, to_write) = sync_channel(BATCHES);
    let (used, to_fill) = channel();
    thread::scope(|scope| {
        let tracking = scope.spawn(move || track(Tracking::new(tracker, &full, &to_fill)));
        write(sink, &to_write, &used)?;
        // Where the sink fails, this end of the channel must close for the tracker to stop.
        drop(to_write);
        Ok(tracking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
    .map_err(ExchangeError::Write)
}

/// Batches in flight at most: enough that neither side waits for a hiccup of the other.
const BATCHES: usize = 8;

/// A batch is handed over when it has this many tracks or frames.
const BATCH_TRACKS: usize = 4096;
const BATCH_FRAMES: usize = 1024;

/// The tracks of some frames in a row.
#[derive(Default)]
struct Batch {
    tracks: Vec<Track>,
    /// For each frame where its tracks end.
    ends: Vec<usize>,
}

/// A tracker whose tracks are handed over in batches.
struct Tracking<'a> {
    tracker: ByteTrack,
    retracked: Retracked,
    /// Whether an id was there before.
    seen: Vec<bool>,
    batch: Batch,
    full: &'a SyncSender<Batch>,
    to_fill: &'a Receiver<Batch>,
}

impl<'a> Tracking<'a> {
    fn new(tracker: ByteTrack, full: &'a SyncSender<Batch>, to_fill: &'a Receiver<Batch>) -> Self {
        Self { tracker, retracked: Retracked::default(), seen: Vec::new(), batch: Batch::default(), full, to_fill }
    }

    /// The next frame. Breaks where nobody takes the batches.
    fn step(&mut self, number: u32, detections: &[Detection]) -> ControlFlow<()> {
        let Self { tracker, retracked, seen, batch, .. } = self;
        let tracks = tracker.step(detections);
        batch.tracks.extend_from_slice(tracks);
        batch.ends.push(batch.tracks.len());
        retracked.frames = number;
        retracked.rows += tracks.len() as u64;
        for track in tracks {
            let id = track.id as usize;
            if id >= seen.len() {
                seen.resize(id + 1, false);
            }
            retracked.ids += u64::from(!seen[id]);
            seen[id] = true;
        }
        if batch.tracks.len() >= BATCH_TRACKS || batch.ends.len() >= BATCH_FRAMES {
            self.hand_over()?;
        }
        ControlFlow::Continue(())
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.full.send(mem::take(&mut self.batch)).is_err() {
            return ControlFlow::Break(());
        }
        self.batch = self.to_fill.try_recv().unwrap_or_default();
        self.batch.tracks.clear();
        self.batch.ends.clear();
        ControlFlow::Continue(())
    }

    /// Hands over the rest.
    fn finish(self) -> Retracked {
        // Where nobody takes it, the sink has failed, which is reported on the other side.
        self.full.send(self.batch).ok();
        Retracked { refused: self.tracker.refused(), ..self.retracked }
    }
}

/// Gives the batches to the sink and hands their buffers back.
fn write(sink: &mut dyn TrackSink, to_write: &Receiver<Batch>, used: &Sender<Batch>) -> io::Result<()> {
    let mut number = 0;
    for batch in to_write {
        let mut start = 0;
        for &end in &batch.ends {
            number += 1;
            sink.frame(number, &batch.tracks[start..end], &[])?;
            start = end;
        }
        // The tracker may have finished.
        used.send(batch).ok();
    }
    Ok(())
}

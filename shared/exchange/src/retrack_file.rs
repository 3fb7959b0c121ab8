//! Runs the tracker over a file of detections while the file is being read.

use crate::{
    detections::DetectionFile,
    error::ExchangeError,
    frames::Part,
    refined::{Gathered, retrack_refined},
    retrack::{Retracked, TrackSink, retrack, side_by_side},
    tracking::{Tracked, Tracker, Tracking},
};
use std::{io, ops::ControlFlow, path::Path};
use trackdrop_refine::{Refine, Video};
use trackdrop_tracker::{Detection, Settings, SettingsError};

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
    let tracker = Tracker::together(settings)?;
    let mut sink = create()?;
    let mut write = |frame: Tracked<'_>| sink.frame(frame.number, frame.tracks, &[]);
    match track_in_order(&file, tracker, frame_count, false, &mut write)? {
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

/// As [`retrack_refined`] of what [`read_detections`](crate::read_detections) reads, with the same results, but while the file is being read. Where
/// frames are not in ascending order the file is read once more, whole.
///
/// # Errors
/// As those of the two, and of `create`, which makes the sink.
pub fn retrack_file_refined<S: TrackSink>(
    path: &Path,
    settings: &Settings,
    frame_count: Option<u32>,
    refine: &Refine,
    video: &Video,
    create: impl FnOnce() -> Result<S, ExchangeError>,
) -> Result<Retracked, ExchangeError> {
    let file = DetectionFile::open(path)?;
    let tracker = Tracker::together(settings)?;
    let mut sink = create()?;
    let mut gathered = Gathered::new(refine, video)?;
    let mut gather = |frame: Tracked<'_>| gathered.take(frame, &[]);
    match track_in_order(&file, tracker, frame_count, true, &mut gather)? {
        End::Tracked(retracked) => gathered.refine(retracked, video, &mut sink),
        End::TooFewFrames { asked, last } => Err(ExchangeError::TooFewFrames { asked, last }),
        End::Unsorted => {
            drop(gathered);
            retrack_refined(&file.read()?, settings, frame_count, refine, video, &mut sink)
        }
    }
}

/// Tracks a file while it is being read, until a frame comes after a later one.
fn track_in_order(
    file: &DetectionFile,
    tracker: Tracker,
    asked: Option<u32>,
    with_detections: bool,
    take: &mut dyn FnMut(Tracked<'_>) -> io::Result<()>,
) -> Result<End, ExchangeError> {
    side_by_side(tracker, with_detections, take, |tracking| {
        let mut order = InOrder { tracking, asked, current: 0, detections: Vec::new(), is_sorted: true };
        file.parts(|part| order.take(part)).and_then(|()| Ok(order.finish()?))
    })?
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
            self.tracking.step(number, detections, &[])?;
        }
        self.detections.clear();
        ControlFlow::Continue(())
    }

    fn finish(mut self) -> Result<End, SettingsError> {
        if !self.is_sorted {
            return Ok(End::Unsorted);
        }
        let (last, asked) = (self.current, self.asked.unwrap_or(self.current));
        if asked < last {
            return Ok(End::TooFewFrames { asked, last });
        }
        // A break is the sink's failure, which is reported on the other side, or what `finish` says.
        match self.step_until(asked.saturating_add(1)) {
            ControlFlow::Continue(()) | ControlFlow::Break(()) => self.tracking.finish().map(End::Tracked),
        }
    }
}

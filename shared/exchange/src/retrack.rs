//! Runs the tracker over detections.

use crate::{
    error::ExchangeError,
    frames::Frames,
    tracking::{Batch, Tracked, Tracker, Tracking},
};
use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread,
};
use trackdrop_tracker::{Settings, Track};

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
    let tracker = match frames.classes(1) {
        None => Tracker::together(settings)?,
        Some(_) => Tracker::per_class(settings)?,
    };
    let mut write = |frame: Tracked<'_>| sink.frame(frame.number, frame.tracks, &[]);
    let retracked = side_by_side(tracker, false, &mut write, |mut tracking| {
        for number in 1..=asked {
            if tracking.step(number, frames.frame(number), frames.classes(number).unwrap_or_default()).is_break() {
                break;
            }
        }
        tracking.finish()
    })??;
    sink.finish().map_err(ExchangeError::Write)?;
    Ok(retracked)
}

/// Runs `track` in a thread of its own, while this one gives the frames that it tracks to `take`; with what the tracker was shown, where that is
/// asked for.
pub(crate) fn side_by_side<T: Send>(
    tracker: Tracker,
    with_detections: bool,
    take: &mut dyn FnMut(Tracked<'_>) -> io::Result<()>,
    track: impl FnOnce(Tracking<'_>) -> T + Send,
) -> Result<T, ExchangeError> {
    let (full, to_take) = sync_channel(BATCHES);
    let (used, to_fill) = channel();
    thread::scope(|scope| {
        let tracking = scope.spawn(move || track(Tracking::new(tracker, with_detections, &full, &to_fill)));
        take_all(take, &to_take, &used)?;
        // Where `take` fails, this end of the channel must close for the tracker to stop.
        drop(to_take);
        Ok(tracking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
    .map_err(ExchangeError::Write)
}

/// Batches in flight at most: enough that neither side waits for a hiccup of the other.
const BATCHES: usize = 8;

/// Gives the frames of the batches to `take` and hands their buffers back.
fn take_all(
    take: &mut dyn FnMut(Tracked<'_>) -> io::Result<()>,
    batches: &Receiver<Batch>,
    used: &Sender<Batch>,
) -> io::Result<()> {
    let mut first = 1;
    for batch in batches {
        batch.frames(first).try_for_each(&mut *take)?;
        first += batch.ends.len() as u32; // Never more frames than `MAX_FRAME`, or than were asked for.
        // The tracker may have finished.
        used.send(batch).ok();
    }
    Ok(())
}

//! Detections through the tracker, once more.

use crate::{error::ExchangeError, frames::Frames};
use std::{
    io,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};
use trackdrop_tracker::{ByteTrack, Detection, PerClass, Rules, Settings, SettingsError, Track};

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
/// Where `frames` have [classes](Frames::with_classes), each is tracked by itself.
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
    let tracker = Tracker::new(frames, settings)?;
    let (full, to_write) = sync_channel(BATCHES);
    let (used, to_fill) = channel();
    let retracked = thread::scope(|scope| {
        let tracking = scope.spawn(move || track(tracker, frames, asked, &full, &to_fill));
        write(sink, &to_write, &used)?;
        // Where the sink fails, this end of the channel must close for the tracker to stop.
        drop(to_write);
        Ok(tracking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let retracked = retracked.map_err(ExchangeError::Write)??;
    sink.finish().map_err(ExchangeError::Write)?;
    Ok(retracked)
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

/// How detections become tracks: all together as in the paper, or each class by itself.
enum Tracker {
    Together(Box<ByteTrack>),
    PerClass(Box<EachClass>),
}

/// The trackers, with what they are shown and what they give.
struct EachClass {
    trackers: PerClass,
    shown: Vec<(Detection, i32)>,
    tracks: Vec<Track>,
}

impl Tracker {
    fn new(frames: &Frames, settings: &Settings) -> Result<Self, SettingsError> {
        if frames.classes(1).is_none() {
            return Ok(Self::Together(Box::new(ByteTrack::new(settings.clone())?)));
        }
        let trackers = PerClass::new(settings.clone(), Rules::REFERENCE)?;
        Ok(Self::PerClass(Box::new(EachClass { trackers, shown: Vec::new(), tracks: Vec::new() })))
    }

    fn step(&mut self, frames: &Frames, number: u32) -> Result<&[Track], SettingsError> {
        match self {
            Self::Together(tracker) => Ok(tracker.step(frames.frame(number))),
            Self::PerClass(each) => {
                let classes = frames.classes(number).unwrap_or_default();
                each.shown.clear();
                each.shown.extend(frames.frame(number).iter().copied().zip(classes.iter().copied()));
                each.tracks = each.trackers.step(&each.shown)?;
                Ok(&each.tracks)
            }
        }
    }

    fn refused(&self) -> u64 {
        match self {
            Self::Together(tracker) => tracker.refused(),
            Self::PerClass(each) => each.trackers.refused(),
        }
    }
}

/// Steps through the frames. Stops early if nobody takes the batches.
fn track(
    mut tracker: Tracker,
    frames: &Frames,
    frame_count: u32,
    full: &SyncSender<Batch>,
    to_fill: &Receiver<Batch>,
) -> Result<Retracked, SettingsError> {
    let mut retracked = Retracked { frames: frame_count, ..Retracked::default() };
    let mut seen = Vec::new();
    let mut batch = Batch::default();
    for number in 1..=frame_count {
        let tracks = tracker.step(frames, number)?;
        batch.tracks.extend_from_slice(tracks);
        batch.ends.push(batch.tracks.len());
        retracked.rows += tracks.len() as u64;
        for track in tracks {
            let id = track.id as usize;
            if id >= seen.len() {
                seen.resize(id + 1, false);
            }
            retracked.ids += u64::from(!seen[id]);
            seen[id] = true;
        }
        if batch.tracks.len() >= BATCH_TRACKS || batch.ends.len() >= BATCH_FRAMES || number == frame_count {
            if full.send(batch).is_err() {
                break;
            }
            batch = to_fill.try_recv().unwrap_or_default();
            batch.tracks.clear();
            batch.ends.clear();
        }
    }
    retracked.refused = tracker.refused();
    Ok(retracked)
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

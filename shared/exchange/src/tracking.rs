//! The tracker in a separate thread: it gets frames, and returns batches of tracks.

use crate::retrack::Retracked;
use std::{
    mem,
    ops::ControlFlow,
    sync::mpsc::{Receiver, SyncSender},
};
use trackdrop_tracker::{ByteTrack, Detection, PerClass, Rules, Settings, SettingsError, Track};

/// A batch is handed over when it has this many tracks or frames.
const BATCH_TRACKS: usize = 4096;
const BATCH_FRAMES: usize = 1024;

/// The tracks of some frames in a row.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) tracks: Vec<Track>,
    /// For each frame where its tracks end.
    pub(crate) ends: Vec<usize>,
    /// What the tracker was shown, and for each frame where that ends; nothing where nobody asks for it.
    detections: Vec<Detection>,
    detection_ends: Vec<usize>,
}

/// A frame that was tracked.
#[derive(Clone, Copy)]
pub(crate) struct Tracked<'a> {
    /// From 1.
    pub(crate) number: u32,
    pub(crate) tracks: &'a [Track],
    /// What the tracker was shown, where that was asked for.
    pub(crate) detections: &'a [Detection],
}

impl Batch {
    fn clear(&mut self) {
        let Self { tracks, ends, detections, detection_ends } = self;
        tracks.clear();
        ends.clear();
        detections.clear();
        detection_ends.clear();
    }

    /// Its frames, the first of which has this number.
    pub(crate) fn frames(&self, first: u32) -> impl Iterator<Item = Tracked<'_>> {
        let (mut start, mut shown) = (0, 0);
        self.ends.iter().enumerate().zip(first..).map(move |((at, &end), number)| {
            let shown_end = self.detection_ends.get(at).copied().unwrap_or(0);
            let frame =
                Tracked { number, tracks: &self.tracks[start..end], detections: &self.detections[shown..shown_end] };
            (start, shown) = (end, shown_end);
            frame
        })
    }
}

/// How detections become tracks: all together as in the paper, or each class by itself.
pub(crate) enum Tracker {
    Together(Box<ByteTrack>),
    PerClass(Box<EachClass>),
}

/// The trackers, with what they are shown and what they give.
pub(crate) struct EachClass {
    trackers: PerClass,
    shown: Vec<(Detection, i32)>,
    tracks: Vec<Track>,
}

impl Tracker {
    pub(crate) fn together(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self::Together(Box::new(ByteTrack::new(settings.clone())?)))
    }

    pub(crate) fn per_class(settings: &Settings) -> Result<Self, SettingsError> {
        let trackers = PerClass::new(settings.clone(), Rules::REFERENCE)?;
        Ok(Self::PerClass(Box::new(EachClass { trackers, shown: Vec::new(), tracks: Vec::new() })))
    }

    /// The next frame; `classes` says of each detection its class, where classes are tracked by themselves.
    fn step(&mut self, detections: &[Detection], classes: &[i32]) -> Result<&[Track], SettingsError> {
        match self {
            Self::Together(tracker) => Ok(tracker.step(detections)),
            Self::PerClass(each) => {
                each.shown.clear();
                each.shown.extend(detections.iter().copied().zip(classes.iter().copied()));
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

/// A tracker whose tracks are handed over in batches.
pub(crate) struct Tracking<'a> {
    tracker: Tracker,
    retracked: Retracked,
    /// Why it can't continue.
    failed: Option<SettingsError>,
    /// Whether an id was there before.
    seen: Vec<bool>,
    batch: Batch,
    /// Whether batches have what the tracker was shown.
    with_detections: bool,
    full: &'a SyncSender<Batch>,
    to_fill: &'a Receiver<Batch>,
}

impl<'a> Tracking<'a> {
    pub(crate) fn new(
        tracker: Tracker,
        with_detections: bool,
        full: &'a SyncSender<Batch>,
        to_fill: &'a Receiver<Batch>,
    ) -> Self {
        Self {
            tracker,
            with_detections,
            retracked: Retracked::default(),
            failed: None,
            seen: Vec::new(),
            batch: Batch::default(),
            full,
            to_fill,
        }
    }

    /// The next frame. Breaks where it fails, or where nobody takes the batches.
    pub(crate) fn step(&mut self, number: u32, detections: &[Detection], classes: &[i32]) -> ControlFlow<()> {
        let Self { tracker, retracked, failed, seen, batch, with_detections, .. } = self;
        let tracks = match tracker.step(detections, classes) {
            Ok(tracks) => tracks,
            Err(error) => {
                *failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        batch.tracks.extend_from_slice(tracks);
        batch.ends.push(batch.tracks.len());
        if *with_detections {
            batch.detections.extend_from_slice(detections);
            batch.detection_ends.push(batch.detections.len());
        }
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
        if batch.tracks.len().max(batch.detections.len()) >= BATCH_TRACKS || batch.ends.len() >= BATCH_FRAMES {
            self.hand_over()?;
        }
        ControlFlow::Continue(())
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.full.send(mem::take(&mut self.batch)).is_err() {
            return ControlFlow::Break(());
        }
        self.batch = self.to_fill.try_recv().unwrap_or_default();
        self.batch.clear();
        ControlFlow::Continue(())
    }

    /// Hands over the rest.
    pub(crate) fn finish(self) -> Result<Retracked, SettingsError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        // Where nobody takes it, the sink has failed, which is reported on the other side.
        self.full.send(self.batch).ok();
        Ok(Retracked { refused: self.tracker.refused(), ..self.retracked })
    }
}

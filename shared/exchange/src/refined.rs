//! Tracks refined between the tracker, ours or another, and the file.

use crate::{
    error::ExchangeError,
    frames::Frames,
    retrack::{Retracked, TrackSink, retrack},
    tracking::Tracked,
};
use std::{
    collections::HashSet,
    io,
    ops::Range,
    sync::mpsc::{channel, sync_channel},
    thread,
};
use trackdrop_refine::{Detection, Numbers, Refine, Row, Streamed, StreamedRows, Video};
use trackdrop_tracker::{Settings, Track};

/// As [`retrack`], with the tracks refined before the sink gets them. The rows of all frames are held in temporary files where the refinements can do
/// so, and else in memory.
///
/// `video.frame_count` is not looked at: the frames are those that are tracked.
///
/// # Errors
/// As those of [`retrack`].
pub fn retrack_refined(
    frames: &Frames,
    settings: &Settings,
    frame_count: Option<u32>,
    refine: &Refine,
    video: &Video,
    sink: &mut dyn TrackSink,
) -> Result<Retracked, ExchangeError> {
    let mut gather = Gather { frames, gathered: Gathered::new(refine, video)? };
    let retracked = retrack(frames, settings, frame_count, &mut gather)?;
    gather.gathered.refine(retracked, video, sink)
}

/// Refines tracks and gives them to the sink, which is then finished. `rows` and `detections` are sorted by frame, and have no id twice
/// in one; the sink gets every frame of the video.
///
/// # Errors
/// The sink fails.
pub fn refine_tracks(
    rows: Vec<Row>,
    detections: &[Detection],
    video: &Video,
    refine: &Refine,
    sink: &mut dyn TrackSink,
) -> Result<Retracked, ExchangeError> {
    let rows = refine.apply(rows, detections, video).rows;
    let ids: HashSet<u64> = rows.iter().map(|row| row.id).collect();
    let done = Retracked { frames: video.frame_count, rows: rows.len() as u64, ids: ids.len() as u64, refused: 0 };
    write(&rows, video.frame_count, sink).map_err(ExchangeError::Write)?;
    Ok(done)
}

fn write(rows: &[Row], frame_count: u32, sink: &mut dyn TrackSink) -> io::Result<()> {
    write_frames(rows, 0..frame_count, sink)?;
    sink.finish()
}

/// Frames that are read from disk at a time, and how many times as many are read ahead.
const PORTION: u32 = 512;
const PORTIONS: usize = 2;

/// Reads in a thread of its own while this one gives rows to the sink.
fn write_streamed(mut refined: StreamedRows, frame_count: u32, sink: &mut dyn TrackSink) -> io::Result<Retracked> {
    let (full, to_write) = sync_channel::<io::Result<Vec<Row>>>(PORTIONS);
    let (used, to_fill) = channel::<Vec<Row>>();
    let ends =
        move || (0..frame_count).step_by(PORTION as usize).map(move |at| frame_count.min(at.saturating_add(PORTION)));
    let mut done = Retracked { frames: frame_count, ids: refined.ids(), ..Retracked::default() };
    thread::scope(|scope| {
        // Where the sink fails, this end of the channel must close for the thread to stop.
        let to_write = to_write;
        scope.spawn(move || {
            for end in ends() {
                let mut rows = to_fill.try_recv().unwrap_or_default();
                rows.clear();
                let portion = refined.append_until(end, &mut rows).map(|()| rows);
                if full.send(portion).is_err() {
                    break;
                }
            }
        });
        let mut start = 0;
        for (end, portion) in ends().zip(to_write) {
            let portion = portion?;
            done.rows += portion.len() as u64;
            write_frames(&portion, start..end, sink)?;
            start = end;
            // The thread may have read all.
            used.send(portion).ok();
        }
        Ok::<_, io::Error>(())
    })?;
    sink.finish()?;
    Ok(done)
}

fn write_frames(rows: &[Row], frames: Range<u32>, sink: &mut dyn TrackSink) -> io::Result<()> {
    let (mut rest, mut tracks, mut added) = (rows, Vec::new(), Vec::new());
    for frame in frames {
        let of_frame = rest.iter().take_while(|row| row.frame == frame).count();
        let (now, after) = rest.split_at(of_frame);
        tracks.clear();
        added.clear();
        for row in now {
            let [x1, y1, x2, y2] = row.bbox;
            let track = Track { id: row.id, x1, y1, x2, y2, score: row.score, detection: usize::MAX };
            if row.is_observed() { tracks.push(track) } else { added.push(track) }
        }
        sink.frame(frame + 1, &tracks, &added)?;
        rest = after;
    }
    Ok(())
}

/// Where rows are until all are known.
enum Held {
    Memory { rows: Vec<Row>, detections: Vec<Detection> },
    Disk(Box<Streamed>),
}

impl Held {
    fn new(refine: &Refine, video: &Video) -> Result<Self, ExchangeError> {
        if !Streamed::serves(refine) {
            return Ok(Self::Memory { rows: Vec::new(), detections: Vec::new() });
        }
        let file = || tempfile::tempfile().map_err(ExchangeError::Write);
        Ok(Self::Disk(Box::new(Streamed::new(refine, video, Numbers::Double, [file()?, file()?, file()?]))))
    }
}

/// The tracker's tracks together with the detections behind them, and those that are behind none.
pub(crate) struct Gathered<'a> {
    refine: &'a Refine,
    held: Held,
    /// Of the frame in hand: which detections have a track.
    taken: Vec<bool>,
    rows: Vec<Row>,
    free: Vec<Detection>,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(refine: &'a Refine, video: &Video) -> Result<Self, ExchangeError> {
        let held = Held::new(refine, video)?;
        Ok(Self { refine, held, taken: Vec::new(), rows: Vec::new(), free: Vec::new() })
    }

    /// Takes the next frame; the classes of detections are 0 where none are given.
    pub(crate) fn take(&mut self, tracked: Tracked<'_>, classes: &[i32]) -> io::Result<()> {
        let Self { refine, held, taken, rows, free } = self;
        let Tracked { number, tracks, detections } = tracked;
        let (frame, class_of) = (number - 1, |detection: usize| classes.get(detection).copied().unwrap_or(0));
        taken.clear();
        taken.resize(detections.len(), false);
        rows.clear();
        free.clear();
        for track in tracks {
            let trackdrop_tracker::Detection { x1, y1, x2, y2, .. } = detections[track.detection];
            let row = Row::new(frame, track.id, [track.x1, track.y1, track.x2, track.y2]);
            let class = class_of(track.detection);
            rows.push(Row { measured: [x1, y1, x2, y2], score: track.score, class, ..row });
            taken[track.detection] = true;
        }
        let needs_all = refine.backfill.is_some();
        if needs_all || refine.recover {
            let wanted = detections.iter().enumerate().filter(|&(at, _)| needs_all || !taken[at]);
            free.extend(wanted.filter(|(_, detection)| !detection.is_degenerate()).map(|(at, detection)| {
                let &trackdrop_tracker::Detection { x1, y1, x2, y2, score } = detection;
                Detection { frame, bbox: [x1, y1, x2, y2], score, class: class_of(at) }
            }));
        }
        match held {
            Held::Memory { rows: all, detections } => {
                all.append(rows);
                detections.append(free);
                Ok(())
            }
            Held::Disk(streamed) => streamed.frame(frame, rows, free),
        }
    }

    /// Refines them and gives them to the sink, which is then finished.
    pub(crate) fn refine(
        self,
        retracked: Retracked,
        video: &Video,
        sink: &mut dyn TrackSink,
    ) -> Result<Retracked, ExchangeError> {
        let video = Video { frame_count: retracked.frames, ..*video };
        let written = match self.held {
            Held::Memory { rows, detections } => refine_tracks(rows, &detections, &video, self.refine, sink)?,
            Held::Disk(mut streamed) => {
                streamed.set_frame_count(video.frame_count);
                let refined = streamed.finish(|_| ()).map_err(ExchangeError::Write)?;
                write_streamed(refined, video.frame_count, sink).map_err(ExchangeError::Write)?
            }
        };
        Ok(Retracked { refused: retracked.refused, ..written })
    }
}

/// Tracks of detections in memory.
struct Gather<'a> {
    frames: &'a Frames,
    gathered: Gathered<'a>,
}

impl TrackSink for Gather<'_> {
    fn frame(&mut self, number: u32, tracks: &[Track], _: &[Track]) -> io::Result<()> {
        let (detections, classes) = (self.frames.frame(number), self.frames.classes(number));
        self.gathered.take(Tracked { number, tracks, detections }, classes.unwrap_or_default())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

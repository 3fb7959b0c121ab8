//! Tracks refined between the tracker, ours or another, and the file.

use crate::{
    error::ExchangeError,
    frames::Frames,
    retrack::{Retracked, TrackSink, retrack},
};
use std::{collections::HashSet, io};
use trackdrop_refine::{Detection, Refine, Row, Video};
use trackdrop_tracker::{Settings, Track};

/// As [`retrack`], with the tracks refined before the sink gets them. The rows of all frames are held in memory.
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
    let mut gathered = Gathered { frames, refine, rows: Vec::new(), detections: Vec::new(), taken: Vec::new() };
    let retracked = retrack(frames, settings, frame_count, &mut gathered)?;
    let Gathered { rows, detections, .. } = gathered;
    let video = Video { frame_count: retracked.frames, ..*video };
    let written = refine_tracks(rows, &detections, &video, refine, sink)?;
    Ok(Retracked { refused: retracked.refused, ..written })
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
    let (mut rest, mut tracks, mut added) = (rows, Vec::new(), Vec::new());
    for frame in 0..frame_count {
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
    sink.finish()
}

/// Takes the tracker's tracks together with the detections behind them, and those that are behind none.
struct Gathered<'a> {
    frames: &'a Frames,
    refine: &'a Refine,
    rows: Vec<Row>,
    detections: Vec<Detection>,
    /// Of the frame in hand: which detections have a track.
    taken: Vec<bool>,
}

impl TrackSink for Gathered<'_> {
    fn frame(&mut self, number: u32, tracks: &[Track], _: &[Track]) -> io::Result<()> {
        let (detections, frame) = (self.frames.frame(number), number - 1);
        let classes = self.frames.classes(number).unwrap_or_default();
        let class_of = |detection: usize| classes.get(detection).copied().unwrap_or(0);
        self.taken.clear();
        self.taken.resize(detections.len(), false);
        for track in tracks {
            let trackdrop_tracker::Detection { x1, y1, x2, y2, .. } = detections[track.detection];
            let row = Row::new(frame, track.id, [track.x1, track.y1, track.x2, track.y2]);
            let class = class_of(track.detection);
            self.rows.push(Row { measured: [x1, y1, x2, y2], score: track.score, class, ..row });
            self.taken[track.detection] = true;
        }
        let needs_all = self.refine.backfill.is_some();
        if needs_all || self.refine.recover {
            let free = detections.iter().enumerate().filter(|&(at, _)| needs_all || !self.taken[at]);
            self.detections.extend(free.filter(|(_, detection)| !detection.is_degenerate()).map(|(at, detection)| {
                let &trackdrop_tracker::Detection { x1, y1, x2, y2, score } = detection;
                Detection { frame, bbox: [x1, y1, x2, y2], score, class: class_of(at) }
            }));
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

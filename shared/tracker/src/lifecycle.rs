//! The state of one track, and where tracks are stored.
//!
//! The reference stores the state (tracked, lost or removed) in every track. Here the list that has the track's slot
//! says whether it is tracked or lost. The fields `confirmed` and `timed_out` say the rest.

use crate::kalman::{Kalman, Measurement};

/// The state of one track.
#[derive(Clone, Debug)]
pub(crate) struct TrackState {
    /// From 1. If ids are given at confirmation, it is 0 until then.
    pub(crate) id: u64,
    pub(crate) first_frame: u64,
    /// The frame in which it was last matched.
    pub(crate) last_frame: u64,
    pub(crate) score: f64,
    /// Whether it was seen twice in a row, or in the tracker's first frame. Only confirmed tracks are returned.
    pub(crate) confirmed: bool,
    /// Whether it was unseen for too long once. It can still be matched in the next frame. If it is lost again, it is
    /// removed.
    pub(crate) timed_out: bool,
    /// Whether an older track is the same object.
    pub(crate) duplicate: bool,
    /// Index of its last detection in the caller's slice.
    pub(crate) detection: u32,
    pub(crate) kalman: Kalman,
}

/// A detection that is not assigned yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    pub(crate) measurement: Measurement,
    pub(crate) score: f64,
    /// Index in the caller's slice.
    pub(crate) detection: u32,
}

impl TrackState {
    pub(crate) fn born(id: u64, frame: u64, confirmed: bool, sighting: &Sighting) -> Self {
        Self {
            id,
            first_frame: frame,
            last_frame: frame,
            score: sighting.score,
            confirmed,
            timed_out: false,
            duplicate: false,
            detection: sighting.detection,
            kalman: Kalman::initiate(&sighting.measurement),
        }
    }

    pub(crate) fn matched(&mut self, frame: u64, sighting: &Sighting) {
        self.kalman.update(&sighting.measurement);
        self.last_frame = frame;
        self.score = sighting.score;
        self.detection = sighting.detection;
    }

    /// Frames from the first to the last match. Of two duplicates the one with the larger age remains.
    pub(crate) fn age(&self) -> u64 {
        self.last_frame - self.first_frame
    }
}

/// Tracks in fixed slots, so that a list of tracks is a list of numbers. Slots of removed tracks are used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks {
    slots: Vec<TrackState>,
    free: Vec<u32>,
}

impl Tracks {
    pub(crate) fn insert(&mut self, track: TrackState) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = track;
            return slot;
        }
        self.slots.push(track);
        self.slots.len() as u32 - 1
    }

    /// The slot must not be in any list.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

impl std::ops::Index<u32> for Tracks {
    type Output = TrackState;

    fn index(&self, slot: u32) -> &TrackState {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Tracks {
    fn index_mut(&mut self, slot: u32) -> &mut TrackState {
        &mut self.slots[slot as usize]
    }
}

//! One object's track over its life, and where tracks are stored.
//!
//! The reference stores a state in every track. Here a track's state is the list that holds its slot (tracked or lost), and `confirmed` and
//! `timed_out` say the rest.

use crate::kalman::{Kalman, Measurement};

/// What is remembered of one object.
#[derive(Clone, Debug)]
pub(crate) struct TrackState {
    /// From 1; 0 until it is confirmed, where ids are given then.
    pub(crate) id: u64,
    pub(crate) first_frame: u64,
    /// When it was last matched.
    pub(crate) last_frame: u64,
    pub(crate) score: f64,
    /// Seen twice in a row, or in the tracker's first frame. Only confirmed tracks are returned.
    pub(crate) confirmed: bool,
    /// Was unseen for too long once. It can still be matched in the next frame, but is never lost again: it is dropped.
    pub(crate) timed_out: bool,
    /// Found to be the same object as a longer-lived track.
    pub(crate) duplicate: bool,
    /// Index of the detection last matched, in the caller's slice.
    pub(crate) detection: u32,
    pub(crate) kalman: Kalman,
}

/// A detection on its way into a track.
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

    /// Frames between birth and last sighting: of two duplicates the one with the longer life stays.
    pub(crate) fn age(&self) -> u64 {
        self.last_frame - self.first_frame
    }
}

/// Tracks in fixed slots, so that lists of them are lists of numbers; slots of dropped tracks are used again.
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

    /// The slot must be in no list any more.
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

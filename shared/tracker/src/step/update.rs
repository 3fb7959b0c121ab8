//! What an association changes.

use super::{Candidates, Sightings};
use crate::{
    assignment::NONE,
    association::Association,
    lifecycle::{Sighting, Tracks},
    rules::Rules,
};

/// What a variance between a detection and where the filter expects it costs in a step over several frames. Anything from 0.02 to 0.05 serves.
const COST_OF_VARIANCE: f64 = 0.025;

/// The tracks of a step, as associations change them.
pub(super) struct Update<'a> {
    pub(super) tracks: &'a mut Tracks,
    pub(super) frame: u64,
    /// Frames since the step before.
    pub(super) passed: u64,
    pub(super) last_id: &'a mut u64,
    pub(super) rules: &'a Rules,
}

impl Update<'_> {
    /// Assigns sightings to candidates, updates the matched tracks, and marks the matched sightings as taken.
    ///
    /// After one frame the reference's cost is all that counts. After several, boxes of different objects overlap by chance more often, and
    /// what the filter expects tells them apart.
    pub(super) fn associate(
        &mut self,
        association: &mut Association,
        candidates: &Candidates,
        sightings: &mut Sightings,
        cost: fn(f64, f64) -> f64,
        limit: f64,
    ) {
        if candidates.slots.is_empty() || sightings.taken.is_empty() {
            return;
        }
        let Sightings { rects, sightings, taken } = sightings;
        let (tracks, counts_motion) = (&*self.tracks, self.passed > 1);
        let cost_of = |iou, row: usize, column: usize| {
            let Sighting { measurement, score, .. } = &sightings[column];
            let by_overlap = cost(iou, *score);
            if !counts_motion {
                return by_overlap;
            }
            by_overlap + COST_OF_VARIANCE * tracks[candidates.slots[row]].kalman.distance2(measurement)
        };
        let matched = association.solve(&candidates.rects, rects, cost_of, limit, self.rules);
        for (&slot, &column) in candidates.slots.iter().zip(matched) {
            if column != NONE {
                taken[column as usize] = true;
                self.matched(slot, &sightings[column as usize]);
            }
        }
    }

    pub(super) fn matched(&mut self, slot: u32, sighting: &Sighting) {
        let track = &mut self.tracks[slot];
        track.matched(self.frame, sighting);
        // Until it is confirmed, a track is seen in every frame of its life.
        if !track.confirmed && self.frame - track.first_frame + 1 >= u64::from(self.rules.confirm_frames) {
            track.confirmed = true;
            if self.rules.ids_at_confirmation {
                *self.last_id += 1;
                track.id = *self.last_id;
            }
        }
    }
}

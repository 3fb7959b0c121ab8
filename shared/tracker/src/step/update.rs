//! Applies the result of an association.

use super::{Candidates, Sightings};
use crate::{
    assignment::NONE,
    association::Association,
    lifecycle::{Sighting, Tracks},
    rules::Rules,
};

/// Weight of the squared Mahalanobis distance in the cost of a pair, in a step over several frames. All weights from
/// 0.02 to 0.05 give similar results (`docs/tracking.md`).
const COST_OF_VARIANCE: f64 = 0.025;

/// The tracks of a step, which associations change.
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
    /// After one frame the cost is that of the reference. After several frames, boxes of different objects overlap by
    /// chance more often. So the cost also has the distance from the filter's prediction.
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
        // Until a track is confirmed, it is seen in every frame.
        if !track.confirmed && self.frame - track.first_frame + 1 >= u64::from(self.rules.confirm_frames) {
            track.confirmed = true;
            if self.rules.ids_at_confirmation {
                *self.last_id += 1;
                track.id = *self.last_id;
            }
        }
    }
}

//! One frame of ByteTrack.

use crate::assignment::NONE;
use crate::association::{Association, fused_cost, iou_cost};
use crate::detection::Detection;
use crate::iou::Rect;
use crate::lifecycle::{Sighting, TrackState, Tracks};
use crate::output::Track;
use crate::settings::{
    BIRTH_MARGIN, DUPLICATE_DISTANCE, LOW_FLOOR, LOW_MATCH_LIMIT, Settings, SettingsError, UNCONFIRMED_MATCH_LIMIT,
};

/// The tracker of Zhang et al., *ByteTrack*, ECCV 2022, as its reference implementation behaves.
///
/// Each [`step`](Self::step):
/// 1. splits the detections into *high* and *low* by score, and moves every confirmed track to where it should be now;
/// 2. assigns high detections to all confirmed tracks, lost ones included, by `1 - IoU * score`;
/// 3. assigns low detections to the tracks seen in the previous frame that are still unmatched, by `1 - IoU`;
/// 4. assigns the remaining high detections to the tracks born in the previous frame, which are confirmed by that, or dropped;
/// 5. starts a new track from each high detection left over, if its score is high enough;
/// 6. loses what was not seen, drops what was lost for too long, and drops one of two tracks on the same spot.
///
/// Two quirks of the reference are kept, since identities depend on them. A track that times out stays one frame longer, and
/// can still be matched in it. A track saved that way is dropped at once when it is lost again.
///
/// # Departures from the reference
/// - Ids are counted per tracker, not per process.
/// - Where several assignments cost exactly the same, the reference's choice depends on the version of its solver. Here
///   tracks choose in order, and the lowest detection index wins.
/// - Degenerate detections ([`Detection::is_degenerate`]) are refused, not tracked as NaN.
/// - Every frame is a step, also one without detections.
#[derive(Debug)]
pub struct ByteTrack {
    pub(crate) settings: Settings,
    pub(crate) frame_count: u64,
    pub(crate) last_id: u64,
    pub(crate) refused: u64,
    pub(crate) tracks: Tracks,
    /// Slots of the tracks seen in the previous frame, in the order of the output.
    pub(crate) tracked: Vec<u32>,
    /// Slots of the tracks that may be found again.
    pub(crate) lost: Vec<u32>,
    max_time_lost: u64,
    scratch: Scratch,
    output: Vec<Track>,
}

/// Buffers that live as long as the tracker, so that a step allocates only when a scene outgrows all before it.
#[derive(Debug, Default)]
struct Scratch {
    association: Association,
    high: Sightings,
    low: Sightings,
    left_over: Sightings,
    pool: Candidates,
    still_tracked: Candidates,
    unconfirmed: Candidates,
    newly_lost: Vec<u32>,
    found_again: Vec<u32>,
}

/// Detections that wait for a track.
#[derive(Debug, Default)]
struct Sightings {
    rects: Vec<Rect>,
    sightings: Vec<Sighting>,
    taken: Vec<bool>,
}

/// Tracks that wait for a detection.
#[derive(Debug, Default)]
struct Candidates {
    rects: Vec<Rect>,
    slots: Vec<u32>,
}

impl ByteTrack {
    /// A tracker that has seen nothing.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            max_time_lost: settings.max_time_lost()?,
            settings,
            frame_count: 0,
            last_id: 0,
            refused: 0,
            tracks: Tracks::default(),
            tracked: Vec::new(),
            lost: Vec::new(),
            scratch: Scratch::default(),
            output: Vec::new(),
        })
    }

    /// Takes the detections of the next frame, none included, and returns the tracks seen in it: confirmed tracks in the
    /// order in which they became tracked.
    ///
    /// The order of detections matters: new ids are given in it. Never panics, whatever the values.
    pub fn step(&mut self, detections: &[Detection]) -> &[Track] {
        self.frame_count += 1;
        self.split_by_score(detections);
        self.predict();
        self.associate_high();
        self.associate_low();
        self.associate_unconfirmed();
        self.update_lists();
        self.drop_duplicates();
        self.report()
    }

    /// Steps so far: the number of the latest frame, counted from 1.
    #[must_use]
    pub fn frame_count(&self) -> u64 {
        self.frame_count
    }

    /// Degenerate detections refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Both comparisons are strict: a score of exactly the threshold belongs to neither.
    fn split_by_score(&mut self, detections: &[Detection]) {
        let Scratch { high, low, .. } = &mut self.scratch;
        high.clear();
        low.clear();
        for (index, detection) in (0..).zip(detections) {
            if detection.is_degenerate() {
                self.refused += 1;
            } else if detection.score > self.settings.track_thresh {
                high.push(index, detection);
            } else if detection.score > LOW_FLOOR && detection.score < self.settings.track_thresh {
                low.push(index, detection);
            }
        }
    }

    /// Tracks born in the previous frame are not predicted: they have no rate yet, and the reference skips the growth of
    /// their covariance, too.
    fn predict(&mut self) {
        let Scratch { pool, unconfirmed, .. } = &mut self.scratch;
        pool.clear();
        unconfirmed.clear();
        for &slot in &self.tracked {
            let track = &mut self.tracks[slot];
            if track.confirmed {
                track.kalman.predict();
                pool.push(slot, track);
            } else {
                unconfirmed.push(slot, track);
            }
        }
        for &slot in &self.lost {
            let track = &mut self.tracks[slot];
            track.kalman.freeze_height();
            track.kalman.predict();
            pool.push(slot, track);
        }
    }

    fn associate_high(&mut self) {
        let Scratch { association, pool, high, .. } = &mut self.scratch;
        let cost = high_cost(&self.settings);
        associate(association, pool, high, &mut self.tracks, self.frame_count, cost, self.settings.match_thresh);
    }

    /// Low scores are often occluded objects, so they may continue a track, but they are too weak to find a lost one again.
    fn associate_low(&mut self) {
        let Scratch { association, pool, still_tracked, low, .. } = &mut self.scratch;
        still_tracked.clear();
        for (&slot, &rect) in pool.slots.iter().zip(&pool.rects) {
            let last_frame = self.tracks[slot].last_frame;
            if last_frame == self.frame_count - 1 {
                still_tracked.slots.push(slot);
                still_tracked.rects.push(rect);
            }
        }
        associate(association, still_tracked, low, &mut self.tracks, self.frame_count, iou_cost, LOW_MATCH_LIMIT);
    }

    fn associate_unconfirmed(&mut self) {
        let Scratch { association, unconfirmed, high, left_over, .. } = &mut self.scratch;
        left_over.clear();
        left_over.extend_from_untaken(high);
        let cost = high_cost(&self.settings);
        associate(
            association,
            unconfirmed,
            left_over,
            &mut self.tracks,
            self.frame_count,
            cost,
            UNCONFIRMED_MATCH_LIMIT,
        );
    }

    /// Tracked: those seen, then the newborn, then those found again. Lost: the old ones, then the new ones.
    fn update_lists(&mut self) {
        let Self { tracks, tracked, lost, scratch, frame_count, max_time_lost, .. } = self;
        let Scratch { left_over, newly_lost, found_again, .. } = scratch;
        let frame = *frame_count;
        newly_lost.clear();
        found_again.clear();

        tracked.retain(|&slot| {
            let track = &tracks[slot];
            if track.last_frame == frame {
                return true;
            }
            if track.confirmed && !track.timed_out {
                newly_lost.push(slot);
            } else {
                tracks.remove(slot);
            }
            false
        });
        lost.retain(|&slot| {
            let track = &mut tracks[slot];
            if track.last_frame == frame {
                found_again.push(slot);
                return false;
            }
            // The reference looks for removed tracks before it removes those of this frame: hence one frame of grace.
            if track.timed_out {
                tracks.remove(slot);
                return false;
            }
            track.timed_out = frame - track.last_frame > *max_time_lost;
            true
        });
        lost.extend_from_slice(newly_lost);

        let birth_thresh = self.settings.track_thresh + BIRTH_MARGIN;
        for (sighting, _) in left_over.sightings.iter().zip(&left_over.taken).filter(|&(_, &taken)| !taken) {
            if sighting.score >= birth_thresh {
                self.last_id += 1;
                tracked.push(tracks.insert(TrackState::born(self.last_id, frame, sighting)));
            }
        }
        tracked.extend_from_slice(found_again);
    }

    /// Of a tracked and a lost track on the same spot the longer-lived stays; at equal age the lost one.
    fn drop_duplicates(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let Self { tracks, tracked, lost, scratch, .. } = self;
        let Scratch { association, pool, still_tracked: gone, .. } = scratch;
        pool.clear();
        tracked.iter().for_each(|&slot| pool.push(slot, &tracks[slot]));
        gone.clear();
        lost.iter().for_each(|&slot| gone.push(slot, &tracks[slot]));

        association.closer_than(DUPLICATE_DISTANCE, &pool.rects, &gone.rects, |i, j| {
            let (seen, unseen) = (pool.slots[i], gone.slots[j]);
            let dropped = if tracks[seen].age() > tracks[unseen].age() { unseen } else { seen };
            tracks[dropped].duplicate = true;
        });
        for list in [tracked, lost] {
            list.retain(|&slot| {
                let duplicate = tracks[slot].duplicate;
                if duplicate {
                    tracks.remove(slot);
                }
                !duplicate
            });
        }
    }

    fn report(&mut self) -> &[Track] {
        self.output.clear();
        for &slot in &self.tracked {
            let TrackState { id, score, detection, confirmed, kalman, .. } = &self.tracks[slot];
            if *confirmed {
                let Rect { x1, y1, x2, y2 } = kalman.rect();
                self.output.push(Track { id: *id, x1, y1, x2, y2, score: *score, detection: *detection as usize });
            }
        }
        &self.output
    }
}

/// The cost of the first and the third association.
fn high_cost(settings: &Settings) -> fn(f64, f64) -> f64 {
    if settings.score_fusion { fused_cost } else { iou_cost }
}

/// Assigns sightings to candidates, updates the matched tracks, and marks the matched sightings as taken.
fn associate(
    association: &mut Association,
    candidates: &Candidates,
    sightings: &mut Sightings,
    tracks: &mut Tracks,
    frame: u64,
    cost: fn(f64, f64) -> f64,
    limit: f64,
) {
    if candidates.slots.is_empty() || sightings.taken.is_empty() {
        return;
    }
    let Sightings { rects, sightings, taken } = sightings;
    let matched = association.solve(&candidates.rects, rects, |iou, column| cost(iou, sightings[column].score), limit);
    for (&slot, &column) in candidates.slots.iter().zip(matched) {
        if column != NONE {
            taken[column as usize] = true;
            tracks[slot].matched(frame, &sightings[column as usize]);
        }
    }
}

impl Sightings {
    fn clear(&mut self) {
        self.rects.clear();
        self.sightings.clear();
        self.taken.clear();
    }

    fn push(&mut self, index: u32, detection: &Detection) {
        self.rects.push(detection.rect());
        self.sightings.push(Sighting {
            measurement: detection.measurement(),
            score: detection.score,
            detection: index,
        });
        self.taken.push(false);
    }

    fn extend_from_untaken(&mut self, others: &Self) {
        for index in (0..others.taken.len()).filter(|&index| !others.taken[index]) {
            self.rects.push(others.rects[index]);
            self.sightings.push(others.sightings[index]);
            self.taken.push(false);
        }
    }
}

impl Candidates {
    fn clear(&mut self) {
        self.rects.clear();
        self.slots.clear();
    }

    fn push(&mut self, slot: u32, track: &TrackState) {
        self.rects.push(track.kalman.rect());
        self.slots.push(slot);
    }
}

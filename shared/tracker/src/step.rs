//! One frame of ByteTrack.

mod camera;
mod far;
mod update;

use crate::{
    assignment::NONE,
    association::{Association, fused_cost, iou_cost, single_fused_cost, single_iou_cost},
    detection::Detection,
    iou::Rect,
    lifecycle::{Sighting, TrackState, Tracks},
    output::Track,
    rules::{Level, Rules},
    settings::{LOW_MATCH_LIMIT, Settings, SettingsError, UNCONFIRMED_MATCH_LIMIT},
};
use update::Update;

/// The cost limit of [`ByteTrack::overlapping`].
const OVERLAP_LIMIT: f64 = 0.5;

/// The tracker of Zhang et al., *ByteTrack*, ECCV 2022, as its reference implementation behaves.
///
/// Each [`step`](Self::step):
/// 1. divides the detections into *high* and *low* by score, and predicts the position of every confirmed track;
/// 2. assigns high detections to all confirmed tracks, lost ones included, by `1 - IoU * score`;
/// 3. assigns low detections to the tracks seen in the previous frame that are still unmatched, by `1 - IoU`;
/// 4. assigns the remaining high detections to the tracks that began in the previous frame; this confirms these tracks,
///    and those without a detection are removed;
/// 5. begins a new track from each remaining high detection, if its score is high enough;
/// 6. marks tracks that were not seen as lost, removes tracks that were lost for too long, and removes one of two
///    tracks at the same place.
///
/// Two peculiarities of the reference are retained, because identities depend on them. A track that times out exists
/// one frame longer, and can still be matched in that frame. If it is matched, and is lost again later, it is removed
/// at once.
///
/// # Differences from the reference
/// - Ids are counted per tracker, not per process.
/// - If several assignments cost exactly the same, the reference's choice depends on the version of its solver. Here
///   tracks choose in order, and each takes the lowest index of a detection.
/// - Degenerate detections ([`Detection::is_degenerate`]) are refused. The reference tracks them as NaN.
/// - Every frame is a step, also one without detections.
#[derive(Debug)]
pub struct ByteTrack {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    pub(crate) frame_count: u64,
    pub(crate) last_id: u64,
    pub(crate) refused: u64,
    pub(crate) tracks: Tracks,
    /// Slots of the tracks seen in the previous frame, in the order of the output.
    pub(crate) tracked: Vec<u32>,
    /// Slots of the tracks that can be found again.
    pub(crate) lost: Vec<u32>,
    max_time_lost: u64,
    /// Frames from the previous step to the latest one.
    passed: u64,
    /// The tracks that began in the latest step, if it went over several frames: id, and index of the detection.
    newborn: Vec<(u64, usize)>,
    births: Vec<(u64, usize)>,
    scratch: Scratch,
    output: Vec<Track>,
}

/// Buffers of all steps. A step allocates only if it has more boxes than all steps before it.
#[derive(Debug, Default)]
struct Scratch {
    association: Association,
    high: Sightings,
    low: Sightings,
    left_over: Sightings,
    /// Places among sightings.
    order: Vec<usize>,
    pool: Candidates,
    still_tracked: Candidates,
    unconfirmed: Candidates,
    newly_lost: Vec<u32>,
    found_again: Vec<u32>,
    far: far::Far,
    off: camera::Off,
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
    /// A new tracker.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Self::with_rules(settings, Rules::REFERENCE)
    }

    /// A new tracker that differs from the reference as `rules` says.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn with_rules(settings: Settings, rules: Rules) -> Result<Self, SettingsError> {
        Ok(Self {
            max_time_lost: settings.max_time_lost()?,
            settings,
            rules,
            frame_count: 0,
            last_id: 0,
            refused: 0,
            tracks: Tracks::default(),
            tracked: Vec::new(),
            lost: Vec::new(),
            passed: 1,
            newborn: Vec::new(),
            births: Vec::new(),
            scratch: Scratch::default(),
            output: Vec::new(),
        })
    }

    /// Takes the detections of the next frame, and returns the tracks that were seen in it. Call it for every frame,
    /// also for one without detections. The tracks are confirmed, and in the order in which they became tracked.
    ///
    /// The order of detections matters, because new ids are given in this order. No value causes a panic.
    pub fn step(&mut self, detections: &[Detection]) -> &[Track] {
        self.step_after(1, detections)
    }

    /// The same as [`step`](Self::step), for a frame that is `frames` frames after the previous one. No detector looked
    /// at the frames between them. For the first frame of a video `frames` is 1. A value of 0 is taken as 1.
    ///
    /// If `frames` is more than 1, the tracker differs from the reference:
    /// - The filters of all tracks, also of new ones, predict this many frames ahead, one after the other. So their
    ///   uncertainty grows as it would frame by frame.
    /// - A lost track is retained for the same number of *frames*.
    /// - The cost of the associations by overlap also has the squared Mahalanobis distance of the detection from the
    ///   filter's prediction. The reason: the more frames pass, the more often a box overlaps another object's by
    ///   chance.
    /// - The associations by overlap need boxes that moved less than their own size. So one more association follows.
    ///   It assigns remaining high detections to tracks that were seen in the previous step, by that distance. Its
    ///   limit is the 95 % quantile of the chi-squared distribution.
    /// - If all tracks moved together, the tracker assumes that the camera moved. It corrects all positions before the
    ///   first association.
    pub fn step_after(&mut self, frames: u32, detections: &[Detection]) -> &[Track] {
        self.passed = u64::from(frames.max(1));
        self.frame_count += self.passed;
        self.split_by_score(detections);
        self.predict();
        if self.passed > 1 {
            self.follow_camera();
        }
        self.associate_high();
        self.associate_low();
        self.associate_unconfirmed();
        if self.passed > 1 {
            self.associate_far();
        }
        self.update_lists();
        self.drop_duplicates();
        self.report()
    }

    /// The tracks that the latest step returned for the first time, and that began in the step before it. There are
    /// some only if that step went over several frames. Each has its id, and the index of the detection with which it
    /// began. A checkpoint does not contain them.
    #[must_use]
    pub fn births(&self) -> &[(u64, usize)] {
        &self.births
    }

    /// The number of the latest frame, from 1.
    #[must_use]
    pub fn frame_count(&self) -> u64 {
        self.frame_count
    }

    /// How many degenerate detections were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The settings of this tracker.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The differences from the reference.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// For each detection, the track of the latest step whose box it overlaps, as an index into the tracks that the
    /// step returned. It is the assignment with the smallest sum of `1 - IoU - 0.5001`, over pairs with an IoU of at
    /// least 0.5.
    ///
    /// supervision finds in this way which detections were tracked. If the filtered box of a track is far from every
    /// detection, the track has none. [`Track::detection`] has the detection with which a track was really matched.
    pub fn overlapping(&mut self, detections: &[Detection]) -> Vec<Option<usize>> {
        let usable: Vec<usize> = (0..detections.len()).filter(|&index| !detections[index].is_degenerate()).collect();
        let rects: Vec<Rect> = usable
            .iter()
            .map(|&index| Rect {
                x1: detections[index].x1,
                y1: detections[index].y1,
                x2: detections[index].x2,
                y2: detections[index].y2,
            })
            .collect();
        let tracks: Vec<Rect> =
            self.output.iter().map(|&Track { x1, y1, x2, y2, .. }| Rect { x1, y1, x2, y2 }).collect();
        let rules = Rules { plain_iou: true, pairs_at_limit: true, ..self.rules };
        let cost = iou_cost_of(&rules);
        let matched =
            self.scratch.association.solve(&rects, &tracks, |iou, _, _| cost(iou, 1.0), OVERLAP_LIMIT, &rules);
        let mut of_detection = vec![None; detections.len()];
        for (&index, &track) in usable.iter().zip(matched) {
            of_detection[index] = (track != NONE).then_some(track as usize);
        }
        of_detection
    }

    /// Both comparisons are strict in the reference: a score that equals the threshold is in neither group.
    fn split_by_score(&mut self, detections: &[Detection]) {
        let Scratch { high, low, .. } = &mut self.scratch;
        high.clear();
        low.clear();
        for (index, detection) in (0..).zip(detections) {
            if detection.is_degenerate() {
                self.refused += 1;
                continue;
            }
            match self.rules.level(detection.score, self.settings.track_thresh) {
                Some(Level::High) => high.push(index, detection, &self.rules),
                Some(Level::Low) => low.push(index, detection, &self.rules),
                None => {}
            }
        }
    }

    /// Tracks that began in the previous frame are not predicted. They have no velocity yet, and the reference does not
    /// increase their covariance either.
    fn predict(&mut self) {
        let passed = self.passed;
        let Scratch { pool, unconfirmed, .. } = &mut self.scratch;
        pool.clear();
        unconfirmed.clear();
        for &slot in &self.tracked {
            let track = &mut self.tracks[slot];
            if track.confirmed {
                track.kalman.predict_frames(passed);
                pool.push(slot, track, &self.rules);
            } else {
                if passed > 1 {
                    track.kalman.predict_frames(passed);
                }
                unconfirmed.push(slot, track, &self.rules);
            }
        }
        for &slot in &self.lost {
            let track = &mut self.tracks[slot];
            track.kalman.freeze_height();
            track.kalman.predict_frames(passed);
            pool.push(slot, track, &self.rules);
        }
    }

    fn associate_high(&mut self) {
        let Scratch { association, pool, high, .. } = &mut self.scratch;
        let mut update = Update {
            tracks: &mut self.tracks,
            frame: self.frame_count,
            passed: self.passed,
            last_id: &mut self.last_id,
            rules: &self.rules,
        };
        let cost = high_cost(&self.settings, &self.rules);
        update.associate(association, pool, high, cost, self.settings.match_thresh);
    }

    /// A low score often belongs to an occluded object. So it can continue a track, but it is too weak to find a lost
    /// one again.
    fn associate_low(&mut self) {
        let Scratch { association, pool, still_tracked, low, .. } = &mut self.scratch;
        still_tracked.clear();
        for (&slot, &rect) in pool.slots.iter().zip(&pool.rects) {
            let last_frame = self.tracks[slot].last_frame;
            if last_frame == self.frame_count - self.passed {
                still_tracked.slots.push(slot);
                still_tracked.rects.push(rect);
            }
        }
        let mut update = Update {
            tracks: &mut self.tracks,
            frame: self.frame_count,
            passed: self.passed,
            last_id: &mut self.last_id,
            rules: &self.rules,
        };
        update.associate(association, still_tracked, low, iou_cost_of(&self.rules), LOW_MATCH_LIMIT);
    }

    fn associate_unconfirmed(&mut self) {
        let Scratch { association, unconfirmed, high, left_over, order, .. } = &mut self.scratch;
        self.rules.order_of_untaken(&high.taken, order);
        left_over.clear();
        left_over.extend_from(high, order);
        let mut update = Update {
            tracks: &mut self.tracks,
            frame: self.frame_count,
            passed: self.passed,
            last_id: &mut self.last_id,
            rules: &self.rules,
        };
        let cost = high_cost(&self.settings, &self.rules);
        update.associate(association, unconfirmed, left_over, cost, UNCONFIRMED_MATCH_LIMIT);
    }

    /// The order of tracked ones: seen, then new, then found again. The order of lost ones: old, then new.
    fn update_lists(&mut self) {
        let Self { tracks, tracked, lost, scratch, frame_count, max_time_lost, rules, .. } = self;
        let Scratch { left_over, newly_lost, found_again, order, .. } = scratch;
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
                track.timed_out &= !rules.forgive_timeout;
                found_again.push(slot);
                return false;
            }
            // The reference checks for removed tracks before it removes those of this frame. So a track exists one
            // frame longer.
            if track.timed_out {
                tracks.remove(slot);
                return false;
            }
            track.timed_out = frame - track.last_frame > *max_time_lost;
            true
        });
        lost.extend_from_slice(newly_lost);

        rules.order_of_untaken(&left_over.taken, order);
        for sighting in order.iter().map(|&place| &left_over.sightings[place]) {
            if rules.gives_birth(sighting.score, &self.settings) {
                let confirmed = frame == 1 && rules.confirm_frames <= 1;
                let has_id = confirmed || !rules.ids_at_confirmation;
                self.last_id += u64::from(has_id);
                let id = if has_id { self.last_id } else { 0 };
                tracked.push(tracks.insert(TrackState::born(id, frame, confirmed, sighting)));
            }
        }
        tracked.extend_from_slice(found_again);
    }

    /// If a tracked and a lost track are at the same place, the older one remains. At equal age the lost one remains.
    fn drop_duplicates(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let Self { tracks, tracked, lost, scratch, rules, .. } = self;
        let Scratch { association, pool, still_tracked: gone, .. } = scratch;
        pool.clear();
        tracked.iter().for_each(|&slot| pool.push(slot, &tracks[slot], rules));
        gone.clear();
        lost.iter().for_each(|&slot| gone.push(slot, &tracks[slot], rules));

        association.closer_than(rules.duplicate_distance(), &pool.rects, &gone.rects, rules, |i, j| {
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
        let Self { tracks, tracked, newborn, births, output, .. } = self;
        births.clear();
        births.extend(newborn.drain(..).filter(|(id, _)| output.iter().any(|track| track.id == *id)));
        if self.passed > 1 {
            let tracks = tracked.iter().map(|&slot| &tracks[slot]);
            let is_new = |track: &&TrackState| !track.confirmed && track.first_frame == self.frame_count;
            newborn.extend(tracks.filter(is_new).map(|track| (track.id, track.detection as usize)));
        }
        &self.output
    }
}

/// The cost of the first and the third association.
fn high_cost(settings: &Settings, rules: &Rules) -> fn(f64, f64) -> f64 {
    match (settings.score_fusion, rules.single_precision) {
        (true, false) => fused_cost,
        (true, true) => single_fused_cost,
        (false, _) => iou_cost_of(rules),
    }
}

fn iou_cost_of(rules: &Rules) -> fn(f64, f64) -> f64 {
    if rules.single_precision { single_iou_cost } else { iou_cost }
}

impl Sightings {
    fn clear(&mut self) {
        self.rects.clear();
        self.sightings.clear();
        self.taken.clear();
    }

    fn push(&mut self, index: u32, detection: &Detection, rules: &Rules) {
        self.rects.push(rules.rect(detection.rect()));
        self.sightings.push(Sighting {
            measurement: detection.measurement(rules),
            score: detection.score,
            detection: index,
        });
        self.taken.push(false);
    }

    fn extend_from(&mut self, others: &Self, places: &[usize]) {
        for &index in places {
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

    fn push(&mut self, slot: u32, track: &TrackState, rules: &Rules) {
        self.rects.push(rules.rect(track.kalman.rect()));
        self.slots.push(slot);
    }
}

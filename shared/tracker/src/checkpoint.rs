//! The whole state of a tracker as plain data, so that tracking can stop and resume in another process.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    kalman::{AXES, Covariance, Kalman},
    lifecycle::TrackState,
    rules::Rules,
    settings::{MAX_FRAMES, Settings, SettingsError},
    step::ByteTrack,
};

/// Increased whenever the fields below change their type or their meaning.
const VERSION: u32 = 1;

/// The largest count that a checkpoint may have, far from overflow.
const MAX_COUNT: u64 = MAX_FRAMES;

/// A tracker's state. Its fields are private. Store it with serde, in any format that retains 64-bit integers.
///
/// Numbers are stored as the bits of their `f64`, so a text format can't round them. Steps after [`ByteTrack::restore`]
/// return the same bits as steps without an interruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    settings: SavedSettings,
    /// Absent in checkpoints of trackers that follow the reference.
    #[serde(default, skip_serializing_if = "Rules::is_reference")]
    rules: Rules,
    frame_count: u64,
    last_id: u64,
    refused: u64,
    tracked: Vec<SavedTrack>,
    lost: Vec<SavedTrack>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSettings {
    track_thresh: Bits,
    match_thresh: Bits,
    track_buffer: u32,
    frame_rate: Bits,
    score_fusion: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTrack {
    id: u64,
    first_frame: u64,
    last_frame: u64,
    score: Bits,
    confirmed: bool,
    timed_out: bool,
    position: [Bits; AXES],
    rate: [Bits; AXES],
    /// `p`, `b`, `c` of the filter.
    length: [Bits; 3],
    aspect: [Bits; 3],
}

/// An `f64` that no format rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits(u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(bits: Bits) -> Self {
        Self::from_bits(bits.0)
    }
}

/// Why a checkpoint is refused: no tracker of this release can have written it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Written by another version of this crate.
    #[error("checkpoint version {found}, this tracker reads {VERSION}")]
    Version {
        /// The version in the checkpoint.
        found: u32,
    },
    /// Its settings are out of range.
    #[error("settings in the checkpoint: {0}")]
    Settings(#[from] SettingsError),
    /// A counter is larger than any tracker can have counted.
    #[error("{name} {value} in the checkpoint is out of range")]
    Count {
        /// Which counter.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// A track contradicts the rest of the checkpoint.
    #[error("track {id} in the checkpoint {problem}")]
    Track {
        /// The track's id.
        id: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl ByteTrack {
    /// The state after the latest step.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let save = |slots: &[u32]| slots.iter().map(|&slot| SavedTrack::from(&self.tracks[slot])).collect();
        Checkpoint {
            version: VERSION,
            settings: SavedSettings::from(&self.settings),
            rules: self.rules,
            frame_count: self.frame_count,
            last_id: self.last_id,
            refused: self.refused,
            tracked: save(&self.tracked),
            lost: save(&self.lost),
        }
    }

    /// Makes a tracker that resumes where the checkpoint was taken.
    ///
    /// # Errors
    /// The checkpoint has another version, or values that no tracker can have written. Everything is checked, because a
    /// checkpoint can come from any source.
    pub fn restore(checkpoint: Checkpoint) -> Result<Self, RestoreError> {
        let Checkpoint { version, settings, rules, frame_count, last_id, refused, tracked, lost } = checkpoint;
        if version != VERSION {
            return Err(RestoreError::Version { found: version });
        }
        for (name, value) in [("frame_count", frame_count), ("last_id", last_id), ("refused", refused)] {
            if value > MAX_COUNT {
                return Err(RestoreError::Count { name, value });
            }
        }
        let mut tracker = Self::with_rules(Settings::from(&settings), rules)?;
        (tracker.frame_count, tracker.last_id, tracker.refused) = (frame_count, last_id, refused);

        let mut ids = BTreeSet::new();
        for (saved, is_lost) in tracked.iter().map(|track| (track, false)).chain(lost.iter().map(|track| (track, true)))
        {
            saved
                .check(frame_count, last_id, is_lost, &rules)
                .map_err(|problem| RestoreError::Track { id: saved.id, problem })?;
            if saved.id != 0 && !ids.insert(saved.id) {
                return Err(RestoreError::Track { id: saved.id, problem: "is there twice" });
            }
            let slot = tracker.tracks.insert(TrackState::from(saved));
            if is_lost { tracker.lost.push(slot) } else { tracker.tracked.push(slot) }
        }
        Ok(tracker)
    }
}

impl SavedTrack {
    /// Checks what the steps rely on. Other numbers need only be finite: the steps can process all of them.
    fn check(&self, frame_count: u64, last_id: u64, is_lost: bool, rules: &Rules) -> Result<(), &'static str> {
        let means = self.position.iter().chain(&self.rate);
        let numbers = means.chain(&self.length).chain(&self.aspect).chain([&self.score]);
        let nameless = rules.ids_at_confirmation && !self.confirmed;
        let problems = [
            ((self.id == 0 && !nameless) || self.id > last_id, "has an id that was never given"),
            (self.first_frame == 0 || self.first_frame > self.last_frame, "was seen before it was born"),
            (is_lost && self.last_frame >= frame_count, "is lost but was seen in the latest frame"),
            (is_lost && !self.confirmed, "is lost but was never confirmed"),
            (!is_lost && self.last_frame != frame_count, "is tracked but was not seen in the latest frame"),
            (numbers.copied().any(|bits| !f64::from(bits).is_finite()), "holds a number that is not finite"),
        ];
        problems.into_iter().find(|&(wrong, _)| wrong).map_or(Ok(()), |(_, problem)| Err(problem))
    }
}

impl From<&TrackState> for SavedTrack {
    fn from(track: &TrackState) -> Self {
        let TrackState { id, first_frame, last_frame, score, confirmed, timed_out, ref kalman, .. } = *track;
        let Kalman { position, rate, length, aspect } = kalman;
        let save = |&Covariance { p, b, c }: &Covariance| [p, b, c].map(Bits::from);
        Self {
            id,
            first_frame,
            last_frame,
            score: score.into(),
            confirmed,
            timed_out,
            position: position.map(Bits::from),
            rate: rate.map(Bits::from),
            length: save(length),
            aspect: save(aspect),
        }
    }
}

impl From<&SavedTrack> for TrackState {
    fn from(saved: &SavedTrack) -> Self {
        let covariance = |saved: [Bits; 3]| {
            let [p, b, c] = saved.map(f64::from);
            Covariance { p, b, c }
        };
        Self {
            id: saved.id,
            first_frame: saved.first_frame,
            last_frame: saved.last_frame,
            score: saved.score.into(),
            confirmed: saved.confirmed,
            timed_out: saved.timed_out,
            // Both are set before they are read again.
            duplicate: false,
            detection: 0,
            kalman: Kalman {
                position: saved.position.map(f64::from),
                rate: saved.rate.map(f64::from),
                length: covariance(saved.length),
                aspect: covariance(saved.aspect),
            },
        }
    }
}

impl From<&Settings> for SavedSettings {
    fn from(settings: &Settings) -> Self {
        let Settings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion } = *settings;
        let (track_thresh, match_thresh, frame_rate) = (track_thresh.into(), match_thresh.into(), frame_rate.into());
        Self { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion }
    }
}

impl From<&SavedSettings> for Settings {
    fn from(saved: &SavedSettings) -> Self {
        let SavedSettings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion } = *saved;
        let (track_thresh, match_thresh, frame_rate) = (track_thresh.into(), match_thresh.into(), frame_rate.into());
        Self { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion }
    }
}

//! The settings, and the constants of the reference.

use serde::{Deserialize, Serialize};

/// The second association uses only detections with a score *above* this.
pub const LOW_FLOOR: f64 = 0.1;

/// A new track begins only from a score of at least `track_thresh + BIRTH_MARGIN`.
pub const BIRTH_MARGIN: f64 = 0.1;

/// Cost limit of the second association: detections with low scores, and tracks that were seen in the previous frame.
pub(crate) const LOW_MATCH_LIMIT: f64 = 0.5;

/// Cost limit of the third association: the remaining detections, and tracks that began in the previous frame.
pub(crate) const UNCONFIRMED_MATCH_LIMIT: f64 = 0.7;

/// If a tracked and a lost box have a smaller distance than this (`1 - IoU`), they are the same object.
pub(crate) const DUPLICATE_DISTANCE: f64 = 0.15;

/// The frame rate at which `track_buffer` is the number of frames.
const REFERENCE_FRAME_RATE: f64 = 30.0;

/// Up to this, frame counts are exact as `f64`, and the sum of two of them is far from overflow.
pub(crate) const MAX_FRAMES: u64 = 1 << 53;

/// The parameters of [`ByteTrack`](crate::ByteTrack). The default is that of the reference's evaluator.
///
/// The reference's demo uses `track_thresh` 0.5 and `match_thresh` 0.8. In its mode for MOT20, costs do not include
/// scores (`score_fusion: false`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Detections with a score above this are *high*. Those between [`LOW_FLOOR`] and this are *low*. A score that
    /// equals this is neither. From 0 to 1.
    pub track_thresh: f64,
    /// Cost limit of the first association. The cost is `1 - IoU * score`, or `1 - IoU` without `score_fusion`. Above
    /// 0, at most 1.
    pub match_thresh: f64,
    /// For how many frames a lost track can be found again, at 30 frames per second.
    pub track_buffer: u32,
    /// Frames per second of the input, above 0. It scales `track_buffer`. (The reference's evaluator always passes 30.)
    pub frame_rate: f64,
    /// Whether the first and the third association multiply the IoU by the detection's score.
    pub score_fusion: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { track_thresh: 0.6, match_thresh: 0.9, track_buffer: 30, frame_rate: 30.0, score_fusion: true }
    }
}

impl Settings {
    /// Checks every range.
    ///
    /// # Errors
    /// The first value out of its range, in the order of the fields.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.max_time_lost().map(drop)
    }

    /// `trunc(frame_rate / 30 * track_buffer)`: a track that is unseen for more frames than this times out.
    pub(crate) fn max_time_lost(&self) -> Result<u64, SettingsError> {
        check_track_thresh(self.track_thresh)?;
        check_match_thresh(self.match_thresh)?;
        if !(self.frame_rate > 0.0 && self.frame_rate.is_finite()) {
            return Err(SettingsError::FrameRate(self.frame_rate));
        }
        let frames = self.frame_rate / REFERENCE_FRAME_RATE * f64::from(self.track_buffer);
        if frames >= MAX_FRAMES as f64 {
            return Err(SettingsError::TrackBuffer { track_buffer: self.track_buffer, frame_rate: self.frame_rate });
        }
        Ok(frames as u64)
    }
}

/// Checks a [`Settings::track_thresh`] alone, for callers that know it long before a tracker starts.
///
/// # Errors
/// [`SettingsError::TrackThresh`].
pub fn check_track_thresh(value: f64) -> Result<(), SettingsError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(SettingsError::TrackThresh(value)) }
}

/// The same for a [`Settings::match_thresh`].
///
/// # Errors
/// [`SettingsError::MatchThresh`].
pub fn check_match_thresh(value: f64) -> Result<(), SettingsError> {
    // Above 1 the reference assigns boxes that do not touch, and a sweep over overlaps can't find such pairs.
    if value > 0.0 && value <= 1.0 { Ok(()) } else { Err(SettingsError::MatchThresh(value)) }
}

/// A setting out of its range, with the refused value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// See [`Settings::track_thresh`].
    #[error("track_thresh must be between 0 and 1, got {0}")]
    TrackThresh(f64),
    /// See [`Settings::match_thresh`].
    #[error("match_thresh must be above 0 and at most 1, got {0}")]
    MatchThresh(f64),
    /// See [`Settings::frame_rate`].
    #[error("frame_rate must be a positive number of frames per second, got {0}")]
    FrameRate(f64),
    /// The two together retain lost tracks for more frames than can be counted.
    #[error("track_buffer {track_buffer} at {frame_rate} frames per second is more frames than can be counted")]
    TrackBuffer {
        /// See [`Settings::track_buffer`].
        track_buffer: u32,
        /// See [`Settings::frame_rate`].
        frame_rate: f64,
    },
}

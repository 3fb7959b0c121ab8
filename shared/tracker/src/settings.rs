//! What can be tuned, and the constants of the reference that cannot.

use serde::{Deserialize, Serialize};

/// A detection takes part in the second association only if its score is *above* this.
pub const LOW_FLOOR: f64 = 0.1;

/// A new track is born only from a score of at least `track_thresh + BIRTH_MARGIN`.
pub const BIRTH_MARGIN: f64 = 0.1;

/// Cost limit of the second association, low-score detections to tracks that were seen in the previous frame.
pub(crate) const LOW_MATCH_LIMIT: f64 = 0.5;

/// Cost limit of the third association, left-over detections to tracks born in the previous frame.
pub(crate) const UNCONFIRMED_MATCH_LIMIT: f64 = 0.7;

/// A tracked and a lost box closer than this (`1 - IoU`) are one object.
pub(crate) const DUPLICATE_DISTANCE: f64 = 0.15;

/// The frame rate at which `track_buffer` counts frames one to one.
const REFERENCE_FRAME_RATE: f64 = 30.0;

/// Frame counts stay exactly representable as `f64`, and sums of two of them stay far from overflow.
pub(crate) const MAX_FRAMES: u64 = 1 << 53;

/// The parameters of [`ByteTrack`](crate::ByteTrack). The default is that of the reference's evaluator.
///
/// The reference's demo uses `track_thresh` 0.5 and `match_thresh` 0.8; its mode for MOT20 does not weigh by scores (`score_fusion: false`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Detections scoring strictly above are *high*, those between [`LOW_FLOOR`] and this are *low*; a score that equals
    /// it is neither. In `0..=1`.
    pub track_thresh: f64,
    /// Cost limit of the first association; cost is `1 - IoU`, or `1 - IoU * score` with fusion. In `0 < .. <= 1`.
    pub match_thresh: f64,
    /// Frames at 30 frames per second for which a lost track may be found again.
    pub track_buffer: u32,
    /// Frames per second of the input; scales `track_buffer`. Positive. (The reference's evaluator always passes 30.)
    pub frame_rate: f64,
    /// Whether the first and third association multiply the IoU with the detection's score.
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

    /// `trunc(frame_rate / 30 * track_buffer)`: a track unseen for more frames than this times out.
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

/// Checks a [`Settings::track_thresh`] by itself, for those who know of one long before a tracker starts.
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
    // Above 1 the reference pairs boxes that do not even touch, which no sweep over overlaps could find.
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
    /// The two together keep lost tracks for more frames than can be counted.
    #[error("track_buffer {track_buffer} at {frame_rate} frames per second is more frames than can be counted")]
    TrackBuffer {
        /// See [`Settings::track_buffer`].
        track_buffer: u32,
        /// See [`Settings::frame_rate`].
        frame_rate: f64,
    },
}

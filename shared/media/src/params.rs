//! What the annotated video takes over from its source.

use serde::{Deserialize, Serialize};

use crate::{ColorTags, Rational};

/// The properties of a source that its annotated video keeps. The same value is used for all segments of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoParams {
    /// Width of the decoded picture in pixels, before rotation.
    pub width: u32,
    /// Height of the decoded picture in pixels, before rotation.
    pub height: u32,
    /// Seconds per tick of the source's timestamps.
    pub time_base: Rational,
    /// Average pictures per second; sets the distance of key frames, never a time.
    pub frame_rate: Rational,
    /// Width of a pixel divided by its height.
    pub sample_aspect_ratio: Rational,
    /// The display matrix (rotation, mirroring) as stored in the source.
    pub display_matrix: Option<[i32; 9]>,
    /// What the numbers in a picture mean as colours.
    pub color: ColorTags,
    /// PTS of the presentation's time 0.
    pub origin_pts: i64,
}

//! What the annotated video takes over from its source.

use ffmpeg_next::ffi;
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
    /// Whether PTS are the presented ones, after an MP4's edit list. They are in all plans but those of older versions.
    #[serde(default)]
    pub has_presented_times: bool,
    /// When the source was recorded, as its container says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<String>,
}

impl VideoParams {
    /// Size of the annotated video in pixels: H.264 with 4:2:0 chroma needs even sides, so an odd side grows by one
    /// column or row, a copy of its neighbour.
    pub fn even_size(&self) -> (u32, u32) {
        (self.width.next_multiple_of(2), self.height.next_multiple_of(2))
    }

    /// Clockwise degrees by which a player turns the picture, from 0 to 359.
    pub fn rotation_degrees(&self) -> i32 {
        self.display_matrix.as_ref().map_or(0, rotation_degrees)
    }

    /// The clock of the annotated video.
    pub(crate) fn output_clock(&self) -> OutputClock {
        OutputClock::exact(self.time_base)
    }
}

/// Clockwise degrees of a display matrix, from 0 to 359.
pub(crate) fn rotation_degrees(matrix: &[i32; 9]) -> i32 {
    // SAFETY: the matrix has the nine numbers that the function reads.
    let counter_clockwise = unsafe { ffi::av_display_rotation_get(matrix.as_ptr()) };
    let degrees = if counter_clockwise.is_finite() { (-counter_clockwise).round() as i32 } else { 0 };
    degrees.rem_euclid(360)
}

/// An MP4 clock, whose tick is 1/`timescale` s, in which each source tick is a whole number of ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputClock {
    pub timescale: i32,
    /// Output ticks per source tick.
    pub factor: i64,
}

impl OutputClock {
    /// Players expect at least some thousand ticks per second, so a coarse clock is multiplied.
    pub(crate) fn exact(time_base: Rational) -> Self {
        let times = 10_000_i32.div_euclid(time_base.den) + 1;
        let times = if time_base.den >= 10_000 { 1 } else { times };
        Self { timescale: time_base.den * times, factor: i64::from(time_base.num) * i64::from(times) }
    }

    /// Seconds per tick.
    pub(crate) fn time_base(self) -> Rational {
        Rational { num: 1, den: self.timescale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_clock_is_exact_for_any_source_clock() {
        for (num, den) in [(1, 10), (1, 25), (1001, 30_000), (1, 90_000), (1, 1000), (1, 1_000_000_000), (1001, 24)] {
            let clock = OutputClock::exact(Rational { num, den });
            assert!(clock.timescale >= 10_000);
            assert_eq!(i64::from(clock.timescale) * i64::from(num), clock.factor * i64::from(den));
        }
    }
}

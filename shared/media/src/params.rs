//! What the annotated video takes over from its source.

use serde::{Deserialize, Serialize};

use crate::{ColorTags, FieldOrder, Orientation, Rational, Turn};

/// The properties of a source that its annotated video keeps. The same value is used for all segments of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoParams {
    /// Width of the decoded picture in pixels, as it is stored.
    pub width: u32,
    /// Height of the decoded picture in pixels, as it is stored.
    pub height: u32,
    /// Seconds per tick of the source's timestamps.
    pub time_base: Rational,
    /// Average pictures per second; sets the distance of key frames, never a time.
    pub frame_rate: Rational,
    /// Width of a pixel divided by its height, as it is stored.
    pub sample_aspect_ratio: Rational,
    /// What makes the stored picture upright. Boxes and the annotated video are upright; what a version before this one wrote is as stored.
    #[serde(default)]
    pub orientation: Orientation,
    /// Which field comes first, if the stored pictures are interlaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_order: Option<FieldOrder>,
    /// FFmpeg's name of the pixel format, such as `yuv420p`; what a version before this one wrote has none.
    #[serde(default)]
    pub pixel_format: String,
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
    /// Size of the upright picture in pixels: boxes are in it.
    pub fn upright_size(&self) -> (u32, u32) {
        self.orientation.size((self.width, self.height))
    }

    /// Width of a pixel of the upright picture divided by its height.
    pub fn upright_aspect(&self) -> Rational {
        let Rational { num, den } = self.sample_aspect_ratio;
        if self.orientation.swaps_sides() && num > 0 { Rational { num: den, den: num } } else { Rational { num, den } }
    }

    /// Size of the annotated video in pixels: H.264 with 4:2:0 chroma needs even sides, so an odd side of the upright picture grows by one
    /// column or row, a copy of its neighbour.
    pub fn even_size(&self) -> (u32, u32) {
        let (width, height) = self.upright_size();
        (width.next_multiple_of(2), height.next_multiple_of(2))
    }

    /// How the annotated video is coded in fields, as an interlaced source is: players then treat the two alike. H.264 does so for heights that four
    /// divides, and fields that were turned on their side are columns; such pictures are coded as if they were taken at one time.
    pub(crate) fn coded_fields(&self) -> Option<FieldOrder> {
        let order =
            self.field_order.filter(|_| !self.orientation.swaps_sides() && self.even_size().1.is_multiple_of(4));
        // From the bottom up, the last row is an odd one.
        let is_reversed = self.orientation.turn == Turn::Half;
        order.map(|order| if is_reversed { order.reversed() } else { order })
    }

    /// The size that a player gives the upright picture: the pixels' shape makes one side longer and leaves the other as it is, as HTML asks
    /// of `videoWidth` and `videoHeight`.
    pub fn shown_size(&self) -> (u32, u32) {
        let ((width, height), shape) = (self.upright_size(), self.upright_aspect().to_f64());
        let longer = |side: u32, by: f64| (f64::from(side) * by).round() as u32;
        if shape >= 1.0 { (longer(width, shape), height) } else { (width, longer(height, 1.0 / shape)) }
    }

    /// The clock of the annotated video.
    pub(crate) fn output_clock(&self) -> OutputClock {
        OutputClock::exact(self.time_base)
    }
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
    fn the_shape_of_pixels_turns_with_the_picture_and_makes_one_side_longer() {
        let tick = Rational { num: 1, den: 1 };
        let mut params = VideoParams {
            width: 720,
            height: 576,
            time_base: tick,
            frame_rate: tick,
            sample_aspect_ratio: Rational { num: 64, den: 45 },
            orientation: Orientation::UPRIGHT,
            field_order: None,
            pixel_format: "yuv420p".into(),
            color: ColorTags::default(),
            origin_pts: 0,
            creation_time: None,
        };
        assert_eq!((params.upright_size(), params.shown_size()), ((720, 576), (1024, 576)));
        params.orientation.turn = Turn::Clockwise;
        assert_eq!((params.upright_size(), params.shown_size()), ((576, 720), (576, 1024)));
        assert_eq!(params.upright_aspect(), Rational { num: 45, den: 64 });
    }

    #[test]
    fn the_output_clock_is_exact_for_any_source_clock() {
        for (num, den) in [(1, 10), (1, 25), (1001, 30_000), (1, 90_000), (1, 1000), (1, 1_000_000_000), (1001, 24)] {
            let clock = OutputClock::exact(Rational { num, den });
            assert!(clock.timescale >= 10_000);
            assert_eq!(i64::from(clock.timescale) * i64::from(num), clock.factor * i64::from(den));
        }
    }
}

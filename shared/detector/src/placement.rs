//! The place of a frame in the model's input, and the conversion back to source pixels.

use serde::Deserialize;

use crate::Detection;

/// How a frame is placed in an input with another aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letterbox {
    /// Keep the ratio, pad both sides alike.
    Center,
    /// Keep the ratio, pad at the right and at the bottom; a part of a row or column is left out.
    TopLeft,
    /// Fill the input, without preserving the ratio.
    Stretch,
}

/// The filter by which a frame is scaled to its place in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// swscale's bilinear filter. If a picture becomes smaller, it averages over all pixels.
    Swscale,
    /// `INTER_LINEAR` of OpenCV: two pixels per side, for any reduction. The programs of Ultralytics and most others
    /// use it.
    OpenCv,
    /// `BILINEAR` of Pillow, with the same bytes: the same filter as swscale's, of the whole picture in RGB.
    Pillow,
}

impl Resize {
    /// The name in a card.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Swscale => "swscale",
            Self::OpenCv => "opencv",
            Self::Pillow => "pillow",
        }
    }
}

/// The rectangle of the model's input that the scaled frame fills. The rest is padding.
///
/// Input pixel x lies at source pixel `(x - pad_left) / scale_x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Width of the source frame in pixels.
    pub frame_width: u32,
    /// Height of the source frame in pixels.
    pub frame_height: u32,
    /// Width of the scaled frame in input pixels.
    pub inner_width: u32,
    /// Height of the scaled frame in input pixels.
    pub inner_height: u32,
    /// Input pixels left of the scaled frame.
    pub pad_left: u32,
    /// Input pixels above the scaled frame.
    pub pad_top: u32,
    /// Input pixels per source pixel, horizontally. If the ratio is preserved, it equals `scale_y`, although the sides
    /// of the inner rectangle are rounded to whole pixels. The families' own programs do the same.
    pub scale_x: f32,
    /// Input pixels per source pixel, vertically.
    pub scale_y: f32,
}

impl Placement {
    /// Places a frame of `frame` pixels (width, height) into an input of `input` pixels. A zero counts as 1. No side of a frame whose ratio is
    /// preserved has more than `longest_side` pixels.
    pub(crate) fn new(letterbox: Letterbox, input: (u32, u32), longest_side: Option<u32>, frame: (u32, u32)) -> Self {
        let (input, frame) = ((input.0.max(1), input.1.max(1)), (frame.0.max(1), frame.1.max(1)));
        let most = longest_side.unwrap_or(u32::MAX).max(1);
        let limit = (input.0.min(most), input.1.min(most));
        let ratio = (f64::from(limit.0) / f64::from(frame.0)).min(f64::from(limit.1) / f64::from(frame.1));
        // As in the families' own programs: Ultralytics rounds to the nearest number, YOLOX rounds down. A very narrow
        // frame retains one pixel. The result fits into a u32, because it is at most the input's size.
        let whole = if letterbox == Letterbox::TopLeft { f64::floor } else { f64::round };
        let scaled = |length: u32, limit: u32| (whole(f64::from(length) * ratio) as u32).clamp(1, limit);
        let inner = match letterbox {
            Letterbox::Stretch => input,
            Letterbox::Center | Letterbox::TopLeft => (scaled(frame.0, limit.0), scaled(frame.1, limit.1)),
        };
        let pad = match letterbox {
            Letterbox::Center => ((input.0 - inner.0) / 2, (input.1 - inner.1) / 2),
            Letterbox::TopLeft | Letterbox::Stretch => (0, 0),
        };
        let scale = |inner: u32, frame: u32| match letterbox {
            Letterbox::Stretch => (f64::from(inner) / f64::from(frame)) as f32,
            Letterbox::Center | Letterbox::TopLeft => ratio as f32,
        };
        Self {
            frame_width: frame.0,
            frame_height: frame.1,
            inner_width: inner.0,
            inner_height: inner.1,
            pad_left: pad.0,
            pad_top: pad.1,
            scale_x: scale(inner.0, frame.0),
            scale_y: scale(inner.1, frame.1),
        }
    }

    /// Cuts a box in input pixels at the edges of the frame; none if nothing is left of it.
    pub(crate) fn cut(self, detection: Detection) -> Option<Detection> {
        let (left, top) = (self.pad_left as f32, self.pad_top as f32);
        let right = left + self.frame_width as f32 * self.scale_x;
        let bottom = top + self.frame_height as f32 * self.scale_y;
        let Detection { x1, y1, x2, y2, .. } = detection;
        let (x1, x2) = (x1.clamp(left, right), x2.clamp(left, right));
        let (y1, y2) = (y1.clamp(top, bottom), y2.clamp(top, bottom));
        (x1 < x2 && y1 < y2).then_some(Detection { x1, y1, x2, y2, ..detection })
    }

    /// Takes a box from input pixels to source pixels, cut at the edges of the frame; none if nothing is left of it.
    pub(crate) fn to_source(self, detection: Detection) -> Option<Detection> {
        let x = |x: f32| ((x - self.pad_left as f32) / self.scale_x).clamp(0.0, self.frame_width as f32);
        let y = |y: f32| ((y - self.pad_top as f32) / self.scale_y).clamp(0.0, self.frame_height as f32);
        let Detection { x1, y1, x2, y2, .. } = detection;
        let clipped = Detection { x1: x(x1), y1: y(y1), x2: x(x2), y2: y(y2), ..detection };
        (clipped.x1 < clipped.x2 && clipped.y1 < clipped.y2).then_some(clipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Letterbox; 3] = [Letterbox::Center, Letterbox::TopLeft, Letterbox::Stretch];

    /// A small generator, so that the cases are many and the same in every run.
    fn random(state: &mut u64, below: u32) -> u32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 33) % u64::from(below)) as u32
    }

    #[test]
    fn a_wide_frame_lies_between_two_bars() {
        let p = Placement::new(Letterbox::Center, (416, 416), None, (768, 576));
        assert_eq!((p.inner_width, p.inner_height, p.pad_left, p.pad_top), (416, 312, 0, 52));
        let p = Placement::new(Letterbox::TopLeft, (640, 640), None, (1080, 1920));
        assert_eq!((p.inner_width, p.inner_height, p.pad_left, p.pad_top), (360, 640, 0, 0));
    }

    #[test]
    fn a_longest_side_leaves_a_margin_where_the_input_is_larger() {
        let p = Placement::new(Letterbox::Center, (640, 640), Some(636), (1280, 720));
        assert_eq!((p.inner_width, p.inner_height, p.pad_left, p.pad_top), (636, 358, 2, 141));
        let p = Placement::new(Letterbox::Center, (320, 320), Some(636), (1280, 720));
        assert_eq!((p.inner_width, p.inner_height, p.pad_left, p.pad_top), (320, 180, 0, 70));
    }

    #[test]
    fn a_row_that_is_scaled_to_a_part_of_one_counts_where_its_family_counts_it() {
        // 359.7 rows.
        for (letterbox, rows) in [(Letterbox::Center, 360), (Letterbox::TopLeft, 359)] {
            let p = Placement::new(letterbox, (640, 640), None, (854, 480));
            assert_eq!((p.inner_width, p.inner_height), (640, rows), "{letterbox:?}");
        }
    }

    #[test]
    fn the_inner_rectangle_lies_in_the_input_and_boxes_come_back() {
        let state = &mut 1;
        for case in 0..3000 {
            let input = (1 + random(state, 1280), 1 + random(state, 1280));
            let frame = (1 + random(state, 7680), 1 + random(state, 4320));
            let longest_side = (case % 5 == 0).then(|| 1 + random(state, 1280));
            let p = Placement::new(ALL[case % 3], input, longest_side, frame);
            assert!(p.inner_width >= 1 && p.pad_left + p.inner_width <= input.0, "{p:?}");
            assert!(p.inner_height >= 1 && p.pad_top + p.inner_height <= input.1, "{p:?}");

            let (x1, y1) = (random(state, frame.0) as f32, random(state, frame.1) as f32);
            let source = Detection { x1, y1, x2: x1 + 1.0, y2: y1 + 1.0, score: 0.5, class_id: 7 };
            let there = Detection {
                x1: source.x1 * p.scale_x + p.pad_left as f32,
                y1: source.y1 * p.scale_y + p.pad_top as f32,
                x2: source.x2 * p.scale_x + p.pad_left as f32,
                y2: source.y2 * p.scale_y + p.pad_top as f32,
                ..source
            };
            // An input pixel holds 2^-14 of the largest input; seen from the source it is as many times larger as the
            // frame was scaled down.
            let (dx, dy) = (2e-4 / p.scale_x + 2e-3, 2e-4 / p.scale_y + 2e-3);
            // A box thinner than that may vanish.
            let Some(back) = p.to_source(there) else {
                assert!(dx > 0.5 || dy > 0.5, "{source:?} vanished, {p:?}");
                continue;
            };
            assert!(
                (back.x1 - source.x1).abs() <= dx && (back.x2 - source.x2).abs() <= dx,
                "{back:?} {source:?} {p:?}"
            );
            assert!(
                (back.y1 - source.y1).abs() <= dy && (back.y2 - source.y2).abs() <= dy,
                "{back:?} {source:?} {p:?}"
            );
        }
    }

    #[test]
    fn boxes_are_cut_at_the_frame_and_boxes_in_the_padding_vanish() {
        let p = Placement::new(Letterbox::Center, (100, 100), None, (200, 100));
        let at = |x1, y1, x2, y2| p.to_source(Detection { x1, y1, x2, y2, score: 0.5, class_id: 0 });
        let whole = at(-5.0, -5.0, 500.0, 500.0).unwrap();
        assert_eq!((whole.x1, whole.y1, whole.x2, whole.y2), (0.0, 0.0, 200.0, 100.0));
        assert_eq!(at(10.0, 0.0, 20.0, 24.0), None);
        assert_eq!(at(20.0, 50.0, 10.0, 60.0), None, "left of its own left edge");
    }
}

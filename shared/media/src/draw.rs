//! Draws boxes, labels and trails into the planes of a picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};

use crate::{
    Canvas,
    canvas::Surface,
    paint::{Brush, Rect, track_brush},
};

/// One object to mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxMark<'a> {
    /// Left edge in pixels of the upright picture.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
    /// Identity; decides the colour.
    pub track_id: u64,
    /// Class name.
    pub label: &'a str,
    /// Confidence from 0 to 1.
    pub score: f32,
}

/// The positions of an object in earlier frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trail<'a> {
    /// Identity; decides the colour.
    pub track_id: u64,
    /// Positions in pixels, oldest first.
    pub points: &'a [(f32, f32)],
}

/// All that is drawn on one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Annotation<'a> {
    /// Boxes with labels, the last on top.
    pub boxes: &'a [BoxMark<'a>],
    /// Lines under the boxes.
    pub trails: &'a [Trail<'a>],
}

/// Draws trails, then boxes, then labels. Any coordinate is safe: parts outside the picture are clipped, and marks with
/// a NaN are left out.
pub fn draw(canvas: &mut Canvas, annotation: &Annotation<'_>) {
    let surface = &mut canvas.surface();
    let line = line_width(surface);
    for trail in annotation.trails {
        let brush = track_brush(surface, trail.track_id);
        for (nth, pair) in trail.points.windows(2).enumerate() {
            // Thinner into the past.
            let age = (nth + 1) as f32 / trail.points.len() as f32;
            brush.line(surface, pair[0], pair[1], line as f32 * (0.4 + 0.6 * age));
        }
    }
    for mark in annotation.boxes {
        if let Some(outline) = outline(mark) {
            draw_outline(surface, outline, line, track_brush(surface, mark.track_id));
        }
    }
    for mark in annotation.boxes {
        if let Some(outline) = outline(mark).filter(|o| o.touches(surface)) {
            draw_label(surface, outline, line, mark);
        }
    }
}

/// Pixels of a box edge: 2 up to 720 lines, 3 at 1080, 6 at 2160.
fn line_width(surface: &Surface<'_>) -> i32 {
    ((surface.height as f32 / 360.0).round() as i32).max(2)
}

fn outline(mark: &BoxMark<'_>) -> Option<Rect> {
    if [mark.x1, mark.y1, mark.x2, mark.y2].iter().any(|c| c.is_nan()) {
        return None;
    }
    // Far beyond any picture, far below overflow.
    let pixel = |c: f32| c.clamp(-1e6, 1e6).round() as i32;
    let rect = Rect { x0: pixel(mark.x1), y0: pixel(mark.y1), x1: pixel(mark.x2), y1: pixel(mark.y2) };
    (rect.x0 < rect.x1 && rect.y0 < rect.y1).then_some(rect)
}

/// Four bars inside the rectangle.
fn draw_outline(surface: &mut Surface<'_>, r: Rect, line: i32, brush: Brush) {
    let (line_x, line_y) = (line.min(r.x1 - r.x0), line.min(r.y1 - r.y0));
    brush.fill(surface, Rect { y1: r.y0 + line_y, ..r });
    brush.fill(surface, Rect { y0: r.y1 - line_y, ..r });
    let (top, bottom) = (r.y0 + line_y, r.y1 - line_y);
    brush.fill(surface, Rect { x1: r.x0 + line_x, y0: top, y1: bottom, ..r });
    brush.fill(surface, Rect { x0: r.x1 - line_x, y0: top, y1: bottom, ..r });
}

/// A filled plate on top of the box, inside it where there is no room above.
fn draw_label(surface: &mut Surface<'_>, outline: Rect, line: i32, mark: &BoxMark<'_>) {
    let text = label_text(mark);
    let font = Font::for_height(surface.height.min(surface.width * 2));
    let (pad_x, pad_y) = (font.height / 4, font.height / 8);
    let width = font.advance * text.chars().count() as i32 + 2 * pad_x;
    let height = font.height + 2 * pad_y;

    let Rect { x0, y0, .. } = outline;
    let top = if y0 >= height { y0 - height } else { y0.max(0) + if y0 >= 0 { line } else { 0 } };
    let top = top.min(surface.height - height).max(0);
    let left = x0.min(surface.width - width).max(0);
    let plate = Rect { x0: left, y0: top, x1: left + width, y1: top + height };

    let brush = track_brush(surface, mark.track_id);
    brush.fill(surface, plate);
    let ink = brush.readable_ink(surface);
    for (nth, letter) in text.chars().enumerate() {
        font.draw(surface, ink, letter, left + pad_x + font.advance * nth as i32, top + pad_y);
    }
}

/// A line of text in the smallest font, cut to a width in pixels.
pub(crate) fn caption(surface: &mut Surface<'_>, ink: Brush, text: &str, left: i32, top: i32, width: i32) {
    let font = Font::for_height(0);
    for (nth, letter) in text.chars().take((width / font.advance) as usize).enumerate() {
        let shown = if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
        font.draw(surface, ink, shown, left + font.advance * nth as i32, top);
    }
}

fn label_text(mark: &BoxMark<'_>) -> String {
    let name: String =
        mark.label.chars().take(24).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    let mut text = if name.is_empty() { format!("#{}", mark.track_id) } else { format!("{name} #{}", mark.track_id) };
    if mark.score.is_finite() {
        text.push_str(&format!(" {:.0}%", mark.score.clamp(0.0, 1.0) * 100.0));
    }
    text
}

/// A bitmap font at the size that suits the picture.
#[derive(Clone, Copy, Debug)]
struct Font {
    raster: RasterHeight,
    /// Whole pixels per pixel of the raster, above 1 only on very large pictures.
    scale: i32,
    height: i32,
    advance: i32,
}

impl Font {
    fn for_height(picture_height: i32) -> Self {
        let (raster, scale) = match picture_height {
            ..=899 => (RasterHeight::Size16, 1),
            900..=1299 => (RasterHeight::Size24, 1),
            1300..=1799 => (RasterHeight::Size32, 1),
            1800..=2899 => (RasterHeight::Size24, 2),
            more => (RasterHeight::Size32, (more / 1440).min(8)),
        };
        let advance = noto_sans_mono_bitmap::get_raster_width(FontWeight::Bold, raster) as i32 * scale;
        Self { raster, scale, height: raster.val() as i32 * scale, advance }
    }

    fn draw(self, surface: &mut Surface<'_>, ink: Brush, letter: char, left: i32, top: i32) {
        let Some(glyph) = get_raster(letter, FontWeight::Bold, self.raster) else { return };
        for down in 0..self.height {
            let mut x = left;
            for &strength in glyph.raster()[(down / self.scale) as usize] {
                for _ in 0..self.scale {
                    if strength > 0 {
                        ink.blend_fine(surface, x, top + down, strength);
                    }
                    x += 1;
                }
            }
        }
    }
}

//! Arranges many small pictures in one.

use ffmpeg::frame;
use ffmpeg_next as ffmpeg;
use std::path::Path;

use crate::{
    Canvas, Limits, MediaError, Rational, VideoParams,
    canvas::Surface,
    draw::caption,
    paint::{Brush, Rect},
    scale::{Scaler, Target},
    still::decode_still,
};

/// Side of a picture's place on the sheet, px, without the line below it.
const PLACE_PX: u32 = 160;
const LINE_PX: u32 = 20;
const GAP_PX: u32 = 4;
/// A side of a picture is at most 16,384 pixels: this many places a row and rows.
const MOST_ACROSS: usize = 96;
const MOST_DOWN: usize = 88;

/// Pictures that fit on a sheet.
pub const MOST_ON_A_SHEET: usize = MOST_ACROSS * MOST_DOWN;

/// A picture of a sheet: JPEG (or what [`crate::read_still`] reads) and the line below it.
#[derive(Clone, Copy, Debug)]
pub struct SheetPicture<'a> {
    /// The file's bytes.
    pub jpeg: &'a [u8],
    /// What is written below it.
    pub text: &'a str,
}

/// Arranges pictures in rows, with about as many rows as columns. It takes at most [`MOST_ON_A_SHEET`] pictures, and
/// leaves out the rest.
///
/// # Errors
/// The same as of [`crate::read_still`].
pub fn contact_sheet(pictures: &[SheetPicture<'_>]) -> Result<Canvas, MediaError> {
    let count = pictures.len().min(MOST_ON_A_SHEET);
    let across = ((count as f64).sqrt().ceil() as usize).clamp(1, MOST_ACROSS);
    let down = count.div_ceil(across).max(1);
    let step = (PLACE_PX + GAP_PX, PLACE_PX + LINE_PX + GAP_PX);
    let mut sheet = blank(across as u32 * step.0 + GAP_PX, down as u32 * step.1 + GAP_PX)?;
    for (nth, picture) in pictures.iter().take(count).enumerate() {
        let (left, top) = (GAP_PX + (nth % across) as u32 * step.0, GAP_PX + (nth / across) as u32 * step.1);
        let still = decode_still(picture.jpeg, Path::new(picture.text), &Limits::default())?;
        let (width, height) = (still.picture.width(), still.picture.height());
        let longest = width.max(height).max(1);
        let side = |of: u32| (of * PLACE_PX / longest / 2 * 2).max(2);
        let (width, height) = (side(width), side(height));
        let mut scaled = frame::Video::new(ffmpeg::format::Pixel::YUV420P, width, height);
        Scaler::default().run(&still.picture, Target::yuv420p(width, height, &mut scaled, None, false))?;
        let surface = &mut sheet.surface();
        let (x, y) = (left + (PLACE_PX - width) / 4 * 2, top + (PLACE_PX - height) / 4 * 2);
        paste(surface, &scaled, x as usize, y as usize);
        let ink = Brush::from_rgb(surface, [1.0; 3]);
        caption(surface, ink, picture.text, left as i32, (top + PLACE_PX + 2) as i32, PLACE_PX as i32);
    }
    Ok(sheet)
}

fn blank(width: u32, height: u32) -> Result<Canvas, MediaError> {
    let mut sheet = Canvas::new(&VideoParams::plain(width, height, Rational::ONE, Rational::ONE))?;
    let surface = &mut sheet.surface();
    let all = Rect { x0: 0, y0: 0, x1: surface.width, y1: surface.height };
    Brush::from_rgb(surface, [0.12; 3]).fill(surface, all);
    Ok(sheet)
}

/// Copies a yuv420p picture to an even place where it fits.
fn paste(surface: &mut Surface<'_>, picture: &frame::Video, x: usize, y: usize) {
    for plane in 0..3 {
        let half = usize::from(plane > 0);
        let (width, height) = (picture.width() as usize >> half, picture.height() as usize >> half);
        let (from, from_stride) = (picture.data(plane), picture.stride(plane));
        let (bytes, stride) = surface.plane(plane);
        for row in 0..height {
            let start = ((y >> half) + row) * stride + (x >> half);
            bytes[start..start + width].copy_from_slice(&from[row * from_stride..][..width]);
        }
    }
}

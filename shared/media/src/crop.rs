//! Small JPEGs of parts of a picture, and how good they are.

use ffmpeg::{codec, color, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Canvas, MediaError,
    scale::{Scaler, Target},
    still::encode,
};

/// The most bytes of a crop.
pub const MAX_CROP_BYTES: usize = 40_000;
/// The longer side of a crop, px: larger ones are scaled down.
const LONGEST_SIDE_PX: u32 = 320;
/// The margin of a crop on each side of the box, as a share of the box's side.
const MARGIN: f32 = 0.05;
/// JPEG qualities on FFmpeg's scale: 2 is nearly the best, and 31 the worst. The first one that makes a small enough
/// picture is used.
const QUALITIES: [i32; 5] = [4, 8, 14, 22, 31];
/// Samples per side of the grid on which sharpness is measured.
const SHARPNESS_SAMPLES: i32 = 64;

/// A crop of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CropPicture {
    /// Width, px.
    pub width: u32,
    /// Height, px.
    pub height: u32,
    /// At most [`MAX_CROP_BYTES`].
    pub jpeg: Vec<u8>,
}

/// How well an object is visible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// How many pixels of its box are in the picture.
    pub area_px: f64,
    /// Whether the box touches the picture's edge, so that a part of the object can be cut off.
    pub is_cut: bool,
    /// Mean difference of a luma sample from the mean of its neighbours, at a fixed size of the box; 0 to 255.
    pub sharpness: f64,
}

impl Canvas {
    /// How well the object in a box `[x1, y1, x2, y2]` is visible. None if no part of the box is in the picture.
    pub fn view(&self, bbox: [f32; 4]) -> Option<View> {
        let [x0, y0, x1, y1] = self.inside(bbox, 0.0)?;
        let (luma, stride) = self.plane(0);
        let (across, down) = ((x1 - x0).min(SHARPNESS_SAMPLES), (y1 - y0).min(SHARPNESS_SAMPLES));
        // The grid is the same for all sizes, because a large, blurred object is not sharper than a small one.
        let at = |x: i32, y: i32| {
            let (x, y) = (x0 + x * (x1 - x0) / across, y0 + y * (y1 - y0) / down);
            i64::from(luma[y as usize * stride + x as usize])
        };
        let (mut sum, mut count) = (0, 0);
        for y in 1..down - 1 {
            for x in 1..across - 1 {
                sum += (4 * at(x, y) - at(x - 1, y) - at(x + 1, y) - at(x, y - 1) - at(x, y + 1)).abs();
                count += 4;
            }
        }
        let is_cut = bbox[0] <= 1.0
            || bbox[1] <= 1.0
            || bbox[2] >= self.width() as f32 - 1.0
            || bbox[3] >= self.height() as f32 - 1.0;
        let area_px = f64::from(x1 - x0) * f64::from(y1 - y0);
        Some(View { area_px, is_cut, sharpness: if count == 0 { 0.0 } else { sum as f64 / count as f64 } })
    }

    /// A box `[x1, y1, x2, y2]` and a margin around it, as JPEG. None if no part of the box is in the picture.
    ///
    /// # Errors
    /// [`MediaError::Ffmpeg`], [`MediaError::Unsupported`] without an encoder for JPEG.
    pub fn crop(&self, bbox: [f32; 4]) -> Result<Option<CropPicture>, MediaError> {
        let Some(inside) = self.inside(bbox, MARGIN) else { return Ok(None) };
        let part = self.part(inside);
        let (width, height) = (part.width(), part.height());
        let mut longest = width.max(height).min(LONGEST_SIDE_PX);
        loop {
            let scaled = |side: u32| {
                ((u64::from(side) * u64::from(longest) / u64::from(width.max(height))) as u32 / 2 * 2).max(2)
            };
            let (width, height) = (scaled(width), scaled(height));
            let yuv = full_range(&part, width, height)?;
            for quality in QUALITIES {
                let jpeg = encode(codec::Id::MJPEG, &yuv, quality)?;
                if jpeg.len() <= MAX_CROP_BYTES {
                    return Ok(Some(CropPicture { width, height, jpeg }));
                }
            }
            longest = longest * 3 / 4;
        }
    }

    /// A box and a part of its sides around it, inside the picture, in whole pixels from even to even ones.
    fn inside(&self, [x1, y1, x2, y2]: [f32; 4], margin: f32) -> Option<[i32; 4]> {
        if ![x1, y1, x2, y2].iter().all(|edge| edge.is_finite()) {
            return None;
        }
        let (more_x, more_y) = ((x2 - x1) * margin, (y2 - y1) * margin);
        // With the padding to even sides.
        let edge = |value: f32, bound: u32| value.clamp(0.0, bound as f32) as i32;
        let (width, height) = (self.picture.width(), self.picture.height());
        let inside = [
            edge((x1 - more_x).floor(), width) / 2 * 2,
            edge((y1 - more_y).floor(), height) / 2 * 2,
            (edge((x2 + more_x).ceil(), width) + 1) / 2 * 2,
            (edge((y2 + more_y).ceil(), height) + 1) / 2 * 2,
        ];
        (inside[0] < inside[2] && inside[1] < inside[3]).then_some(inside)
    }

    /// A copy of a part of the picture, with the picture's colours.
    fn part(&self, [x0, y0, x1, y1]: [i32; 4]) -> frame::Video {
        let (width, height) = ((x1 - x0) as usize, (y1 - y0) as usize);
        let mut part = frame::Video::new(Pixel::YUV420P, width as u32, height as u32);
        for plane in 0..3 {
            let half = usize::from(plane > 0);
            let (from_stride, to_stride) = (self.picture.stride(plane), part.stride(plane));
            let (left, top, width, height) = (x0 as usize >> half, y0 as usize >> half, width >> half, height >> half);
            let from = self.picture.data(plane);
            let to = part.data_mut(plane);
            for row in 0..height {
                let start = (top + row) * from_stride + left;
                to[row * to_stride..][..width].copy_from_slice(&from[start..start + width]);
            }
        }
        let (is_full, is_bt709) = self.colours();
        part.set_color_range(if is_full { color::Range::JPEG } else { color::Range::MPEG });
        part.set_color_space(if is_bt709 { color::Space::BT709 } else { color::Space::SMPTE170M });
        part
    }
}

/// The picture scaled, in the YUV that JPEG has.
fn full_range(part: &frame::Video, width: u32, height: u32) -> Result<frame::Video, MediaError> {
    let stride = (width as usize * 3).next_multiple_of(64);
    let mut packed = vec![0; stride * height as usize];
    Scaler::default().run(part, Target::packed_rgb(width, height, &mut packed, stride))?;
    let mut rgb = frame::Video::new(Pixel::RGB24, width, height);
    let (to_stride, row) = (rgb.stride(0), width as usize * 3);
    for (to, from) in rgb.data_mut(0).chunks_mut(to_stride).zip(packed.chunks(stride)) {
        to[..row].copy_from_slice(&from[..row]);
    }
    let mut yuv = frame::Video::new(Pixel::YUV420P, width, height);
    Scaler::default().run(&rgb, Target::yuv420p(width, height, &mut yuv, None, true))?;
    // The same planes, under the name that FFmpeg has for them where the range is full.
    yuv.set_format(Pixel::YUVJ420P);
    Ok(yuv)
}

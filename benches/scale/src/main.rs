//! `bench-scale VIDEO`: decoded frames to RGB pictures of 416 and 640 pixels, by swscale as the product does it, and by
//! fast_image_resize plane by plane with a conversion to RGB at the small size. By turns, one thread, medians of all frames.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use std::{error::Error, path::Path, time::Instant};
use trackdrop_media::{Canvas, ChunkReader, Cutter, Limits, RgbScaler, VideoIndex, index};

const FRAMES: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let video = std::env::args().nth(1).ok_or("give a video")?;
    let index = index(Path::new(&video), &Limits::default())?;
    println!("| {} x {} to | swscale, ms | fast_image_resize, ms | ratio | mean difference, levels | most |", index.width, index.height);
    println!("|---|---|---|---|---|---|");
    for side in [416u32, 640] {
        compare(Path::new(&video), &index, side)?;
    }
    Ok(())
}

fn compare(video: &Path, index: &VideoIndex, side: u32) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let chunk = dir.path().join("chunk.mkv");
    let segments = index.plan(10.0)?;
    Cutter::open(video, index, &segments)?.next_chunk(&chunk)?;
    let window = segments[0].window();
    let mut reader = ChunkReader::open(&chunk, &window, &segments[0].frame_pts, &Limits::default(), 1)?;
    let gain = f64::from(side) / f64::from(index.width.max(index.height));
    let to = |length: u32| (f64::from(length) * gain).round() as u32;
    let (width, height) = (to(index.width), to(index.height));
    let (mut ours, mut theirs) = (RgbScaler::new(), Planes::new(width, height));
    let mut canvas = Canvas::new(&index.video_params())?;
    let plane = (width * height) as usize;
    let bytes = 3 * plane;
    let (mut a, mut b) = (vec![0u8; bytes], vec![0u8; bytes]);
    let (mut times, mut differences, mut most) = ([Vec::new(), Vec::new()], Vec::new(), 0);
    while let Some(frame) = reader.next()?.filter(|_| differences.len() < FRAMES) {
        // As a decoder leaves it: yuv420p in memory.
        canvas.load(&frame)?;
        let started = Instant::now();
        let [red, green, blue] = a.get_disjoint_mut([0..plane, plane..2 * plane, 2 * plane..bytes])?;
        frame.rgb_scaled_into(&mut ours, width, height, [red, green, blue], width as usize)?;
        let between = Instant::now();
        theirs.scale(&canvas, &mut b)?;
        times[1].push(1000.0 * between.elapsed().as_secs_f64());
        times[0].push(1000.0 * (between - started).as_secs_f64());
        let sum: u64 = a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        differences.push(sum as f64 / bytes as f64);
        most = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).fold(most, u8::max);
    }
    let [swscale, other] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let difference = differences.iter().sum::<f64>() / differences.len() as f64;
    println!("| {width} x {height} | {swscale:.3} | {other:.3} | {:.2} | {difference:.2} | {most} |", swscale / other);
    Ok(())
}

/// Each plane scaled to the small size, then BT.601 of limited range to RGB.
struct Planes {
    resizer: Resizer,
    options: ResizeOptions,
    scaled: [Image<'static>; 3],
}

impl Planes {
    fn new(width: u32, height: u32) -> Self {
        let plane = || Image::new(width, height, PixelType::U8);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Self { resizer: Resizer::new(), options, scaled: [plane(), plane(), plane()] }
    }

    fn scale(&mut self, picture: &Canvas, rgb: &mut [u8]) -> Result<(), Box<dyn Error>> {
        for (nth, scaled) in self.scaled.iter_mut().enumerate() {
            let (bytes, stride) = picture.plane(nth);
            let half = u32::from(nth > 0);
            let (width, height) = ((picture.width() + half) >> half, (picture.height() + half) >> half);
            // Rows of the picture are padded to `stride`; what is right of the picture is left out by the crop.
            let whole = ImageRef::new(stride as u32, height, &bytes[..stride * height as usize], PixelType::U8)?;
            let options = self.options.crop(0.0, 0.0, f64::from(width), f64::from(height));
            self.resizer.resize(&whole, scaled, &options)?;
        }
        let [y, u, v] = &self.scaled;
        let samples = y.buffer().iter().zip(u.buffer()).zip(v.buffer());
        let (red, rest) = rgb.split_at_mut(rgb.len() / 3);
        let (green, blue) = rest.split_at_mut(rest.len() / 2);
        let pixels = red.iter_mut().zip(green).zip(blue);
        for (((red, green), blue), ((&y, &u), &v)) in pixels.zip(samples) {
            let (y, u, v) = ((i32::from(y) - 16) * 76_309, i32::from(u) - 128, i32::from(v) - 128);
            let byte = |value: i32| ((value + 32_768) >> 16).clamp(0, 255) as u8;
            (*red, *green, *blue) =
                (byte(y + 104_597 * v), byte(y - 25_675 * u - 53_279 * v), byte(y + 132_201 * u));
        }
        Ok(())
    }
}

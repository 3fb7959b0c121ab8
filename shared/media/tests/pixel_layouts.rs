//! A GPU's decoder gives the same samples in another order (nv12). They must become the same pixels for a detector.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use common::{PICTURE, make};
use trackdrop_media::{ChunkReader, Cutter, Limits, RgbScaler, index};

/// RGB of every frame at this size.
fn rgb(pixel_format: &str, colors: &str, (width, height): (u32, u32)) -> Vec<Vec<u8>> {
    let format = format!("{PICTURE} -vf format=yuv420p,format={pixel_format} -frames:v 20 -c:v rawvideo {colors} OUT");
    let clip = make("raw.nut", &format);
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(10.0).unwrap();
    let chunk = clip.dir.path().join("chunk.mkv");
    Cutter::open(&clip.path, &video, &segments).unwrap().next_chunk(&chunk).unwrap();
    let window = segments[0].window(video.time_base);
    let mut reader = ChunkReader::open(&chunk, &window, &segments[0].frame_pts, &Limits::default(), 1).unwrap();
    let (mut scaler, mut all) = (RgbScaler::new(), Vec::new());
    while let Some(frame) = reader.next().unwrap() {
        assert!(format!("{frame:?}").contains(pixel_format), "{frame:?}");
        let mut pixels = vec![0; (width * height * 3) as usize];
        frame.rgb_scaled_into(&mut scaler, width, height, &mut pixels, width as usize * 3).unwrap();
        all.push(pixels);
        reader.take_back(frame);
    }
    assert_eq!(all.len(), 20);
    all
}

#[test]
fn planes_and_interleaved_chroma_give_the_same_rgb() {
    // Smaller as for a detector, larger, and as it is; for both matrices.
    for size in [(104, 58), (416, 234), (320, 180)] {
        for colors in ["", "-colorspace bt709 -color_range tv"] {
            assert!(rgb("yuv420p", colors, size) == rgb("nv12", colors, size), "{size:?} {colors}");
        }
    }
}

//! Single pictures are read and written without loss of what they show, and hostile ones are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{fs, path::Path, process::Command};

use common::make;
use trackdrop_media::{Annotation, BoxMark, Canvas, Limits, MediaError, RgbScaler, draw, read_still};

/// The pixels of a picture as the ffmpeg command decodes them, u8 [H, W, 3].
fn rgb_by_ffmpeg(path: &Path) -> Vec<u8> {
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn rgb(path: &Path) -> (u32, u32, Vec<u8>) {
    let still = read_still(path, &Limits::default()).unwrap();
    let (width, height) = (still.width(), still.height());
    let mut planes = [(); 3].map(|()| vec![0; (width * height) as usize]);
    let rgb = planes.each_mut().map(Vec::as_mut_slice);
    still.rgb_scaled_into(&mut RgbScaler::new(), width, height, rgb, width as usize).unwrap();
    let pixels = (0..(width * height) as usize).flat_map(|pixel| [0, 1, 2].map(|plane| planes[plane][pixel]));
    (width, height, pixels.collect())
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn a_png_is_read_exactly_and_a_jpeg_and_a_bmp_are_known_by_their_bytes() {
    for (name, tolerance) in [("a.png", 0.0), ("a.bmp", 0.0), ("a.jpg", 1.5)] {
        let still = make(name, "-f lavfi -i testsrc2=s=161x91:r=1:d=1,format=rgb24 -frames:v 1 OUT");
        let nameless = still.dir.path().join("nameless");
        fs::copy(&still.path, &nameless).unwrap();
        let (width, height, pixels) = rgb(&nameless);
        assert_eq!((width, height), (161, 91));
        assert!(mean_difference(&pixels, &rgb_by_ffmpeg(&still.path)) <= tolerance, "{name}");
    }
}

/// A photograph's EXIF data with nothing but how it is stored.
fn exif(orientation: u8) -> Vec<u8> {
    let mut data = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    data.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = data.len() as u16 + 2;
    [&[0xff, 0xe1][..], &length.to_be_bytes(), &data].concat()
}

#[test]
fn a_photograph_is_upright_however_its_camera_stored_it() {
    let still = make("a.jpg", "-f lavfi -i testsrc2=s=160x90:r=1:d=1 -q:v 2 -frames:v 1 OUT");
    let (width, height, stored) = rgb(&still.path);
    let (width, height) = (width as usize, height as usize);
    let pixel = |x: usize, y: usize| &stored[3 * (y * width + x)..][..3];
    let jpeg = fs::read(&still.path).unwrap();
    // Where the pixel at the place (u, v) of the upright picture is stored.
    type Stored = fn(usize, usize, usize, usize) -> (usize, usize);
    let places: [(u8, bool, Stored); 7] = [
        (2, false, |u, v, w, _| (w - 1 - u, v)),
        (3, false, |u, v, w, h| (w - 1 - u, h - 1 - v)),
        (4, false, |u, v, _, h| (u, h - 1 - v)),
        (5, true, |u, v, _, _| (v, u)),
        (6, true, |u, v, _, h| (v, h - 1 - u)),
        (7, true, |u, v, w, h| (w - 1 - v, h - 1 - u)),
        (8, true, |u, v, w, _| (w - 1 - v, u)),
    ];
    for (number, swaps, place) in places {
        fs::write(&still.path, [&jpeg[..2], &exif(number), &jpeg[2..]].concat()).unwrap();
        let (wide, high, upright) = rgb(&still.path);
        let size = if swaps { (height, width) } else { (width, height) };
        assert_eq!((wide as usize, high as usize), size, "{number}");
        let expected: Vec<u8> = (0..size.1)
            .flat_map(|v| (0..size.0).map(move |u| (u, v)))
            .flat_map(|(u, v)| {
                let (x, y) = place(u, v, width, height);
                pixel(x, y)
            })
            .copied()
            .collect();
        assert!(upright == expected, "{number}");
        // What is drawn on is upright, too.
        let canvas = Canvas::of_still(&read_still(&still.path, &Limits::default()).unwrap()).unwrap();
        assert_eq!((canvas.width() as usize, canvas.height() as usize), size, "{number}");
    }
}

#[test]
fn what_is_drawn_is_in_the_written_picture_and_the_rest_is_as_before() {
    let still = make("in.png", "-f lavfi -i color=0x406080:s=321x201:r=1:d=1,format=rgb24 -frames:v 1 OUT");
    let before = read_still(&still.path, &Limits::default()).unwrap();
    let mut canvas = Canvas::of_still(&before).unwrap();
    let mark = BoxMark { x1: 100.0, y1: 80.0, x2: 200.0, y2: 160.0, track_id: 1, label: "person", score: 0.9 };
    draw(&mut canvas, &Annotation { boxes: &[mark], trails: &[] });
    for name in ["out.png", "out.jpg"] {
        let out = still.dir.path().join(name);
        canvas.write_still(&out).unwrap();
        let (width, height, pixels) = rgb(&out);
        assert_eq!((width, height), (321, 201), "odd sides stay odd");
        let at = |x: usize, y: usize| &pixels[(y * 321 + x) * 3..][..3];
        let difference = |(x, y)| mean_difference(at(x, y), &[0x40, 0x60, 0x80]);
        // JPEG spreads a thin line over its neighbours.
        let drawn_from = if name == "out.png" { 20.0 } else { 12.0 };
        for point in [(100, 120), (150, 159)] {
            assert!(difference(point) > drawn_from, "{name}: the outline at {point:?}: {:?}", at(point.0, point.1));
        }
        for point in [(20, 20), (150, 120), (320, 200)] {
            assert!(difference(point) < 11.0, "{name}: not drawn on at {point:?}: {:?}", at(point.0, point.1));
        }
    }
    assert_eq!(fs::read_dir(still.dir.path()).unwrap().count(), 3, "nothing else is left behind");
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let still = make("a.png", "-f lavfi -i testsrc2=s=320x200:r=1:d=1 -frames:v 1 OUT");
    let whole = fs::read(&still.path).unwrap();
    let read = |bytes: &[u8], limits: &Limits| {
        let path = still.dir.path().join("hostile");
        fs::write(&path, bytes).unwrap();
        read_still(&path, limits).unwrap_err()
    };
    let limits = Limits::default();
    assert!(matches!(read(&[], &limits), MediaError::Empty { .. }));
    let text = read(b"#EXTM3U\n/etc/passwd\n", &limits);
    assert!(text.to_string().contains("give a PNG, JPEG"), "{text}");
    assert!(!read(&whole[..20], &limits).is_transient());
    read(&whole, &Limits { max_pixels: 1000, ..limits });
    let canvas = Canvas::of_still(&read_still(&still.path, &Limits::default()).unwrap()).unwrap();
    let error = canvas.write_still(&still.dir.path().join("out.gif")).unwrap_err();
    assert!(error.to_string().contains(".png or .jpg"), "{error}");
}

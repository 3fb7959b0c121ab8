//! Drawing touches what it should and nothing else, for any coordinates.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::make;
use trackdrop_media::{Annotation, BoxMark, Canvas, ChunkReader, Frame, Limits, RgbScaler, Trail, cut, draw, index};

/// The first frame of a clip and a canvas that holds it.
fn first_frame(path: &Path) -> (Frame, Canvas) {
    let video = index(path, &Limits::default()).unwrap();
    let segment = &video.plan(f64::INFINITY).unwrap()[0];
    let chunk = path.with_extension("chunk.mkv");
    cut(path, &video, segment, &chunk).unwrap();
    let window = segment.window();
    let mut reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 1).unwrap();
    let frame = reader.next().unwrap().unwrap();
    let mut canvas = Canvas::new(&video.video_params()).unwrap();
    canvas.load(&frame).unwrap();
    (frame, canvas)
}

fn grey(size: &str) -> (common::Clip, Frame, Canvas) {
    let clip =
        make("grey.mp4", &format!("-f lavfi -i color=0x808080:s={size}:r=10:d=0.3 -c:v libx264 -pix_fmt yuv420p OUT"));
    let (frame, canvas) = first_frame(&clip.path);
    (clip, frame, canvas)
}

fn luma(canvas: &Canvas) -> Vec<Vec<u8>> {
    let (bytes, stride) = canvas.plane(0);
    bytes.chunks(stride).take(canvas.height() as usize).map(|r| r[..canvas.width() as usize].to_vec()).collect()
}

fn mark(x1: f32, y1: f32, x2: f32, y2: f32) -> BoxMark<'static> {
    BoxMark { x1, y1, x2, y2, track_id: 7, label: "person", score: 0.87 }
}

#[test]
fn a_box_changes_its_border_and_its_label_only() {
    let (_clip, _, mut canvas) = grey("640x360");
    let before = luma(&canvas);
    draw(&mut canvas, &Annotation { boxes: &[mark(100.0, 120.0, 400.0, 300.0)], trails: &[] });
    let after = luma(&canvas);
    let (top_of_label, right_of_label) = (120 - 20, 100 + 200);
    for (y, (old, new)) in before.iter().zip(&after).enumerate() {
        for (x, (old, new)) in old.iter().zip(new).enumerate() {
            let in_box = (100..400).contains(&x) && (120..300).contains(&y);
            let in_hole = (102..398).contains(&x) && (122..298).contains(&y);
            let in_label = (top_of_label..120).contains(&y) && (100..right_of_label).contains(&x);
            if in_box && !in_hole {
                assert_ne!(old, new, "border at {x},{y}");
            } else if !in_label {
                assert_eq!(old, new, "outside at {x},{y}");
            }
        }
    }
    let (label, paper) = (&after[top_of_label + 10][100..right_of_label], after[121][200]);
    assert!(label.iter().any(|v| v.abs_diff(paper) > 80), "the label has letters in a contrasting ink");
}

#[test]
fn a_track_keeps_its_colour_and_neighbours_differ() {
    let (_clip, _, mut canvas) = grey("320x180");
    let boxes: Vec<_> = (0..12)
        .map(|id| BoxMark { track_id: id, ..mark(10.0 + 25.0 * id as f32, 100.0, 30.0 + 25.0 * id as f32, 160.0) })
        .collect();
    draw(&mut canvas, &Annotation { boxes: &boxes, trails: &[] });
    let colour = |canvas: &Canvas, x: usize| [1, 2].map(|p| canvas.plane(p).0[79 * canvas.plane(p).1 + x / 2]);
    let colours: Vec<_> = (0..12).map(|id| colour(&canvas, 20 + 25 * id)).collect();
    for (i, a) in colours.iter().enumerate() {
        for b in &colours[i + 1..] {
            assert!(a[0].abs_diff(b[0]).max(a[1].abs_diff(b[1])) > 8, "{colours:?}");
        }
    }
    let again = colours.clone();
    draw(&mut canvas, &Annotation { boxes: &boxes, trails: &[] });
    assert_eq!((0..12).map(|id| colour(&canvas, 20 + 25 * id)).collect::<Vec<_>>(), again);
}

#[test]
fn no_coordinate_is_dangerous() {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -5.5, 0.0, 63.9, 64.0, 1e9, 17.3];
    for size in ["64x36", "2x2", "17x35"] {
        let clip =
            make("small.mp4", &format!("-f lavfi -i testsrc=s={size}:r=10:d=0.2 -c:v libx264 -pix_fmt yuv444p OUT"));
        let (_, mut canvas) = first_frame(&clip.path);
        for x1 in values {
            for y1 in values {
                for x2 in values {
                    let y2 = y1 + x2;
                    let odd = BoxMark { label: "日本\n\0", score: x1, track_id: u64::MAX, ..mark(x1, y1, x2, y2) };
                    let points = [(x1, y1), (x2, y2), (y1, x1), (3.0, 4.0)];
                    draw(&mut canvas, &Annotation { boxes: &[odd], trails: &[Trail { track_id: 1, points: &points }] });
                }
            }
        }
    }
}

#[test]
fn scaling_to_rgb_keeps_colours_and_touches_only_its_rectangle() {
    // The filter and the encoder have two names for one matrix.
    for (format, filter, matrix) in
        [("yuv420p", "bt709", "bt709"), ("yuv444p10le", "bt709", "bt709"), ("yuvj420p", "bt470", "bt470bg")]
    {
        let clip = make(
            "red.mp4",
            &format!(
                "-f lavfi -i color=0xC02040:s=320x180:r=10:d=0.3 -vf scale=out_color_matrix={filter},format={format} -colorspace {matrix} -c:v libx264 -qp 4 OUT"
            ),
        );
        let (frame, _) = first_frame(&clip.path);
        // A width that no processor's vectors divide.
        let (width, stride) = (101, 110);
        let mut planes = [(); 3].map(|()| vec![9u8; stride * 60]);
        let scaled = |planes: &mut [Vec<u8>; 3], rows: std::ops::Range<usize>| {
            let rgb = planes.each_mut().map(|plane| &mut plane[rows.start * stride..rows.end * stride]);
            frame.rgb_scaled_into(&mut RgbScaler::new(), width as u32, 56, rgb, stride)
        };
        scaled(&mut planes, 2..60).unwrap();
        for (plane, right) in planes.iter().zip([0xC0, 0x20, 0x40u8]) {
            for (y, row) in plane.chunks(stride).enumerate() {
                for (x, &byte) in row.iter().enumerate() {
                    if (2..58).contains(&y) && x < width {
                        assert!(byte.abs_diff(right) <= 4, "{format}: {byte} instead of {right} at {x},{y}");
                    } else {
                        assert_eq!(byte, 9, "{format}: {x},{y} is outside");
                    }
                }
            }
        }
        assert!(scaled(&mut planes, 0..55).is_err());
    }
}

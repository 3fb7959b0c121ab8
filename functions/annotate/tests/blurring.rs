//! Objects that are to be blurred are in no frame of their track left sharp, and what is not to be blurred stays as it was.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod common;

use common::{FRAMES, noise, renderer};
use std::{ops::Range, path::Path, process::Command};
use trackdrop_annotate::Renderer;
use trackdrop_pipeline::{Boxes, Delivery, SegmentDescription};
use trackdrop_tables::tracks::{Between, Drawing, SegmentTracks, TrackRow};

const SIZE: (usize, usize) = (320, 180);
/// The frames that the person has rows in; between them is a gap.
const SEEN: [Range<i64>; 2] = [20..40, 55..80];
/// Before the first and after the last row.
const AROUND: i64 = 5;

/// The luma of all frames.
fn decoded(video: &Path) -> Vec<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(video)
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout.chunks(SIZE.0 * SIZE.1).map(<[u8]>::to_vec).collect()
}

/// Mean difference of neighbours in a box.
fn sharpness(luma: &[u8], [x1, y1, x2, y2]: [usize; 4]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for y in y1..y2 {
        for x in x1..x2 - 1 {
            let at = |x: usize| f64::from(luma[y * SIZE.0 + x]);
            sum += (at(x) - at(x + 1)).abs();
            count += 1.0;
        }
    }
    sum / count
}

/// A person who walks to the right; also where there is no row.
fn person(frame: i64) -> [f32; 4] {
    let x = 10.0 + 1.5 * frame as f32;
    [x, 40.0, x + 50.0, 150.0]
}

/// A parked car.
const CAR: [f32; 4] = [250.0, 120.0, 310.0, 170.0];

fn tracks(segment: &SegmentDescription, drawing: Drawing) -> SegmentTracks {
    let ticks = (segment.span.end_pts - segment.span.start_pts) / FRAMES as i64;
    let pts = |frame: i64| segment.span.start_pts + frame * ticks;
    let row = |frame_index: i64, track_id: i64, name: &str, bbox: [f32; 4]| TrackRow {
        frame_index,
        pts: pts(frame_index),
        track_id,
        class_id: 0,
        class_name: name.into(),
        score: 0.9,
        bbox,
        observed: true,
    };
    let mut rows = Vec::new();
    for frame in 0..FRAMES as i64 {
        if SEEN.iter().any(|seen| seen.contains(&frame)) {
            rows.push(row(frame, 1, "person", person(frame)));
        }
        rows.push(row(frame, 2, "car", CAR));
    }
    let [first, second] = SEEN;
    let between = |from: i64, to: i64, of: [i64; 2]| {
        let [from_box, to_box] = of.map(person);
        Between { from_pts: pts(from), to_pts: pts(to), from: from_box, to: to_box }
    };
    let gap = between(first.end - 1, second.start, [first.end - 1, second.start]);
    let before = between(first.start - AROUND, first.start, [first.start; 2]);
    let after = between(second.end - 1, second.end - 1 + AROUND, [second.end - 1; 2]);
    // As `merge` writes it: only where something is to be blurred.
    let between = if drawing.blur.is_empty() { vec![] } else { vec![before, gap, after] };
    SegmentTracks { rows, drawing: Drawing { between, ..drawing } }
}

fn rendered(drawing: Drawing) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<i64>) {
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = noise(&folder);
    let out = folder.path().join("out.mp4");
    let rendered = renderer().render(&chunk, &segment, &tracks(&segment, drawing), &out, &Delivery::new()).unwrap();
    assert_eq!(rendered.frames, FRAMES);
    let crops = rendered.crops.iter().map(|crop| crop.track_id).collect();
    (decoded(&chunk), decoded(&out), crops)
}

fn inside([x1, y1, x2, y2]: [f32; 4]) -> [usize; 4] {
    [x1 as usize, y1 as usize, x2 as usize, y2 as usize]
}

#[test]
fn every_frame_of_a_blurred_track_is_blurred_gaps_included_and_nothing_else_changes() {
    let blur = Drawing { boxes: Boxes::None, blur: vec!["person".into()], crops: true, ..Drawing::default() };
    let (source, blurred, crops) = rendered(blur);
    let [first, second] = SEEN;
    for frame in 0..FRAMES as i64 {
        let of = |video: &[Vec<u8>], bbox| sharpness(&video[frame as usize], inside(bbox));
        // Where a track begins and ends, the object is assumed not to move.
        let at = person(frame.clamp(first.start, second.end - 1));
        let left = of(&blurred, at) / of(&source, at);
        let is_covered = (first.start - AROUND + 1..second.end - 1 + AROUND).contains(&frame);
        if is_covered {
            assert!(left < 0.1, "frame {frame}: {left:.3} of its sharpness is left");
        } else {
            assert!(left > 0.5, "frame {frame}: {left:.3}, though nobody is there: the check can't fail");
        }
        let car = of(&blurred, CAR) / of(&source, CAR);
        assert!(car > 0.5, "frame {frame}: the car has {car:.3} of its sharpness");
    }
    assert_eq!(crops, [2], "there is no crop of one who is blurred");
}

#[test]
fn without_boxes_nothing_is_drawn() {
    let (_, plain, crops) = rendered(Drawing { boxes: Boxes::None, ..Drawing::default() });
    let (_, drawn, _) = rendered(Drawing::default());
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = noise(&folder);
    let out = folder.path().join("out.mp4");
    renderer().render(&chunk, &segment, &SegmentTracks::default(), &out, &Delivery::new()).unwrap();
    assert!(plain == decoded(&out), "as a video without objects");
    assert!(plain != drawn && crops.is_empty());
}

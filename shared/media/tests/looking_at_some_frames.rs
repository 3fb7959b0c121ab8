//! A reader that is asked for some frames decodes as little as it can, and gives out exactly what a full decode gives of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{PICTURE, Shown, decode_chunk, hex, make};
use trackdrop_media::{ChunkReader, Cutter, Limits, index};

/// Compares what is given out of every n-th frame with a full decode of the same chunks.
fn equals_full_decode(path: &Path) {
    let video = index(path, &Limits::default()).unwrap();
    let segments = video.plan(1.0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let chunk = dir.path().join("chunk.mkv");
    let mut cutter = Cutter::open(path, &video, &segments).unwrap();
    for segment in &segments {
        cutter.next_chunk(&chunk).unwrap();
        let (all, full) = decode_chunk(&chunk, segment);
        for (every, from) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 2), (4, 1), (7, 3), (1000, 5)] {
            let wanted: Vec<i64> = segment.frame_pts.iter().copied().skip(from).step_by(every).collect();
            let window = segment.window();
            let reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 2).unwrap();
            let mut reader = reader.only(&wanted);
            let mut some = Vec::new();
            while let Some(frame) = reader.next().unwrap() {
                some.push(Shown { ticks: frame.pts, md5: hex(&frame.md5().unwrap()) });
            }
            let expected: Vec<&Shown> = all.iter().filter(|frame| wanted.contains(&frame.ticks)).collect();
            assert_eq!(some.iter().collect::<Vec<_>>(), expected, "every {every} from {from} of {path:?}");
            let report = reader.report();
            assert_eq!((report.frames, &report.damaged), (wanted.len() as u64, &Vec::new()));
            assert!(every > 1 || from > 0 || report == full);
        }
    }
}

#[test]
fn pictures_between_are_the_same_whether_they_were_decoded_or_not() {
    let h264 = "-c:v libx264 -g 24 -bf 3";
    for (name, options) in [
        ("pyramid.mp4", format!("{h264} -x264-params open-gop=1:b-pyramid=normal:scenecut=0")),
        ("closed.mkv", format!("{h264} -x264-params open-gop=0:b-pyramid=none")),
        ("plain.ts", format!("{h264} -bf 0")),
        ("sliced.mp4", format!("{h264} -x264-params sliced-threads=1:b-adapt=0")),
        ("fields.mp4", format!("{h264} -flags +ilme+ildct -x264-params tff=1")),
        ("x265.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=24:bframes=3".to_owned()),
        (
            "layers.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=24:bframes=3:temporal-layers=1"
                .to_owned(),
        ),
        ("mpeg2.ts", "-c:v mpeg2video -g 12 -bf 2".to_owned()),
        ("mpeg4.avi", "-c:v mpeg4 -g 12 -bf 2".to_owned()),
        ("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 24".to_owned()),
        ("jpeg.avi", "-c:v mjpeg".to_owned()),
    ] {
        equals_full_decode(&make(name, &format!("{PICTURE} {options} OUT")).path);
    }
}

/// A stretch from a key frame on, cut whatever the plan is, has the pictures of a decode of the whole video.
#[test]
fn a_stretch_alone_is_that_part_of_the_whole() {
    for (name, options) in [
        ("open.mp4", "-c:v libx264 -g 24 -bf 3 -x264-params open-gop=1:b-pyramid=normal:scenecut=0"),
        ("closed.ts", "-c:v libx264 -g 24 -bf 2"),
        ("one_key_frame.mkv", "-c:v libx264 -g 1000 -bf 3"),
        ("mpeg4.avi", "-c:v mpeg4 -g 12 -bf 2"),
        ("jpeg.avi", "-c:v mjpeg"),
        ("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 24"),
    ] {
        let clip = make(name, &format!("{PICTURE} {options} OUT"));
        let video = index(&clip.path, &Limits::default()).unwrap();
        let count = video.frame_count();
        let (dir, key_frames) = (tempfile::tempdir().unwrap(), video.key_frame_indices());
        let chunk = dir.path().join("chunk.mkv");
        let decoded = |stretch: &trackdrop_media::PlannedSegment| {
            trackdrop_media::cut(&clip.path, &video, stretch, &chunk).unwrap();
            let (shown, report) = decode_chunk(&chunk, stretch);
            assert!(report.damaged.is_empty(), "{name}");
            shown
        };
        let whole = decoded(&video.stretch(&(0..count)).unwrap());
        assert_eq!(whole.len() as u64, count, "{name}");
        assert_eq!(key_frames[0], 0, "{name}");
        let some = key_frames.iter().step_by(key_frames.len().div_ceil(6));
        for (&start, length) in some.flat_map(|start| [1, 7, 40].map(|length| (start, length))) {
            let frames = start..(start + length).min(count);
            let stretch = video.stretch(&frames).unwrap();
            assert_eq!((stretch.span.first_frame, stretch.span.end_frame()), (frames.start, frames.end));
            assert!(decoded(&stretch) == whole[frames.start as usize..frames.end as usize], "{frames:?} of {name}");
        }
        for frames in [count..count + 1, 3..3, 0..count + 1] {
            let error = video.stretch(&frames).unwrap_err().to_string();
            assert!(error.contains(&format!("no frames {} to {} of {count}", frames.start, frames.end)), "{error}");
        }
    }
}

/// As above where packets are damaged: the report says of each wanted frame what a full decode says of it.
#[test]
fn damage_is_told_of_the_frames_that_are_wanted() {
    let clip = make("broken.mkv", &format!("{PICTURE} -c:v libx264 -g 24 -bf 3 -x264-params scenecut=0 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(f64::INFINITY).unwrap();
    let mut cutter = Cutter::open(&clip.path, &video, &segments).unwrap();
    let chunk = clip.dir.path().join("chunk.mkv");
    cutter.next_chunk(&chunk).unwrap();
    let mut bytes = std::fs::read(&chunk).unwrap();
    let length = bytes.len();
    for at in (length / 3..length / 3 * 2).step_by(997) {
        bytes[at] ^= 0x55;
    }
    std::fs::write(&chunk, bytes).unwrap();
    let segment = &segments[0];
    let damaged = |wanted: &[i64]| {
        let window = segment.window();
        let reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 2).unwrap();
        let mut reader = reader.only(wanted);
        while reader.next().unwrap().is_some() {}
        reader.report().damaged
    };
    let full = damaged(&segment.frame_pts);
    assert!(!full.is_empty(), "something is damaged");
    for every in [2, 3, 5] {
        let wanted: Vec<i64> = segment.frame_pts.iter().copied().step_by(every).collect();
        let expected: Vec<i64> = full.iter().copied().filter(|pts| wanted.contains(pts)).collect();
        assert_eq!(damaged(&wanted), expected, "every {every}");
    }
}

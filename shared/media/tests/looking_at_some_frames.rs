//! A reader that is asked for some frames decodes as little as it can, and gives out exactly what a full decode gives of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::{PICTURE, Shown, decode_chunk, hex, make};
use trackdrop_media::{ChunkReader, Cutter, DecodeReport, Limits, PlannedSegment, index};

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
        let decoded = |stretch: &PlannedSegment| {
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

/// What a reader gives of some frames: each with its digest and whether it is damaged; its report; and how many pictures were decoded.
type Given = (Vec<(i64, String, bool)>, DecodeReport, u64);

/// Of every N-th frame of a chunk, from one on.
fn given(chunk: &Path, segment: &PlannedSegment, every: usize, from: usize, threads: usize) -> Given {
    let wanted: Vec<i64> = segment.frame_pts.iter().copied().skip(from).step_by(every).collect();
    let reader = ChunkReader::open(chunk, &segment.window(), &segment.frame_pts, &Limits::default(), threads).unwrap();
    let mut reader = reader.only(&wanted);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        frames.push((frame.pts, hex(&frame.md5().unwrap()), frame.is_damaged));
    }
    (frames, reader.report(), reader.decoded())
}

/// A clip as one chunk.
fn one_chunk(name: &str, options: &str) -> (tempfile::TempDir, PathBuf, PlannedSegment) {
    let clip = make(name, &format!("{PICTURE} {options} OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(f64::INFINITY).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let chunk = dir.path().join("chunk.mkv");
    Cutter::open(&clip.path, &video, &segments).unwrap().next_chunk(&chunk).unwrap();
    (dir, chunk, segments[0].clone())
}

#[test]
fn pictures_that_no_other_refers_to_are_not_decoded() {
    for (options, every, most) in [
        // Of three B-pictures two are no reference. So 60 of 120 pictures are left out but for those that are wanted themselves.
        ("-c:v libx264 -g 24 -bf 3 -x264-params b-adapt=0:b-pyramid=normal:scenecut=0", 4, 64),
        ("-c:v libx264 -g 24 -bf 3 -x264-params b-adapt=0:b-pyramid=none:scenecut=0", 4, 36),
        // Without B-pictures every picture is a reference, and only those after the last look are spared.
        ("-c:v libx264 -g 24 -bf 0", 119, 120),
        ("-c:v libx264 -g 24 -bf 0", 60, 62),
        ("-c:v mjpeg", 4, 30),
    ] {
        let (_dir, chunk, segment) = one_chunk("spare.mkv", options);
        for threads in [1, 2] {
            let (frames, _, decoded) = given(&chunk, &segment, every, 0, threads);
            assert_eq!(frames.len(), 120_usize.div_ceil(every));
            assert!(decoded <= most, "{decoded} of 120 were decoded, at most {most} are needed: {options}");
        }
    }
}

/// As above where packets are damaged. The report says of each wanted frame what a full decode says of it, on any number of threads. Every picture
/// that the damage does not reach in a full decode is not reached here. Pictures that it reaches are made up, in one way or the other.
#[test]
fn damage_is_told_of_the_frames_that_are_wanted() {
    for (name, options) in [
        ("pyramid.mkv", "-c:v libx264 -g 24 -bf 3 -x264-params scenecut=0"),
        ("flat.mkv", "-c:v libx264 -g 24 -bf 2 -x264-params b-pyramid=none:open-gop=1:scenecut=0"),
        ("slices.mkv", "-c:v libx264 -g 48 -bf 3 -x264-params slices=4:weightp=0:scenecut=0"),
    ] {
        let (_dir, chunk, segment) = one_chunk(name, options);
        let (sound, ..) = given(&chunk, &segment, 1, 0, 2);
        let bytes = std::fs::read(&chunk).unwrap();
        let length = bytes.len();
        let mut with_damage = 0;
        for (seed, step) in (0..16).zip([211, 3001, 9001, length].into_iter().cycle()) {
            let mut bytes = bytes.clone();
            // From the third on, so that the head of the file is whole.
            for at in (length / 3 + 331 * seed..length / 3 * 2).step_by(step) {
                bytes[at] ^= 0x55 ^ seed as u8;
            }
            std::fs::write(&chunk, bytes).unwrap();
            let (full, full_report, _) = given(&chunk, &segment, 1, 0, 2);
            with_damage += u64::from(!full_report.damaged.is_empty());
            for (every, from) in [(2, 0), (2, 1), (3, 0), (5, 4)] {
                let wanted: Vec<i64> = segment.frame_pts.iter().copied().skip(from).step_by(every).collect();
                let what = format!("every {every} from {from}, {name}, damage {seed}");
                let (frames, report, _) = given(&chunk, &segment, every, from, 1);
                let (on_two, report_of_two, _) = given(&chunk, &segment, every, from, 2);
                assert!(on_two == frames && report_of_two == report, "{what}: two threads give something else");
                let damaged = full_report.damaged.iter().copied().filter(|pts| wanted.contains(pts));
                assert_eq!(report.damaged, damaged.collect::<Vec<_>>(), "{what}");
                let sound_in_full = full.iter().filter(|frame| wanted.contains(&frame.0) && sound.contains(frame));
                let wrong = sound_in_full.filter(|frame| !frames.contains(frame)).count();
                assert_eq!(wrong, 0, "{what}: pictures that a full decode gives as they were");
            }
        }
        assert!(with_damage > 8, "{with_damage} of 16 were damaged");
    }
}

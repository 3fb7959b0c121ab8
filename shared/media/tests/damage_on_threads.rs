//! What is damaged, and how it looks, is the same on any number of threads and in each run. FFmpeg 5.1 alone gives other pictures and other flags
//! from run to run where it decodes several damaged pictures at a time. HEVC and VP9 are not among them: there it says nothing of damage
//! (docs/limits.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{PICTURE, chunked_decode, hex, make};
use trackdrop_media::{ChunkReader, Cutter, DecodeReport, Limits, PlannedSegment, index};

/// Each frame that came out: PTS, MD5, whether it is damaged; and the report.
type Decoded = (Vec<(i64, String, bool)>, DecodeReport);

fn decode(chunk: &Path, segment: &PlannedSegment, threads: usize) -> Decoded {
    let (window, limits) = (segment.window(), Limits::default());
    let mut reader = ChunkReader::open(chunk, &window, &segment.frame_pts, &limits, threads).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        frames.push((frame.pts, hex(&frame.md5().unwrap()), frame.is_damaged));
        reader.take_back(frame);
    }
    (frames, reader.report())
}

/// A stretch without key frames is decoded when it is cut, once more from its start where something is damaged.
#[test]
fn damage_in_a_stretch_that_is_coded_anew_is_the_same_in_each_run() {
    let clip = make("long.mp4", &format!("{PICTURE} -c:v libx264 -g 999 -bf 3 -x264-params scenecut=0 OUT"));
    let mut bytes = std::fs::read(&clip.path).unwrap();
    for at in (bytes.len() / 2..bytes.len() / 4 * 3).step_by(997) {
        bytes[at] ^= 0x55;
    }
    std::fs::write(&clip.path, bytes).unwrap();
    let video = index(&clip.path, &Limits::default()).unwrap();
    assert!(video.plan(0.5).unwrap().iter().filter(|segment| segment.is_reencoded).count() > 3);
    let run = || {
        let (frames, reports) = chunked_decode(&clip.path, &video, 0.5);
        (frames, reports.into_iter().flat_map(|report| report.damaged).collect::<Vec<_>>())
    };
    let first = run();
    assert_ne!(first.1, Vec::<i64>::new(), "something is damaged");
    for _ in 0..3 {
        assert_eq!(run(), first);
    }
}

#[test]
fn damage_is_the_same_on_any_number_of_threads_and_in_each_run() {
    for (name, options) in [
        ("b.mkv", "-c:v libx264 -g 24 -bf 3 -x264-params scenecut=0"),
        ("slices.mkv", "-c:v libx264 -g 24 -bf 3 -x264-params scenecut=0:slices=4"),
        ("mpeg4.mkv", "-c:v mpeg4 -g 24 -bf 2"),
        ("mpeg2.mkv", "-c:v mpeg2video -g 24 -bf 2"),
    ] {
        let clip = make(name, &format!("{PICTURE} {options} OUT"));
        let video = index(&clip.path, &Limits::default()).unwrap();
        let segments = video.plan(f64::INFINITY).unwrap();
        let chunk = clip.dir.path().join("chunk.mkv");
        Cutter::open(&clip.path, &video, &segments).unwrap().next_chunk(&chunk).unwrap();
        let sound = std::fs::read(&chunk).unwrap();
        // Few places and many: one error alone is the one whose flag is lost.
        for step in [sound.len() / 3, 997] {
            let mut bytes = sound.clone();
            for at in (sound.len() / 2..sound.len() / 4 * 3).step_by(step) {
                bytes[at] ^= 0x55;
            }
            std::fs::write(&chunk, bytes).unwrap();
            let on_one = decode(&chunk, &segments[0], 1);
            assert_ne!(on_one.1.damaged, Vec::<i64>::new(), "{name}: something is damaged");
            for threads in [2, 2, 3, 8, 8] {
                let (frames, report) = decode(&chunk, &segments[0], threads);
                assert_eq!(frames, on_one.0, "{name} on {threads} threads, a damaged byte in {step}");
                assert_eq!(report, on_one.1, "{name} on {threads} threads, a damaged byte in {step}");
            }
        }
    }
}

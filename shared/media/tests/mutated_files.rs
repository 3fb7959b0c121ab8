//! The indexer on files with random damage, the same in every run: no panic, no hang, no memory beyond bounds. `fuzz/` searches for such
//! files with coverage; what it found is fixed here.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test fails by panicking")]

mod common;
#[path = "../../../fuzz/bodies/index.rs"]
#[allow(unreachable_pub, reason = "shared with the fuzz target")]
mod index;
#[path = "../../../fuzz/bodies/mutate.rs"]
#[allow(unreachable_pub, reason = "shared with the other reader's test")]
mod mutate;

use std::{fs, sync::mpsc, thread, time::Duration};

/// A file that takes longer hangs: the bounds allow 5 s of decoding without a picture.
const HANGS_AFTER: Duration = Duration::from_secs(120);
const MEMORY_KIB: u64 = 1 << 20;
const ROUNDS: u64 = 60;

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_damaged_file_is_refused_or_planned_within_bounds() {
    let picture = "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -g 6";
    let sound = "-f lavfi -i sine=d=1";
    for (name, options) in [
        ("a.mp4", format!("{sound} -c:v libx264 -bf 2 -c:a aac")),
        ("fragments.mp4", "-c:v libx264 -bf 2 -movflags frag_keyframe+empty_moov".to_owned()),
        ("hevc.mp4", "-c:v libx265 -x265-params log-level=none:keyint=6".to_owned()),
        ("a.mov", "-c:v mjpeg".to_owned()),
        ("a.mkv", format!("{sound} -c:v libx264 -bf 2 -c:a aac")),
        ("a.webm", "-c:v libvpx -b:v 100k -deadline realtime".to_owned()),
        ("a.ts", format!("{sound} -c:v libx264 -bf 2 -c:a aac")),
        ("a.mpg", "-c:v mpeg2video -bf 2".to_owned()),
        ("a.avi", "-c:v mpeg4 -bf 2".to_owned()),
        ("a.flv", "-c:v flv1".to_owned()),
        ("a.ogv", "-c:v libtheora".to_owned()),
        ("h264.flv", "-c:v libx264 -bf 2".to_owned()),
        ("av1.mkv", "-c:v libaom-av1 -cpu-used 8".to_owned()),
        ("animation.mov", "-c:v qtrle".to_owned()),
    ] {
        let clip = common::make(name, &format!("{picture} {options} OUT").replace("-g 6 -f lavfi", "-f lavfi"));
        let whole = fs::read(&clip.path).unwrap();
        index::index_and_plan(&whole);
        let before_kib = peak_kib();
        for seed in 0..ROUNDS {
            let damaged = mutate::Mutator(seed).mutated(&whole);
            let (done, is_done) = mpsc::channel();
            let worker = thread::spawn(move || {
                index::index_and_plan(&damaged);
                // Nobody listens any more where it came too late.
                done.send(()).ok();
            });
            match is_done.recv_timeout(HANGS_AFTER) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}, seed {seed}: hangs"),
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{name}, seed {seed}: panicked"),
            }
            worker.join().unwrap();
        }
        assert!(peak_kib() - before_kib < MEMORY_KIB, "{name}: {} KiB more", peak_kib() - before_kib);
    }
}

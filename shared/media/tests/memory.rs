//! What was read is not kept: memory does not grow with what goes through. A test of its own, because it looks at the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use common::{PICTURE, chunked_decode, make};
use trackdrop_media::{Limits, index};

/// Memory of this process that is in use, in MiB.
fn used_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Does it once, so that buffers and tables are there, then a dozen times.
fn growth_mib(mut work: impl FnMut()) -> u64 {
    work();
    let before = used_mib();
    (0..12).for_each(|_| work());
    used_mib().saturating_sub(before)
}

#[test]
fn reading_a_file_again_and_again_keeps_nothing_of_it() {
    // Noise without loss, so that packets are large: 12 MB of pictures, and 3 MB of sound, which is passed over or copied.
    let sound = "-f lavfi -i anoisesrc=r=96000:d=4 -ac 4 -c:a pcm_s16le";
    let pictures = "-vf noise=alls=40:allf=t -pix_fmt yuv420p -c:v ffvhuff";
    let clip = make("large.mkv", &format!("{PICTURE} {sound} {pictures} OUT"));
    let limits = Limits::default();
    let size_mib = std::fs::metadata(&clip.path).unwrap().len() >> 20;
    assert!(size_mib >= 10, "{size_mib} MiB");
    let video = index(&clip.path, &limits).unwrap();

    // Each of these would keep 150 MiB or more if packets were kept. Allocators round, so some growth is theirs.
    let indexing = growth_mib(|| drop(index(&clip.path, &limits).unwrap()));
    let cutting_and_decoding = growth_mib(|| drop(chunked_decode(&clip.path, &video, 1.0)));
    let out = clip.dir.path().join("out.mp4");
    let annotating = growth_mib(|| drop(common::annotate::annotate(&clip.path, &out, 10.0)));
    for (what, grown) in
        [("index", indexing), ("cut and decode", cutting_and_decoding), ("annotate and join", annotating)]
    {
        assert!(grown < 100, "{what}: {grown} MiB more after twelve times {size_mib} MiB");
    }
}

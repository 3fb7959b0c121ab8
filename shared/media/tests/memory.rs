//! Packets are not retained after they are read: memory does not grow with the data. A test of its own, because it looks at the whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use common::{PICTURE, chunked_decode, make};
use trackdrop_media::{Limits, index};

/// The most that may be left in use: what does not depend on the size of the file, such as a table that grows now and then.
const MOST_KIB: usize = 1024;

/// Memory that this process has asked for and not given back, in KiB. What the allocator keeps for later is not of this test.
fn used_kib() -> usize {
    // SAFETY: counts what the allocator's own tables say.
    let counts = unsafe { libc::mallinfo2() };
    (counts.uordblks + counts.hblkhd) / 1024
}

/// Does it once, so that buffers and tables are there, then a dozen times.
fn growth_kib(mut work: impl FnMut()) -> usize {
    work();
    let before = used_kib();
    (0..12).for_each(|_| work());
    used_kib().saturating_sub(before)
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

    // Each of these would hold 150 MiB or more if packets were retained.
    let indexing = growth_kib(|| drop(index(&clip.path, &limits).unwrap()));
    let cutting_and_decoding = growth_kib(|| drop(chunked_decode(&clip.path, &video, 1.0)));
    let out = clip.dir.path().join("out.mp4");
    let annotating = growth_kib(|| drop(common::annotate::annotate(&clip.path, &out, 10.0)));
    for (what, grown) in
        [("index", indexing), ("cut and decode", cutting_and_decoding), ("annotate and join", annotating)]
    {
        println!("{what}: {grown} KiB more");
        assert!(grown < MOST_KIB, "{what}: {grown} KiB more after twelve times {size_mib} MiB");
    }
}

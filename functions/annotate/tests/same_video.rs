//! Who renders a segment again renders the same video: deliveries that come twice, retries and one machine agree to the byte.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod common;

use common::{FRAMES, chunk, renderer};
use std::{path::Path, process::Command};
use trackdrop_annotate::Renderer;
use trackdrop_pipeline::Delivery;
use trackdrop_tables::tracks::SegmentTracks;

const OUT: &str = "TRACKDROP_TEST_OUT";

/// Renders in this process if the variable says where to.
fn render_if_told() -> bool {
    let Some(out) = std::env::var_os(OUT) else { return false };
    let folder = tempfile::tempdir().unwrap();
    // Pictures that move, 30 macroblocks wide: no multiple of what a vector holds.
    let moving = "crop=480:360:x=20*t+40:y=60+20*sin(t),format=yuv420p";
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/demo.jpg");
    let input = ["-loop", "1", "-framerate", "25", "-i", picture, "-t", "4", "-vf", moving, "-qp", "0"];
    let (chunk, segment) = chunk(&folder, &input);
    assert_eq!(
        renderer()
            .render(&chunk, &segment, &SegmentTracks::default(), Path::new(&out), &Delivery::new())
            .unwrap()
            .frames,
        FRAMES
    );
    true
}

#[test]
fn what_lies_in_fresh_memory_does_not_change_the_video() {
    if render_if_told() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // glibc fills memory that is given out with such a byte's complement.
    let videos = ["0", "1", "2", "254"].map(|filled| {
        let out = folder.path().join(filled).with_extension("mp4");
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "what_lies_in_fresh_memory_does_not_change_the_video"]).env(OUT, &out);
        let rendered = again.env("MALLOC_PERTURB_", filled).output().unwrap();
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stdout));
        std::fs::read(out).unwrap()
    });
    assert!(videos.iter().all(|video| *video == videos[0]), "sizes: {:?}", videos.each_ref().map(Vec::len));
}

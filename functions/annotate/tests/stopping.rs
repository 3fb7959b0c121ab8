//! Drawing and encoding run in two threads: whichever of them stops, the other stops too, and the reason is what is reported.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod common;

use common::{FRAMES, noise, renderer};
use std::path::Path;
use trackdrop_annotate::Renderer;
use trackdrop_pipeline::{Delivery, FailureKind};
use trackdrop_tables::tracks::SegmentTracks;

#[test]
fn an_encoder_that_fails_stops_drawing_and_its_failure_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = noise(&folder);
    let delivery = Delivery::new();
    // A disk that is full from the first block on.
    let failure =
        renderer().render(&chunk, &segment, &SegmentTracks::default(), Path::new("/dev/full"), &delivery).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Exhausted, "{failure}");
    assert!(failure.to_string().contains("/dev/full"), "{failure}");
    assert!(delivery.work_done() < FRAMES, "drawing stopped before its last frame: {}", delivery.work_done());
}

#[test]
fn a_cancelled_delivery_stops_both_before_the_next_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (chunk, segment) = noise(&folder);
    let delivery = Delivery::new();
    delivery.cancel();
    let out = folder.path().join("out.mp4");
    let failure = renderer().render(&chunk, &segment, &SegmentTracks::default(), &out, &delivery).unwrap_err();
    assert_eq!((failure.kind(), delivery.work_done()), (FailureKind::Cancelled, 0), "{failure}");
    // The same work goes well when nobody stops it.
    assert_eq!(
        renderer().render(&chunk, &segment, &SegmentTracks::default(), &out, &Delivery::new()).unwrap().frames,
        FRAMES
    );
}

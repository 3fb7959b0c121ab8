//! A step reuses its buffers. Alone in its binary: the counter sees every thread.

#![allow(clippy::expect_used, reason = "a test may fail loudly")]

#[path = "support/crowd.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod crowd;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

use trackdrop_tracker::{ByteTrack, Detection, Settings};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_does_not_allocate_once_the_buffers_have_grown() {
    for frames in [crowd::random_walk(10, 300), crowd::random_walk(300, 300), crowd::pile(60, 300)] {
        let mut tracker = ByteTrack::new(Settings::default()).expect("valid settings");
        let there_and_back = || frames.iter().chain(frames.iter().rev());
        assert!(allocations(&mut tracker, there_and_back()) > 0, "the counter counts nothing");
        assert_eq!(allocations(&mut tracker, there_and_back()), 0, "with {} detections", frames[0].len());
    }
}

fn allocations<'a>(tracker: &mut ByteTrack, frames: impl Iterator<Item = &'a Vec<Detection>>) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for detections in frames {
        tracker.step(detections);
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

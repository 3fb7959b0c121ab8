//! The hot path allocates nothing for a picture: what a batch costs does not depend on what is in it, nor on how many pictures it has.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use support::{fixture, picture, try_open};
use trackdrop_detector::{BatchDetections, Detection, ImageBatch, Suppressor};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator; a counter without a destructor is all that is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// Allocations of one batch of `batch` pictures, once buffers have grown. Those of ONNX Runtime itself are not Rust's and not counted; those of its
/// wrapper are.
fn of_a_batch(model: &str, batch: usize) -> u64 {
    let detector = try_open(fixture(model), batch).unwrap();
    let mut images = ImageBatch::new(detector.info(), batch, 96, 48);
    let placement = images.placement(0);
    let (width, height) = (placement.inner_width as usize, placement.inner_height as usize);
    for slot in 0..batch {
        images.copy_from(slot, &picture(slot, width, height));
    }
    let mut found = BatchDetections::default();
    // Each lane has buffers of its own.
    for _ in 0..2 * detector.lanes() {
        detector.detect_into(&images, batch, 0.1, &mut found).unwrap();
    }
    assert!(found.pictures().all(|picture| !picture.is_empty()));
    let all: Vec<u64> =
        (0..10).map(|_| allocations(|| detector.detect_into(&images, batch, 0.1, &mut found).unwrap())).collect();
    assert!(all.iter().all(|count| *count == all[0]), "{all:?}");
    all[0]
}

#[test]
fn a_batch_costs_as_many_allocations_as_one_picture() {
    let (one, eight) = (of_a_batch("batch.onnx", 1), of_a_batch("batch.onnx", 8));
    assert_eq!(one, eight);
    // The wrapper makes a handle of each output it gives out; nothing else is left.
    assert!(one <= 8, "{one} allocations");
}

#[test]
fn halves_cost_no_more_than_floats() {
    assert_eq!(of_a_batch("half.onnx", 2), of_a_batch("batch.onnx", 2));
}

#[test]
fn suppression_allocates_nothing() {
    let boxes: Vec<_> = (0..2000u32)
        .map(|i| {
            let (x, y) = ((i * 37 % 400) as f32, (i * 53 % 300) as f32);
            Detection { x1: x, y1: y, x2: x + 40.0, y2: y + 60.0, score: (i % 97) as f32 / 97.0, class_id: i % 3 }
        })
        .collect();
    let (mut suppressor, mut kept) = (Suppressor::default(), Vec::with_capacity(300));
    let suppress = |suppressor: &mut Suppressor, kept: &mut Vec<Detection>| {
        kept.clear();
        suppressor.suppress(&boxes, Some(0.6), 300, &[], kept);
    };
    suppress(&mut suppressor, &mut kept);
    assert_eq!(allocations(|| suppress(&mut suppressor, &mut kept)), 0);
    assert!(kept.len() > 50);
}

//! What is fuzzed of the indexer: also run on mutated files by the ordinary tests (shared/media/tests/mutated_files.rs).

use std::sync::Arc;

use trackdrop_media::{Limits, Source, index};

/// Indexes the bytes as an upload that is read in ranges, and plans it. Whatever they are, the outcome is an error with a text or a plan
/// that holds every frame once, and no work goes beyond the bounds.
pub fn index_and_plan(data: &[u8]) {
    let limits = Limits {
        max_bytes: 4 << 20,
        max_pixels: 1 << 20,
        max_dimension_px: 4096,
        max_frames: 20_000,
        max_duration_s: 48 * 3600,
        max_streams: 16,
        max_decode_s: 5,
        max_memory_bytes: 1 << 30,
        max_segments: 20_000,
    };
    let content: Arc<[u8]> = data.into();
    let source = Source::of_ranges("upload", content.len() as u64, move |offset, into| {
        let start = usize::try_from(offset).map_err(std::io::Error::other)?;
        let part = content.get(start..start + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(part);
        Ok(())
    });
    let video = match index(&source, &limits) {
        Ok(video) => video,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!video.frame_pts.is_empty() && video.frame_pts.is_sorted_by(|a, b| a < b));
    assert!(video.frame_count() <= limits.max_frames);
    for target_s in [0.2, 10.0, f64::INFINITY] {
        let Ok(segments) = video.plan(target_s) else { continue };
        let planned: Vec<i64> = segments.iter().flat_map(|segment| segment.frame_pts.iter().copied()).collect();
        assert_eq!(planned, *video.frame_pts, "every frame once");
        assert!(segments.windows(2).all(|pair| pair[0].span.end_pts == pair[1].span.start_pts), "no hole, no overlap");
    }
}

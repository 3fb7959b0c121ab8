//! The reader of manifests on mutated ones, the same in every run: no panic, no hang, no memory beyond bounds. `fuzz/` searches for such
//! texts with coverage; what it found is fixed here.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

#[path = "../../../fuzz/bodies/manifest.rs"]
#[allow(unreachable_pub, reason = "shared with the fuzz target")]
mod manifest;
#[path = "../../../fuzz/bodies/mutate.rs"]
#[allow(unreachable_pub, reason = "shared with the other reader's test")]
mod mutate;

use serde_json::{Value, json};
use trackdrop_pipeline::Manifest;

fn segment(number: u64, frame_pts: &str) -> Value {
    json!({
        "request_id": "req_abcdefgh_20260102T030405",
        "segment_file": format!("split_chunks/req_abcdefgh_20260102T030405/{number:06}.mkv"), "segment_number": number,
        "start_time": "0", "duration": "3.003", "original_video": "uploads/clip.mp4", "first_frame": 90 * number, "frame_count": 90,
        "start_pts": 0, "end_pts": 270_270, "time_base": "1/90000", "frame_pts": frame_pts, "pts_sha256": "00ff", "bytes": 12_345,
        "sha256": "ff00",
    })
}

fn whole(segments: Vec<Value>) -> Value {
    json!({
        "request_id": "req_abcdefgh_20260102T030405", "state": "tracking",
        "source": {
            "uri": "uploads/clip.mp4", "generation": 7, "uploaded_at": "2026-01-02T03:04:05Z", "bytes": 1_000_000, "crc32c": "AAAAAA==",
            "video": {
                "container": "mov,mp4,m4a,3gp,3g2,mj2", "codec": "h264", "width_px": 640, "height_px": 360, "time_base": "1/90000",
                "frame_rate": "30000/1001", "rotation_degrees": 0, "frame_count": 180, "origin_pts": 0, "start_pts": 0,
                "end_pts": 540_540, "audio_codec": "aac", "warnings": ["a note"],
                "presentation": {
                    "color": { "matrix": "bt709", "primaries": null, "range": "tv", "transfer": null },
                    "frame_rate": { "den": 1001, "num": 30_000 }, "has_presented_times": true, "height": 360,
                    "orientation": { "mirrored": false, "turn": "none" }, "origin_pts": 0, "pixel_format": "yuv420p",
                    "sample_aspect_ratio": { "den": 1, "num": 1 }, "time_base": { "den": 90_000, "num": 1 }, "width": 640,
                },
            },
        },
        "settings": {}, "version": "0.1.0",
        "progress": { "segments_split": 1, "segments_tracked": 0, "segments_annotated": 0, "updated_at": "2026-01-02T03:04:06Z" },
        "segment_count": segments.len(), "segments": segments,
    })
}

#[test]
fn a_mutated_manifest_is_refused_or_can_be_asked_everything() {
    let text = serde_json::to_vec(&whole(vec![segment(0, "0 +3003*89"), segment(1, "270270 +3003*40 +6006 +3003*48")]))
        .unwrap();
    serde_json::from_slice::<Manifest>(&text).unwrap();
    manifest::read_manifest(&text);
    let mut read = 0;
    for seed in 0..5_000 {
        let mutated = mutate::Mutator(seed).mutated(&text);
        read += u32::from(serde_json::from_slice::<Manifest>(&mutated).is_ok());
        manifest::read_manifest(&mutated);
    }
    assert!(read > 30, "some of them can be read: {read}");
}

#[test]
fn a_video_whose_times_are_as_far_apart_as_numbers_go_has_a_length() {
    let mut text = whole(vec![]);
    text["source"]["video"]["start_pts"] = json!(i64::MIN);
    text["source"]["video"]["end_pts"] = json!(i64::MAX);
    manifest::read_manifest(&serde_json::to_vec(&text).unwrap());
}

#[test]
fn many_segments_that_each_claim_as_many_frames_as_a_request_may_have_are_refused() {
    let text = whole((0..1_000).map(|number| segment(number, "0 +1*60000000")).collect());
    let error = serde_json::from_value::<Manifest>(text).unwrap_err().to_string();
    assert!(error.contains("frames"), "{error}");
}

/// What `trackdrop demo` wrote before fields had types of their own.
#[test]
fn a_manifest_that_was_written_before_has_the_same_bytes_when_it_is_written_again() {
    let written = include_str!("../../../examples/data/results/req_V4j2dFlj_20261129T165643/manifest.json");
    let manifest: Manifest = serde_json::from_str(written).unwrap();
    assert_eq!(serde_json::to_string_pretty(&manifest).unwrap().trim_end(), written.trim_end());
}

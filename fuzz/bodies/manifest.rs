//! What is fuzzed of the manifest's reader: also run on mutated manifests by the ordinary tests (shared/pipeline/tests/mutated_manifests.rs).

use trackdrop_pipeline::Manifest;

/// Reads the bytes as a manifest. What can be read can be asked everything, and written and read again.
pub fn read_manifest(data: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return };
    assert!(manifest.source.video.as_ref().is_none_or(|video| video.seconds().is_finite()));
    for segment in &manifest.segments {
        let _ = segment.planned(&trackdrop_pipeline::Looks::ALL);
        assert!(segment.frame_pts.as_slice().is_sorted_by(|a, b| a < b));
    }
    let written = match serde_json::to_vec(&manifest) {
        Ok(written) => written,
        Err(error) => panic!("what was read can't be written: {error}"),
    };
    match serde_json::from_slice::<Manifest>(&written) {
        Ok(again) => assert_eq!(again.segments, manifest.segments),
        Err(error) => panic!("what was written can't be read: {error}"),
    }
}

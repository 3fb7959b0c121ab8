//! From a file to a file: the rows of the reference, on the runs that travel with the tracker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use flate2::read::GzDecoder;
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};
use trackdrop_exchange::{TrackFile, read_detections, retrack};
use trackdrop_tracker::Settings;

const TOLERANCE_PX: f64 = 1e-6;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracker/tests/fixtures")
}

fn unpack(name: &str) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(fixtures().join(name)).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn numbers(text: &str) -> Vec<Vec<f64>> {
    text.lines().map(|line| line.split(',').map(|value| value.parse().unwrap()).collect()).collect()
}

fn settings(run: &Value) -> Settings {
    let params = &run["params"];
    Settings {
        track_thresh: params["track_thresh"].as_f64().unwrap(),
        match_thresh: params["match_thresh"].as_f64().unwrap(),
        track_buffer: params["track_buffer"].as_u64().unwrap() as u32,
        frame_rate: run["frame_rate"].as_f64().unwrap(),
        score_fusion: !params["mot20"].as_bool().unwrap(),
    }
}

#[test]
fn every_golden_run_comes_out_row_by_row_as_the_reference_wrote_it() {
    let manifest: Value = serde_json::from_str(&fs::read_to_string(fixtures().join("manifest.json")).unwrap()).unwrap();
    let runs = manifest["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 12);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.csv");
    for run in runs {
        let text = |key: &str| run[key].as_str().unwrap();
        let name = text("output");
        let expected = unpack(name);
        let (header, expected) = expected.split_once('\n').unwrap();
        let expected = numbers(expected);
        fs::write(&input, unpack(text("input"))).unwrap();
        let frame_count = run["frames"].as_u64().unwrap() as u32;

        for ending in ["csv", "txt"] {
            let output = folder.path().join("out").with_extension(ending);
            let mut file = TrackFile::create(&output, false).unwrap();
            let detections = read_detections(&input).unwrap();
            let retracked = retrack(&detections, &settings(run), Some(frame_count), &mut file).unwrap();
            assert_eq!(retracked.frames, frame_count, "{name}");
            assert_eq!(retracked.rows, expected.len() as u64, "{name}");
            assert_eq!(retracked.ids, run["ids"].as_u64().unwrap(), "{name}");

            let written = fs::read_to_string(&output).unwrap();
            let rows = match ending {
                "csv" => {
                    let (our_header, rows) = written.split_once('\n').unwrap();
                    assert_eq!(format!("{our_header},kept"), header);
                    rows
                }
                _ => &written,
            };
            let rows = numbers(rows);
            assert_eq!(rows.len(), expected.len(), "{name}");
            for (row, golden) in rows.iter().zip(&expected) {
                assert_eq!(row[..2], golden[..2], "{name}: frame and id");
                let near = row[2..6].iter().zip(&golden[2..6]).all(|(is, should)| (is - should).abs() <= TOLERANCE_PX);
                assert!(near, "{name}: {row:?}, expected {golden:?}");
                assert_eq!(row[6], golden[6], "{name}: score");
                let rest: &[f64] = if ending == "txt" { &[-1.0; 3] } else { &[] };
                assert_eq!(row[7..], *rest, "{name}");
            }
        }
    }
}

//! A stored optimised graph gives the same detections, bit for bit; a damaged or impossible one stops nobody.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::{fixture, picture};
use trackdrop_detector::{Detection, Detector, DetectorError, DetectorOptions, ImageBatch, default_model_path};

fn open(model: PathBuf, graphs: Option<&Path>) -> Result<Detector, DetectorError> {
    let graphs = graphs.map(Path::to_owned);
    Detector::open(&DetectorOptions { model, graphs, intra_threads: 1, lanes: 2, ..DetectorOptions::default() })
}

/// What both lanes find in a noisy picture, at a score that leaves much to compare.
fn found(detector: &Detector) -> Vec<Detection> {
    let mut images = ImageBatch::new(detector.info(), detector.batch(), 416, 416);
    let placement = images.placement(0);
    images.copy_from(0, &picture(3, placement.inner_width as usize, placement.inner_height as usize));
    let mut found = Vec::new();
    for _ in 0..2 {
        found.extend(detector.detect(&images, 1, 0.001).unwrap().remove(0));
    }
    assert!(found.len() >= 2, "{found:?}");
    found
}

fn graphs_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_kept_graph_gives_the_same_bits_and_a_damaged_one_is_made_anew() {
    for model in [default_model_path(), fixture("yolov8.onnx"), fixture("half.onnx"), fixture("d_fine.onnx")] {
        let dir = tempfile::tempdir().unwrap();
        let without = open(model.clone(), None).unwrap();
        let right = found(&without);
        let first = open(model.clone(), Some(dir.path())).unwrap();
        let [graph] = &graphs_in(dir.path())[..] else { panic!("one graph is kept: {:?}", graphs_in(dir.path())) };
        assert_eq!(found(&first), right, "{}", model.display());
        let made = fs::read(graph).unwrap();

        let later = open(model.clone(), Some(dir.path())).unwrap();
        assert_eq!(later.info(), without.info(), "metadata and findings go through the cache");
        assert_eq!(found(&later), right, "{}", model.display());

        // A checksum that is right, of something that is no graph: an old runtime's, or a trick.
        let mut no_graph = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"no graph")).to_vec();
        no_graph.extend(b"no graph");
        for damaged in [&made[..made.len() / 2], &[], &no_graph] {
            fs::write(graph, damaged).unwrap();
            assert_eq!(found(&open(model.clone(), Some(dir.path())).unwrap()), right);
            assert_ne!(fs::read(graph).unwrap(), damaged, "it was made anew");
        }
    }
}

#[test]
fn another_model_under_the_same_name_has_a_graph_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (model, graphs) = (dir.path().join("model.onnx"), dir.path().join("graphs"));
    for (count, file) in [(1, "yolov8.onnx"), (2, "end_to_end.onnx")] {
        fs::copy(fixture(file), &model).unwrap();
        let (kept, without) = (open(model.clone(), Some(&graphs)).unwrap(), open(model.clone(), None).unwrap());
        assert_eq!((kept.info().family, found(&kept)), (without.info().family, found(&without)));
        assert_eq!(graphs_in(&graphs).len(), count);
    }
}

#[test]
fn processes_that_start_at_once_all_have_the_right_graph() {
    let dir = tempfile::tempdir().unwrap();
    let right = found(&open(fixture("yolov8.onnx"), None).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(found(&open(fixture("yolov8.onnx"), Some(dir.path())).unwrap()), right));
        }
    });
    assert_eq!(graphs_in(dir.path()).len(), 1);
}

#[test]
fn an_unwritable_graph_folder_is_no_failure_and_a_file_that_is_no_model_stays_one() {
    let nowhere = Path::new("/dev/null/graphs");
    assert!(!found(&open(fixture("yolov8.onnx"), Some(nowhere)).unwrap()).is_empty());
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.onnx");
    fs::write(&text, "not a model").unwrap();
    let error = open(text, Some(&dir.path().join("graphs"))).unwrap_err();
    assert!(matches!(error, DetectorError::NotOnnx { .. }), "{error}");
    assert!(graphs_in(&dir.path().join("graphs")).is_empty());
}

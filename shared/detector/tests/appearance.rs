//! A network that describes what objects look like: its vectors, its card, and what is refused.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use half::f16;
use std::{fs, path::PathBuf};
use support::fixture;
use trackdrop_detector::{AppearanceModel, DetectorError, DetectorOptions, DeviceChoice, ImageBatch, MOST_DIMENSIONS};

fn open(model: PathBuf, batch: usize) -> Result<AppearanceModel, DetectorError> {
    AppearanceModel::open(&DetectorOptions {
        model,
        intra_threads: 1,
        lanes: 2,
        batch: Some(batch),
        device: DeviceChoice::Auto,
        graphs: None,
        ..DetectorOptions::default()
    })
}

/// A fixture with another card than its own, or none.
fn open_with(name: &str, card: Option<&str>) -> Result<AppearanceModel, DetectorError> {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    fs::copy(fixture(&format!("{name}.onnx")), &model).unwrap();
    card.iter().for_each(|card| fs::write(folder.path().join("model.json"), card).unwrap());
    open(model, 2)
}

/// What `parts` gives by definition, for a crop of one colour above and another below.
fn by_hand(above: [u8; 3], below: [u8; 3]) -> Vec<f64> {
    let plane = |color: usize| [above, above, below, below].map(|rgb| (f64::from(rgb[color]) - 127.5) / 127.5);
    let numbers: Vec<f64> = (0..3).flat_map(plane).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    numbers.iter().map(|number| number / length).collect()
}

fn put(images: &mut ImageBatch, slot: usize, above: [u8; 3], below: [u8; 3]) {
    let half = 8 * 8;
    let rgb: Vec<u8> = [above, below].iter().flat_map(|color| color.repeat(half)).collect();
    images.copy_from(slot, &rgb);
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<2>().0.iter().map(|&number| f16::from_le_bytes(number).to_f64()).collect()
}

const RED: [u8; 3] = [250, 10, 30];
const BLUE: [u8; 3] = [20, 40, 240];

#[test]
fn a_crop_s_vector_is_that_of_the_definition_whatever_lies_beside_it() {
    let network = open(fixture("parts.onnx"), 3).unwrap();
    assert_eq!((network.name(), network.size_px(), network.dimensions()), ("parts", (8, 16), 12));
    assert_eq!((network.at_once(), network.bytes_each()), (3, 24));
    let mut images = network.images();
    put(&mut images, 0, RED, BLUE);
    put(&mut images, 1, BLUE, BLUE);
    put(&mut images, 2, RED, BLUE);
    let mut vectors = Vec::new();
    network.describe_into(&images, 3, &mut vectors).unwrap();
    for (found, expected) in vectors.chunks(24).zip([by_hand(RED, BLUE), by_hand(BLUE, BLUE), by_hand(RED, BLUE)]) {
        let worst = numbers(found).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-3, "{:?} is not {expected:?}", numbers(found));
    }
    let mut alone = Vec::new();
    network.describe_into(&images, 1, &mut alone).unwrap();
    assert_eq!(alone, vectors[..24]);
    assert_eq!(alone, vectors[48..], "the slot does not matter");
}

#[test]
fn crops_go_through_one_at_a_time_where_their_vectors_would_depend_on_each_other() {
    let network = open(fixture("entangled.onnx"), 4).unwrap();
    assert_eq!(network.at_once(), 1);
    let mut images = network.images();
    let mut of = |above| {
        put(&mut images, 0, above, BLUE);
        let mut vector = Vec::new();
        network.describe_into(&images, 1, &mut vector).unwrap();
        vector
    };
    let first = of(RED);
    assert_ne!(of(BLUE), first);
    assert_eq!(of(RED), first);
    let error = network.describe_into(&images, 2, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, DetectorError::Batch { .. }), "{error}");
}

#[test]
fn an_open_size_and_one_of_several_outputs_are_what_the_card_says() {
    const CARD: &str = r#""color_order": "bgr", "mean": [0, 0, 0], "std": [255, 255, 255]"#;
    let pixels = open_with("pixels", Some(&format!(r#"{{{CARD}, "name": "p", "input_width": 2, "input_height": 1}}"#)));
    let pixels = pixels.unwrap();
    assert_eq!((pixels.name(), pixels.dimensions()), ("p", 6));
    let mut images = pixels.images();
    images.copy_from(0, &[0, 0, 255, 0, 0, 0]);
    let mut vector = Vec::new();
    pixels.describe_into(&images, 1, &mut vector).unwrap();
    assert_eq!(numbers(&vector), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "blue is the first plane");
    images.copy_from(0, &[0; 6]);
    let mut nothing = Vec::new();
    pixels.describe_into(&images, 1, &mut nothing).unwrap();
    assert_eq!(nothing, [0; 12], "without a direction all is 0");
    assert_eq!(
        open_with("parts_and_map", Some(&format!(r#"{{{CARD}, "output": "vectors"}}"#))).unwrap().dimensions(),
        12
    );
}

#[test]
fn what_gives_no_vector_a_crop_or_has_no_right_card_is_refused_with_what_to_do() {
    const CARD: &str = r#""color_order": "rgb", "mean": [0, 0, 0], "std": [255, 255, 255]"#;
    let with = |more: &str| Some(format!("{{{CARD}{more}}}"));
    let refused = [
        ("parts", None, &["model.json", "there is none", "color_order"][..]),
        ("parts", Some("{".into()), &["model.json", "EOF"]),
        ("parts", Some(r#"{"color_order": "rgb", "mean": [0, 0, 0]}"#.into()), &["missing field `std`", "at least"]),
        ("parts", with(r#", "batch": 3"#), &["unknown field `batch`"]),
        ("parts", Some(r#"{"color_order": "rgb", "mean": [0, 0, 0], "std": [1, 0, 1]}"#.into()), &["std", "zero"]),
        ("parts", with(r#", "input_width": 9"#), &["input_width is 9", "takes 8"]),
        ("parts", with(r#", "input_width": 0"#), &["input_width 0"]),
        ("parts", with(r#", "resize": "swscale""#), &["swscale", "pillow"]),
        ("parts", with(r#", "output": "means""#), &["\"means\"", "vectors [?, 12]", "name one"]),
        ("pixels", with(""), &["any size", "input_width"]),
        ("pixels", with(r#", "input_width": 64, "input_height": 64"#), &["12288 numbers", "2 to 2048"]),
        ("parts_as_map", with(""), &["[2, 3, 4, 1]", "not one vector per crop"]),
        ("parts_and_map", with(""), &["means [?, 3, 4, 1], vectors [?, 12]", "\"output\""]),
        ("yolov8", with(""), &["not one vector per crop"]),
        ("rt_detr", with(""), &["logits", "\"output\""]),
    ];
    for (name, card, parts) in refused {
        let error = open_with(name, card.as_deref()).unwrap_err();
        assert!(matches!(error, DetectorError::Card { .. } | DetectorError::Appearance { .. }), "{name}: {error:?}");
        assert!(!error.is_transient());
        let told = error.to_string();
        assert!(parts.iter().all(|part| told.contains(part)), "{name} with {card:?}: {told}");
    }
    let missing = open(fixture("nowhere.onnx"), 1).unwrap_err().to_string();
    assert!(missing.contains("nowhere.onnx") && missing.contains("no such file"), "{missing}");
    assert_eq!(MOST_DIMENSIONS, 2_048);
}

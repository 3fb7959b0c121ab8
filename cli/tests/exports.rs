//! The formats of other tools, as files beside the results.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Scene, codec};

const ALL: &str = "mot,coco,cvat,csv,ndjson,video-intelligence,video-intelligence-streaming,rekognition-persons";

#[test]
fn exports_of_a_request_are_files_that_equal_the_output_of_the_command() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let options = ["--no-video", "--segment-seconds", "0.4"];
    let plain = data.run_json(&[&video], &options).remove(0);
    let plain = plain["request_id"].as_str().unwrap().to_owned();
    let tracks = std::fs::read(data.result(&plain, "tracks.parquet")).unwrap();
    let files = |request: &str| data.objects(&format!("results/{request}/")).len();
    assert_eq!(files(&plain), 4, "a request that asks for none has none");

    let asked = [&options[..], &["--force", "--exports", ALL]].concat();
    let request = data.run_json(&[&video], &asked).remove(0)["request_id"].as_str().unwrap().to_owned();
    assert_eq!(files(&request), 4 + 8);
    assert_eq!(std::fs::read(data.result(&request, "tracks.parquet")).unwrap(), tracks);
    for (format, file) in [
        ("mot", "mot.txt"),
        ("coco", "coco.json"),
        ("cvat", "cvat.xml"),
        ("csv", "tracks.csv"),
        ("ndjson", "tracks.ndjson"),
        ("video-intelligence", "video-intelligence.json"),
        ("video-intelligence-streaming", "video-intelligence-streaming.ndjson"),
        ("rekognition-persons", "rekognition-persons.ndjson"),
    ] {
        let exported = data.trackdrop(["export", &request, "--format", format]).expect_success();
        let file = std::fs::read_to_string(data.result(&request, file)).unwrap();
        assert!(file == exported.stdout && !file.is_empty(), "{format}");
    }
}

#[test]
fn a_format_that_is_none_or_is_named_twice_is_refused_before_anything_is_uploaded() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let unknown = data.run(&[&video], &["--exports", "yolo"]).expect_code(2);
    assert!(unknown.stderr.contains("rekognition-persons"), "{}", unknown.stderr);
    let twice = data.run(&[&video], &["--exports", "coco,coco"]).expect_code(1);
    assert_eq!(twice.errors(), ["the format coco is named twice in the list of exports"]);
    assert!(data.requests().is_empty());
}

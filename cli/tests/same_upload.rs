//! The same file dropped again is the same upload; another file or another name is another one.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Data, Scene, clip, codec};

fn request_of(summary: &serde_json::Value) -> String {
    summary["request_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_same_file_again_is_recognised_and_nothing_is_made_again() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &[]).remove(0);
    let stood = data.objects("");
    for options in [&[][..], &["--segment-seconds", "0.5"]] {
        let again = data.run_json(&[&video], options).remove(0);
        assert_eq!((request_of(&again), &again["wall_seconds"]), (request_of(&first), &serde_json::Value::Null));
        assert_eq!(again["track_rows"], first["track_rows"]);
        assert_eq!(data.objects(""), stood);
    }
    let twice = data.run_json(&[&video, &video], &[]);
    assert_eq!(twice.len(), 1, "given twice, told once");
    assert!(
        data.run(&[&video], &[])
            .expect_success()
            .stdout
            .contains("it was finished before (--force processes it again)")
    );
}

#[test]
fn a_result_that_was_deleted_from_its_folder_is_there_again() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let summary = data.run_json(&[&video], &[]).remove(0);
    let annotated = std::path::Path::new(summary["annotated"].as_str().unwrap());
    std::fs::remove_file(annotated).unwrap();
    let again = data.run_json(&[&video], &[]).remove(0);
    assert_eq!(again["annotated"], summary["annotated"]);
    assert!(annotated.is_file(), "the command names a file that does not exist");
}

#[test]
fn force_makes_everything_again_under_the_same_request() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &[]).remove(0);
    let stood = data.objects("results/");
    let again = data.run_json(&[&video], &["--force", "--no-video"]).remove(0);
    assert_eq!(request_of(&again), request_of(&first));
    let made = data.objects("results/");
    assert!(made.iter().all(|(object, generation)| stood.get(object) != Some(generation)), "{made:?}");
    assert!(!made.keys().any(|object| object.ends_with("annotated.mp4")), "a result of the past: {made:?}");
    assert_eq!(data.query("SELECT COUNT(*) FROM requests"), ["1"]);
    assert_eq!(data.query("SELECT COUNT(*) FROM tracks"), [again["track_rows"].to_string()]);
}

#[test]
fn other_settings_are_refused_with_the_difference_named() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &[]);
    let stood = data.objects("");
    for (option, difference) in [
        ("--classes=car", "classes: the default, now car"),
        ("--min-score=0.5", "min_score: the default, now 0.5"),
        ("--no-video", "video: true, now false"),
    ] {
        let ended = data.run(&[&video], &[option]).expect_code(1);
        let [error] = ended.errors()[..] else { panic!("{ended:?}") };
        assert!(error.contains(&format!("({difference})")) && error.contains("--force"), "{option}: {error}");
    }
    assert_eq!(data.objects(""), stood);
}

#[test]
fn another_model_file_or_card_is_another_setting() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let (model, card) = (scene.path("detector.onnx"), scene.path("detector.json"));
    std::fs::copy(support::model(), &model).unwrap();
    let run = || data.trackdrop(["run".as_ref(), "--model".as_ref(), model.as_os_str(), video.as_os_str()]);
    run().expect_success();
    // A card changes what the detector gives as much as the model does.
    std::fs::write(&card, r#"{ "class_names": ["cat", "dog"] }"#).unwrap();
    let with_card = run().expect_code(1);
    assert!(with_card.stderr.contains("processed before with other settings"), "{}", with_card.stderr);
    std::fs::remove_file(&card).unwrap();
    run().expect_success();
    let mut bytes = std::fs::read(&model).unwrap();
    bytes.extend(b"\x72\x06\x0a\x01k\x12\x01v"); // one more entry of metadata_props: another file, the same model
    std::fs::write(&model, bytes).unwrap();
    let other = run().expect_code(1);
    assert!(other.stderr.contains("model_sha256: "), "{}", other.stderr);
}

#[test]
fn two_files_of_one_name_are_two_requests() {
    let scene = Scene::new();
    let data = scene.data();
    let videos = ["monday", "tuesday"].map(|day| {
        std::fs::create_dir(scene.path(day)).unwrap();
        scene.path(day).join("door.mp4")
    });
    clip(&videos[0], 1, codec::H264);
    clip(&videos[1], 2, codec::H264);
    let summaries = data.run_json(&[&videos[0], &videos[1]], &[]);
    are_two_requests(&data, &summaries);
    assert_eq!(summaries.iter().map(|s| s["ledger"]["frames"].as_u64().unwrap()).collect::<Vec<_>>(), [25, 50]);
    for video in &videos {
        data.run_json(&[video], &[]);
    }
    assert_eq!(data.requests().len(), 2, "both are recognised again");
}

#[test]
fn a_copy_under_another_name_is_another_request() {
    let (scene, video) = Scene::with_clip("one.mp4", 1, codec::H264);
    let data = scene.data();
    let copy = scene.path("two.mp4");
    std::fs::copy(&video, &copy).unwrap();
    let summaries = data.run_json(&[&video, &copy], &[]);
    are_two_requests(&data, &summaries);
    assert_eq!(data.query("SELECT video FROM requests ORDER BY video"), ["one.mp4", "two.mp4"]);
}

fn are_two_requests(data: &Data, summaries: &[serde_json::Value]) {
    let [a, b] = summaries else { panic!("{summaries:?}") };
    assert_ne!(request_of(a), request_of(b));
    assert_eq!(data.requests().len(), 2);
    let rows = "SELECT COUNT(*) FROM tracks GROUP BY request_id ORDER BY 1";
    let mut expected = [a, b].map(|summary| summary["track_rows"].to_string());
    expected.sort_by_key(|count| count.parse::<u64>().unwrap());
    assert_eq!(data.query(rows), expected);
}

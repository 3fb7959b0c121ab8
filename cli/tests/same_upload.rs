//! The same file uploaded again is the same upload; another file or another name is another one.

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
    let before = data.objects("");
    for options in [&[][..], &["--segment-seconds", "0.5"]] {
        let again = data.run_json(&[&video], options).remove(0);
        assert_eq!((request_of(&again), &again["wall_seconds"]), (request_of(&first), &serde_json::Value::Null));
        assert_eq!(again["track_rows"], first["track_rows"]);
        assert_eq!(data.objects(""), before);
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
    let before = data.objects("results/");
    let again = data.run_json(&[&video], &["--force", "--no-video"]).remove(0);
    assert_eq!(request_of(&again), request_of(&first));
    let made = data.objects("results/");
    assert!(made.iter().all(|(object, generation)| before.get(object) != Some(generation)), "{made:?}");
    assert!(!made.keys().any(|object| object.ends_with("annotated.mp4")), "a result of the past: {made:?}");
    assert_eq!(data.query("SELECT COUNT(*) FROM requests"), ["1"]);
    assert_eq!(data.query("SELECT COUNT(*) FROM tracks"), [again["track_rows"].to_string()]);
}

/// The objects of the detector's work.
fn detections(data: &Data) -> usize {
    data.objects("work/detections/").len()
}

#[test]
fn results_of_other_settings_are_stored_beside_the_first_without_a_detector() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &[]).remove(0);
    let (before, detected) = (data.objects("results/"), detections(&data));
    let mut requests = vec![request_of(&first)];
    for (options, difference) in [
        (&["--classes=car"][..], "(classes: the default, now car)"),
        (&["--min-score=0.5", "--no-video"], "(min_score: the default, now 0.5; video: true, now false)"),
        (&["--refine", "--no-video"], "link: the default, now 3"),
        (&["--detect-every=2", "--no-video"], "detect_every: the default, now 2"),
        (&["--exports=csv", "--no-video"], "exports: the default, now csv"),
    ] {
        let ended = data.run(&[&video], &[options, &["--json"]].concat()).expect_success();
        let other = ended.json().remove(0);
        assert_eq!(other["retrack_of"], first["request_id"], "{options:?}");
        assert!(
            ended.stderr.contains(difference) && ended.stderr.contains("no detector runs again"),
            "{}",
            ended.stderr
        );
        requests.push(request_of(&other));
        // The same again is that one, whatever the length of segments is.
        let again = data.run_json(&[&video], &[options, &["--segment-seconds=0.5"]].concat()).remove(0);
        assert_eq!((request_of(&again), &again["wall_seconds"]), (request_of(&other), &serde_json::Value::Null));
    }
    assert_eq!(detections(&data), detected, "a detector ran again");
    let results = data.objects("results/");
    assert!(
        before.iter().all(|(object, generation)| results.get(object) == Some(generation)),
        "the first are as they were"
    );
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), 6);
    assert_eq!(data.query("SELECT COUNT(DISTINCT request_id) FROM tracks"), ["6"]);
    // Who wants the first again gets it.
    let again = data.run_json(&[&video], &[]).remove(0);
    assert_eq!(again["request_id"], first["request_id"]);
}

#[test]
fn force_replaces_what_has_these_settings_or_else_the_first() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let first = data.run_json(&[&video], &["--no-video"]).remove(0);
    let version = data.run_json(&[&video], &["--no-video", "--min-score=0.5"]).remove(0);
    let before = data.objects("results/");
    let again = data.run_json(&[&video], &["--no-video", "--min-score=0.5", "--force"]).remove(0);
    assert_eq!(again["request_id"], version["request_id"]);
    assert!(!again["wall_seconds"].is_null(), "it was made again");
    for (object, generation) in data.objects("results/") {
        assert_eq!(before.get(&object) == Some(&generation), object.contains(&request_of(&first)), "{object}");
    }
    let replaced = data.run_json(&[&video], &["--no-video", "--min-score=0.4", "--force"]).remove(0);
    assert_eq!(replaced["request_id"], first["request_id"]);
    assert_eq!(data.requests().len(), 2);
}

#[test]
fn a_version_that_was_deleted_is_made_again_where_it_is_asked_for_again() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &["--no-video"]);
    let run = || data.run_json(&[&video], &["--no-video", "--min-score=0.5"]).remove(0);
    let version = run();
    data.trackdrop(["delete", &request_of(&version)]).expect_success();
    assert_eq!(data.requests().len(), 1);
    let again = run();
    assert_eq!((&again["request_id"], &again["track_rows"]), (&version["request_id"], &version["track_rows"]));
    assert!(!again["wall_seconds"].is_null());
    assert_eq!(data.requests().len(), 2);
}

#[test]
fn another_model_file_or_card_is_detected_beside_the_first_and_found_again() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    let (model, card) = (scene.path("detector.onnx"), scene.path("detector.json"));
    std::fs::copy(support::model(), &model).unwrap();
    let run = |options: &[&str]| {
        let mut command = data.command();
        command.args(["run", "--json", "--no-video", "--model"]).arg(&model).args(options).arg(&video);
        let ended = support::Running::start(&mut command).end().expect_success();
        (ended.json().remove(0), ended.stderr)
    };
    let (plain, _) = run(&[]);
    let detected = detections(&data);
    // A card changes what the detector gives as much as the model does.
    std::fs::write(&card, r#"{ "class_names": ["cat", "dog"] }"#).unwrap();
    let (with_card, told) = run(&[]);
    assert!(told.contains("card_sha256") && told.contains("detected again"), "{told}");
    assert!(with_card["retrack_of"].is_null() && with_card["request_id"] != plain["request_id"]);
    assert_eq!(detections(&data), 2 * detected);
    let classes = |summary: &serde_json::Value| {
        let request = request_of(summary);
        data.query(&format!("SELECT DISTINCT class_name FROM tracks WHERE request_id = '{request}' ORDER BY 1"))
    };
    assert!(classes(&with_card).iter().all(|class| ["cat", "dog"].contains(&class.as_str())));
    assert_ne!(classes(&with_card), classes(&plain));
    // Another filter needs no detector here either.
    let (filtered, _) = run(&["--min-score=0.5"]);
    assert_eq!((&filtered["retrack_of"], detections(&data)), (&with_card["request_id"], 2 * detected));
    let (again, _) = run(&[]);
    assert_eq!(again["request_id"], with_card["request_id"]);
    std::fs::remove_file(&card).unwrap();
    let (again, _) = run(&[]);
    assert_eq!(again["request_id"], plain["request_id"]);

    let mut bytes = std::fs::read(&model).unwrap();
    bytes.extend(b"\x72\x06\x0a\x01k\x12\x01v"); // one more entry of metadata_props: another file, the same model
    std::fs::write(&model, bytes).unwrap();
    let (other, told) = run(&[]);
    assert!(told.contains("model_sha256: "), "{told}");
    assert_eq!(other["track_rows"], plain["track_rows"]);
    assert_eq!(data.requests().len(), 4);
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

//! A data directory that can't be used is named with the reason, once.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Ended, Running, Scene, codec};

#[track_caller]
fn only_error(ended: Ended, path: &str) -> String {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let [error] = ended.errors()[..] else { panic!("not one error: {ended:?}") };
    assert!(error.contains(path), "{error}");
    let reasons: Vec<_> = error.split(": ").collect();
    assert!(reasons.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {error}");
    error.to_owned()
}

#[test]
fn a_file_is_no_data_directory() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    std::fs::write(&scene.data, "notes").unwrap();
    only_error(scene.data().run(&[&video], &[]), "data");
    assert_eq!(std::fs::read(&scene.data).unwrap(), b"notes");
}

#[test]
fn a_place_where_nothing_can_be_made() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    // Not even root makes folders there.
    let data = support::Data("/proc/trackdrop".into());
    only_error(data.run(&[&video], &[]), "/proc/trackdrop");
    drop(scene);
}

#[test]
fn a_catalog_that_is_damaged() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.data.join(".store")).unwrap();
    std::fs::write(scene.data.join(".store/catalog.db"), "garbage ".repeat(1_000)).unwrap();
    let error = only_error(scene.data().trackdrop(["requests"]), "data");
    assert!(error.contains("catalog"), "{error}");
}

#[test]
fn forcing_what_another_process_works_on_is_refused_and_does_not_disturb_it() {
    let (scene, video) = Scene::with_clip("clip.mp4", 8, codec::H264);
    let data = scene.data();
    let mut first = Running::start(&mut data.run_command(&[&video], &["--json", "--segment-seconds", "0.4"]));
    assert!(first.until(|| !data.objects("work/detections/").is_empty()));
    let forced = data.run(&[&video], &["--force"]);
    let error = only_error(forced, "clip.mp4");
    assert!(error.contains("another trackdrop"), "{error}");
    assert_eq!(first.end().expect_success().json()[0]["ledger"]["frames_whole"], 200);
}

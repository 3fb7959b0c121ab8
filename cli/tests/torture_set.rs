//! `trackdrop run` and `trackdrop verify` on each file of `scripts/torture-set`: what can be honoured is, to the last frame; what
//! can't be is refused with the reason.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};
use support::{Scene, ffprobe};

/// The files that are refused; shared/media/tests/torture_set.rs pins the reasons.
const REFUSED: [&str; 5] =
    ["clock-back.ts", "unknown-codec.mp4", "no-index.mp4", "playlist-hls.mp4", "playlist-concat.mp4"];
/// Videos of one command.
const AT_A_TIME: usize = 15;

fn torture_set(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/torture-set");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn packets(video: &str) -> u64 {
    let count = ffprobe("-select_streams v -count_packets -show_entries stream=nb_read_packets", Path::new(video));
    count.trim().trim_end_matches(',').parse().unwrap()
}

#[test]
fn every_file_that_is_not_refused_is_tracked_and_annotated() {
    let scene = Scene::new();
    let names = torture_set(&["--list"]);
    let names: BTreeSet<&str> = names.lines().collect();
    torture_set(&[scene.folder.path().to_str().unwrap()]);
    let videos: Vec<PathBuf> =
        names.iter().filter(|name| !REFUSED.contains(name)).map(|name| scene.path(name)).collect();
    let mut tracked = BTreeMap::new();
    for some in videos.chunks(AT_A_TIME) {
        let some: Vec<&Path> = some.iter().map(PathBuf::as_path).collect();
        for summary in scene.data().run_json(&some, &["--segment-seconds", "0.5"]) {
            tracked.insert(summary["video"].as_str().unwrap().to_owned(), summary);
        }
    }
    assert_eq!(tracked.len(), videos.len());
    for (name, summary) in &tracked {
        let ledger = &summary["ledger"];
        let number = |field: &str| ledger[field].as_u64().unwrap_or_else(|| panic!("{name}: {summary}"));
        assert_eq!(number("frames_whole") + number("frames_damaged"), number("frames"), "{name}");
        let shown = packets(summary["annotated"].as_str().unwrap());
        assert!(shown <= number("frames") && shown >= number("frames_whole"), "{name}: {shown} of {ledger}");
    }
    // The manifest says what could not be honoured by packet copy.
    let request = tracked["one-keyframe.mp4"]["request_id"].as_str().unwrap();
    let manifest = scene.data().manifest(request);
    let segments = manifest["segments"].as_array().unwrap();
    assert!(segments.len() > 5 && segments.iter().all(|segment| segment["lossless_transcode"] == true), "{manifest}");
    let animation = scene.data().manifest(tracked["animation.mov"]["request_id"].as_str().unwrap());
    assert!(animation["segments"].as_array().unwrap().iter().all(|s| s["lossless_transcode"] == true), "{animation}");
    assert!(animation.to_string().contains("chunks can't hold qtrle"), "{animation}");
    let copied = scene.data().manifest(tracked["h264-open-gop.mp4"]["request_id"].as_str().unwrap());
    assert!(copied["segments"].as_array().unwrap().iter().all(|s| s.get("lossless_transcode").is_none()), "{copied}");
}

#[test]
fn a_refused_file_fails_with_the_reason_in_its_manifest() {
    for name in REFUSED {
        let scene = Scene::new();
        torture_set(&[scene.folder.path().to_str().unwrap(), name]);
        let ended = scene.data().run(&[&scene.path(name)], &[]).expect_code(1);
        let manifest = scene.data().manifest(&scene.data().only_request());
        let reason = manifest["error"]["message"].as_str().unwrap();
        assert!(ended.stderr.contains(reason), "{name}: {reason:?} is not in {}", ended.stderr);
        assert_eq!(manifest["error"]["stage"], "split", "{manifest}");
    }
}

#[test]
fn verify_tells_the_ledger_and_its_exit_code_the_verdict() {
    let scene = Scene::new();
    let folder = scene.folder.path().to_str().unwrap();
    torture_set(&[folder, "hevc-open-gop.mkv", "one-keyframe.mp4", "corrupted-middle.mp4", "clock-back.ts"]);
    let verify = |name: &str, options: &[&str]| {
        let video = scene.path(name);
        let arguments = ["verify", video.to_str().unwrap(), "--segment-seconds", "0.5"];
        scene.data().trackdrop(arguments.iter().chain(options))
    };
    let exact = verify("hevc-open-gop.mkv", &[]).expect_success().stdout;
    assert!(
        exact.contains("75 planned, 75 decoded whole, 0 damaged") && exact.contains("verdict     exact"),
        "{exact}"
    );
    let lossless = verify("one-keyframe.mp4", &["--json"]).expect_success().json().remove(0);
    assert_eq!(lossless["exact"], true);
    let found = &lossless["verification"];
    assert_eq!((&found["segments"], &found["segments_reencoded"]), (&12.into(), &12.into()), "{lossless}");
    let damaged = verify("corrupted-middle.mp4", &["--json"]).expect_success().json().remove(0);
    assert_eq!(damaged["verification"]["ledger"]["frames_damaged"], 2, "{damaged}");
    let refused = verify("clock-back.ts", &[]).expect_code(1);
    assert!(refused.errors()[0].contains("clock jumps"), "{refused:?}");
    assert!(!scene.data.exists(), "verifying makes no data directory");
}

#[test]
fn bounds_come_from_the_configuration() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, support::codec::H264);
    let run = |bounds: &str| {
        let mut command = scene.data().run_command(&[&video], &[]);
        support::Running::start(command.env("TRACKDROP_LIMITS", bounds)).end()
    };
    let refused = run("max_frames=10").expect_code(1);
    assert!(refused.stderr.contains("more than the limit of 10"), "{refused:?}");
    let mistyped = run("max_frame=10").expect_code(1);
    assert!(mistyped.errors()[0].contains("no bound of that name"), "{mistyped:?}");
}

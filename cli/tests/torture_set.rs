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
const REFUSED: [&str; 16] = [
    "clock-back.ts",
    "no-index.mp4",
    "playlist-hls.mp4",
    "playlist-concat.mp4",
    "pid-change.ts",
    "pid-swap.ts",
    "codec-change.ts",
    "codec-change.flv",
    "encrypted.mp4",
    "encrypted.webm",
    "scrambled.ts",
    "unknown-codec.mp4",
    "spliced.ts",
    "restarted.flv",
    "edits-gap.mp4",
    "edits-twice.mp4",
];
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
    for name in ["hours-late.mp4", "hours-late.mkv", "hours-late.flv"] {
        let summary = &tracked[name];
        let manifest = scene.data().manifest(summary["request_id"].as_str().unwrap());
        let video = &manifest["source"]["video"];
        assert_eq!(video["origin_pts"], video["start_pts"], "{name}: time_s begins at 0");
        let annotated = Path::new(summary["annotated"].as_str().unwrap());
        let length = ffprobe("-show_entries format=duration", annotated);
        let length: f64 = length.trim().trim_end_matches(',').parse().unwrap();
        assert!(length < 5.0, "{name}: {length} s, hours of nothing in front");
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
        for useless in ["/tmp", ".tmp", "Invalid argument", "codec none", ".store"] {
            assert!(!reason.contains(useless), "{name}: {useless:?} in {reason}");
        }
    }
}

#[test]
fn the_chosen_stream_and_rate_are_reported_and_options_choose_others() {
    let scene = Scene::new();
    let folder = scene.folder.path().to_str().unwrap();
    torture_set(&[folder, "two-programmes.ts", "thumbnail-first.mp4", "bare-without-rate.hevc"]);
    let take = |name: &str, options: &[&str]| {
        let data = scene.other(&format!("data-of-{name}{}", options.concat()));
        let summary = data.run_json(&[&scene.path(name)], options).remove(0);
        let video = data.manifest(summary["request_id"].as_str().unwrap())["source"]["video"].clone();
        (summary, video)
    };
    // The first programme has the larger picture, the second the louder sound.
    for (options, number, width, channels) in [(&[][..], 0, 128, "1"), (&["--video-stream", "1"], 1, 64, "2")] {
        let (summary, video) = take("two-programmes.ts", options);
        assert_eq!((&video["video_streams"]["taken"], &video["width_px"]), (&number.into(), &width.into()), "{video}");
        assert_eq!(video["video_streams"]["streams"][1]["program"], 2, "{video}");
        assert!(summary["warnings"][0].as_str().unwrap().contains("--video-stream"), "{summary}");
        let sound = ffprobe(
            "-select_streams a -show_entries stream=channels",
            Path::new(summary["annotated"].as_str().unwrap()),
        );
        assert_eq!(sound.trim().trim_end_matches(','), channels, "the sound of the picture's programme");
    }
    let (_, video) = take("thumbnail-first.mp4", &[]);
    let streams = &video["video_streams"];
    assert_eq!((&streams["taken"], &streams["rule"]), (&1.into(), &"the others are stills".into()), "{video}");
    let beyond = scene.data().run(&[&scene.path("thumbnail-first.mp4")], &["--video-stream", "2"]).expect_code(1);
    assert!(beyond.stderr.contains("0 (mjpeg, 640x480), 1 (h264, 128x96)"), "{beyond:?}");

    for (options, rate, seconds, words) in [
        (&[][..], "25/1", 3.0, "since it says no rate itself"),
        (&["--raw-frame-rate", "12.5"], "125/10", 6.0, "as was asked for"),
    ] {
        let (summary, video) = take("bare-without-rate.hevc", options);
        assert_eq!(video["frame_rate"], rate, "{video}");
        let ticks = video["end_pts"].as_f64().unwrap() - video["start_pts"].as_f64().unwrap();
        assert_eq!(ticks / 1_200_000.0, seconds, "{video}");
        assert!(summary["warnings"][0].as_str().unwrap().contains(words), "{summary}");
    }
    for command in ["verify", "plan"] {
        let video = scene.path("two-programmes.ts");
        let mut arguments = vec![command, video.to_str().unwrap(), "--video-stream", "1"];
        if command == "plan" {
            arguments.extend(["--fps-per-gpu", "10", "--max-instances", "1"]);
        }
        let told = scene.data().trackdrop(arguments).expect_success().stdout;
        assert!(told.contains("number 1 (h264, 64x48, programme 2) is taken, as was asked for"), "{told}");
    }
}

#[test]
fn sound_that_is_left_out_or_coded_anew_is_said_everywhere() {
    let scene = Scene::new();
    let folder = scene.folder.path().to_str().unwrap();
    for (name, words, streams) in [
        ("sound-flac.mkv", "the sound of the annotated video is AAC, made from flac", "aac"),
        ("sound-truehd.mkv", "the sound of the annotated video is AAC, made from truehd", "aac"),
        ("sound-192k.mkv", "the annotated video is silent", ""),
        ("sound-16-channels.mkv", "the annotated video is silent", ""),
    ] {
        torture_set(&[folder, name]);
        let data = scene.other(&format!("data-of-{name}"));
        let ended = data.run(&[&scene.path(name)], &[]).expect_success();
        assert!(ended.stdout.contains(words), "{name}: {}", ended.stdout);
        let request = data.only_request();
        let manifest = data.manifest(&request);
        assert!(manifest["video_notes"][0].as_str().unwrap().contains(words), "{name}: {manifest}");
        let shown = data.trackdrop(["show", &request]).expect_success().stdout;
        assert!(shown.contains(words), "{name}: {shown}");
        let sound =
            ffprobe("-select_streams a -show_entries stream=codec_name", &data.result(&request, "annotated.mp4"));
        assert_eq!(sound.trim().trim_end_matches(','), streams, "{name}");
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

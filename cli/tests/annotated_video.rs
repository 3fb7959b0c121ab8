//! `annotated.mp4` plays everywhere, shows every frame at its own time, and sounds like the source.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::{Scene, clip, codec, ffmpeg, ffprobe, frame_times};

/// Processes a video in short segments and gives its annotated one.
fn annotated(scene: &Scene, video: &Path) -> PathBuf {
    let summary = scene.data().run_json(&[video], &["--segment-seconds", "0.4"]).remove(0);
    assert!(summary["segments"].as_u64() > Some(3), "nothing to join: {summary}");
    summary["annotated"].as_str().unwrap().into()
}

/// The types of the file's outermost boxes.
fn outer_boxes(mp4: &Path) -> Vec<String> {
    let bytes = std::fs::read(mp4).unwrap();
    let (mut at, mut types) = (0, Vec::new());
    while let Some(header) = bytes.get(at..at + 8) {
        let size = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
        types.push(String::from_utf8_lossy(&header[4..]).into_owned());
        at += if size < 8 { bytes.len() } else { size };
    }
    types
}

/// The MD5 of the packets of the audio stream.
fn audio_md5(file: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:a", "-c", "copy", "-f", "md5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_is_h264_that_browsers_play_from_the_first_bytes() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let result = annotated(&scene, &video);
    let stream = ffprobe("-show_entries stream=codec_name,width,height,pix_fmt", &result);
    assert_eq!(stream.trim(), "h264,160,120,yuv420p");
    let boxes = outer_boxes(&result);
    let place = |name: &str| boxes.iter().position(|found| found == name).unwrap();
    assert!(place("moov") < place("mdat"), "{boxes:?}");
}

#[test]
fn something_is_drawn_on_every_frame() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let result = annotated(&scene, &video);
    let frames_with_objects = scene.data().query("SELECT COUNT(DISTINCT frame_index) FROM tracks");
    assert_eq!(frames_with_objects, ["75"], "the test detector sees something in every frame");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&result)
        .arg("-i")
        .arg(&video)
        .args(["-filter_complex", "[0:v][1:v]psnr=stats_file=-", "-f", "null", "-"])
        .output()
        .unwrap();
    let stats = String::from_utf8(output.stdout).unwrap();
    let psnr = |line: &str| line.split("psnr_avg:").nth(1)?.split_whitespace().next()?.parse::<f64>().ok();
    let of_frames: Vec<f64> = stats.lines().filter_map(psnr).collect();
    assert_eq!(of_frames.len(), 75);
    assert!(of_frames.iter().all(|&psnr| (8.0..30.0).contains(&psnr)), "boxes on the picture it was: {of_frames:?}");
}

#[test]
fn every_frame_of_a_variable_rate_clip_keeps_its_time() {
    let scene = Scene::new();
    let video = scene.path("phone.mp4");
    let uneven = "-f lavfi -i testsrc2=s=160x120:r=25:d=4 -vf settb=1/90000,setpts=N*3600+900*mod(N\\,3)+random(1)*800 \
                  -enc_time_base 1/90000 -video_track_timescale 90000 -fps_mode passthrough";
    ffmpeg(&format!("{uneven} {} -pix_fmt yuv420p", codec::H264), &video);
    let times = frame_times(&video);
    let steps: std::collections::BTreeSet<_> = times
        .windows(2)
        .map(|t| ((t[1].parse::<f64>().unwrap() - t[0].parse::<f64>().unwrap()) * 1e3) as i64)
        .collect();
    assert!(times.len() == 100 && steps.len() > 10, "not variable: {steps:?}");
    assert_eq!(frame_times(&annotated(&scene, &video)), times);
}

#[test]
fn every_frame_of_an_ntsc_clip_keeps_its_time() {
    let scene = Scene::new();
    let video = scene.path("ntsc.mp4");
    ffmpeg(&format!("-f lavfi -i testsrc2=s=160x120:r=30000/1001:d=4 {} -pix_fmt yuv420p", codec::OPEN_GOP), &video);
    let times = frame_times(&video);
    assert_eq!((times.len(), times[1].as_str()), (120, "0.033367"));
    assert_eq!(frame_times(&annotated(&scene, &video)), times);
}

#[test]
fn the_sound_is_the_source_s_bit_by_bit() {
    let (scene, silent) = Scene::with_clip("silent.mp4", 3, codec::H264);
    let video = scene.path("sound.mp4");
    ffmpeg(
        &format!("-i {} -f lavfi -i sine=f=440:r=48000:d=3 -c:v copy -c:a aac -map 0:v -map 1:a", silent.display()),
        &video,
    );
    let result = annotated(&scene, &video);
    assert_eq!(audio_md5(&result), audio_md5(&video));
    assert_eq!(frame_times(&result), frame_times(&video));
}

#[test]
fn a_video_that_starts_late_keeps_the_distances_of_its_frames() {
    let scene = Scene::new();
    let (whole, video) = (scene.path("whole.mp4"), scene.path("late.mkv"));
    clip(&whole, 3, codec::H264);
    ffmpeg(&format!("-i {} -c copy -output_ts_offset 1.5", whole.display()), &video);
    let times = frame_times(&video);
    assert!(times[0].parse::<f64>().unwrap() >= 1.5, "{times:?}");
    let result = frame_times(&annotated(&scene, &video));
    let gap = |times: &[String]| -> Vec<i64> {
        let at = |time: &String| (time.parse::<f64>().unwrap() * 1e3).round() as i64;
        times.iter().map(|time| at(time) - at(&times[0])).collect()
    };
    assert_eq!(gap(&result), gap(&times));
}

#[test]
fn no_video_makes_none() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let summary = data.run_json(&[&video], &["--no-video"]).remove(0);
    assert!(summary["annotated"].is_null() && summary["seconds_by_stage"]["annotate"].is_null(), "{summary}");
    assert!(!data.result(summary["request_id"].as_str().unwrap(), "annotated.mp4").exists());
    assert!(data.objects("work/processed_chunks/").is_empty());
}

//! `--blur` and `--boxes none`: a blurred person can't be recognised in any frame of the annotated video.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, path::Path, process::Command};
use support::{Scene, codec, ffmpeg};

const SIZE: (usize, usize) = (160, 120);

/// The luma of all frames.
fn decoded(video: &Path) -> Vec<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(video)
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout.chunks(SIZE.0 * SIZE.1).map(<[u8]>::to_vec).collect()
}

/// Mean difference of neighbours in a box, as far as it is in the picture; none where that is little.
fn sharpness(luma: &[u8], bbox: [f64; 4]) -> Option<f64> {
    let edge = |value: f64, bound: usize| value.clamp(0.0, bound as f64) as usize;
    let (x1, x2, y1, y2) = (edge(bbox[0], SIZE.0), edge(bbox[2], SIZE.0), edge(bbox[1], SIZE.1), edge(bbox[3], SIZE.1));
    if x1 + 8 > x2 || y1 + 8 > y2 {
        return None;
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for y in y1..y2 {
        for x in x1..x2 - 1 {
            sum += (f64::from(luma[y * SIZE.0 + x]) - f64::from(luma[y * SIZE.0 + x + 1])).abs();
            count += 1.0;
        }
    }
    Some(sum / count)
}

#[test]
fn objects_of_blurred_classes_are_blurred_in_every_frame_from_first_to_last_row() {
    let scene = Scene::new();
    let video = scene.path("noise.mp4");
    let source = "-f lavfi -i testsrc2=s=160x120:r=25:d=3 -f lavfi -i color=red:s=160x120:r=25:d=3,hue=h=60*t \
                  -filter_complex blend=all_opacity=0.5,noise=alls=90:allf=t,format=yuv420p -qp 10";
    ffmpeg(&format!("{source} {}", codec::H264), &video);
    let data = scene.data();
    data.run_json(&[&video], &["--no-video", "--segment-seconds", "0.4"]);
    let classes = data.query("SELECT DISTINCT class_name FROM tracks ORDER BY 1");
    let request = data.only_request();
    let blur = classes.join(",");
    let options = ["retrack", &request, "--blur", &blur, "--boxes", "none", "--json"];
    let summary = data.trackdrop(options).expect_success().json().remove(0);
    let blurred = decoded(Path::new(summary["annotated"].as_str().unwrap()));
    let source = decoded(&video);
    assert_eq!(blurred.len(), source.len());

    let version = summary["request_id"].as_str().unwrap();
    let rows = data.query(&format!(
        "SELECT track_id, frame_index, x1, y1, x2, y2 FROM tracks WHERE request_id = '{version}' ORDER BY ALL"
    ));
    let mut tracks: BTreeMap<i64, Vec<(usize, [f64; 4])>> = BTreeMap::new();
    for row in rows {
        let values: Vec<f64> = row.split(',').map(|value| value.parse().unwrap()).collect();
        let bbox = [values[2], values[3], values[4], values[5]];
        tracks.entry(values[0] as i64).or_default().push((values[1] as usize, bbox));
    }
    let (mut looked, mut gaps) = (0, 0);
    for (track, rows) in &tracks {
        for pair in rows.windows(2) {
            let [(first, from), (last, to)] = [pair[0], pair[1]];
            gaps += last - first - 1;
            for frame in first..last {
                let part = (frame - first) as f64 / (last - first) as f64;
                let at = [0, 1, 2, 3].map(|edge| from[edge] * (1.0 - part) + to[edge] * part);
                let (Some(was), Some(is)) = (sharpness(&source[frame], at), sharpness(&blurred[frame], at)) else {
                    continue;
                };
                assert!(is < 0.2 * was, "track {track}, frame {frame}: {is:.2} of {was:.2} is left");
                looked += 1;
            }
        }
    }
    assert!(looked > 100, "{looked} boxes in {} tracks, {gaps} of them in gaps", tracks.len());
}

#[test]
fn a_class_that_nobody_knows_is_refused_and_so_is_one_that_is_not_tracked() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let untracked = data.run(&[&video], &["--classes", "car", "--blur", "person"]).expect_code(1);
    assert!(untracked.errors()[0].contains("add it to the list of classes"), "{}", untracked.stderr);
    assert!(data.requests().is_empty());
    let request = data.run_json(&[&video], &[]).remove(0)["request_id"].as_str().unwrap().to_owned();
    for unknown in [
        data.trackdrop(["retrack", &request, "--blur", "persn"]),
        scene.other("other").run(&[&video], &["--blur", "persn"]),
    ] {
        let error = unknown.expect_code(1).errors().join("\n");
        assert!(error.contains("persn") && error.contains("knows"), "{error}");
    }
}

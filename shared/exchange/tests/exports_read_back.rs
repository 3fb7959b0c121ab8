//! Every export, read back by the reader that its users have.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

#[path = "readers/venv.rs"]
mod venv;

use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use trackdrop_exchange::{ExportError, ExportFormat, VideoMeta, export, export_mot_ground_truth};
use trackdrop_pipeline::Rational;
use trackdrop_tables::tracks::TrackRow;

const FRAMES: u64 = 12;
const COLUMNS: [&str; 12] =
    ["frame_index", "pts", "time_s", "track_id", "class_id", "class_name", "score", "x1", "y1", "x2", "y2", "observed"];

fn meta() -> VideoMeta {
    VideoMeta {
        request: "req_0aZ9bY8c_20261123T182501".into(),
        uri: "uploads/été \"one\" & <two>, 'three'.mp4".into(),
        container: "mov,mp4,m4a,3gp,3g2,mj2".into(),
        codec: "h264".into(),
        name: "été \"one\" & <two>, 'three'.mp4".into(),
        width: 1920,
        height: 1080,
        frame_rate: Rational::new(30_000, 1001).unwrap(),
        frame_count: FRAMES,
        time_base: Rational::new(1, 30_000).unwrap(),
        origin_pts: 2002,
        end_pts: 2002 + FRAMES as i64 * 1001,
    }
}

/// A row whose coordinates need every bit of an `f32`, and reach beyond the picture.
fn row(frame_index: i64, track_id: i64) -> TrackRow {
    let shift = (frame_index * 7 + track_id * 131) as f32 / 3.0;
    TrackRow {
        frame_index,
        pts: 2002 + frame_index * 1001,
        track_id,
        class_id: if track_id == 3 { 7 } else { 0 },
        class_name: if track_id == 3 { "traffic \"light\" & <sign>, 'été'".into() } else { "person".into() },
        score: 0.1 + frame_index as f32 / 17.0,
        bbox: [shift - 50.1, shift / 7.0 - 3.3, shift + 12.7, shift + 100.9],
        observed: true,
    }
}

/// ```text
/// frame     0 1 2 3 4 5 6 7 8 9 10 11
/// track 1   x x x       x x x x x  x    a gap; stays to the last frame
/// track 2     x x o x                   frame 3 is interpolated; ends early
/// track 3                     x         another class, seen once
/// track 10            x x               its class flickers for a frame
/// ```
fn rows() -> Vec<TrackRow> {
    let mut rows = Vec::new();
    for frame_index in 0..FRAMES as i64 {
        let seen = |track_id| match track_id {
            1 => !(3..6).contains(&frame_index),
            2 => (1..5).contains(&frame_index),
            3 => frame_index == 9,
            _ => (5..8).contains(&frame_index),
        };
        // Not in the order of their ids.
        rows.extend([2, 1, 10, 3].into_iter().filter(|&id| seen(id)).map(|id| row(frame_index, id)));
    }
    for row in &mut rows {
        row.observed = (row.track_id, row.frame_index) != (2, 3);
        if (row.track_id, row.frame_index) == (10, 6) {
            (row.class_id, row.class_name) = (7, "traffic \"light\" & <sign>, 'été'".into());
        }
    }
    rows
}

/// What the readers should find, from the rows alone.
fn expected(rows: &[TrackRow]) -> Value {
    let meta = meta();
    let record = |row: &TrackRow| {
        let [x1, y1, x2, y2] = row.bbox.map(f64::from);
        json!({
            "frame_index": row.frame_index, "pts": row.pts, "time_s": (row.pts - 2002) as f64 / 30_000.0,
            "track_id": row.track_id, "class_id": row.class_id, "class_name": &*row.class_name,
            "score": f64::from(row.score), "x1": x1, "y1": y1, "x2": x2, "y2": y2, "observed": row.observed,
        })
    };
    json!({
        "meta": {
            "name": meta.name, "width": meta.width, "height": meta.height, "frame_count": meta.frame_count,
            "fps": 30_000.0 / 1001.0, "origin_pts": meta.origin_pts, "end_pts": meta.end_pts, "time_base": 30_000,
            "uri": meta.uri, "request": meta.request, "codec": meta.codec, "container": meta.container,
        },
        "columns": COLUMNS,
        "rows": rows.iter().map(record).collect::<Vec<_>>(),
        "cvat_labels": { "1": "person", "2": "person", "3": &*row(9, 3).class_name, "10": "person" },
    })
}

fn written(format: ExportFormat, rows: &[TrackRow]) -> Vec<u8> {
    let mut out = Vec::new();
    export(format, &meta(), rows.iter().map(Ok), &std::env::temp_dir(), &mut out).unwrap();
    out
}

fn read_back(format: ExportFormat, folder: &Path, export: &[u8], expected: &Value) -> Output {
    let (file, json) = (folder.join("export").with_extension(format.ending()), folder.join("expected"));
    fs::write(&file, export).unwrap();
    fs::write(&json, expected.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read_back.py");
    let (name, requirements) = match format {
        ExportFormat::VideoIntelligence
        | ExportFormat::VideoIntelligenceStreaming
        | ExportFormat::RekognitionPersons => ("closing", "tests/readers/requirements-closing.txt"),
        _ => ("readers", "tests/readers/requirements.txt"),
    };
    Command::new(venv::python(name, requirements))
        .arg("-B")
        .arg(script)
        .arg(format.name())
        .args([&file, &json])
        .output()
        .unwrap()
}

/// The reader finds what was written; and it would not, were a frame, an id or an edge off by one.
fn check(format: ExportFormat) {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows();
    let export = written(format, &rows);
    let read = |expected: &Value| read_back(format, folder.path(), &export, expected);

    let right = read(&expected(&rows));
    assert!(right.status.success(), "{format}: {}", String::from_utf8_lossy(&right.stderr));

    let later = |row: &mut TrackRow| (row.frame_index, row.pts) = (row.frame_index + 1, row.pts + 1001);
    let tampers: [fn(&mut TrackRow); 3] = [later, |row| row.track_id += 20, |row| row.bbox[2] += 1.0];
    for tamper in tampers {
        let mut wrong = rows.clone();
        tamper(&mut wrong[8]);
        let mut expected = expected(&wrong);
        expected["cvat_labels"][wrong[8].track_id.to_string()] = json!("person");
        let found = read(&expected);
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(!found.status.success() && said.starts_with("read "), "{format}: the check cannot fail: {said}");
    }
}

#[test]
fn motmetrics_reads_the_motchallenge_text() {
    check(ExportFormat::MotChallenge);
}

#[test]
fn datumaro_reads_the_ground_truth_with_classes_and_unobserved_rows_as_occluded() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, gt) = (rows(), folder.path().join("gt"));
    fs::create_dir(&gt).unwrap();
    let labels = export_mot_ground_truth(&meta(), rows.iter().map(Ok), fs::File::create(gt.join("gt.txt")).unwrap());
    fs::write(gt.join("labels.txt"), labels.unwrap().join("\n") + "\n").unwrap();
    let json = folder.path().join("expected");
    let read = |rows: &[TrackRow]| {
        fs::write(&json, expected(rows).to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read_back.py");
        let mut python = Command::new(venv::python("readers", "tests/readers/requirements.txt"));
        python.arg("-B").arg(script).arg("mot-ground-truth").args([folder.path(), &json]).output().unwrap()
    };
    let right = read(&rows);
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    let tampers: [fn(&mut TrackRow); 4] = [
        |row| row.class_name = "car".into(),
        |row| row.observed = !row.observed,
        |row| row.frame_index += 1,
        |row| row.bbox[0] -= 1.0,
    ];
    for tamper in tampers {
        let mut wrong = rows.clone();
        tamper(&mut wrong[8]);
        let found = read(&wrong);
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(!found.status.success() && said.starts_with("read "), "the check cannot fail: {said}");
    }
}

#[test]
fn pycocotools_reads_the_coco_json() {
    check(ExportFormat::CocoVideo);
}

#[test]
fn datumaro_reads_the_cvat_xml() {
    check(ExportFormat::CvatVideo);
}

#[test]
fn pythons_csv_reads_the_csv() {
    check(ExportFormat::Csv);
}

#[test]
fn pythons_json_reads_every_line_of_the_ndjson() {
    check(ExportFormat::Ndjson);
}

#[test]
fn googles_classes_read_the_answer_of_video_intelligence_without_loss() {
    check(ExportFormat::VideoIntelligence);
}

#[test]
fn googles_classes_read_the_answers_of_its_streaming_mode_without_loss() {
    check(ExportFormat::VideoIntelligenceStreaming);
}

#[test]
fn botocore_reads_the_answer_of_get_person_tracking_without_loss() {
    check(ExportFormat::RekognitionPersons);
}

#[test]
fn a_page_of_persons_has_1000_and_the_token_of_the_next_line() {
    let of = |persons: i64| {
        let rows: Vec<_> = (0..persons).map(|id| TrackRow { track_id: id + 1, ..row(2, 1) }).collect();
        let text = String::from_utf8(written(ExportFormat::RekognitionPersons, &rows)).unwrap();
        let pages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_page = |page: &Value| (page["Persons"].as_array().unwrap().len(), page["NextToken"].clone());
        pages.iter().map(of_page).collect::<Vec<_>>()
    };
    assert_eq!(of(1000), [(1000, Value::Null)]);
    assert_eq!(of(2001), [(1000, json!("1")), (1000, json!("2")), (1, Value::Null)]);
}

#[test]
fn what_is_beyond_the_picture_is_cut_off_for_the_services_that_had_parts_of_it() {
    let wide = TrackRow { bbox: [-192.0, -10.0, 2400.0, 540.0], ..row(0, 1) };
    let of = |format| serde_json::from_slice::<Value>(&written(format, std::slice::from_ref(&wide))).unwrap();
    let box_of = of(ExportFormat::VideoIntelligence)["annotationResults"][0]["objectAnnotations"][0]["frames"][0]
        ["normalizedBoundingBox"]
        .clone();
    assert_eq!(box_of, json!({ "left": 0.0, "top": 0.0, "right": 1.0, "bottom": 0.5 }));
    let box_of = of(ExportFormat::RekognitionPersons)["Persons"][0]["Person"]["BoundingBox"].clone();
    assert_eq!(box_of, json!({ "Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 0.5 }));
}

#[test]
fn a_video_without_tracks_is_exported_too() {
    let text = |format| String::from_utf8(written(format, &[])).unwrap();
    assert_eq!(text(ExportFormat::MotChallenge), "");
    assert_eq!(text(ExportFormat::Csv), COLUMNS.join(",") + "\n");
    assert_eq!(text(ExportFormat::Ndjson), "");
    assert!(text(ExportFormat::CvatVideo).contains("<size>12</size>"));
    let coco: Value = serde_json::from_str(&text(ExportFormat::CocoVideo)).unwrap();
    assert_eq!(coco["images"].as_array().unwrap().len(), FRAMES as usize);
    assert_eq!((&coco["annotations"], &coco["categories"]), (&json!([]), &json!([])));
    assert_eq!(text(ExportFormat::VideoIntelligenceStreaming), "");
    let answer: Value = serde_json::from_str(&text(ExportFormat::VideoIntelligence)).unwrap();
    assert_eq!(answer["annotationResults"][0]["objectAnnotations"], json!([]));
    let page: Value = serde_json::from_str(&text(ExportFormat::RekognitionPersons)).unwrap();
    assert_eq!((&page["Persons"], &page["NextToken"]), (&json!([]), &Value::Null));
}

#[test]
fn motchallenge_counts_frames_from_1_and_cvat_from_0() {
    let first = [row(0, 5)];
    let mot = String::from_utf8(written(ExportFormat::MotChallenge, &first)).unwrap();
    assert!(mot.starts_with("1,5,"), "{mot}");
    assert_eq!(mot.trim_end().split(',').count(), 10);
    let cvat = String::from_utf8(written(ExportFormat::CvatVideo, &first)).unwrap();
    assert!(cvat.contains(r#"<box frame="0""#) && cvat.contains(r#"outside="1""#), "{cvat}");
}

#[test]
fn characters_that_xml_cannot_hold_are_replaced() {
    let mut odd = row(0, 1);
    odd.class_name = "a\u{1}b".into();
    let cvat = String::from_utf8(written(ExportFormat::CvatVideo, &[odd])).unwrap();
    assert!(cvat.contains("label=\"a\u{fffd}b\"") && cvat.contains("<name>a\u{fffd}b</name>"), "{cvat}");
}

#[test]
fn rows_that_do_not_fit_the_video_are_refused() {
    let refused = |format, rows: &[TrackRow]| {
        export(format, &meta(), rows.iter().map(Ok), &std::env::temp_dir(), Vec::new()).unwrap_err()
    };
    for frame_index in [-1, FRAMES as i64] {
        let error = refused(ExportFormat::Csv, &[row(frame_index, 1)]);
        assert!(matches!(error, ExportError::NoSuchFrame { track_id: 1, .. }), "{error}");
    }
    let nan = TrackRow { score: f32::NAN, ..row(1, 1) };
    assert!(matches!(refused(ExportFormat::CocoVideo, &[nan]), ExportError::NotFinite { frame_index: 1, .. }));
    for format in [ExportFormat::CvatVideo, ExportFormat::VideoIntelligence] {
        let twice = refused(format, &[row(1, 1), row(1, 1)]);
        assert!(matches!(twice, ExportError::TwiceInFrame { frame_index: 1, track_id: 1 }), "{twice}");
    }
}

#[test]
fn a_format_is_known_by_its_name() {
    for format in ExportFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("yolo".parse::<ExportFormat>().unwrap_err().to_string().contains("cvat"));
}

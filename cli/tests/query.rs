//! The tracks are answered in SQL, in every format, and agree with the summary.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Data, Scene, codec};

const TABLES: &[&str] = &["tracks", "requests", "track_summary", "objects_per_second", "tracking_results"];

fn ask(data: &Data, format: &str, sql: &str) -> support::Ended {
    data.trackdrop(["query", "--format", format, sql])
}

#[test]
fn every_table_and_view_answers_in_every_format() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &[]);
    for table in TABLES {
        let count = data.query(&format!("SELECT COUNT(*) FROM {table}")).remove(0).parse::<usize>().unwrap();
        assert!(count > 0, "{table} is empty");
        let all = format!("SELECT * FROM {table};");
        let csv = ask(&data, "csv", &all).expect_success();
        assert_eq!(csv.stdout.lines().count(), count + 1, "{table}");
        let json = ask(&data, "json", &all).expect_success().json();
        assert_eq!(json.len(), count, "{table}");
        let columns: Vec<_> = csv.stdout.lines().next().unwrap().split(',').collect();
        assert_eq!(json[0].as_object().unwrap().keys().len(), columns.len(), "{table}");
        let drawn = data.trackdrop(["query", &all]).expect_success();
        assert!(drawn.stdout.contains(columns[0]), "{table}");
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        assert_eq!(drawn.stdout.lines().last(), Some(rows.as_str()), "{table}");
        assert_eq!([&csv.stderr, &drawn.stderr], ["", ""], "{table}");
    }
}

#[test]
fn the_counts_are_those_of_the_summary() {
    let (scene, video) = Scene::with_clip("clip.mp4", 4, codec::H264);
    let data = scene.data();
    let summary = data.run_json(&[&video], &["--segment-seconds", "1"]).remove(0);
    let one = |sql: &str| data.query(sql).remove(0);
    assert_eq!(one("SELECT COUNT(*) FROM tracks"), summary["track_rows"].to_string());
    let request = summary["request_id"].as_str().unwrap();
    let row = format!(
        "{request},clip.mp4,done,{},{},0,{},{}",
        summary["segments"], summary["ledger"]["frames"], summary["detections"], summary["track_rows"]
    );
    assert_eq!(
        one("SELECT request_id, video, state, segments, frames, frames_damaged, detections, track_rows FROM requests"),
        row
    );
    let by_class = data.query("SELECT class_name, COUNT(*) FROM track_summary GROUP BY ALL ORDER BY 1");
    let classes = summary["tracks_by_class"].as_object().unwrap();
    assert_eq!(classes.keys().collect::<Vec<_>>(), ["car", "person"], "both classes are seen");
    assert_eq!(by_class, classes.iter().map(|(name, count)| format!("{name},{count}")).collect::<Vec<_>>());
    assert_eq!(one("SELECT track_count FROM requests"), one("SELECT COUNT(DISTINCT track_id) FROM tracks"));
    assert_eq!(one("SELECT COUNT(*) FROM tracking_results WHERE box.x2 > box.x1"), summary["track_rows"].to_string());
    assert_eq!(data.query("SELECT DISTINCT second FROM objects_per_second ORDER BY 1"), ["0", "1", "2", "3"]);
    for view in ["track_summary", "objects_per_second", "tracking_results"] {
        assert_eq!(data.query(&format!("SELECT DISTINCT frames_damaged FROM {view}")), ["0"], "{view}");
    }
    // An object is in a frame once, and times are those of a clip of 25 frames a second.
    assert_eq!(
        one("SELECT COUNT(*) FROM (SELECT DISTINCT frame_index, track_id FROM tracks)"),
        summary["track_rows"].to_string()
    );
    assert_eq!(one("SELECT COUNT(*) FROM tracks WHERE ABS(time_s - frame_index / 25.0) > 1e-6"), "0");
}

#[test]
fn classes_and_scores_choose_what_is_tracked() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &["--classes", "car", "--min-score", "0.5"]);
    assert_eq!(data.query("SELECT DISTINCT class_name FROM tracks"), ["car"]);
    assert_eq!(data.query("SELECT COUNT(*) FROM tracks WHERE score < 0.5"), ["0"]);
}

#[test]
fn what_tables_and_columns_there_are_can_be_asked_in_every_format() {
    let scene = Scene::new();
    std::fs::create_dir(&scene.data).unwrap();
    for sql in ["SHOW TABLES", "DESCRIBE tracks", "FROM tracks", "WITH t AS (SELECT 1 AS a) SELECT a FROM t -- one"] {
        for format in ["table", "csv", "json"] {
            let ended = ask(&scene.data(), format, sql);
            assert_eq!(ended.code, Some(0), "{format} {sql:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_wrong_statement_fails_with_what_duckdb_says() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &[]);
    for (sql, reason) in [
        ("SELECT nonsense FROM tracks", "Binder Error"),
        ("SELEKT 1", "Parser Error"),
        ("SELECT * FROM nowhere", "Catalog Error"),
        ("", ""),
        ("SELECT CAST('x' AS INTEGER) FROM tracks", "Conversion Error"),
    ] {
        for format in ["table", "csv", "json"] {
            let ended = ask(&data, format, sql).expect_code(1);
            assert!(ended.stderr.starts_with("trackdrop: the query failed: "), "{format} {sql:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(reason), "{format} {sql:?}: {}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{format} {sql:?}: {}", ended.stderr);
            assert_eq!(ended.stdout, "", "{format} {sql:?}");
        }
    }
}

#[test]
fn what_a_query_asks_does_not_change_the_results() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    let summary = data.run_json(&[&video], &[]).remove(0);
    for sql in ["DROP VIEW tracks", "DELETE FROM requests", "DELETE FROM tracks"] {
        data.trackdrop(["query", sql]);
        assert_eq!(data.query("SELECT COUNT(*) FROM tracks"), [summary["track_rows"].to_string()], "{sql}");
        assert_eq!(data.query("SELECT COUNT(*) FROM requests"), ["1"], "{sql}");
    }
}

#[test]
fn an_empty_data_directory_has_empty_tables() {
    let scene = Scene::new();
    std::fs::create_dir(&scene.data).unwrap();
    for table in TABLES {
        assert_eq!(scene.data().query(&format!("SELECT COUNT(*) FROM {table}")), ["0"], "{table}");
        let ended = scene.data().trackdrop(["query", &format!("SELECT * FROM {table}")]).expect_success();
        assert_eq!(ended.stdout.lines().last(), Some("0 rows"), "{table}");
    }
}

#[test]
fn a_missing_data_directory_is_an_error_and_is_not_made() {
    let scene = Scene::new();
    for command in [&["query", "SELECT 1"][..], &["requests"], &["show", "req_0aZ9bY8c_20261123T182501"]] {
        let ended = scene.data().trackdrop(command).expect_code(1);
        let [error] = ended.errors()[..] else { panic!("{ended:?}") };
        assert!(error.starts_with("there is no data directory"), "{error}");
        assert!(!scene.data.exists());
    }
}

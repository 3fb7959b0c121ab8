//! The text for BigQuery, run by an emulator of BigQuery over the same rows as DuckDB: equal answers.
//! The emulator (`scripts/emulators`) reads the text by sqlglot's grammar of BigQuery; where there is none, the test is skipped, loudly.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};
use support::{At, Database, REQUEST, scene, seen, walk};
use tempfile::TempDir;
use trackdrop_emulators::Emulator;
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::{SCENES, Table};

/// The emulator, and its folder of rows.
struct BigQuery {
    emulator: Emulator,
    _folder: TempDir,
}

impl BigQuery {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let emulator = trackdrop_emulators::bigquery("p", "127.0.0.1:9", folder.path())?;
        let bigquery = Self { emulator, _folder: folder };
        bigquery.ask("CREATE SCHEMA trackdrop");
        Some(bigquery)
    }

    /// The rows of an answer, their values with commas between.
    fn ask(&self, query: &str) -> Vec<String> {
        let dataset = json!({ "projectId": "p", "datasetId": "trackdrop" });
        let body = json!({ "query": query, "useLegacySql": false, "maxResults": 100_000, "timeoutMs": 600_000, "defaultDataset": dataset })
            .to_string();
        let mut stream = TcpStream::connect(self.emulator.host()).unwrap();
        write!(
            stream,
            "POST /bigquery/v2/projects/p/queries HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200"), "{head}\n{body}\n{query}");
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!(answer["jobComplete"], true, "an answer that is not finished has no rows: {query}");
        let row = |row: &Value| {
            let values =
                row["f"].as_array().unwrap().iter().map(|value| value["v"].as_str().unwrap_or("null").to_owned());
            values.collect::<Vec<_>>().join(",")
        };
        answer["rows"].as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default()
    }

    fn create(&self, table: &Table) {
        let columns: Vec<_> = table
            .bigquery()
            .as_array()
            .unwrap()
            .iter()
            .map(|column| {
                let kind = match column["type"].as_str().unwrap() {
                    "INTEGER" => "INT64",
                    "FLOAT" => "FLOAT64",
                    "BOOLEAN" => "BOOL",
                    kind => kind,
                };
                format!("{} {kind}", column["name"].as_str().unwrap())
            })
            .collect();
        self.ask(&format!("CREATE TABLE trackdrop.{} ({})", table.name, columns.join(", ")));
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        other => other.to_string(),
    }
}

/// Waits half cut and shaking at a line near the upper edge, and leaves over it.
fn at_the_upper_edge(track: i64) -> Vec<At> {
    let comes = (0..34).map(|k| 40.0 - k as f32);
    let waits = (0..60).map(|k| 6.0 + [1.5, -1.5][k % 2]);
    let leaves = (0..10).map(|k| 5.0 - k as f32 * 0.5);
    let points: Vec<_> = comes.chain(waits).chain(leaves).map(|y| (30.0, y)).collect();
    seen(track, &points).into_iter().map(|at| At { height: at.height.min(at.y), ..at }).collect()
}

fn rows() -> Vec<At> {
    let way = |track: i64, y: f32, shake: f32| {
        let at = |k: usize| (40.0 + k as f32 * 2.0, y + shake * [1.0, -1.0, 0.5][k % 3]);
        seen(track, &(0..60).map(at).collect::<Vec<_>>())
    };
    let mut rows = [
        way(1, 50.0, 0.0),
        way(2, 55.0, 1.5),
        way(3, 96.0, 0.0),
        seen(4, &[(90., 40.), (110., 40.), (90., 40.), (100., 40.), (110., 40.)]),
        walk(5, &[Some((80., 30.)), Some((90., 30.)), None, None, Some((130., 30.))]),
        seen(6, &[(100., 50.), (130., 50.), (60., 50.)]),
        at_the_upper_edge(7),
    ]
    .concat();
    rows.iter_mut().filter(|at| at.track == 2).for_each(|at| at.class = "car");
    rows
}

fn questions() -> Scene {
    scene(
        "reference_by_class: {car: [0.5, 0.75]}\nencounter: {distance: 1.5, seconds: 0.2}\nabsence_s: 0.1
lines: [{name: gate, points: [[100, 80], [100, 50], [105, 20]]}, {name: far, points: [[150, 0], [150, 100]]}, {name: top, points: [[0, 6], [60, 6]]}]
zones: [{name: left, points: [[50, 20], [100, 20], [100, 80], [50, 80]]}, {name: right, points: [[100, 20], [140, 30], [150, 80], [100, 80]]}]
calibration: [{pixel: [0, 0], metre: [0, 0]}, {pixel: [200, 0], metre: [20, 0]}, {pixel: [0, 100], metre: [1, 10]}, {pixel: [200, 100], metre: [19, 10]}]",
    )
}

#[test]
fn the_same_rows_give_equal_answers_in_both_engines() {
    let Some(emulator) = BigQuery::start() else { return };
    let (scene, rows) = (questions(), rows());
    let database = Database::new(std::slice::from_ref(&scene));
    database.request(REQUEST, "gate/a.mp4", 200, 100).rows(REQUEST, &rows).views(sql::VIEWS);

    emulator.create(&SCENES);
    for row in scene.rows() {
        let names: Vec<_> = row.keys().map(String::as_str).collect();
        let values: Vec<_> = row.values().map(literal).collect();
        emulator.ask(&format!("INSERT INTO trackdrop.scenes ({}) VALUES ({})", names.join(", "), values.join(", ")));
    }
    emulator.ask("CREATE TABLE trackdrop.requests (request_id STRING, video STRING, uploaded_at TIMESTAMP, width_px INT64, height_px INT64)");
    emulator.ask(&format!(
        "INSERT INTO trackdrop.requests VALUES ('{REQUEST}', 'gate/a.mp4', TIMESTAMP '2026-11-23 18:25:01+00', 200, 100)"
    ));
    emulator.ask(
        "CREATE TABLE trackdrop.tracks (request_id STRING, uploaded_at TIMESTAMP, frame_index INT64, pts INT64, time_s FLOAT64, track_id INT64,
         class_name STRING, x1 FLOAT64, y1 FLOAT64, x2 FLOAT64, y2 FLOAT64, observed BOOL)",
    );
    let stored = database.ask("SELECT frame_index, pts, time_s, track_id, class_name, x1::DOUBLE, y1::DOUBLE, x2::DOUBLE, y2::DOUBLE, observed FROM tracks");
    let values: Vec<_> = stored
        .iter()
        .map(|row| {
            let mut values: Vec<_> = row.split(',').map(str::to_owned).collect();
            values[4] = format!("'{}'", values[4]);
            format!("('{REQUEST}', TIMESTAMP '2026-11-23 18:25:01+00', {})", values.join(", "))
        })
        .collect();
    emulator.ask(&format!("INSERT INTO trackdrop.tracks VALUES {}", values.join(", ")));

    for view in sql::VIEWS {
        let columns = match *view {
            "line_crossings" => {
                "line, direction, track_id, class_name, frame_index, pts, ROUND(time_s, 6), ROUND(x, 6), ROUND(y, 6), observed, born_on_line, near_birth_or_end"
            }
            "line_counts" => "line, direction, class_name, interval_start_s, crossings, near_birth_or_end",
            "zone_visits" => {
                "zone, track_id, class_name, enter_frame, exit_frame, ROUND(dwell_s, 6), frames_inside, born_inside, left_scene, near_birth_or_end"
            }
            "zone_occupancy" => "zone, second, class_name, objects, ROUND(object_seconds, 6), near_birth_or_end",
            "flows" => {
                "class_name, origin, destination, moves, identities, moves_near_birth_or_end, identities_near_birth_or_end"
            }
            "track_speeds" => {
                "track_id, unit, samples, ROUND(median_speed, 6), ROUND(max_speed, 6), ROUND(max_error, 6)"
            }
            "heatmap" => "class_name, cell_x, cell_y, ROUND(seconds, 6)",
            _ => "track_a, track_b, ROUND(duration_s, 6), ROUND(min_distance, 6), unit",
        };
        let select = |from: String| format!("SELECT {columns} FROM {from} AS asked");
        let mut ours = database.ask(&select((*view).to_owned()));
        let mut theirs = emulator.ask(&select(format!("(\n{}\n)", sql::bigquery(view, false))));
        ours.sort();
        theirs.sort();
        assert!(!ours.is_empty(), "{view} has no rows to compare");
        assert_eq!(ours, theirs, "{view}");
        // The table function is the same text with two parameters.
        let between = sql::bigquery(view, true);
        let of_the_span = "FROM tracks WHERE uploaded_at >= since AND uploaded_at < until";
        assert!(between.contains(of_the_span), "{view}");
        assert_eq!(
            between.matches(of_the_span).count(),
            between.matches("FROM tracks").count(),
            "{view}: reads all days"
        );
        for (since, until, whole) in [("2026-11-23", "2026-11-24", true), ("2026-11-24", "2026-11-25", false)] {
            let bound = between
                .replace(">= since", &format!(">= TIMESTAMP '{since} 00:00:00+00'"))
                .replace("< until", &format!("< TIMESTAMP '{until} 00:00:00+00'"));
            assert_eq!(
                emulator.ask(&select(format!("(\n{bound}\n)"))).len(),
                if whole { ours.len() } else { 0 },
                "{view}"
            );
        }
    }
}

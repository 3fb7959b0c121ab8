//! Times the questions about an hour of 30 frames a second with 50 objects. `scripts/bench/analytics` runs it, and supervision beside it.
//!
//! `bench FOLDER` writes `tracks.parquet` (5.4 million rows) there, and prints a table; `bench FOLDER FRAMES` also writes `few.parquet`, the first
//! frames, `few.json`, what is counted in them without hysteresis and how long it took, and `few-crossings.parquet`, the crossings of each track.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use duckdb::{Connection, params_from_iter};
use std::{fmt::Write, time::Instant};
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::{REQUESTS, SCENES};

/// An hour of frames.
const FRAMES: u32 = 108_000;

/// 50 objects in each frame, each for 20 s on a straight way somewhere, with boxes that shake.
fn tracks(frames: u32) -> String {
    format!(
        "WITH seen AS (SELECT f, o, (f // 600) * 50 + o AS track_id, (f % 600) / 600.0 AS u FROM range({frames}) a(f), range(50) b(o)),
         ways AS (SELECT *, hash(track_id * 7 + 1) % 1920 AS xa, hash(track_id * 7 + 2) % 1080 AS ya,
                            hash(track_id * 7 + 3) % 1920 AS xb, hash(track_id * 7 + 4) % 1080 AS yb FROM seen),
         places AS (SELECT *, xa + (xb::DOUBLE - xa) * u + 3 * sin(f * 0.7 + o) AS x, ya + (yb::DOUBLE - ya) * u + 3 * cos(f * 0.9 + o) AS y FROM ways)
         SELECT 'req_0aZ9bY8c_20261123T182501' AS request_id, 'gate/a.mp4' AS video, TIMESTAMPTZ '2026-11-23 18:25:01Z' AS uploaded_at,
                f::BIGINT AS frame_index, (f * 512)::BIGINT AS pts, 1 AS time_base_num, 15360 AS time_base_den, f / 30.0::DOUBLE AS time_s,
                track_id::BIGINT AS track_id, (track_id % 3)::INTEGER AS class_id, ['person', 'car', 'bus'][track_id % 3 + 1] AS class_name,
                0.8::FLOAT AS score, (x - 20)::FLOAT AS x1, (y - 80)::FLOAT AS y1, (x + 20)::FLOAT AS x2, y::FLOAT AS y2, true AS observed
         FROM places ORDER BY f, o"
    )
}

fn scene(lines: usize, hysteresis: f64) -> Scene {
    let all = [
        "{name: l0, points: [[300, 900], [300, 200]]}",
        "{name: l1, points: [[1500, 900], [1500, 200]]}",
        "{name: l2, points: [[500, 300], [1400, 300]]}",
        "{name: l3, points: [[500, 800], [1400, 850]]}",
        "{name: l4, points: [[900, 900], [900, 200]]}",
    ];
    let zone = |(index, (x, y)): (usize, &(i32, i32))| {
        format!("{{name: z{index}, points: [[{x}, {y}], [{0}, {y}], [{0}, {1}], [{x}, {1}]]}}", x + 300, y + 250)
    };
    let zones: Vec<_> = [(100, 100), (800, 500), (1300, 200), (300, 700)].iter().enumerate().map(zone).collect();
    Scene::parse(&format!(
        "name: s\nvideos: ['gate/*']\npicture: {{width_px: 1920, height_px: 1080}}\nhysteresis: {hysteresis}\nlines: [{}]\nzones: [{}]",
        all[..lines].join(", "),
        zones.join(", ")
    ))
    .unwrap()
}

/// A database over a file, on two cores with 1 GB.
fn opened(parquet: &str, scene: &Scene) -> Connection {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("SET threads = 2; SET memory_limit = '1GB'").unwrap();
    database.execute_batch(&format!("CREATE VIEW tracks AS SELECT * FROM read_parquet(['{parquet}'])")).unwrap();
    for table in [REQUESTS, SCENES] {
        database
            .execute_batch(&format!("CREATE TABLE {} ({})", table.name, table.duckdb().replace(" NOT NULL", "")))
            .unwrap();
    }
    database
        .execute_batch(
            "INSERT INTO requests (request_id, video, uploaded_at, width_px, height_px)
             VALUES ('req_0aZ9bY8c_20261123T182501', 'gate/a.mp4', TIMESTAMPTZ '2026-11-23 18:25:01Z', 1920, 1080)",
        )
        .unwrap();
    for row in scene.rows() {
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let marks = vec!["?"; names.len()].join(", ");
        let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        database
            .execute(
                &format!("INSERT INTO scenes ({}) VALUES ({marks})", names.join(", ")),
                params_from_iter(values.into_iter().map(text)),
            )
            .unwrap();
    }
    database.execute_batch(&sql::duckdb_start()).unwrap();
    database
}

/// Seconds that this process has computed, on all cores together: Linux counts in hundredths.
fn computed_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // After the name and the state, which is a letter: the 11th and 12th number.
    (fields[10] + fields[11]) / 100.0
}

/// The most memory that this process has held, in MB.
fn most_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Seconds until these views are made, seconds computed for it, and their rows together.
fn timed(parquet: &str, scene: &Scene, views: &[&str]) -> (f64, f64, i64) {
    let database = opened(parquet, scene);
    let (begin, computed) = (Instant::now(), computed_s());
    for statement in sql::duckdb_views(views) {
        database.execute_batch(&statement).unwrap();
    }
    let (took, computed) = (begin.elapsed().as_secs_f64(), computed_s() - computed);
    let count = |view: &&str| {
        database.query_row(&format!("SELECT COUNT(*) FROM {view}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    (took, computed, views.iter().map(count).sum())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = &arguments[0];
    let write = |name: &str, frames: u32| {
        let file = format!("{folder}/{name}");
        let sql =
            format!("COPY ({}) TO '{file}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 65536)", tracks(frames));
        Connection::open_in_memory().unwrap().execute_batch(&sql).unwrap();
        file
    };
    // By another process, so that what writing takes is not counted as what asking takes.
    if arguments.get(1).is_some_and(|what| what == "rows") {
        write("tracks.parquet", FRAMES);
        return;
    }
    let mut rows = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(rows.args([folder, "rows"]).status().unwrap().success());
    let hour = format!("{folder}/tracks.parquet");
    println!(
        "| questions about one hour, 5.4 million rows | rows of answers | seconds | computed, both cores |\n|---|---|---|---|"
    );
    let three = ["line_crossings", "zone_visits", "zone_occupancy"];
    for (what, lines, views) in [
        ("crossings of four lines", 4, &three[..1]),
        ("visits of four zones", 4, &three[1..2]),
        ("crossings, visits and occupancy", 4, &three[..]),
        ("the same with five lines", 5, &three[..]),
    ] {
        // The best of three: others use the machine too.
        let runs: Vec<_> = (0..3).map(|_| timed(&hour, &scene(lines, 0.1), views)).collect();
        let least = |of: fn(&(f64, f64, i64)) -> f64| runs.iter().map(of).fold(f64::INFINITY, f64::min);
        println!("| {what} | {} | {:.2} | {:.2} |", runs[0].2, least(|run| run.0), least(|run| run.1));
    }
    println!("\nThe process held {:.0} MB at most.", most_memory_mb());
    if let Some(frames) = arguments.get(1) {
        let few = write("few.parquet", frames.parse().unwrap());
        let database = opened(&few, &scene(4, 0.0));
        let (begin, computed) = (Instant::now(), computed_s());
        for statement in sql::duckdb_views(&three) {
            database.execute_batch(&statement).unwrap();
        }
        let mut json =
            format!("{{\"seconds\": {}, \"computed\": {}, ", begin.elapsed().as_secs_f64(), computed_s() - computed);
        let crossings = format!(
            "COPY (SELECT line, track_id, direction, COUNT(*) AS crossings FROM line_crossings GROUP BY ALL) TO '{folder}/few-crossings.parquet'"
        );
        database.execute_batch(&crossings).unwrap();
        let mut statement = database
            .prepare(
                "SELECT line || ' ' || direction, COUNT(*) FROM line_crossings GROUP BY ALL
                 UNION ALL SELECT zone, SUM(frames_inside)::BIGINT FROM zone_visits GROUP BY ALL ORDER BY 1",
            )
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
        for (index, row) in rows.enumerate() {
            let (name, count) = row.unwrap();
            write!(json, "{}\"{name}\": {count}", if index > 0 { ", " } else { "" }).unwrap();
        }
        std::fs::write(format!("{folder}/few.json"), json + "}\n").unwrap();
    }
}

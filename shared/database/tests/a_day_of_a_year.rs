//! A camera's year, a request a day: what is asked about one day reads one day. All other days' files are no Parquet, so that opening one fails.

#![allow(clippy::unwrap_used)]

use duckdb::Connection;
use std::fs;
use tempfile::TempDir;
use trackdrop_database::{Contents, LoadedFile, Span, ask_about, open, quoted};
use trackdrop_scenes::{Scene, sql::VIEWS};
use trackdrop_tables::schema::{ColumnType, REQUESTS};

const DAYS: usize = 365;
/// From 0, which is 1 January.
const ASKED: usize = 200;

const SCENE: &str = "name: gate
videos: ['*']
picture: {width_px: 200, height_px: 100}
encounter: {distance: 50, seconds: 1}
lines: [{name: line, points: [[100, 100], [100, 0]]}]
zones: [{name: zone, points: [[50, 0], [150, 0], [150, 100], [50, 100]]}]";

/// Two objects of each day go from left to right.
fn rows(request: &str, day: &str) -> String {
    format!(
        "SELECT '{request}' AS request_id, 'a.mp4' AS video, TIMESTAMPTZ '{day} 12:00:00Z' AS uploaded_at, f AS frame_index, f AS pts,
                1::INTEGER AS time_base_num, 25::INTEGER AS time_base_den, f / 25.0 AS time_s, t AS track_id, 0::INTEGER AS class_id,
                'person' AS class_name, 0.5::FLOAT AS score, (2 * f)::FLOAT AS x1, (40 + 5 * t)::FLOAT AS y1, (2 * f + 10)::FLOAT AS x2,
                (60 + 5 * t)::FLOAT AS y2, true AS observed
         FROM range(90) AS a(f), range(2) AS b(t) ORDER BY f, t"
    )
}

/// A row of `requests` with something in every column.
fn request(id: &str, day: &str) -> String {
    let mut row = serde_json::Map::new();
    for column in REQUESTS.columns {
        let value = match (column.name, column.column_type) {
            ("request_id", _) => id.into(),
            ("uploaded_at" | "finished_at", _) => format!("{day}T12:00:00Z").into(),
            ("width_px", _) => 200.into(),
            ("height_px", _) => 100.into(),
            ("state", _) => "done".into(),
            (_, ColumnType::Text) => "a.mp4".into(),
            (_, ColumnType::Timestamp) => format!("{day}T12:00:00Z").into(),
            (_, ColumnType::Bool) => true.into(),
            _ => 1.into(),
        };
        row.insert(column.name.to_owned(), value);
    }
    serde_json::Value::Object(row).to_string()
}

/// A year whose files are all spoilt but that of the day asked about.
fn year() -> (TempDir, Contents, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open_in_memory().unwrap();
    let days: Vec<String> = database
        .prepare("SELECT strftime(DATE '2026-01-01' + i::INTEGER, '%Y-%m-%d') FROM range(365) AS days(i) ORDER BY i")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut contents = Contents { scenes: vec![Scene::parse(SCENE).unwrap()], ..Contents::default() };
    for (number, day) in days.iter().enumerate() {
        let (id, path) = (format!("req_{number:03}"), folder.path().join(number.to_string()));
        if number == ASKED {
            let file = quoted(path.to_str().unwrap());
            database.execute_batch(&format!("COPY ({}) TO {file} (FORMAT parquet)", rows(&id, day))).unwrap();
        } else {
            fs::write(&path, "of another day").unwrap();
        }
        contents.requests.push(request(&id, day));
        contents.tracks.push(LoadedFile { request_id: id, path });
    }
    (folder, contents, days)
}

fn span(days: &[String], from: usize, to: usize) -> Span {
    Span { since: Some(days[from].clone()), until: Some(days[to].clone()) }
}

/// How many rows a view or table has, or what is said of that.
fn count(contents: &Contents, span: &Span, table: &str) -> Result<i64, String> {
    let ask = || -> Result<i64, trackdrop_database::DatabaseError> {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let database = open(contents, span)?;
        ask_about(&database, &contents.scenes, &sql)?;
        Ok(database.query_row(&sql, [], |row| row.get(0))?)
    };
    ask().map_err(|error| error.to_string())
}

#[test]
fn the_question_of_one_day_opens_the_file_of_that_day_only() {
    let (_folder, contents, days) = year();
    assert_eq!((contents.tracks.len(), days.len()), (DAYS, DAYS));
    let day = span(&days, ASKED, ASKED + 1);
    assert_eq!(count(&contents, &day, "tracks"), Ok(180));
    assert_eq!(count(&contents, &day, "line_crossings"), Ok(2));
    for view in VIEWS {
        assert!(count(&contents, &day, view).unwrap() > 0, "{view}");
    }
    // One more day is a spoilt file more.
    for wider in [span(&days, ASKED - 1, ASKED + 1), span(&days, ASKED, ASKED + 2), Span::default()] {
        let said = count(&contents, &wider, "tracks").unwrap_err();
        assert!(said.contains("too small to be a Parquet file") || said.contains("No magic bytes"), "{said}");
    }
}

#[test]
fn a_day_without_an_upload_is_empty() {
    let (_folder, mut contents, days) = year();
    contents.tracks.remove(10);
    contents.requests.remove(10);
    assert_eq!(count(&contents, &span(&days, 10, 11), "zone_visits"), Ok(0));
}

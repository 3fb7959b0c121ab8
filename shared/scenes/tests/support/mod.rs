//! A database with tracks, requests and scenes, and what the tests say in short.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod counts;
pub(crate) mod drawing;
pub(crate) mod slow;

use duckdb::{Connection, params, params_from_iter};
use trackdrop_scenes::{Scene, sql};
use trackdrop_tables::schema::{REQUESTS, SCENES, TRACKS};

pub(crate) const REQUEST: &str = "req_0aZ9bY8c_20261123T182501";

/// One position: the anchor (`reference`) is the middle of the box's lower side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At {
    pub(crate) track: i64,
    pub(crate) frame: i64,
    pub(crate) time_s: f64,
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) class: &'static str,
    pub(crate) observed: bool,
}

/// A track of persons, of 25 frames a second, with boxes 10 wide and 20 high: none where it is not seen.
pub(crate) fn walk(track: i64, points: &[Option<(f32, f32)>]) -> Vec<At> {
    let one = |(frame, point): (usize, &Option<(f32, f32)>)| {
        let (x, y) = (*point)?;
        let frame = frame as i64;
        let (width, height) = (10.0, 20.0);
        Some(At { track, frame, time_s: frame as f64 / 25.0, x, y, width, height, class: "person", observed: true })
    };
    points.iter().enumerate().filter_map(one).collect()
}

/// As `walk`, seen all the time.
pub(crate) fn seen(track: i64, points: &[(f32, f32)]) -> Vec<At> {
    walk(track, &points.iter().copied().map(Some).collect::<Vec<_>>())
}

pub(crate) struct Database(pub(crate) Connection);

impl Database {
    pub(crate) fn new(scenes: &[Scene]) -> Self {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch("SET TimeZone = 'UTC'; SET threads = 2").unwrap();
        for table in [TRACKS, REQUESTS, SCENES] {
            database.execute_batch(&format!("CREATE TABLE {} ({})", table.name, table.duckdb())).unwrap();
        }
        let marks = vec!["?"; SCENES.columns.len()].join(", ");
        let mut insert = database.prepare(&format!("INSERT INTO scenes VALUES ({marks})")).unwrap();
        for row in scenes.iter().flat_map(Scene::rows) {
            let unknown = row.keys().find(|key| SCENES.columns.iter().all(|column| column.name != *key));
            assert_eq!(unknown, None, "a column that the table does not have");
            let values = SCENES.columns.iter().map(|column| match row.get(column.name) {
                None => None,
                Some(serde_json::Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            });
            insert.execute(params_from_iter(values)).unwrap();
        }
        drop(insert);
        Self(database)
    }

    pub(crate) fn request(&self, request: &str, video: &str, width_px: i64, height_px: i64) -> &Self {
        self.0
            .execute(
                "INSERT INTO requests BY NAME SELECT ? AS request_id, ? AS video, TIMESTAMPTZ '2026-11-23 18:25:01Z' AS uploaded_at,
                 now() AS finished_at, 'done' AS state, 1 AS segments, 1 AS frames, 0 AS frames_damaged, 0 AS detections, 0 AS track_rows,
                 0 AS track_count, 'x' AS version, 0 AS split_s, 0 AS track_s, 0 AS merge_s, 0 AS annotate_s, 0 AS join_s,
                 ? AS width_px, ? AS height_px",
                params![request, video, width_px, height_px],
            )
            .unwrap();
        self
    }

    pub(crate) fn rows(&self, request: &str, rows: &[At]) -> &Self {
        let mut appender = self.0.appender("tracks").unwrap();
        for at in rows {
            appender
                .append_row(params![
                    request,
                    "gate/a.mp4",
                    "2026-11-23 18:25:01Z",
                    at.frame,
                    (at.time_s * 12_800.0).round() as i64,
                    1,
                    12_800,
                    at.time_s,
                    at.track,
                    0,
                    at.class,
                    0.9_f32,
                    at.x - at.width / 2.0,
                    at.y - at.height,
                    at.x + at.width / 2.0,
                    at.y,
                    at.observed
                ])
                .unwrap();
        }
        appender.flush().unwrap();
        drop(appender);
        self
    }

    /// Makes the views, these of them over tables.
    pub(crate) fn views(&self, asked: &[&str]) -> &Self {
        self.0.execute_batch(&sql::duckdb_start()).unwrap();
        for statement in sql::duckdb_views(asked) {
            self.0.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}\n{statement}"));
        }
        self
    }

    /// Rows, their values with commas between.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        let row = format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({sql})");
        let mut statement = self.0.prepare(&row).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let mut rows = statement.query([]).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let count = row.as_ref().column_count();
            let values =
                (0..count).map(|index| row.get::<_, Option<String>>(index).unwrap().unwrap_or("null".to_owned()));
            all.push(values.collect::<Vec<_>>().join(","));
        }
        all
    }
}

/// A picture of 200 x 100 with these zones and lines, in YAML.
pub(crate) fn scene(rest: &str) -> Scene {
    Scene::parse(&format!("name: s\nvideos: ['*']\npicture: {{width_px: 200, height_px: 100}}\n{rest}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A database with a scene and the tracks of one video.
pub(crate) fn asked(scene: Scene, rows: &[At]) -> Database {
    asked_for(scene, rows, sql::VIEWS)
}

/// The same, with these of the views over tables.
pub(crate) fn asked_for(scene: Scene, rows: &[At], views: &[&str]) -> Database {
    let database = Database::new(&[scene]);
    database.request(REQUEST, "gate/a.mp4", 200, 100).rows(REQUEST, rows).views(views);
    database
}

//! A scene is asked again and again while it is drawn: each answer is that of a database that was never asked before.

#![allow(clippy::unwrap_used)]

use duckdb::Connection;
use std::{fs, path::Path};
use trackdrop_database::{Contents, Draft, LoadedFile, Span, ask_about, open, quoted};
use trackdrop_scenes::Scene;
use trackdrop_tables::schema::{ColumnType, REQUESTS};

const REQUEST: &str = "req_0aZ9bY8c_20261123T182501";
const VIEWS: [&str; 4] = ["line_crossings", "zone_visits", "flows", "track_speeds"];

/// Objects of two classes and several heights that go to and fro, before and after the tenth minute, where another file of a summary begins.
const ROWS: &str = "
    SELECT 'req_0aZ9bY8c_20261123T182501' AS request_id, 'a.mp4' AS video, TIMESTAMPTZ '2026-11-23 18:25:01Z' AS uploaded_at,
           f AS frame_index, f AS pts, 1::INTEGER AS time_base_num, 25::INTEGER AS time_base_den, 592 + f / 25.0 AS time_s, t + 1 AS track_id,
           (t % 2)::INTEGER AS class_id, ['person', 'car'][t % 2 + 1] AS class_name, 0.5::FLOAT AS score,
           (95 + 90 * sin(f / 30.0 + t))::FLOAT AS x1, (20 + 5 * t)::FLOAT AS y1, (105 + 90 * sin(f / 30.0 + t))::FLOAT AS x2,
           (30 + 8 * t)::FLOAT AS y2, true AS observed
    FROM range(400) AS a(f), range(6) AS b(t) ORDER BY f, t";

/// What a person does: draws a line that nobody crosses, draws another, drags it, draws a zone, takes the line away, changes what is measured.
const SCENES: [&str; 9] = [
    "lines: [{name: far, points: [[0, 0], [1, 0]]}]",
    "lines: [{name: a, points: [[100, 100], [100, 0]]}]",
    "lines: [{name: a, points: [[150, 100], [60, 0]]}]",
    "lines: [{name: a, points: [[150, 100], [60, 0]]}]\nzones: [{name: z, points: [[20, 0], [90, 0], [90, 100], [20, 100]]}]",
    "zones: [{name: z, points: [[20, 0], [90, 0], [90, 100], [20, 100]]}]",
    "hysteresis: 1.5\nlines: [{name: a, points: [[150, 100], [60, 0]]}]",
    "reference: [0, 0.5]\nlines: [{name: a, points: [[150, 100], [60, 0]]}]",
    "calibration: [{pixel: [0, 0], metre: [0, 10]}, {pixel: [200, 0], metre: [20, 10]}, {pixel: [200, 100], metre: [20, 0]}, \
     {pixel: [0, 100], metre: [0, 0]}]\nlines: [{name: a, points: [[150, 100], [60, 0]]}]",
    "lines: [{name: a, points: [[100, 100], [100, 0]]}]",
];

fn scene(rest: &str) -> Scene {
    Scene::parse(&format!("name: draft\nvideos: ['*']\npicture: {{width_px: 200, height_px: 100}}\n{rest}")).unwrap()
}

fn request() -> String {
    let row = REQUESTS.columns.iter().map(|column| {
        let value = match (column.name, column.column_type) {
            ("request_id", _) => REQUEST.into(),
            ("width_px", _) => 200.into(),
            ("height_px", _) => 100.into(),
            ("state", _) => "done".into(),
            (_, ColumnType::Text) => "a.mp4".into(),
            (_, ColumnType::Timestamp) => "2026-11-23T18:25:01Z".into(),
            (_, ColumnType::Bool) => true.into(),
            _ => 1.into(),
        };
        (column.name.to_owned(), value)
    });
    serde_json::Value::Object(row.collect()).to_string()
}

/// All rows of all views, as text.
fn answers(database: &Connection) -> Vec<Vec<String>> {
    let rows = |view: &&str| -> Vec<String> {
        let sql = format!("SELECT TO_JSON(v)::VARCHAR FROM {view} AS v ORDER BY ALL");
        database.prepare(&sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    VIEWS.iter().map(rows).collect()
}

/// The tables over a file of these rows.
fn tables(folder: &Path) -> Contents {
    let path = folder.join("tracks.parquet");
    let copy = format!("COPY ({ROWS}) TO {} (FORMAT parquet)", quoted(path.to_str().unwrap()));
    Connection::open_in_memory().unwrap().execute_batch(&copy).unwrap();
    let tracks = vec![LoadedFile { request_id: REQUEST.to_owned(), path }];
    Contents { tracks, requests: vec![request()], scenes: Vec::new() }
}

/// What a database that was never asked anything answers.
fn fresh(contents: &Contents, scene: &Scene) -> Vec<Vec<String>> {
    let database = open(contents, &Span::default()).unwrap();
    ask_about(&database, std::slice::from_ref(scene), &VIEWS.join(" ")).unwrap();
    answers(&database)
}

#[test]
fn each_answer_is_that_of_a_new_database() {
    let folder = tempfile::tempdir().unwrap();
    let contents = tables(folder.path());
    let mut draft = Draft::new(contents.clone(), folder.path(), 2, "256MB");
    let mut seen = Vec::new();
    for rest in SCENES {
        let scene = scene(rest);
        let expected = fresh(&contents, &scene);
        assert_eq!(answers(&draft.ask(&scene, &VIEWS).unwrap()), expected, "{rest}");
        seen.push(expected);
    }
    // Each scene is answered in another way than the one before, so that an answer that stays is seen.
    assert!(seen[0][..3].iter().all(Vec::is_empty));
    assert!(seen[1..].iter().all(|one| !one[0].is_empty() || !one[1].is_empty()));
    assert_eq!(seen[1], seen[8]);
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn a_summary_that_is_made_before_a_line_is_drawn_is_that_of_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let contents = tables(folder.path());
    let mut draft = Draft::new(contents.clone(), folder.path(), 2, "256MB");
    let drawn = scene(SCENES[1]);
    draft.prepare(&Scene { lines: Vec::new(), ..drawn.clone() }).unwrap();
    let summary = folder.path().join("summary/0.parquet");
    let made = fs::metadata(&summary).unwrap().modified().unwrap();
    assert_eq!(answers(&draft.ask(&drawn, &VIEWS).unwrap()), fresh(&contents, &drawn));
    assert_eq!(fs::metadata(&summary).unwrap().modified().unwrap(), made, "it is made once");
    assert_eq!(fs::read_dir(folder.path().join("summary")).unwrap().count(), 2, "one for each ten minutes");
    draft.ask(&scene(SCENES[5]), &VIEWS).unwrap();
    assert_ne!(fs::metadata(&summary).unwrap().modified().unwrap(), made, "another hysteresis has another summary");
}

#[test]
fn an_answer_after_a_failed_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let contents = tables(folder.path());
    let mut draft = Draft::new(contents.clone(), folder.path(), 2, "256MB");
    let [first, second] = [scene(SCENES[1]), scene(SCENES[5])];
    draft.ask(&first, &VIEWS).unwrap();
    let (path, elsewhere) = (&contents.tracks[0].path, folder.path().join("elsewhere"));
    fs::rename(path, &elsewhere).unwrap();
    draft.ask(&second, &VIEWS).unwrap_err();
    fs::rename(&elsewhere, path).unwrap();
    for scene in [&second, &first] {
        assert_eq!(answers(&draft.ask(scene, &VIEWS).unwrap()), fresh(&contents, scene));
    }
}

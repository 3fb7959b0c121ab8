//! A statement of others reads the tables and nothing else, writes nothing, and is bounded in time, memory and rows.
//!
//! Each refusal is tested beside the same statement without the bound, which does what is refused.

#![allow(clippy::unwrap_used)]

use duckdb::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tempfile::TempDir;
use trackdrop_database::{
    Contents, DatabaseError, LoadedFile, Span,
    bounded::{Answer, Bounds, answer, asker, confine},
    open, quoted,
};

const BOUNDS: Bounds =
    Bounds { time: Duration::from_secs(60), memory_bytes: 512_000_000, threads: 2, rows: 100, bytes: 1_000_000 };
/// What would take years.
const ENDLESS: &str = "SELECT COUNT(*) FROM range(1000000) AS a, range(1000000) AS b, range(1000000) AS c \
                       WHERE (a.range + b.range + c.range) % 7 = 3";

/// A file of tracks, and one that is none of our business.
struct Store {
    folder: TempDir,
    contents: Contents,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tracks = folder.path().join("1");
        let columns = "'req_1' AS request_id, 'clip.mp4' AS video, TIMESTAMPTZ '2026-11-23 18:00:00+00' AS uploaded_at, range AS frame_index,
                       range AS pts, 1::INTEGER AS time_base_num, 25::INTEGER AS time_base_den, range / 25.0 AS time_s, range % 3 AS track_id,
                       0::INTEGER AS class_id, 'person' AS class_name, 0.5::FLOAT AS score, 0::FLOAT AS x1, 0::FLOAT AS y1, 1::FLOAT AS x2,
                       1::FLOAT AS y2, true AS observed";
        let sql = format!("COPY (SELECT {columns} FROM range(250)) TO {} (FORMAT parquet)", text(&tracks));
        Connection::open_in_memory().unwrap().execute_batch(&sql).unwrap();
        fs::write(folder.path().join("other.csv"), "secret\n42\n").unwrap();
        let tracks = vec![LoadedFile { request_id: "req_1".to_owned(), path: tracks }];
        Self { contents: Contents { tracks, ..Contents::default() }, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ask(&self, sql: &str, bounds: Bounds) -> Result<Answer, DatabaseError> {
        let (_asker, asked) = asker();
        answer(&self.contents, sql, bounds, asked)
    }

    fn refusal(&self, sql: &str) -> String {
        self.ask(sql, BOUNDS).unwrap_err().to_string()
    }

    fn open(&self) -> Connection {
        open(&self.contents, &Span::default()).unwrap()
    }

    fn confined(&self) -> Connection {
        let database = self.open();
        confine(&database, &self.contents, BOUNDS).unwrap();
        database
    }
}

fn text(path: &Path) -> String {
    quoted(path.to_str().unwrap())
}

/// The first row, as text.
fn first(answer: Answer) -> Vec<Option<String>> {
    answer.rows.into_iter().next().unwrap()
}

#[test]
fn the_tables_answer_with_names_types_and_texts() {
    let store = Store::new();
    let sql = "SELECT track_id, COUNT(*) AS n, MAX(time_s) AS last, NULL::VARCHAR AS nothing, '' AS empty, 1 AS n
               FROM tracks GROUP BY track_id ORDER BY track_id -- by track;";
    let answer = store.ask(sql, BOUNDS).unwrap();
    let columns: Vec<_> = answer.columns.iter().map(|one| (one.name.as_str(), one.column_type.as_str())).collect();
    assert_eq!(columns[..4], [("track_id", "BIGINT"), ("n", "BIGINT"), ("last", "DOUBLE"), ("nothing", "VARCHAR")]);
    assert_eq!(columns.len(), 6);
    assert_ne!(columns[5].0, "n", "two columns of one name are told apart");
    assert_eq!(answer.rows.len(), 3);
    assert!(!answer.is_cut);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(answer.rows[0], [some("0"), some("84"), some("9.96"), None, some(""), some("1")]);
    let no_rows = store.ask("SELECT scene, line FROM line_counts;", BOUNDS).unwrap();
    assert_eq!((no_rows.columns.len(), no_rows.rows.len()), (2, 0));
    assert_eq!(first(store.ask("FROM tracks SELECT COUNT(*)", BOUNDS).unwrap()), [some("250")]);
}

#[test]
fn the_order_is_that_of_the_statement() {
    let store = Store::new();
    let answer = store.ask("SELECT frame_index FROM tracks ORDER BY frame_index DESC", BOUNDS).unwrap();
    let frames: Vec<u32> = answer.rows.iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect();
    assert_eq!(frames, (150..250).rev().collect::<Vec<_>>());
}

#[test]
fn no_other_file_is_read() {
    let store = Store::new();
    let (other, folder) = (text(&store.path("other.csv")), store.folder.path().display());
    let copied = store.path("copied");
    fs::copy(store.path("1"), &copied).unwrap();
    for sql in [
        format!("SELECT * FROM {other}"),
        format!("SELECT * FROM read_csv({other})"),
        format!("SELECT * FROM read_text({other})"),
        format!("SELECT * FROM read_blob({other})"),
        format!("SELECT * FROM glob('{folder}/*')"),
        format!("SELECT * FROM read_parquet({})", text(&copied)),
        format!("SELECT * FROM parquet_schema({})", text(&copied)),
        format!("SELECT * FROM query('SELECT * FROM read_text({})')", other.replace('\'', "''")),
    ] {
        store.open().execute(&sql, []).unwrap();
        let said = store.refusal(&sql);
        assert!(said.contains("Permission Error"), "{sql}: {said}");
    }
    let own = format!("SELECT COUNT(*) FROM read_parquet({})", text(&store.path("1")));
    assert_eq!(first(store.ask(&own, BOUNDS).unwrap()), [Some("250".to_owned())], "the tables' own files are read");
}

#[test]
fn nothing_is_written_not_even_to_a_file_that_may_be_read() {
    let store = Store::new();
    let before = fs::read(store.path("1")).unwrap();
    for name in ["1", "new"] {
        let copy = format!("COPY (SELECT 1) TO {} (FORMAT parquet)", text(&store.path(name)));
        for sql in [copy.clone(), format!("{copy}; SELECT 1"), format!("SELECT 1; {copy}")] {
            assert!(matches!(store.ask(&sql, BOUNDS), Err(DatabaseError::NotOne)), "{sql}");
        }
        let closes = format!("SELECT 1) AS x; {copy}; SELECT * FROM (SELECT 2");
        assert!(matches!(store.ask(&closes, BOUNDS), Err(DatabaseError::Query(_))), "{closes}");
    }
    assert_eq!(fs::read(store.path("1")).unwrap(), before);
    assert!(!store.path("new").exists());
    // By the database itself for a file that is not one of the tables'.
    let copy = format!("COPY (SELECT 1) TO {} (FORMAT parquet)", text(&store.path("new")));
    let said = store.confined().execute_batch(&copy).unwrap_err().to_string();
    assert!(said.contains("Permission Error") && !store.path("new").exists(), "{said}");
    store.open().execute_batch(&copy).unwrap();
    assert!(store.path("new").exists(), "without the bound it is written");
}

#[test]
fn only_one_select_is_asked() {
    let store = Store::new();
    let attach = format!("ATTACH {} AS other", text(&store.path("other.db")));
    for sql in [
        attach.as_str(),
        "SELECT 1; SELECT 2",
        "SET memory_limit = '8GB'",
        "SET lock_configuration = false; SELECT 1",
        "CREATE TABLE mine AS SELECT 1 AS one",
        "DROP VIEW tracks",
        "INSTALL httpfs",
        "LOAD json",
        "PRAGMA version",
        "CALL pragma_version()",
        "EXPORT DATABASE 'folder'",
        "",
        "-- nothing",
    ] {
        assert!(matches!(store.ask(sql, BOUNDS), Err(DatabaseError::NotOne)), "{sql}: {:?}", store.ask(sql, BOUNDS));
    }
}

#[test]
fn what_is_taken_away_can_not_be_had_again() {
    let store = Store::new();
    let attach = format!("ATTACH {} AS other", text(&store.path("other.db")));
    let confined = store.confined();
    for (sql, why) in [
        (attach.as_str(), "Permission Error"),
        ("SET memory_limit = '8GB'", "locked"),
        ("SET threads = 16", "locked"),
        ("SET lock_configuration = false", "locked"),
        ("RESET allowed_paths", "locked"),
    ] {
        let said = confined.execute_batch(sql).unwrap_err().to_string();
        assert!(said.contains(why), "{sql}: {said}");
        store.open().execute_batch(sql).unwrap();
    }
    let said = confined.execute_batch("SET enable_external_access = true").unwrap_err().to_string();
    assert!(said.contains("locked"), "{said}");
    let load = format!("LOAD {}", text(&store.path("none.duckdb_extension")));
    let said = confined.execute_batch(&load).unwrap_err().to_string();
    assert!(said.contains("Permission Error"), "{said}");
    let said = store.open().execute_batch(&load).unwrap_err().to_string();
    assert!(!said.contains("Permission Error"), "without the bound it is only missing: {said}");
    let said = confined.execute_batch("INSTALL httpfs").unwrap_err().to_string();
    assert!(said.contains("Permission Error"), "{said}");
}

#[test]
fn a_statement_without_end_is_stopped_when_its_time_is_over() {
    let store = Store::new();
    let bounds = Bounds { time: Duration::from_millis(100), ..BOUNDS };
    let error = store.ask(ENDLESS, bounds).unwrap_err();
    assert!(matches!(error, DatabaseError::TooLong(0.1)), "{error}");
    assert!(error.to_string().contains("stopped after 0.1 s"), "{error}");
}

#[test]
fn a_statement_is_stopped_when_its_asker_leaves() {
    let store = Store::new();
    for leaves_first in [true, false] {
        let (asker, asked) = asker();
        let contents = store.contents.clone();
        let bounds = Bounds { time: Duration::from_secs(1_000_000), ..BOUNDS };
        let running = if leaves_first {
            drop(asker);
            thread::spawn(move || answer(&contents, ENDLESS, bounds, asked))
        } else {
            let running = thread::spawn(move || answer(&contents, ENDLESS, bounds, asked));
            drop(asker);
            running
        };
        assert!(matches!(running.join().unwrap(), Err(DatabaseError::Left)));
    }
}

#[test]
fn memory_is_bounded_and_nothing_is_spilled_to_files() {
    let store = Store::new();
    let sql = "SELECT COUNT(*) FROM (SELECT DISTINCT range FROM range(20000000))";
    let bounds = Bounds { memory_bytes: 64_000_000, ..BOUNDS };
    let said = store.ask(sql, bounds).unwrap_err().to_string();
    assert!(said.contains("Out of Memory"), "{said}");
    let limits =
        "SELECT current_setting('memory_limit'), current_setting('temp_directory'), current_setting('threads')";
    let [memory, temporary, threads]: [Option<String>; 3] =
        first(store.ask(limits, bounds).unwrap()).try_into().unwrap();
    assert_eq!([memory.as_deref(), threads.as_deref()], [Some("61.0 MiB"), Some("2")]);
    assert!(temporary.is_none_or(|folder| folder.is_empty()));
}

#[test]
fn an_answer_has_a_bounded_number_of_rows_and_bytes_and_says_that_it_is_cut() {
    let store = Store::new();
    let ask = |rows: &str, bounds| {
        let answer = store.ask(&format!("SELECT * FROM range({rows})"), bounds).unwrap();
        (answer.rows.len(), answer.is_cut)
    };
    assert_eq!(ask("99", BOUNDS), (99, false));
    assert_eq!(ask("100", BOUNDS), (100, false));
    assert_eq!(ask("101", BOUNDS), (100, true));
    assert_eq!(ask("1000000000000", BOUNDS), (100, true), "what is not answered is not computed");
    assert_eq!(ask("100", Bounds { bytes: 190, ..BOUNDS }), (100, false), "10 numbers of 1 digit and 90 of 2");
    assert_eq!(ask("100", Bounds { bytes: 189, ..BOUNDS }), (99, true));
}

#[test]
fn an_error_is_in_the_words_of_duckdb_and_shows_the_place_in_the_statement() {
    let store = Store::new();
    for (sql, words, place) in [
        ("SELEC 1", "syntax error at or near \"SELEC\"", "LINE 1: SELEC 1"),
        ("SELECT 1\nFROM trackz", "Table with name trackz does not exist", "LINE 2: FROM trackz"),
        ("SELECT tack_id FROM tracks", "\"tack_id\" not found", "LINE 1: SELECT tack_id FROM tracks"),
    ] {
        let said = store.refusal(sql);
        assert!(said.contains(words) && said.contains(place), "{sql}: {said}");
        assert!(!said.contains("query("), "{sql}: {said}");
    }
    let said = store.refusal("SELECT 'a'::INTEGER");
    assert!(said.contains("Could not convert string 'a' to INT32") && !said.contains("query("), "{said}");
    assert!(store.refusal("SELECT ?").to_lowercase().contains("parameter"));
    assert!(store.refusal("SELECT '\0'").contains("nul"));
}

//! SQL is sent to a running console over HTTP, and only callers with its token get an answer.

#![allow(clippy::unwrap_used)]

mod served;

use serde_json::{Value, json};
use served::Served;

fn start() -> Served {
    Served::start(Err("this test takes none".into()))
}

fn ask(served: &Served, sql: &str) -> (u16, Value) {
    let answer = served.send("POST", "/api/ask", &served.own(), json!({ "sql": sql }).to_string().as_bytes());
    (answer.status, answer.json())
}

#[test]
fn a_select_is_answered_and_all_else_is_refused_with_a_reason() {
    let served = start();
    let (status, answer) = ask(&served, "SELECT COUNT(*) AS n FROM tracks");
    assert_eq!((status, &answer["rows"]), (200, &json!([["0"]])));
    assert_eq!(answer["columns"], json!([{ "name": "n", "type": "BIGINT" }]));
    for (sql, words) in [
        ("DROP VIEW track_summary", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission Error"),
        ("SELECT * FROM trackz", "LINE 1: SELECT * FROM trackz"),
    ] {
        let (status, answer) = ask(&served, sql);
        assert_eq!(status, 400, "{sql}");
        assert!(answer["problem"].as_str().unwrap().contains(words), "{sql}: {answer}");
    }
    assert_eq!(ask(&served, &"x".repeat(100_001)).0, 400);
    assert_eq!(served.send("POST", "/api/ask", &served.own(), b"SELECT 1").status, 400);
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let served = start();
    let (_, answer) = ask(&served, "SELECT * FROM range(20000)");
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["is_cut"]), (10_000, &json!(true)));
    let (_, answer) = ask(&served, "SELECT * FROM range(10000)");
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["is_cut"]), (10_000, &json!(false)));
}

#[test]
fn nobody_else_can_ask() {
    let served = start();
    let body = br#"{"sql": "SELECT 1"}"#;
    let own = served.own();
    let (origin, cookie) = own.split_once("\r\n").unwrap();
    for (headers, wanted) in [
        (own.clone(), 200),
        (format!("{origin}\r\n"), 401),
        (cookie.to_owned(), 403),
        (format!("Origin: http://evil.example\r\n{cookie}"), 403),
    ] {
        assert_eq!(served.send("POST", "/api/ask", &headers, body).status, wanted, "{headers}");
    }
    assert_eq!(served.send("GET", "/api/tables", "", b"").status, 401);
    let answer = served.send("GET", "/api/tables", &own, b"");
    assert_eq!((answer.status, &answer.json()["tables"][0]["name"]), (200, &json!("tracks")));
}

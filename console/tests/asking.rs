//! SQL is sent to a running console over HTTP, and only callers with its token get an answer.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};
use tokio::{net::TcpListener, runtime::Runtime};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_console::{Console, Token, serve};
use trackdrop_flow::Cloud;
use trackdrop_media::Limits;

/// A console over an empty data directory.
struct Served {
    host: String,
    token: Token,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), Vec::new()).unwrap());
        let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
        let token = Token::random().unwrap();
        let console = Console::new(cloud, local, Limits::default(), token.clone()).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        runtime.spawn(serve(listener, console, std::future::pending()));
        Self { host, token, _runtime: runtime, _folder: folder }
    }

    /// What this page's own script sends.
    fn own(&self) -> String {
        let port = self.host.rsplit(':').next().unwrap();
        format!("Origin: http://{}\r\nCookie: trackdrop_console_{port}={}\r\n", self.host, self.token.as_str())
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    fn ask(&self, sql: &str) -> (u16, Value) {
        self.send("POST", "/api/ask", &self.own(), &json!({ "sql": sql }).to_string())
    }
}

#[test]
fn a_select_is_answered_and_all_else_is_refused_with_a_reason() {
    let served = Served::start();
    let (status, answer) = served.ask("SELECT COUNT(*) AS n FROM tracks");
    assert_eq!((status, &answer["rows"]), (200, &json!([["0"]])));
    assert_eq!(answer["columns"], json!([{ "name": "n", "type": "BIGINT" }]));
    for (sql, words) in [
        ("DROP VIEW track_summary", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission Error"),
        ("SELECT * FROM trackz", "LINE 1: SELECT * FROM trackz"),
    ] {
        let (status, answer) = served.ask(sql);
        assert_eq!(status, 400, "{sql}");
        assert!(answer["problem"].as_str().unwrap().contains(words), "{sql}: {answer}");
    }
    assert_eq!(served.ask(&"x".repeat(100_001)).0, 400);
    assert_eq!(served.send("POST", "/api/ask", &served.own(), "SELECT 1").0, 400);
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let served = Served::start();
    let (_, answer) = served.ask("SELECT * FROM range(20000)");
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["is_cut"]), (10_000, &json!(true)));
    let (_, answer) = served.ask("SELECT * FROM range(10000)");
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["is_cut"]), (10_000, &json!(false)));
}

#[test]
fn nobody_else_can_ask() {
    let served = Served::start();
    let body = r#"{"sql": "SELECT 1"}"#;
    let own = served.own();
    let (origin, cookie) = own.split_once("\r\n").unwrap();
    for (headers, wanted) in [
        (own.clone(), 200),
        (format!("{origin}\r\n"), 401),
        (cookie.to_owned(), 403),
        (format!("Origin: http://evil.example\r\n{cookie}"), 403),
    ] {
        assert_eq!(served.send("POST", "/api/ask", &headers, body).0, wanted, "{headers}");
    }
    assert_eq!(served.send("GET", "/api/tables", "", "").0, 401);
    let (status, answer) = served.send("GET", "/api/tables", &own, "");
    assert_eq!((status, &answer["tables"][0]["name"]), (200, &json!("tracks")));
}

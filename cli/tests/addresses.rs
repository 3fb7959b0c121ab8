//! `trackdrop run https://...` and `gs://...`: fetched once, in parts where the line breaks, and processed as any other upload.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};
use support::{Data, Ended, Running, Scene, clip, codec};

/// A file server of this machine.
struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    content: Vec<u8>,
    /// What the version is called.
    etag: String,
    /// Other headers of each answer.
    headers: String,
    /// An answer breaks off after this many bytes of the file, once for each of these.
    breaks_at: Vec<usize>,
    /// The heads of the requests, in lower case.
    asked: Vec<Vec<String>>,
    /// Bytes of bodies that were sent.
    sent: usize,
}

impl State {
    /// Status, headers and body of the answer to a request.
    fn answer(&mut self, head: &[String]) -> (String, Vec<u8>) {
        let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let is_same = header("if-range: ").is_none_or(|version| version == self.etag.to_lowercase());
        let range = header("range: bytes=").filter(|_| is_same);
        let length = self.content.len();
        let (status, from, to) = match &range {
            None => ("200 OK".to_owned(), 0, length),
            Some(range) => {
                let (from, to) = range.split_once('-').unwrap();
                let from: usize = from.parse().unwrap();
                let to = to.parse().map_or(length, |last: usize| last + 1);
                if from >= length {
                    return (format!("416 X\r\ncontent-range: bytes */{length}"), Vec::new());
                }
                (format!("206 X\r\ncontent-range: bytes {from}-{}/{length}", to - 1), from, to)
            }
        };
        let head = format!("{status}\r\ncontent-length: {}\r\netag: {}\r\n{}", to - from, self.etag, self.headers);
        let mut body = self.content[from..to].to_vec();
        if to == length && !self.breaks_at.is_empty() {
            body.truncate(self.breaks_at.remove(0).saturating_sub(from));
        }
        self.sent += body.len();
        (head, body)
    }
}

impl Server {
    fn of(content: Vec<u8>) -> Self {
        let state = State {
            content,
            etag: "\"one\"".to_owned(),
            headers: String::new(),
            breaks_at: Vec::new(),
            asked: Vec::new(),
            sent: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = state.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let lines = BufReader::new(connection.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).map(|l| l.to_lowercase()).collect();
                let mut state = shared.lock().unwrap();
                let (headers, body) = state.answer(&head);
                state.asked.push(head);
                drop(state);
                // Who asks may hang up.
                let head = format!("HTTP/1.1 {}\r\nconnection: close\r\n\r\n", headers.trim_end());
                connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body)).ok();
            }
        });
        Self { address, state }
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn sent(&self) -> usize {
        self.state.lock().unwrap().sent
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

fn run(data: &Data, address: &str, options: &[&str]) -> Ended {
    Running::start(&mut command(data, address, options)).end()
}

fn command(data: &Data, address: &str, options: &[&str]) -> Command {
    let mut command = data.command();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.args(["run", "--json", "--no-video", "--model"]).arg(support::model()).args(options).arg(address);
    command
}

/// A clip, and a server of it.
fn served(scene: &Scene, seconds: u32) -> (Vec<u8>, Server) {
    clip(&scene.path("clip.mp4"), seconds, codec::H264);
    let content = fs::read(scene.path("clip.mp4")).unwrap();
    (content.clone(), Server::of(content))
}

#[test]
fn an_address_gives_what_the_file_gives_and_is_fetched_once() {
    let scene = Scene::new();
    let (content, server) = served(&scene, 2);
    let data = scene.data();
    let address = server.url("cams/gate%201.mp4?token=secret");
    let summary = run(&data, &address, &[]).expect_success().json().remove(0);
    assert_eq!((&summary["video"], &summary["ledger"]["frames"]), (&"gate 1.mp4".into(), &50.into()));
    assert_eq!(server.sent(), content.len());

    let again = run(&data, &address, &[]).expect_success().json().remove(0);
    assert_eq!((&again["request_id"], again["wall_seconds"].is_null()), (&summary["request_id"], true));
    assert_eq!(server.sent(), content.len() + 1, "its version was asked for with one byte");
    // Other settings need no download either.
    let version = run(&data, &address, &["--min-score=0.5"]).expect_success().json().remove(0);
    assert_eq!((&version["retrack_of"], server.sent()), (&summary["request_id"], content.len() + 2));

    let file = data.run_json(&[&scene.path("clip.mp4")], &["--no-video"]).remove(0);
    let rows = |request: &serde_json::Value| {
        let request = request["request_id"].as_str().unwrap();
        let columns = "frame_index, pts, time_s, track_id, class_name, score, x1, y1, x2, y2";
        data.query(&format!(
            "SELECT {columns} FROM tracks WHERE request_id = '{request}' ORDER BY frame_index, track_id"
        ))
    };
    assert_eq!(rows(&summary), rows(&file));
    assert!(!data.objects("uploads/").keys().any(|name| name.contains("secret")));
    let left = fs::read_dir(data.0.join("downloads/.parts")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_none()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_line_that_breaks_is_gone_on_with_and_so_is_a_run_that_was_stopped() {
    let scene = Scene::new();
    let (content, server) = served(&scene, 2);
    let data = scene.data();
    let third = content.len() / 3;
    // Within one run; after some breaks the run ends, and the next run resumes.
    server.with(|state| state.breaks_at = vec![third, 2 * third, 2 * third, 2 * third, 2 * third, 2 * third]);
    let broken = run(&data, &server.url("clip.mp4"), &[]).expect_code(1);
    assert!(broken.stderr.contains("Run the command again: it resumes the download"), "{}", broken.stderr);
    assert!(data.requests().is_empty(), "a part of a video was processed");
    server.with(|state| state.breaks_at.clear());
    let summary = run(&data, &server.url("clip.mp4"), &[]).expect_success().json().remove(0);
    assert_eq!(summary["ledger"]["frames"], 50);
    assert_eq!(server.sent(), content.len(), "a byte was fetched twice");
}

#[test]
fn what_changes_on_the_server_is_never_mixed_and_is_another_upload() {
    let scene = Scene::new();
    let (content, server) = served(&scene, 2);
    let data = scene.data();
    server.with(|state| state.breaks_at = vec![content.len() / 2; 6]);
    run(&data, &server.url("clip.mp4"), &[]).expect_code(1);
    clip(&scene.path("other.mp4"), 1, codec::H264);
    let other = fs::read(scene.path("other.mp4")).unwrap();
    server.with(|state| {
        (state.content, state.etag) = (other, "\"two\"".to_owned());
        state.breaks_at.clear();
    });
    let first = run(&data, &server.url("clip.mp4"), &[]).expect_success().json().remove(0);
    assert_eq!(first["ledger"]["frames"], 25);
    server.with(|state| (state.content, state.etag) = (content, "\"three\"".to_owned()));
    let second = run(&data, &server.url("clip.mp4"), &[]).expect_success().json().remove(0);
    assert_eq!(second["ledger"]["frames"], 50);
    assert_ne!(second["request_id"], first["request_id"]);
}

#[test]
fn an_object_of_cloud_storage_is_compared_with_its_crc32c() {
    let scene = Scene::new();
    let (content, server) = served(&scene, 1);
    let data = scene.data();
    let hash = |crc32c: u32| {
        use base64::{Engine, prelude::BASE64_STANDARD};
        format!("x-goog-hash: crc32c={},md5=AAAA\r\n", BASE64_STANDARD.encode(crc32c.to_be_bytes()))
    };
    let run = || {
        let mut command = command(&data, "gs://my-bucket/cams/door 1.mp4", &[]);
        Running::start(command.env("STORAGE_EMULATOR_HOST", &server.address)).end()
    };
    let right = crc32c::crc32c(&content);
    server.with(|state| state.headers = hash(right ^ 1));
    let wrong = run().expect_code(1).stderr;
    assert!(wrong.contains(&format!("{right:08x}")) && wrong.contains("Run the command again"), "{wrong}");
    assert!(data.requests().is_empty());
    server.with(|state| state.headers = hash(right));
    let summary = run().expect_success().json().remove(0);
    assert_eq!((&summary["video"], &summary["ledger"]["frames"]), (&"door 1.mp4".into(), &25.into()));
    let asked = server.state.lock().unwrap().asked[0][0].clone();
    assert_eq!(asked, "get /storage/v1/b/my%2dbucket/o/cams%2fdoor%201%2emp4?alt=media http/1.1");
}

#[test]
fn what_is_no_file_is_refused_with_the_reason() {
    let scene = Scene::new();
    let server = Server::of(b"<html>log in".to_vec());
    let data = scene.data();
    server.with(|state| state.headers = "content-type: text/html\r\n".to_owned());
    let page = run(&data, &server.url("watch.mp4"), &[]).expect_code(1).stderr;
    assert!(page.contains("is a web page, not a file"), "{page}");
    let text = run(&data, &server.url("notes.srt"), &[]).expect_code(1).stderr;
    assert!(text.contains("notes.srt"), "{text}");
    let stream = run(&data, "rtsp://camera/1", &[]).expect_code(1).stderr;
    assert!(stream.contains("-f segment") && stream.contains("trackdrop watch"), "{stream}");
    assert!(data.requests().is_empty());
}

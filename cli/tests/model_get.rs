//! `trackdrop model get`, from a server of this machine that behaves as servers and lines do.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};
use support::{Ended, Running, Scene, model, sha256};
use trackdrop_detector::find_runtime;

/// The head of a request, its lines in lower case.
type Head = Vec<String>;

/// What is answered.
#[derive(Clone, Default)]
struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    /// The line breaks after this many bytes of the body.
    breaks_after: Option<usize>,
}

impl Answer {
    fn of(status: u16, body: &[u8]) -> Self {
        Self { status, body: body.to_vec(), ..Self::default() }
    }

    fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    fn breaking_after(mut self, bytes: usize) -> Self {
        self.breaks_after = Some(bytes);
        self
    }

    fn write(&self, mut to: TcpStream) {
        let mut head =
            format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n", self.status, self.body.len());
        for header in &self.headers {
            head += &format!("{header}\r\n");
        }
        let body = &self.body[..self.breaks_after.unwrap_or(self.body.len())];
        // Who asks may hang up.
        to.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| to.write_all(body)).ok();
    }
}

/// A server; it notes what it was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Head>>>,
}

impl Server {
    /// Answers the first request by `answer(0, head)`, and so on.
    fn start(answer: impl Fn(usize, &Head) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Head>>> = Arc::default();
        let notes = asked.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                let lines = BufReader::new(connection.try_clone().unwrap()).lines();
                let head: Head =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).map(|l| l.to_lowercase()).collect();
                let number = notes.lock().unwrap().len();
                notes.lock().unwrap().push(head.clone());
                answer(number, &head).write(connection);
            }
        });
        Self { address, asked }
    }

    /// Gives one file, in parts if it is asked to.
    fn of(content: Vec<u8>) -> Self {
        Self::start(move |_, head| part_of(&content, head))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The header of each request.
    fn header(&self, name: &str) -> Vec<Option<String>> {
        let of = |head: &Head| head.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        self.asked.lock().unwrap().iter().map(of).collect()
    }
}

fn first_byte(head: &Head) -> Option<usize> {
    head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok())
}

fn part_of(content: &[u8], head: &Head) -> Answer {
    match first_byte(head) {
        None => Answer::of(200, content),
        Some(first) if first < content.len() => Answer::of(206, &content[first..]).with(&format!(
            "content-range: bytes {first}-{}/{}",
            content.len() - 1,
            content.len()
        )),
        Some(_) => Answer::of(416, b""),
    }
}

/// A machine with an empty cache.
struct Machine {
    scene: Scene,
}

impl Machine {
    fn new() -> Self {
        Self { scene: Scene::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.data().command();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env("TRACKDROP_CACHE", self.scene.path("cache")).env("ORT_DYLIB_PATH", find_runtime().unwrap());
        command.env_remove("TRACKDROP_MODEL_MIRROR").arg("model").args(arguments);
        command
    }

    fn model(&self, arguments: &[&str]) -> Ended {
        Running::start(&mut self.command(arguments)).end()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scene.path("cache/models").join(name)
    }
}

/// The message, which is one.
fn error(ended: Ended) -> String {
    let ended = ended.expect_code(1);
    assert_eq!(ended.errors().len(), 1, "{}", ended.stderr);
    ended.errors()[0].to_owned()
}

#[test]
fn a_model_of_any_address_is_verified_kept_and_not_fetched_again() {
    let (machine, hash) = (Machine::new(), sha256(&model()));
    let server = Server::of(fs::read(model()).unwrap());
    let url = server.url("models/colours.onnx?download=true");
    let got = machine.model(&["get", &url, "--sha256", &hash]).expect_success();
    let file = machine.file("colours.onnx");
    assert_eq!(fs::read(&file).unwrap(), fs::read(model()).unwrap());
    assert!(got.stdout.contains(&format!("run --model {}", file.display())), "{}", got.stdout);
    machine.model(&["inspect", file.to_str().unwrap()]).expect_success();

    let again =
        machine.model(&["get", &url, "--sha256", &hash.to_uppercase(), "--json"]).expect_success().json().remove(0);
    assert_eq!((&again["was_there"], &again["model"]), (&true.into(), &file.to_str().into()));
    assert_eq!(server.asked(), 1);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let (machine, content) = (Machine::new(), fs::read(model()).unwrap());
    let (hash, half) = (sha256(&model()), content.len() / 2);
    let server = Server::start(move |number, head| {
        let answer = part_of(&content, head);
        if number == 0 { answer.breaking_after(half) } else { answer }
    });
    machine.model(&["get", &server.url("m.onnx"), "--sha256", &hash]).expect_success();
    assert_eq!(sha256(&machine.file("m.onnx")), hash);
    assert_eq!(server.header("range"), [None, Some(format!("bytes={half}-"))]);
}

#[test]
fn what_a_run_that_failed_left_is_gone_on_with() {
    let (machine, content) = (Machine::new(), fs::read(model()).unwrap());
    let (hash, half) = (sha256(&model()), content.len() / 2);
    let server = Server::start(move |number, head| match number {
        0 => part_of(&content, head).breaking_after(half),
        1 => Answer::of(403, b""),
        _ => part_of(&content, head),
    });
    let arguments = ["get", &server.url("m.onnx"), "--sha256", &hash];
    let message = error(machine.model(&arguments));
    assert!(message.contains("403") && !machine.file("m.onnx").exists(), "{message}");
    machine.model(&arguments).expect_success();
    assert_eq!(sha256(&machine.file("m.onnx")), hash);
    assert_eq!(server.header("range")[2], Some(format!("bytes={half}-")));
}

#[test]
fn a_server_that_knows_no_parts_gives_the_whole_again() {
    let (machine, content) = (Machine::new(), fs::read(model()).unwrap());
    let half = content.len() / 2;
    let server = Server::start(move |number, _| {
        let whole = Answer::of(200, &content);
        if number == 0 { whole.breaking_after(half) } else { whole }
    });
    machine.model(&["get", &server.url("m.onnx"), "--sha256", &sha256(&model())]).expect_success();
    assert_eq!((fs::read(machine.file("m.onnx")).unwrap(), server.asked()), (fs::read(model()).unwrap(), 2));
}

#[test]
fn a_beginning_of_another_file_is_thrown_away() {
    let (machine, content) = (Machine::new(), fs::read(model()).unwrap());
    let half = content.len() / 2;
    let server = Server::start(move |number, head| match number {
        0 => Answer::of(200, &vec![7; content.len()]).breaking_after(half),
        1 => Answer::of(404, b""),
        _ => part_of(&content, head),
    });
    let arguments = ["get", &server.url("m.onnx"), "--sha256", &sha256(&model())];
    error(machine.model(&arguments));
    machine.model(&arguments).expect_success();
    assert_eq!(server.header("range")[2..], [Some(format!("bytes={half}-")), None], "then from the beginning");
    assert_eq!(fs::read(machine.file("m.onnx")).unwrap(), fs::read(model()).unwrap());
}

#[test]
fn another_file_than_the_pinned_one_is_refused() {
    let machine = Machine::new();
    let server = Server::of(b"something else".to_vec());
    let hash = sha256(&model());
    let message = error(machine.model(&["get", &server.url("m.onnx"), "--sha256", &hash]));
    assert!(message.contains(&format!("not {hash}")) && message.contains("nothing was installed"), "{message}");
    assert!(!machine.file("m.onnx").exists());

    let message = error(machine.model(&["get", "yolox-nano", "--mirror", &server.url("mirror/")]));
    assert!(message.contains("/mirror/yolox-nano.onnx gave 14 bytes with the sha256"), "{message}");
    assert!(!machine.file("yolox-nano.onnx").exists() && !machine.file("yolox-nano.json").exists());
}

#[test]
fn what_nothing_pins_is_told_and_not_installed_and_pinning_it_fetches_nothing_again() {
    let machine = Machine::new();
    let server = Server::of(fs::read(model()).unwrap());
    let url = server.url("resolve/main/model.onnx");
    let named = ["get", &url, "--name", "colours"];
    let message = error(machine.model(&named));
    let remedy = format!("trackdrop model get '{url}' --sha256 {} --name colours", sha256(&model()));
    assert!(message.contains(&remedy) && !machine.file("colours.onnx").exists(), "{message}");
    machine.model(&[&named[..], &["--sha256", &sha256(&model())]].concat()).expect_success();
    assert_eq!((sha256(&machine.file("colours.onnx")), server.asked()), (sha256(&model()), 1));
}

#[test]
fn halves_that_nothing_makes_one_file_are_not_joined() {
    let machine = Machine::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::of(200, b"old content").with("etag: \"old\"").breaking_after(3),
        1 => Answer::of(200, b"new content").with("etag: W/\"new\"").breaking_after(5),
        _ => Answer::of(200, b"new content"),
    });
    let message = error(machine.model(&["get", &server.url("m.onnx")]));
    // printf 'new content' | sha256sum
    assert!(message.contains("fe32608c9ef5b6cf7e3f946480253ff76f24f4ec0678f3d0f07f9844cbff9601"), "{message}");
    assert_eq!(server.header("if-range"), [None, Some("\"old\"".to_owned()), None]);
    assert_eq!(server.header("range"), [None, Some("bytes=3-".to_owned()), None]);
}

#[test]
fn a_proxy_of_the_environment_is_asked_instead() {
    let machine = Machine::new();
    let proxy = Server::of(fs::read(model()).unwrap());
    let arguments = ["get", "http://models.invalid/m.onnx", "--sha256", &sha256(&model())];
    let mut command = machine.command(&arguments);
    Running::start(command.env("HTTP_PROXY", format!("http://{}", proxy.address))).end().expect_success();
    assert_eq!(proxy.asked.lock().unwrap()[0][0], "get http://models.invalid/m.onnx http/1.1");
    assert_eq!(sha256(&machine.file("m.onnx")), sha256(&model()));
}

#[test]
fn what_can_not_be_fetched_says_what_to_do() {
    let machine = Machine::new();
    let page = Server::start(|_, _| Answer::of(200, b"<html>").with("content-type: text/html; charset=utf-8"));
    let gone = Server::start(|_, _| Answer::of(404, b""));
    for (arguments, part) in [
        (&["yolo99"][..], "there are yolox-nano, yolox-tiny, yolox-s, d-fine-n, d-fine-s, rf-detr-n"),
        (&["yolox-nano", "--name", "mine"], "for addresses"),
        (&["ftp://example.invalid/m.onnx"], "an http or https address"),
        (&["http://"], "no address"),
        (&["http://example.invalid/"], "give another with --name"),
        (&["http://example.invalid/yolox-s.onnx"], "the name of another model"),
        (&["http://example.invalid/nanodet-g-416.onnx"], "the name of another model"),
        (&["http://example.invalid/m.onnx", "--name", "../m"], "can't be a model's name"),
        (&[&page.url("m.onnx")], "is a web page, not a file"),
        (&[&gone.url("secret.onnx?token=word")], "secret.onnx answers 404 Not Found"),
    ] {
        let message = error(machine.model(&[&["get"], arguments].concat()));
        assert!(message.contains(part) && !message.contains("token=word"), "{arguments:?}: {message}");
    }
    machine.model(&["get", "http://example.invalid/m.onnx", "--sha256", "123"]).expect_code(2);
}

#[test]
fn a_file_that_is_something_else_is_nobodys_to_replace() {
    let machine = Machine::new();
    let server = Server::of(fs::read(model()).unwrap());
    fs::create_dir_all(machine.file("")).unwrap();
    fs::write(machine.file("m.onnx"), "mine").unwrap();
    for pin in [&["--sha256", &sha256(&model())][..], &[]] {
        let message = error(machine.model(&[&["get", &server.url("m.onnx")], pin].concat()));
        assert!(message.contains("m.onnx is there") && message.contains("--name"), "{message}");
    }
    assert_eq!((fs::read(machine.file("m.onnx")).unwrap(), server.asked()), (b"mine".to_vec(), 0));
    let elsewhere = machine.scene.path("elsewhere");
    let arguments = ["get", &server.url("m.onnx"), "--sha256", &sha256(&model()), "--to", elsewhere.to_str().unwrap()];
    machine.model(&arguments).expect_success();
    assert_eq!(sha256(&elsewhere.join("m.onnx")), sha256(&model()));
}

#[test]
fn two_that_fetch_the_same_fetch_it_once() {
    let machine = Machine::new();
    let server = Server::of(fs::read(model()).unwrap());
    let (url, hash) = (server.url("m.onnx"), sha256(&model()));
    let start = || Running::start(&mut machine.command(&["get", &url, "--sha256", &hash]));
    for running in [start(), start(), start()] {
        running.end().expect_success();
    }
    assert_eq!(server.asked(), 1);
}

#[test]
fn without_a_name_it_lists_what_there_is_and_under_which_licence() {
    let machine = Machine::new();
    let listed = machine.model(&["get"]).expect_success().stdout;
    for part in ["yolox-nano  AP 25.8     3.7 MB  Apache-2.0 (code), Apache-2.0 (weights)", "rf-detr-n", "d-fine-s"] {
        assert!(listed.contains(part), "no {part:?} in\n{listed}");
    }
    let json = machine.model(&["get", "--json"]).expect_success().json();
    assert_eq!(json.len(), 6);
    assert!(
        json.iter().all(|entry| entry["sha256"].as_str().unwrap().len() == 64 && entry["model"].is_null()),
        "{json:?}"
    );
}

//! A console over an empty data directory, asked over HTTP.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, reason = "each test file uses its part")]

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_console::{Console, Drops, Token, serve};
use trackdrop_flow::Cloud;
use trackdrop_media::Limits;

pub struct Served {
    pub host: String,
    pub cloud: Cloud,
    token: Token,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn problem(&self) -> String {
        self.json()["problem"].as_str().unwrap().to_owned()
    }
}

impl Served {
    pub fn start(drops: Result<Drops, String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), Vec::new()).unwrap());
        let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
        let token = Token::random().unwrap();
        let console = Console::new(cloud.clone(), local, Limits::default(), token.clone()).unwrap().with_drops(drops);
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(serve(listener, console, async move { drop(stopped.await) }));
        Self { host, cloud, token, stop: Some(stop), served: Some(served), runtime, _folder: folder }
    }

    /// Ends it as Ctrl-C does.
    pub fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.runtime.block_on(self.served.take().unwrap()).unwrap().unwrap();
    }

    /// What this page's own script sends.
    pub fn own(&self) -> String {
        let port = self.host.rsplit(':').next().unwrap();
        format!("Origin: http://{}\r\nCookie: trackdrop_console_{port}={}\r\n", self.host, self.token.as_str())
    }

    /// Sends the head of a request, and what of the body is given.
    pub fn open(&self, method: &str, path: &str, headers: &str, bytes: usize, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {bytes}\r\nConnection: close\r\n\r\n",
            self.host
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        stream
    }

    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.open(method, path, headers, body.len(), body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// What the live stream tells, in its order.
    pub fn live(&self) -> impl Iterator<Item = Value> + use<> {
        let stream = self.open("GET", "/api/live", &self.own(), 0, b"");
        BufReader::new(stream).lines().map_while(Result::ok).filter_map(|line| {
            let json = line.strip_prefix("data: ")?;
            Some(serde_json::from_str(json).unwrap())
        })
    }
}

//! A video is dropped on the running console, and its rows are queried: the same request as that of `trackdrop run`.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
};
use support::{Data, Scene, codec, model};

/// `trackdrop console`, killed when dropped.
struct Console {
    child: Child,
    host: String,
    token: String,
}

impl Console {
    fn start(data: &Data) -> Self {
        let mut command = data.command();
        command.args(["console", "--port", "0", "--no-open", "--model"]).arg(model()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let (host, token) = address.trim().strip_prefix("http://").unwrap().split_once("/?token=").unwrap();
        Self { host: host.to_owned(), token: token.to_owned(), child }
    }

    fn open(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let port = self.host.rsplit(':').next().unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: trackdrop_console_{port}={1}\r\n\
             Tus-Resumable: 1.0.0\r\n{headers}Content-Length: {2}\r\nConnection: close\r\n\r\n",
            self.host,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        BufReader::new(stream)
    }

    /// Status, headers and body.
    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let mut answer = String::new();
        self.open(method, path, headers, body).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// The file that a GET gives: status, headers and bytes.
    fn download(&self, path: &str) -> (u16, String, Vec<u8>) {
        let mut answer = Vec::new();
        self.open("GET", path, "", b"").read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let is_in_pieces = head.contains("transfer-encoding: chunked");
        let body = if is_in_pieces { joined(&answer[end..]) } else { answer[end..].to_vec() };
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head, body)
    }

    /// Makes a version by options of `retrack`, and waits until it is over; else what is said.
    fn retrack(&self, of: &str, settings: &Value) -> Result<String, (u16, String)> {
        let body = settings.to_string();
        let (status, _, body) = self.send("POST", &format!("/api/requests/{of}/retrack"), "", body.as_bytes());
        let answer: Value = serde_json::from_str(&body).unwrap();
        if status != 200 {
            return Err((status, answer["problem"].as_str().unwrap().to_owned()));
        }
        let version = answer["request"].as_str().unwrap();
        self.settled(version);
        Ok(version.to_owned())
    }

    /// Waits until nothing is worked for that request.
    fn settled(&self, request: &str) {
        let is_it = |told: &Value| told["others"].as_array().unwrap().iter().all(|one| one["request_id"] != request);
        let stream = self.open("GET", "/api/live", "", b"").lines().map_while(Result::ok);
        let mut told = stream.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
        told.find(|told: &Value| is_it(told)).unwrap();
    }

    fn create(&self, video: &Path, settings: &Value) -> String {
        let name = video.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::metadata(video).unwrap().len();
        let headers = format!(
            "Upload-Length: {bytes}\r\nUpload-Metadata: filename {},settings {}\r\n",
            base64(name.as_bytes()),
            base64(settings.to_string().as_bytes())
        );
        let (status, head, body) = self.send("POST", "/api/uploads", &headers, b"");
        assert_eq!(status, 201, "{body}");
        head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned()
    }

    fn append(&self, place: &str, content: &[u8], from: usize, to: usize) {
        let headers = format!("Content-Type: application/offset+octet-stream\r\nUpload-Offset: {from}\r\n");
        let (status, _, body) = self.send("PATCH", place, &headers, &content[from..to]);
        assert_eq!(status, 204, "{body}");
    }

    fn post(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.send("POST", path, "", b"");
        (status, body)
    }

    /// The first state of the first video in the live stream that is so.
    fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let told = self.open("GET", "/api/live", "", b"").lines().map_while(Result::ok).find_map(|line| {
            let told: Value = serde_json::from_str(line.strip_prefix("data: ")?).unwrap();
            let drop = told["drops"][0].clone();
            is_so(&drop).then_some(drop)
        });
        told.unwrap()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// A body that came in pieces; the last one is empty.
fn joined(mut pieces: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = pieces.iter().position(|byte| *byte == b'\n').unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&pieces[..line]).unwrap().trim(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend(&pieces[line + 1..][..length]);
        pieces = &pieces[line + 1 + length + 2..];
    }
}

fn is_over(drop: &Value) -> bool {
    drop["request"]["is_over"] == true
}

const ROWS: &str = "SELECT frame_index, track_id, class_name, x1, y1, x2, y2 FROM tracks ORDER BY ALL";

#[test]
fn a_dropped_video_survives_a_killed_server_and_has_the_rows_of_run() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let content = std::fs::read(&video).unwrap();
    let by_run = scene.other("by-run");
    by_run.run_json(&[&video], &["--detect-every", "2"]);
    // The data directory need not be there before.
    let data = scene.data();
    let (place, half) = {
        let console = Console::start(&data);
        let place = console.create(&video, &json!({ "detect_every": 2 }));
        let half = content.len() / 2;
        console.append(&place, &content, 0, half);
        (place, half)
    };
    let console = Console::start(&data);
    let (_, head, _) = console.send("HEAD", &place, "", b"");
    assert!(head.contains(&format!("upload-offset: {half}")), "{head}");
    console.append(&place, &content, half, content.len());
    let drop = console.until(is_over);
    assert_eq!(drop["request"]["state"], "done", "{drop}");
    assert_eq!(data.query(ROWS), by_run.query(ROWS));
    let manifest = |data: &Data| data.manifest(&data.only_request());
    let (own, other) = (manifest(&data), manifest(&by_run));
    assert_eq!(own["source"]["crc32c"], other["source"]["crc32c"]);
    assert_eq!((&own["settings"]["detect_every"], &own["settings"]), (&json!(2), &other["settings"]));
    assert!(
        std::fs::read_dir(data.0.join(".store/incoming"))
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().ends_with(".data") })
    );
}

#[test]
fn a_request_is_cancelled_retried_and_deleted_with_its_video() {
    let (scene, video) = Scene::with_clip("long.mp4", 40, codec::H264);
    let content = std::fs::read(&video).unwrap();
    let data = scene.data();
    let console = Console::start(&data);
    let place = console.create(&video, &json!({ "no_video": true }));
    console.append(&place, &content, 0, content.len());
    let drop = console.until(|drop| drop["request"].is_object());
    let request = drop["request"]["request_id"].as_str().unwrap().to_owned();
    let (status, body) = console.post(&format!("/api/requests/{request}/cancel"));
    assert_eq!(status, 200, "{body}");
    let drop = console.until(is_over);
    assert_eq!(drop["request"]["state"], "failed", "{drop}");
    assert!(drop["request"]["error"]["message"].as_str().unwrap().contains("cancelled"), "{drop}");
    assert_eq!(console.post(&format!("/api/requests/{request}/cancel")).0, 422, "it is over");

    assert_eq!(console.post(&format!("/api/requests/{request}/retry")).0, 200);
    let drop = console.until(|drop| drop["request"]["state"] == "done");
    assert_eq!(drop["request"]["frames"], 1000);
    let (_, _, removal) = console.send("GET", &format!("/api/requests/{request}/removal"), "", b"");
    let removal: Value = serde_json::from_str(&removal).unwrap();
    assert_eq!(removal["upload"], "long.mp4");
    console.until(is_over);
    let (status, _, body) = console.send("DELETE", &format!("/api/requests/{request}?upload=true"), "", b"");
    assert_eq!(status, 200, "{body}");
    assert_eq!(data.objects("uploads/").len() + data.objects("results/").len(), 0);
}

#[test]
fn how_far_the_request_of_another_command_is_is_seen() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let data = scene.data();
    let console = Console::start(&data);
    let stream = console.open("GET", "/api/live", "", b"");
    data.run_json(&[&video], &[]);
    let told = stream.lines().map_while(Result::ok).find_map(|line| {
        let told: Value = serde_json::from_str(line.strip_prefix("data: ")?).unwrap();
        told["others"].as_array().unwrap().iter().find(|one| one["is_over"] == true).cloned()
    });
    let told = told.unwrap();
    let seen = ["request_id", "video", "state", "is_worked_for"].map(|key| told[key].clone());
    assert_eq!(seen, [json!(data.only_request()), json!("clip.mp4"), json!("done"), json!(false)], "{told}");
    let stages = told["stages"].as_array().unwrap();
    assert!(stages.len() > 1 && stages.iter().all(|stage| stage["frames"] == told["frames"]), "{told}");
}

#[test]
fn what_run_refuses_is_refused_before_the_upload_in_its_words() {
    let scene = Scene::new();
    let console = Console::start(&scene.data());
    let refused = |settings: Value, name: &str| {
        let headers = format!(
            "Upload-Length: 9\r\nUpload-Metadata: filename {},settings {}\r\n",
            base64(name.as_bytes()),
            base64(settings.to_string().as_bytes())
        );
        let (status, _, body) = console.send("POST", "/api/uploads", &headers, b"");
        assert_eq!(status, 422, "{body}");
        body
    };
    assert!(refused(json!({ "classes": "unicorn" }), "a.mp4").contains("unicorn"));
    assert!(refused(json!({ "detect_every": 0 }), "a.mp4").contains("--detect-every"));
    assert!(refused(json!({ "model": "/nowhere.onnx" }), "a.mp4").contains("/nowhere.onnx"));
    assert!(refused(json!({}), ".hidden.mp4").contains("rename"));
}

#[test]
fn the_files_of_a_request_are_downloads_and_no_other_object_is() {
    let (scene, video) = Scene::with_clip("clip.mp4", 1, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &[]);
    let request = data.only_request();
    let console = Console::start(&data);
    let of = format!("/api/requests/{request}");
    let page: Value = serde_json::from_str(&console.send("GET", &of, "", b"").2).unwrap();
    let files: Vec<_> = page["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(["tracks.parquet", "manifest.json", "annotated.mp4"].iter().all(|name| files.contains(name)), "{files:?}");
    for name in files {
        let (status, head, content) = console.download(&format!("{of}/files/{name}"));
        assert_eq!((status, &content), (200, &std::fs::read(data.result(&request, name)).unwrap()), "{name}");
        assert!(head.contains(&format!("content-disposition: attachment; filename=\"{name}\"")), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        let kind = match name.rsplit('.').next().unwrap() {
            "parquet" => "application/vnd.apache.parquet",
            "json" => "application/json",
            "mp4" => "video/mp4",
            other => panic!("a result that this test does not know: {other}"),
        };
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{head}");
    }
    // The scene is in the same bucket.
    let file = data.0.join("gate.json");
    let text = json!({
        "name": "gate", "videos": ["*"], "picture": { "width_px": 64, "height_px": 36 },
        "lines": [{ "name": "middle", "points": [[32, 0], [32, 36]] }],
    });
    std::fs::write(&file, text.to_string()).unwrap();
    data.trackdrop(["scene", "add", file.to_str().unwrap()]).expect_success();
    for name in ["nothing.txt", "", "..%2Fscenes%2Fgate.ndjson", "..", "%2Fetc%2Fpasswd", "tracks.parquet%00"] {
        let (status, _, body) = console.send("GET", &format!("{of}/files/{name}"), "", b"");
        assert_eq!(status, 404, "{name}: {body}");
    }
    assert_eq!(console.send("GET", "/api/requests/req_nothing/files/tracks.parquet", "", b"").0, 404);
    assert_eq!(console.send("GET", "/scenes", "", b"").0, 404, "no address is a page that does not exist");

    for name in ["door", "..%2Fgate", ""] {
        assert!([404, 405].contains(&console.send("DELETE", &format!("/api/scenes/{name}"), "", b"").0), "{name}");
    }
    assert!(data.trackdrop(["scene", "list"]).expect_success().stdout.contains("gate: 64x36"));
    assert_eq!(console.send("DELETE", "/api/scenes/gate", "", b"").0, 200);
    assert_eq!(data.trackdrop(["scene", "list"]).expect_success().stdout, "");
    assert_eq!(console.send("DELETE", "/api/scenes/gate", "", b"").0, 404);
}

#[test]
fn tracks_are_mended_by_a_version_with_a_log_that_is_undone() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let content = std::fs::read(&video).unwrap();
    let data = scene.data();
    let console = Console::start(&data);
    let place = console.create(&video, &json!({}));
    console.append(&place, &content, 0, content.len());
    let drop = console.until(is_over);
    let first = drop["request"]["request_id"].as_str().unwrap().to_owned();
    let rows = |request: &str, columns: &str| {
        data.query(&format!(
            "SELECT {columns} FROM tracks WHERE request_id = '{request}' ORDER BY frame_index, track_id"
        ))
    };
    let mend = |of: &str, keep: usize, edits: &[&str]| -> Result<String, String> {
        let body = json!({ "keep": keep, "edits": edits }).to_string();
        let (status, _, body) = console.send("POST", &format!("/api/requests/{of}/mend"), "", body.as_bytes());
        let answer: Value = serde_json::from_str(&body).unwrap();
        match status {
            200 => Ok(answer["request"].as_str().unwrap().to_owned()),
            _ => Err(answer["problem"].as_str().unwrap().to_owned()),
        }
    };
    // In every frame there are three objects: none is another one.
    let said = mend(&first, 0, &["merge 1 2"]).unwrap_err();
    assert!(said.contains("both tracks are in frame"), "{said}");
    assert_eq!(data.requests().len(), 1, "no version is made of what is refused");

    let version = mend(&first, 0, &["split 1 20", "delete 2"]).unwrap();
    console.settled(&version);
    let manifest = data.manifest(&version);
    assert_eq!(
        (&manifest["state"], &manifest["settings"]["edits"]),
        (&json!("done"), &json!(["split 1 20", "delete 2"]))
    );
    let all = rows(&first, "frame_index, track_id, x1, y1, x2, y2, score");
    let new = 1 + all.iter().map(|row| row.split(',').nth(1).unwrap().parse::<u32>().unwrap()).max().unwrap();
    let expected: Vec<_> = all
        .iter()
        .map(|row| row.split(',').collect::<Vec<_>>())
        .filter(|row| row[1] != "2")
        .map(|row| {
            let is_new = row[1] == "1" && row[0].parse::<u32>().unwrap() >= 20;
            let track = if is_new { new.to_string() } else { row[1].to_owned() };
            (row[0].parse::<u32>().unwrap(), track.parse::<u32>().unwrap(), row[2..].join(","))
        })
        .collect();
    let mut sorted = expected;
    sorted.sort();
    let got: Vec<_> = rows(&version, "frame_index, track_id, x1, y1, x2, y2, score")
        .iter()
        .map(|row| row.split(',').collect::<Vec<_>>())
        .map(|row| (row[0].parse::<u32>().unwrap(), row[1].parse::<u32>().unwrap(), row[2..].join(",")))
        .collect();
    assert_eq!(got, sorted);
    assert!(data.result(&version, "annotated.mp4").is_file(), "its video is made");

    // One edit back, then both: the first request, as it is.
    let half = mend(&version, 1, &[]).unwrap();
    console.settled(&half);
    assert_eq!(data.manifest(&half)["settings"]["edits"], json!(["split 1 20"]));
    assert_eq!(mend(&half, 0, &[]).unwrap(), first);
    // One that was deleted is made again.
    data.trackdrop(["delete", &half]).expect_success();
    assert_eq!(mend(&version, 1, &[]).unwrap(), half);
    console.settled(&half);
    assert_eq!(data.manifest(&half)["state"], "done");
    // The command makes the same versions.
    let said =
        data.trackdrop(["retrack", &first, "--edit", "split 1 20", "--edit", "delete 2", "--json"]).expect_success();
    assert_eq!(said.json()[0]["request_id"], version.as_str());
    let said = data.trackdrop(["retrack", &version, "--undo", "3"]).expect_code(1);
    assert!(said.stderr.contains("the request has 2 edits"), "{}", said.stderr);
}

#[test]
fn a_request_is_exported_as_the_command_exports_it() {
    let (scene, video) = Scene::with_clip("clip.mp4", 2, codec::H264);
    let data = scene.data();
    data.run_json(&[&video], &["--no-video"]);
    let request = data.only_request();
    let console = Console::start(&data);
    for (format, file, kind) in [
        ("mot", "mot.txt", "text/plain"),
        ("coco", "coco.json", "application/json"),
        ("cvat", "cvat.xml", "application/xml"),
        ("csv", "tracks.csv", "text/csv"),
        ("ndjson", "tracks.ndjson", "application/x-ndjson"),
        ("video-intelligence", "video-intelligence.json", "application/json"),
        ("video-intelligence-streaming", "video-intelligence-streaming.ndjson", "application/x-ndjson"),
        ("rekognition-persons", "rekognition-persons.ndjson", "application/x-ndjson"),
        ("cvat-mot", "cvat-mot.zip", "application/zip"),
    ] {
        let out = scene.path(file);
        data.trackdrop(["export", &request, "--format", format, "--out", out.to_str().unwrap()]).expect_success();
        let (status, head, body) = console.download(&format!("/api/requests/{request}/export/{format}"));
        assert_eq!(status, 200, "{format}: {head}");
        assert!(!body.is_empty() && body == std::fs::read(&out).unwrap(), "{format}: {} bytes", body.len());
        assert!(head.contains(&format!("content-disposition: attachment; filename=\"{file}\"")), "{head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
    }
    let (status, _, body) = console.download(&format!("/api/requests/{request}/export/yolo"));
    let said = data.trackdrop(["export", &request, "--format", "yolo"]).expect_code(2).stderr;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 404);
    assert!(said.contains(problem["problem"].as_str().unwrap()), "{problem}, and the command said {said}");
}

#[test]
fn a_request_is_tracked_again_as_the_command_does_it() {
    let (scene, video) = Scene::with_clip("clip.mp4", 3, codec::H264);
    let (data, by_command) = (scene.data(), scene.other("by-command"));
    for data in [&data, &by_command] {
        data.run_json(&[&video], &["--segment-seconds", "1"]);
    }
    let first = data.only_request();
    let console = Console::start(&data);

    // What can't be is refused in the words of the command, and nothing is made.
    for (settings, options) in [
        (json!({}), &[][..]),
        (json!({ "track_thresh": 2 }), &["--track-thresh", "2"]),
        (json!({ "classes": "person,,car" }), &["--classes", "person,,car"]),
        (json!({ "appearance": "color" }), &["--appearance", "color"]),
        (json!({ "smooth": "0" }), &["--smooth", "0"]),
        (json!({ "no_video": true, "crops": true }), &["--no-video", "--crops"]),
    ] {
        let said = data.trackdrop([&["retrack", &first], options].concat()).expect_code(1);
        assert_eq!(console.retrack(&first, &settings), Err((422, said.errors().concat())), "{options:?}");
    }
    for (settings, said) in [(json!({ "detect_every": 0 }), "--detect-every"), (json!({ "smooth": "<b>" }), "<b>")] {
        let (status, problem) = console.retrack(&first, &settings).unwrap_err();
        assert!(status == 422 && problem.contains(said), "{status} {problem}");
    }
    assert_eq!(data.requests().len(), 1);

    let settings =
        json!({ "detect_every": 2, "refine": true, "smooth": "1.5", "track_thresh": 0.3, "per_class": true });
    let version = console.retrack(&first, &settings).unwrap();
    let options = ["--detect-every", "2", "--refine", "--smooth", "1.5", "--track-thresh", "0.3", "--per-class"];
    let retrack = |data: &Data, of: &str| {
        let said = data.trackdrop([&["retrack", of, "--json"], &options[..]].concat()).expect_success();
        said.json()[0]["request_id"].as_str().unwrap().to_owned()
    };
    let other = retrack(&by_command, &by_command.only_request());
    let rows = |data: &Data, request: &str| {
        let of = format!("FROM tracks WHERE request_id = '{request}' ORDER BY frame_index, track_id");
        data.query(&format!("SELECT * EXCLUDE (request_id, uploaded_at) {of}"))
    };
    assert_eq!(rows(&data, &version), rows(&by_command, &other));
    assert_ne!(rows(&data, &version), rows(&data, &first));
    let (own, others) = (data.manifest(&version), by_command.manifest(&other));
    assert_eq!((&own["settings"], &own["state"]), (&others["settings"], &json!("done")));
    assert_eq!(own["retrack_of"], first.as_str());
    assert!(data.result(&version, "annotated.mp4").is_file(), "its video is made");

    // Asked for again it is the same version, which the command finds, too.
    assert_eq!(
        (console.retrack(&first, &settings).unwrap(), retrack(&data, &first)),
        (version.clone(), version.clone())
    );
    assert_eq!(data.requests().len(), 2);

    let (status, _, body) = console.send("GET", &format!("/api/requests/{version}/links"), "", b"");
    let mut links: Value = serde_json::from_str(&body).unwrap();
    let mut listed = data.trackdrop(["links", &version, "--json"]).expect_success().json();
    for line in &mut listed {
        let line = line.as_object_mut().unwrap();
        assert_eq!((line.remove("request_id"), line.remove("video")), (Some(json!(version)), Some(json!("clip.mp4"))));
    }
    assert_eq!((status, links["links"].take()), (200, json!(listed)));
    assert_eq!(console.send("GET", &format!("/api/requests/{first}/links"), "", b"").0, 409, "it has none");
}

//! Videos are uploaded to a running console over HTTP, in pieces, whatever is killed meanwhile.

#![allow(clippy::unwrap_used)]

mod served;

use async_trait::async_trait;
use serde_json::{Value, json};
use served::{Answer, Served};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use trackdrop_console::{Drops, FileWork, Incoming, Model, Planning, Refused, Retracking, Wishes, Works};
use trackdrop_exchange::Retracked;
use trackdrop_pipeline::{Edit, RequestId, Stage};

const REQUEST: &str = "req_0aZ9bY8c_20261123T182501";

/// A host that writes down what it is asked for, and works for nothing.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<String>>);

impl Asked {
    fn note(&self, what: String) -> Result<(), Refused> {
        let is_refused = what.contains("refused");
        self.0.lock().unwrap().push(what);
        if is_refused { Err(Refused("no: <b>give another</b>".into())) } else { Ok(()) }
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Works for Asked {
    fn models(&self) -> Vec<Model> {
        vec![Model { name: "own".into(), path: "/own.onnx".into() }]
    }

    async fn check(&self, name: &str, wishes: &Wishes) -> Result<(), Refused> {
        self.note(format!("check {name} {:?}", wishes.classes))
    }

    async fn begin(&self, name: &str, content: &Path, wishes: &Wishes) -> Result<RequestId, Refused> {
        let content = String::from_utf8(std::fs::read(content).unwrap()).unwrap();
        let is_late = name.starts_with("late") && !wishes.force;
        self.note(format!("begin {name} {content} {:?}{}", wishes.classes, if is_late { " refused" } else { "" }))?;
        Ok(REQUEST.parse().unwrap())
    }

    async fn go_on(&self, request: &RequestId) -> Result<(), Refused> {
        self.note(format!("go on {request}"))
    }

    async fn cancel(&self, request: &RequestId) -> Result<(), Refused> {
        self.note(format!("cancel {request}"))
    }

    async fn mend(&self, request: &RequestId, keep: usize, edits: Vec<Edit>) -> Result<RequestId, Refused> {
        self.note(format!("mend {request} {keep} {edits:?}"))?;
        Ok(request.clone())
    }

    async fn retrack(&self, request: &RequestId, retracking: &Retracking) -> Result<RequestId, Refused> {
        self.note(format!("retrack {request} {:?} {}", retracking.classes, retracking.refine))?;
        Ok(request.clone())
    }

    async fn retrack_files(&self, work: &FileWork) -> Result<Retracked, Refused> {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| std::fs::read_to_string(path).unwrap());
        let (detections, tracks) = (text(&work.detections), text(&work.tracks));
        if detections.as_deref() == Some("wrong") {
            return Err(Refused(format!("{}, line 1: no detection", work.detections.as_ref().unwrap().display())));
        }
        std::fs::write(&work.out, format!("{detections:?} {tracks:?}")).unwrap();
        self.note(format!("files {detections:?} {tracks:?} {:?} {}", work.frame_rate, work.options.refine))?;
        Ok(Retracked { frames: 3, rows: 2, ids: 1, refused: 0 })
    }

    async fn plan(&self, planning: &Planning) -> Result<Value, Refused> {
        self.note(format!("plan {} {:?}", planning.video, planning.fps_per_gpu))?;
        Ok(json!({ "frames": 9 }))
    }

    async fn delete(&self, request: &RequestId, with_upload: bool) -> Result<(), Refused> {
        self.note(format!("delete {request} {with_upload}"))
    }

    fn unfinished(&self) -> Vec<RequestId> {
        Vec::new()
    }

    fn in_work(&self, _request: &RequestId, _stage: Stage) -> u64 {
        0
    }

    fn notes(&self) -> Vec<(Option<RequestId>, String)> {
        vec![(None, "the disk is full".into())]
    }
}

fn started(folder: &Path) -> (Served, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let incoming = Incoming::open(folder, 1_000_000).unwrap();
    (Served::start(Ok(Drops { incoming, works: asked.clone() })), asked)
}

const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

/// Begins an upload of `b.mp4` with classes; its address.
fn created(served: &Served, bytes: usize) -> String {
    let metadata = "filename Yi5tcDQ=,lastmodified MTIz,settings eyJjbGFzc2VzIjogInBlcnNvbiJ9";
    let headers = format!("{}{TUS}Upload-Length: {bytes}\r\nUpload-Metadata: {metadata}\r\n", served.own());
    let answer = served.send("POST", "/api/uploads", &headers, b"");
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.header("location").unwrap().to_owned()
}

fn head(served: &Served, place: &str) -> Answer {
    served.send("HEAD", place, &(served.own() + TUS), b"")
}

fn piece_headers(served: &Served, offset: usize, checksum: &str) -> String {
    let kind = "Content-Type: application/offset+octet-stream\r\n";
    format!("{}{TUS}{kind}{checksum}Upload-Offset: {offset}\r\n", served.own())
}

fn patch(served: &Served, place: &str, offset: usize, body: &[u8]) -> Answer {
    served.send("PATCH", place, &piece_headers(served, offset, ""), body)
}

/// The first of what the stream tells that is so.
fn until(served: &Served, mut is_so: impl FnMut(&Value) -> bool) -> Value {
    served.live().find(|told| is_so(told)).unwrap()
}

fn has_request(told: &Value) -> bool {
    told["drops"][0]["request"].is_object()
}

#[test]
fn an_upload_goes_on_after_the_console_was_ended_and_becomes_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let place = created(&served, 9);
    let answer = patch(&served, &place, 0, b"1234");
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("4")));
    assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
    served.end();
    assert_eq!(asked.all(), ["check b.mp4 Some(\"person\")"]);

    let (served, asked) = started(folder.path());
    let answer = head(&served, &place);
    assert_eq!((answer.header("upload-offset"), answer.header("upload-length")), (Some("4"), Some("9")));
    let answer = patch(&served, &place, 4, b"56789");
    assert_eq!(answer.header("upload-crc32c"), Some("e3069283"), "the CRC32C of 123456789");
    let told = until(&served, has_request);
    assert_eq!(told["drops"][0]["request"]["request_id"], REQUEST);
    assert_eq!((&told["drops"][0]["name"], &told["notes"][0]), (&"b.mp4".into(), &"the disk is full".into()));
    assert_eq!(asked.all(), ["begin b.mp4 123456789 Some(\"person\")"]);
    served.end();

    let (served, asked) = started(folder.path());
    until(&served, has_request);
    assert_eq!(asked.all(), [format!("go on {REQUEST}")], "it is not begun twice");
    served.end();
}

#[test]
fn a_whole_upload_that_was_not_begun_is_begun_by_the_next_console() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (served, _) = started(folder.path());
        let place = created(&served, 3);
        patch(&served, &place, 0, b"abc");
        until(&served, has_request);
        served.end();
    }
    // As if the process had been killed before it was written down.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            record["request"] = Value::Null;
            std::fs::write(&path, record.to_string()).unwrap();
            std::fs::write(path.with_extension("data"), b"abc").unwrap();
        }
    }
    let (served, asked) = started(folder.path());
    until(&served, has_request);
    assert_eq!(asked.all(), ["begin b.mp4 abc Some(\"person\")"]);
    served.end();
}

#[test]
fn a_broken_piece_counts_as_far_as_it_arrived_but_one_with_a_checksum_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    for (checksum, counts) in [("", "5"), ("Upload-Checksum: crc32c 4waSgw==\r\n", "0")] {
        let place = created(&served, 9);
        let broken = served.open("PATCH", &place, &piece_headers(&served, 0, checksum), 9, b"12345");
        until(&served, |told| told["drops"][0]["is_held"] == true);
        assert_eq!(patch(&served, &place, 0, b"1").status, 423, "one at a time");
        drop(broken);
        until(&served, |told| told["drops"][0]["is_held"] == false);
        assert_eq!(head(&served, &place).header("upload-offset"), Some(counts));
        assert_eq!(served.send("DELETE", &place, &(served.own() + TUS), b"").status, 204);
    }
    served.end();
}

#[test]
fn what_can_not_be_taken_is_refused_before_a_byte_of_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let own = served.own();
    let name = "Upload-Metadata: filename Yi5tcDQ=\r\n";
    let refused = "Upload-Metadata: filename cmVmdXNlZC5tcDQ=\r\n";
    for (headers, status, words) in [
        (format!("{own}{TUS}Upload-Length: 1000001\r\n{name}"), 413, "max_bytes=1000000"),
        (format!("{own}{TUS}Upload-Length: 0\r\n{name}"), 400, "no bytes"),
        (format!("{own}{TUS}Upload-Length: -5\r\n{name}"), 400, "whole number"),
        (format!("{own}{TUS}Upload-Length: 5\r\n"), 400, "filename"),
        (
            format!("{own}{TUS}Upload-Length: 5\r\nUpload-Metadata: filename Yi5tcDQ=,settings e30i\r\n"),
            400,
            "settings",
        ),
        (format!("{own}{TUS}Upload-Length: 5\r\nUpload-Metadata: filename Li4=\r\n"), 400, "is not a file name"),
        (format!("{own}{TUS}Upload-Length: 5\r\n{refused}"), 422, "<b>give another</b>"),
        (format!("{own}Upload-Length: 5\r\n{name}"), 412, "tus 1.0.0"),
        (format!("{TUS}Upload-Length: 5\r\n{name}"), 403, "another page"),
        (format!("Origin: http://{}\r\n{TUS}Upload-Length: 5\r\n{name}", served.host), 401, "token"),
    ] {
        let answer = served.send("POST", "/api/uploads", &headers, b"");
        assert_eq!(answer.status, status, "{headers} {}", answer.body);
        assert!(answer.problem().contains(words), "{}", answer.body);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
    assert!(asked.all().iter().all(|one| one.starts_with("check")));
    served.end();
}

#[test]
fn a_piece_is_refused_at_another_place_with_another_sum_or_beyond_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let place = created(&served, 9);
    assert_eq!(patch(&served, &place, 3, b"4").status, 409);
    assert_eq!(patch(&served, &place, 0, b"1234567890").status, 413);
    assert_eq!(patch(&served, "/api/uploads/..%2F..%2Fetc%2Fpasswd", 0, b"1").status, 404);
    assert_eq!(patch(&served, "/api/uploads/none", 0, b"1").status, 404);
    let wrong = piece_headers(&served, 0, "Upload-Checksum: crc32c AAAAAA==\r\n");
    assert_eq!(served.send("PATCH", &place, &wrong, b"123456789").status, 460);
    assert_eq!(head(&served, &place).header("upload-offset"), Some("0"), "none of it counts");
    let right = piece_headers(&served, 0, "Upload-Checksum: crc32c 4waSgw==\r\n");
    assert_eq!(served.send("PATCH", &place, &right, b"123456789").status, 204);
    // Before that the console itself holds it.
    until(&served, |told| has_request(told) && told["drops"][0]["is_held"] == false);
    assert_eq!(patch(&served, &place, 9, b"").status, 409, "it is whole");
    served.end();
}

#[test]
fn an_upload_is_discarded_with_all_that_came() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let place = created(&served, 9);
    patch(&served, &place, 0, b"1234");
    assert_eq!(served.send("DELETE", &place, &(served.own() + TUS), b"").status, 204);
    assert_eq!(head(&served, &place).status, 404);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
    served.end();
}

#[test]
fn a_video_that_is_refused_says_why_and_is_processed_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let headers = format!("{}{TUS}Upload-Length: 3\r\nUpload-Metadata: filename bGF0ZS5tcDQ=\r\n", served.own());
    let place = served.send("POST", "/api/uploads", &headers, b"").header("location").unwrap().to_owned();
    patch(&served, &place, 0, b"abc");
    let told = until(&served, |told| told["drops"][0]["problem"].is_string());
    assert_eq!(told["drops"][0]["problem"], "no: <b>give another</b>");
    until(&served, |told| told["drops"][0]["is_held"] == false);
    let again = served.send("POST", &format!("{place}/again"), &served.own(), br#"{"force": true}"#);
    assert_eq!(again.status, 200, "{}", again.body);
    until(&served, has_request);
    assert_eq!(asked.all().last().unwrap(), "begin late.mp4 abc None");
    served.end();
}

#[test]
fn cancel_retry_and_delete_are_the_hosts_and_its_refusal_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    for (method, path, wanted) in [
        ("POST", "/cancel", format!("cancel {REQUEST}")),
        ("POST", "/retry", format!("go on {REQUEST}")),
        ("DELETE", "", format!("delete {REQUEST} false")),
        ("DELETE", "?upload=true", format!("delete {REQUEST} true")),
    ] {
        let answer = served.send(method, &format!("/api/requests/{REQUEST}{path}"), &served.own(), b"");
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(asked.all().last().unwrap(), &wanted);
    }
    assert_eq!(served.send("POST", "/api/requests/none/cancel", &served.own(), b"").status, 404);
    assert_eq!(served.send("GET", &format!("/api/requests/{REQUEST}/removal"), &served.own(), b"").status, 404);
    served.end();
}

#[test]
fn a_console_that_takes_no_videos_says_why() {
    let served = Served::start(Err("another console takes them".into()));
    let answer = served.send("GET", "/api/choices", &served.own(), b"");
    assert_eq!(answer.json()["why_not"], "another console takes them");
    let headers = format!("{}{TUS}Upload-Length: 5\r\nUpload-Metadata: filename Yi5tcDQ=\r\n", served.own());
    let answer = served.send("POST", "/api/uploads", &headers, b"");
    assert_eq!((answer.status, answer.problem().as_str()), (503, "another console takes them"));
    served.end();
}

#[test]
fn a_stream_that_somebody_reads_does_not_keep_the_console_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let mut live = served.live();
    assert!(live.next().unwrap()["drops"].as_array().unwrap().is_empty());
    served.end();
    assert!(live.next().is_none());
}

#[test]
fn an_upload_that_stalls_does_not_keep_the_console_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let place = created(&served, 9);
    let _still = served.open("PATCH", &place, &piece_headers(&served, 0, ""), 9, b"12345");
    until(&served, |told| told["drops"][0]["is_held"] == true);
    served.end();
}

#[test]
fn edits_are_read_before_the_host_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let mend =
        |body: &str| served.send("POST", &format!("/api/requests/{REQUEST}/mend"), &served.own(), body.as_bytes());
    let answer = mend(r#"{"keep": 1, "edits": ["join 3 7"]}"#);
    assert_eq!(answer.status, 400);
    assert!(answer.problem().contains("\"join 3 7\" is not an edit"), "{}", answer.body);
    assert_eq!(mend(r#"{"edits": []}"#).status, 400);
    assert!(asked.all().is_empty());
    assert_eq!(mend(r#"{"keep": 1, "edits": ["merge 3 7"]}"#).json()["request"], REQUEST);
    assert_eq!(asked.all(), [format!("mend {REQUEST} 1 [Merge {{ into: 3, from: 7 }}]")]);
    served.end();
}

#[test]
fn settings_of_the_tracker_are_read_before_the_host_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let retrack =
        |body: &str| served.send("POST", &format!("/api/requests/{REQUEST}/retrack"), &served.own(), body.as_bytes());
    for (wrong, said) in [
        (r#"{"track_tresh": 0.4}"#, "track_tresh"),
        (r#"{"track_buffer": -1}"#, "-1"),
        (r#"{"refine": "yes"}"#, "boolean"),
        ("refine", "no settings"),
    ] {
        let answer = retrack(wrong);
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
        assert!(answer.problem().contains(said), "{wrong}: {}", answer.body);
    }
    assert!(asked.all().is_empty());
    assert_eq!(retrack(r#"{"classes": "refused"}"#).status, 422);
    assert_eq!(retrack(r#"{"classes": "car", "refine": true}"#).json()["request"], REQUEST);
    assert_eq!(asked.all()[1..], [format!("retrack {REQUEST} Some(\"car\") true")]);
    served.end();
}

#[test]
fn files_of_other_programs_are_tracked_and_named_as_their_owner_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let retrack = |body: &Value| served.send("POST", "/api/retrack-files", &served.own(), body.to_string().as_bytes());
    let file = |name: &str, text: &str| json!({ "name": name, "text": text });
    let wanted = json!({
        "detections": file("det.txt", "boxes"), "tracks": file("../tracks.csv", "paths"), "format": "csv", "frame_rate": 25,
        "options": { "refine": true },
    });
    let answer = retrack(&wanted).json();
    assert_eq!(asked.all(), ["files Some(\"boxes\") Some(\"paths\") Some(25.0) true"]);
    assert_eq!((answer["name"].as_str(), answer["rows"].as_u64()), (Some("tracks.csv"), Some(2)), "{answer}");
    assert_eq!(answer["text"], "Some(\"boxes\") Some(\"paths\")");
    let answer = retrack(&json!({ "detections": file("my det.txt", "wrong"), "format": "txt" }));
    assert_eq!((answer.status, answer.problem().as_str()), (422, "my_det.txt, line 1: no detection"));
    for (wrong, said) in [
        (json!({ "detections": file("a", "b"), "format": "parquet" }), "parquet"),
        (json!({ "detections": file("a", "b"), "format": "csv", "options": { "refined": true } }), "refined"),
    ] {
        let answer = retrack(&wrong);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.problem().contains(said), "{}", answer.body);
    }
    served.end();
}

#[test]
fn files_above_the_usual_bound_of_a_request_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let body = json!({ "detections": { "name": "det.txt", "text": "x".repeat(5 << 20) }, "format": "csv" }).to_string();
    let answer = served.send("POST", "/api/retrack-files", &served.own(), body.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.json()["text"].as_str().unwrap().len() > 5 << 20);
    served.end();
}

#[test]
fn a_plan_is_read_before_the_host_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (served, asked) = started(folder.path());
    let plan = |body: &str| served.send("POST", "/api/plan", &served.own(), body.as_bytes());
    assert_eq!(plan(r#"{"video": "a.mp4", "gpus": 3}"#).status, 400);
    assert!(asked.all().is_empty());
    assert_eq!(plan(r#"{"video": "a.mp4", "fps_per_gpu": 300.5, "max_instances": 4}"#).json()["frames"], 9);
    assert_eq!(plan(r#"{"video": "refused.mp4"}"#).status, 422);
    assert_eq!(asked.all()[0], "plan a.mp4 Some(300.5)");
    served.end();
}

/// Ground truth of three frames, and tracks that lose the object in the second one and find it under another id.
#[test]
fn two_files_are_compared_and_the_frames_in_which_they_differ_are_listed_from_0() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = started(folder.path());
    let file = |name: &str, rows: &[&str]| json!({ "name": name, "text": rows.join("\n") });
    let truth = file("gt.txt", &["1,7,0,0,10,20", "2,7,1,0,10,20", "3,7,2,0,10,20"]);
    let tracks = file("tracks.txt", &["1,1,0,0,10,20", "2,4,90,0,10,20", "3,2,2,0,10,20"]);
    let compare = |truth: &Value, tracks: &Value, iou: f64| {
        let body = json!({ "truth": truth, "tracks": tracks, "iou": iou }).to_string();
        served.send("POST", "/api/evaluate", &served.own(), body.as_bytes())
    };
    let answer = compare(&truth, &tracks, 0.5).json();
    let metrics = &answer["metrics"];
    assert_eq!([&metrics["IDSW"], &metrics["FN"], &metrics["FP"]], [1, 1, 1], "{answer}");
    assert_eq!(answer["switches"], json!({ "count": 1, "first": [[7, 1, 0, 2, 2]] }));
    assert_eq!(answer["missed"], json!({ "count": 1, "first": [[7, 1, 1, 1]] }));
    assert_eq!(answer["false_alarms"], json!({ "count": 1, "first": [[4, 1, 1, 1]] }));
    assert_eq!(answer["boxes"][2], json!([2, 7, [2.0, 0.0, 12.0, 20.0]]));
    let broken = compare(&file("<b>.txt", &["1,7,0,0,-10,20"]), &tracks, 0.5);
    assert_eq!(broken.status, 422, "{}", broken.body);
    assert!(broken.problem().contains("<b>.txt, line 1") && broken.problem().contains("w is -10"), "{}", broken.body);
    for iou in [0.0, 1.5, -0.5] {
        assert_eq!(compare(&truth, &tracks, iou).status, 400, "{iou}");
    }
    served.end();
}

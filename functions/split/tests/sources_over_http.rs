//! An upload in Cloud Storage is read in ranges, without a copy of it on disk: what is asked for is at most 1.1 times its size.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri, header},
};
use std::{
    fs,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use trackdrop_cloud::{
    OpenObject, Storage,
    google::{Api, Buckets, CloudStorage},
};
use trackdrop_flow::blocking::{ReadTime, read_at};
use trackdrop_pipeline::{Bucket, SegmentNumber, names::ObjectName};
use trackdrop_split::{Cutter, MediaCutter, Source};

/// One object, served as Cloud Storage does.
struct Server {
    file: fs::File,
    bytes: u64,
    sent_bytes: AtomicU64,
    requests: AtomicU64,
}

async fn answer(State(server): State<Arc<Server>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let query = uri.query().unwrap_or_default();
    if !query.contains("alt=media") {
        let description = serde_json::json!({
            "name": "film", "generation": "7", "timeCreated": "2026-01-02T03:04:05Z", "size": server.bytes.to_string(),
            "crc32c": "AAAAAA==",
        });
        return Response::builder().body(Body::from(description.to_string())).unwrap();
    }
    assert!(query.contains("ifGenerationMatch=7"), "{query}");
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let (start, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let (start, last): (u64, u64) = (start.parse().unwrap(), last.parse().unwrap());
    assert!(start <= last && last < server.bytes, "{range}");
    let mut part = vec![0; (last + 1 - start) as usize];
    server.file.read_exact_at(&mut part, start).unwrap();
    server.sent_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
    server.requests.fetch_add(1, Ordering::Relaxed);
    Response::builder().status(StatusCode::PARTIAL_CONTENT).body(Body::from(part)).unwrap()
}

fn ffmpeg(arguments: &str, out: &Path) {
    let arguments = arguments.split_whitespace();
    let made =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).arg(out).status().unwrap();
    assert!(made.success());
}

/// The chunks' SHA-256 in order, by number.
fn cut(source: &Source, scratch: &Path) -> Vec<(SegmentNumber, Vec<u8>)> {
    let mut video = MediaCutter::default().open(source, 2.0).unwrap();
    let numbers: Vec<_> = (0..video.segments().len() as u64).map(|n| SegmentNumber::new(n).unwrap()).collect();
    let mut chunks = Vec::new();
    let mut take = |number, chunk: tempfile::TempPath| {
        chunks.push((number, fs::read(&chunk).unwrap()));
        Ok(())
    };
    video.cut(&numbers, scratch, &mut take).unwrap();
    chunks
}

/// Plans and cuts a file that is served over HTTP; gives how many times its size was sent, after comparing the chunks with those of the
/// file itself.
async fn read_over_http(path: &Path, spool_bytes: u64) -> f64 {
    let bytes = fs::metadata(path).unwrap().len();
    let file = fs::File::open(path).unwrap();
    let server = Arc::new(Server { file, bytes, sent_bytes: AtomicU64::new(0), requests: AtomicU64::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(server.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let api = Api::new("", Some(&address.to_string())).unwrap();
    let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
    let storage = CloudStorage::new(api, buckets).unwrap();
    let object = ObjectName::new(Bucket::Uploads, "film");
    let (info, opened) = storage.open(&object, Some(7)).await.unwrap();
    let OpenObject::Ranges(ranges) = opened else { panic!("Cloud Storage gives ranges") };
    let scratch = tempfile::tempdir().unwrap();
    let read = read_at(ranges, &ReadTime::default());
    let source = Source::of_ranges("film", info.bytes, read).with_spool(scratch.path(), spool_bytes);
    let local = Source::from(path);
    tokio::task::spawn_blocking(move || {
        let over_http = cut(&source, scratch.path());
        assert!(over_http.len() > 3);
        assert!(over_http == cut(&local, scratch.path()), "the same chunks as from the file");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left on disk");
    })
    .await
    .unwrap();
    serving.abort();
    let times = server.sent_bytes.load(Ordering::Relaxed) as f64 / bytes as f64;
    println!(
        "{}: {times:.3} times its {bytes} bytes in {} requests, spool of {spool_bytes} bytes",
        path.file_name().unwrap().display(),
        server.requests.load(Ordering::Relaxed)
    );
    times
}

const PICTURE: &str = "-f lavfi -i testsrc2=s=640x360:r=30:d=12,noise=alls=60:allf=t -f lavfi -i sine=d=12:r=48000 \
                       -c:v libx264 -preset ultrafast -g 30 -b:v 24M -c:a aac";

#[tokio::test(flavor = "multi_thread")]
async fn an_mp4_is_read_once_without_anything_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("film.mp4", ""),
        ("faststart.mp4", "-movflags +faststart"),
        ("fragments.mp4", "-movflags frag_keyframe+empty_moov"),
        ("film.mov", ""),
    ] {
        let film = folder.path().join(name);
        ffmpeg(&format!("{PICTURE} {options}"), &film);
        let times = read_over_http(&film, 0).await;
        assert!((0.9..1.1).contains(&times), "{name} was sent {times} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_read_whole_to_be_planned_is_read_once_with_a_spool_and_twice_without() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["film.mkv", "film.ts"] {
        let film = folder.path().join(name);
        ffmpeg(PICTURE, &film);
        let times = read_over_http(&film, 1 << 30).await;
        assert!((0.9..1.1).contains(&times), "{name} was sent {times} times");
        let times = read_over_http(&film, 0).await;
        assert!((1.3..2.1).contains(&times), "{name} was sent {times} times");
    }
}

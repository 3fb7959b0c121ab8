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
    google::{Api, Buckets, CloudStorage, Retry},
};
use trackdrop_flow::blocking::{ReadTime, read_at};
use trackdrop_pipeline::{Bucket, Failure, FailureKind, RequestSettings, SegmentNumber, names::ObjectName};
use trackdrop_split::{Cutter, MediaCutter, Source};

/// One object, served as Cloud Storage does.
struct Server {
    file: fs::File,
    bytes: u64,
    sent_bytes: AtomicU64,
    requests: AtomicU64,
    /// From this request on, all are refused with this status.
    refuses: Option<(u64, StatusCode)>,
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
    let nth = server.requests.fetch_add(1, Ordering::Relaxed);
    if let Some((_, status)) = server.refuses.filter(|&(from, _)| nth >= from) {
        return Response::builder().status(status).body(Body::empty()).unwrap();
    }
    let mut part = vec![0; (last + 1 - start) as usize];
    server.file.read_exact_at(&mut part, start).unwrap();
    server.sent_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
    Response::builder().status(StatusCode::PARTIAL_CONTENT).body(Body::from(part)).unwrap()
}

fn ffmpeg(arguments: &str, out: &Path) {
    let arguments = arguments.split_whitespace();
    let made =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).arg(out).status().unwrap();
    assert!(made.success());
}

type Chunks = Vec<(SegmentNumber, Vec<u8>)>;

/// The chunks in order, by number; those that were cut before it failed, where it did.
fn try_to_cut(source: &Source, scratch: &Path) -> (Chunks, Result<(), Failure>) {
    let mut chunks = Vec::new();
    let mut take = |number, chunk: tempfile::TempPath| {
        chunks.push((number, fs::read(&chunk).unwrap()));
        Ok(())
    };
    let outcome = MediaCutter::default()
        .open(source, &RequestSettings { segment_seconds: 2.0, ..RequestSettings::default() })
        .and_then(|mut video| {
            let numbers: Vec<_> = (0..video.segments().len() as u64).map(|n| SegmentNumber::new(n).unwrap()).collect();
            video.cut(&numbers, scratch, &mut take)
        });
    (chunks, outcome)
}

fn cut(source: &Source, scratch: &Path) -> Chunks {
    let (chunks, outcome) = try_to_cut(source, scratch);
    outcome.unwrap();
    chunks
}

/// A file, served over HTTP.
struct Served {
    server: Arc<Server>,
    source: Source,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn begin(path: &Path, scratch: &Path, spool_bytes: u64, refuses: Option<(u64, StatusCode)>) -> Self {
        let bytes = fs::metadata(path).unwrap().len();
        let file = fs::File::open(path).unwrap();
        let (sent_bytes, requests) = Default::default();
        let server = Arc::new(Server { file, bytes, sent_bytes, requests, refuses });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(server.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });

        let api = Api::new("", Some(&address.to_string())).unwrap().with_retry(Retry::default().with_attempts(1));
        let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
        let storage = CloudStorage::new(api, buckets).unwrap();
        let object = ObjectName::new(Bucket::Uploads, "film");
        let (info, opened) = storage.open(&object, Some(7)).await.unwrap();
        let OpenObject::Ranges(ranges) = opened else { panic!("Cloud Storage gives ranges") };
        let read = read_at(ranges, &ReadTime::default());
        let source = Source::of_ranges("film", info.bytes, read).with_spool(scratch, spool_bytes);
        Self { server, source, serving }
    }
}

/// Plans and cuts a file that is served over HTTP; gives how many times its size was sent, after comparing the chunks with those of the
/// file itself.
async fn read_over_http(path: &Path, spool_bytes: u64) -> f64 {
    let scratch = tempfile::tempdir().unwrap();
    let Served { server, source, serving } = Served::begin(path, scratch.path(), spool_bytes, None).await;
    let bytes = server.bytes;
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

/// Each range in turn, and all after it, is refused: the attempt fails for that and may be made again, and whatever was cut before is whole.
async fn every_refused_range_is_told(path: &Path, status: StatusCode, says: &str) {
    let (path, scratch) = (path.to_owned(), tempfile::tempdir().unwrap());
    let whole = cut(&Source::from(&path), scratch.path());
    for from in 0.. {
        let served = Served::begin(&path, scratch.path(), 1 << 30, Some((from, status))).await;
        let folder = scratch.path().to_owned();
        let source = served.source;
        let (chunks, outcome) = tokio::task::spawn_blocking(move || try_to_cut(&source, &folder)).await.unwrap();
        served.serving.abort();
        assert!(whole.starts_with(&chunks), "a chunk is cut short at range {from}");
        let Err(failure) = outcome else {
            println!("{}: {from} ranges", path.file_name().unwrap().display());
            assert!(chunks == whole && from > 3);
            return;
        };
        let is_told = failure.kind() == FailureKind::Transient && failure.to_string().contains(says);
        assert!(is_told, "range {from}, {status}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_not_given_fails_the_attempt_alone() {
    let folder = tempfile::tempdir().unwrap();
    let picture = "-f lavfi -i testsrc2=s=320x240:r=30:d=6 -c:v libx264 -preset ultrafast -g 15 -b:v 2M";
    for name in ["film.mp4", "film.mkv", "film.ts"] {
        let film = folder.path().join(name);
        ffmpeg(picture, &film);
        every_refused_range_is_told(&film, StatusCode::SERVICE_UNAVAILABLE, "503").await;
        // It went while it was read; the next attempt says that it was deleted or overwritten.
        every_refused_range_is_told(&film, StatusCode::NOT_FOUND, "does not exist").await;
    }
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
async fn files_that_are_read_whole_are_read_once_with_a_spool_and_twice_without() {
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

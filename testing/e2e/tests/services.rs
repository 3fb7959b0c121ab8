//! The services over emulators come to what `trackdrop run` comes to, whatever goes wrong on the way.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use trackdrop_e2e::{
    deployment::{Deployment, Finished, say},
    gateway::{Count, Fault},
    local::{LocalRun, clip},
    service::FUNCTIONS,
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::TRACKS;

/// How long deliveries may continue after the end of a request was published; none takes a tenth of it.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// A line of the table that the test prints.
struct Line {
    scenario: &'static str,
    count: Count,
    seconds: f64,
    rows: String,
}

fn print(lines: &[Line]) {
    say(&format!("{:<34} {:>6} {:>10} {:>7}  rows", "scenario", "events", "deliveries", "seconds"));
    for Line { scenario, count, seconds, rows } in lines {
        say(&format!("{scenario:<34} {:>6} {:>10} {seconds:>7.1}  {rows}", count.events, count.deliveries));
    }
}

/// A manifest without what names the request or its upload, or says when.
fn comparable(manifest: &[u8], request: &str) -> Value {
    let text = std::str::from_utf8(manifest).unwrap().replace(request, "REQUEST");
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    for (object, member) in [("source", "uploaded_at"), ("source", "generation"), ("progress", "updated_at")] {
        assert!(manifest[object].as_object_mut().unwrap().remove(member).is_some(), "{member}");
    }
    manifest
}

/// The pictures and the sound of a video, decoded: one checksum a frame.
fn decoded(video: &Bytes, folder: &Path) -> String {
    let file = folder.join("decoded.mp4");
    std::fs::write(&file, video).unwrap();
    let output =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&file).args(["-f", "framemd5", "-"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// What both sides are compared by.
struct Scene {
    deployment: Deployment,
    clip: Vec<u8>,
    settings: Value,
    local: LocalRun,
    lines: Vec<Line>,
}

impl Scene {
    async fn upload_clip(&self) -> RequestId {
        self.deployment.upload("people walking.mp4", &self.clip, Some(&self.settings)).await
    }

    /// Uploads the clip while something goes wrong, and compares all that comes of it with the local run.
    async fn comes_to_the_same(&mut self, scenario: &'static str, fault: Fault) {
        let started = Instant::now();
        let killed = u32::from(matches!(fault, Fault::Dies { .. }));
        let times = if matches!(fault, Fault::FirstDeliveryFails | Fault::SentTwice) { 2 } else { 1 };
        self.deployment.gateway.begin(fault);
        let request = self.upload_clip().await;
        let finished = self.deployment.finished(&request).await;
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(finished, Finished { state: "done".into(), error: None }, "{scenario}");
        self.deployment.gateway.settled(0, SETTLES_WITHIN).await;
        self.equals_local(scenario, &request).await;
        assert!(self.deployment.pull("trackdrop-dead-letters").await.is_empty(), "{scenario}: there are dead letters");
        self.shows_where_its_time_went(scenario, &request).await;
        let count = self.deployment.gateway.count();
        assert_eq!(count.killed, killed, "{scenario}: handlers that were killed in the middle");
        assert!(
            count.deliveries >= times * count.events as u32 + killed,
            "{scenario}: the fault struck, and what it struck came again: {count:?}"
        );
        let rows = format!("{} equal", self.local.rows().len());
        self.lines.push(Line { scenario, count, seconds, rows });
    }

    async fn equals_local(&self, scenario: &str, request: &RequestId) {
        let rows = self.deployment.rows(&TRACKS, request).await;
        let expected = self.local.rows();
        assert!(expected.len() > 100, "too little to compare: {} rows", expected.len());
        assert_eq!(rows.len(), expected.len(), "{scenario}");
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{scenario}");
        }
        let result = async |file: &str| {
            let object = self.deployment.object(Bucket::Results, &format!("{request}/{file}")).await;
            object.unwrap_or_else(|| panic!("{scenario}: there is no {file}"))
        };
        assert_eq!(result("detections.parquet").await, self.local.result("detections.parquet"), "{scenario}");
        let tracks = trackdrop_tables::tracks::read(result("tracks.parquet").await).unwrap();
        let expected = trackdrop_tables::tracks::read(self.local.result("tracks.parquet")).unwrap();
        assert_eq!(tracks, expected, "{scenario}");
        let manifest = comparable(&result("manifest.json").await, request.as_str());
        assert_eq!(manifest, comparable(&self.local.result("manifest.json"), &self.local.request), "{scenario}");
        let folder = self.deployment.folder.path();
        let video = decoded(&result("annotated.mp4").await, folder);
        assert_eq!(video, decoded(&self.local.result("annotated.mp4"), folder), "{scenario}");
        let row = self.deployment.request_row(request).await;
        assert_eq!((row["state"].as_str(), row["track_rows"].parse()), ("done", Ok(rows.len())), "{scenario}");
    }

    /// `trackdrop show --google` reads the buckets: the plan, and each moment of the request once.
    async fn shows_where_its_time_went(&self, scenario: &str, request: &RequestId) {
        let show = |more: &[&str]| {
            let text = self.deployment.trackdrop(&[&["show", request.as_str(), "--google", "--json"], more].concat());
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{scenario}: {error}: {text}"))
        };
        let manifest = self.deployment.object(Bucket::Results, &format!("{request}/manifest.json")).await.unwrap();
        let manifest: serde_json::Map<String, Value> = serde_json::from_slice(&manifest).unwrap();
        let shown = show(&[]);
        // Beside the manifest's own keys those that every answer about a request has.
        assert!(manifest.iter().all(|(key, value)| shown[key] == *value), "{scenario}: {shown:#}");
        assert_eq!(shown["uploaded_at"], manifest["source"]["uploaded_at"], "{scenario}");
        let timeline = show(&["--timeline"]);
        let stages = timeline["stages"].as_array().unwrap();
        let names: Vec<_> = stages.iter().filter_map(|stage| stage["stage"].as_str()).collect();
        assert_eq!(names, ["split", "track", "merge", "load", "annotate", "join"], "{scenario}: {timeline:#}");
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{scenario}: {timeline:#}"));
        let counted: f64 = stages.iter().map(|stage| number(&stage["clock_s"])).sum();
        let (waiting, all) = (number(&timeline["waiting_s"]), number(&timeline["seconds"]));
        assert!(all > 0.0 && (counted + waiting - all).abs() < 1e-3, "{scenario}: {timeline:#}");
        assert!(number(&stages[0]["activities"]["download"]) > 0.0, "{scenario}: {timeline:#}");
    }

    /// An upload that is no video fails with a reason, and no delivery of it dies.
    async fn a_bad_video_fails_with_its_reason(&mut self) {
        let started = Instant::now();
        self.deployment.gateway.begin(Fault::None);
        let request = self.deployment.upload("notes.mp4", b"this is no video", None).await;
        let finished = self.deployment.finished(&request).await;
        let seconds = started.elapsed().as_secs_f64();
        let reason = finished.error.clone().unwrap();
        assert!(finished.state == "failed" && reason.contains("video"), "{finished:?}");
        self.deployment.gateway.settled(0, SETTLES_WITHIN).await;
        let row = self.deployment.request_row(&request).await;
        assert_eq!(
            (row["state"].as_str(), row["error"].as_str(), row["error_stage"].as_str()),
            ("failed", &*reason, "split")
        );
        assert!(self.deployment.rows(&TRACKS, &request).await.is_empty());
        assert!(self.deployment.pull("trackdrop-dead-letters").await.is_empty(), "there are dead letters");
        let count = self.deployment.gateway.count();
        self.lines.push(Line { scenario: "a file that is no video", count, seconds, rows: "none: failed".into() });
    }

    /// An event whose handler dies every time becomes a dead letter and ends its request.
    async fn a_handler_that_always_dies_ends_the_request(&mut self) {
        let started = Instant::now();
        self.deployment.gateway.begin(Fault::AlwaysDies { function: "merge" });
        let request = self.upload_clip().await;
        let finished = self.deployment.finished(&request).await;
        let seconds = started.elapsed().as_secs_f64();
        let reason = finished.error.clone().unwrap();
        assert!(finished.state == "failed" && reason.contains("abandoned after"), "{finished:?}");
        self.deployment.gateway.settled(1, SETTLES_WITHIN).await;
        let row = self.deployment.request_row(&request).await;
        assert_eq!((row["state"].as_str(), row["error_stage"].as_str()), ("failed", "merge"));
        assert!(self.deployment.rows(&TRACKS, &request).await.is_empty());
        let dead = self.deployment.pull("trackdrop-dead-letters").await;
        let objects: Vec<_> = dead.iter().map(|letter| letter.attributes["objectId"].clone()).collect();
        assert_eq!(objects, [format!("tracked/{request}")]);
        let merge = self.deployment.gateway.count_of("merge");
        assert_eq!((merge.events, merge.taken, merge.killed), (1, 0, merge.deliveries), "each died in the middle");
        assert!(merge.deliveries >= 5, "as often as triggers/merge.yaml says: {merge:?}");
        let count = self.deployment.gateway.count();
        self.lines.push(Line { scenario: "merge dies at every delivery", count, seconds, rows: "none: failed".into() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_come_to_what_one_machine_comes_to_whatever_goes_wrong() {
    let Some(deployment) = Deployment::start().await else { return };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let local = LocalRun::of(&video, &deployment.folder.path().join("local"), &["--segment-seconds", "1"]);
    let clip = std::fs::read(&video).unwrap();
    // The command names the model's checksums in its settings: an upload with the same settings asks for the same.
    let manifest: Value = serde_json::from_slice(&local.result("manifest.json")).unwrap();
    let mut scene = Scene { deployment, clip, settings: manifest["settings"].clone(), local, lines: Vec::new() };

    scene.comes_to_the_same("nothing goes wrong", Fault::None).await;
    scene.comes_to_the_same("every first delivery fails", Fault::FirstDeliveryFails).await;
    scene.comes_to_the_same("every event is sent twice", Fault::SentTwice).await;
    scene.comes_to_the_same("track is killed in the middle", Fault::Dies { function: "track", event: 3 }).await;
    scene.a_bad_video_fails_with_its_reason().await;
    scene.a_handler_that_always_dies_ends_the_request().await;
    print(&scene.lines);

    // Each as its own account, which may write traces: Google takes none without.
    let exported = scene.deployment.telemetry.until(|traces| {
        let spans = traces.values().flat_map(|trace| &trace.spans);
        let services: BTreeSet<_> = spans.map(|span| &*span.service).collect();
        FUNCTIONS.iter().all(|function| services.contains(&*format!("trackdrop-{function}")))
    });
    tokio::time::timeout(SETTLES_WITHIN, exported).await.expect("traces of every function");
    scene.deployment.check_rights("services");
}

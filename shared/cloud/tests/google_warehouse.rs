//! Rows in BigQuery exist exactly once: job ids follow from what is loaded, and an existing job says how it went.
//!
//! Tested against a stub whose answers the test sets, and against local-bigquery with fake-gcs-server, which others wrote.
#![cfg(feature = "google")]
#![allow(clippy::unwrap_used)]

#[path = "support/stub.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod stub;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use stub::{Asked, Stub};
use trackdrop_cloud::{
    Content, LoadOutcome, PutOptions, Storage, TracksFile, Warehouse, WarehouseError,
    google::{Api, BigQuery, Buckets, CloudStorage},
};
use trackdrop_emulators as emulators;
use trackdrop_pipeline::{Bucket, Rational, RequestId, RequestState, Timestamp, names::ObjectName};
use trackdrop_tables::{
    requests::{PictureColumns, RequestRow},
    schema::{REQUESTS, TRACKS},
    tracks::{TrackRow, TracksOf, TracksWriter},
};

fn buckets() -> Buckets {
    Buckets { uploads: "acme-uploads".into(), work: "acme-work".into(), results: "acme-results".into() }
}

fn request() -> RequestId {
    "req_0aZ9bY8c_20261123T182501".parse().unwrap()
}

fn file() -> ObjectName {
    ObjectName::new(Bucket::Results, format!("{}/tracks.parquet", request()))
}

fn row() -> RequestRow {
    RequestRow {
        request_id: request(),
        retrack_of: None,
        video: "gate \"3\".mp4".into(),
        uploaded_at: request().uploaded_at().unwrap(),
        finished_at: Timestamp::from_micros(1_790_000_060_000_000),
        state: RequestState::Failed,
        error_stage: Some(trackdrop_pipeline::Stage::Split),
        error: Some("two\nlines".into()),
        segments: 3,
        frames: 90,
        frames_damaged: 0,
        detections: 0,
        track_rows: 0,
        track_count: 0,
        model: None,
        model_sha256: None,
        version: "0".into(),
        split_s: 0.5,
        track_s: 0.0,
        merge_s: 0.0,
        annotate_s: 0.0,
        join_s: 0.0,
        picture: PictureColumns { width_px: Some(640), mirrored: Some(false), ..PictureColumns::default() },
    }
}

/// A warehouse whose dataset is in the EU.
fn warehouse(stub: &Stub) -> BigQuery {
    stub.will(200, json!({ "location": "EU" }));
    BigQuery::new(stub.api(), "acme".into(), ("data".into(), "tracking".into()), buckets())
}

fn done() -> Value {
    json!({ "status": { "state": "DONE" } })
}

/// One request's file, in this writing.
fn tracks(generation: i64) -> [TracksFile; 1] {
    [TracksFile { request_id: request(), object: file(), generation }]
}

fn failed(reason: &str) -> Value {
    json!({ "status": { "state": "DONE", "errorResult": { "reason": reason, "message": "too bad" }, "errors": [
        { "reason": reason, "message": "too bad" },
        { "reason": "invalid", "location": "gs://acme-results/x row 17", "message": "no value for frame_index" },
        { "reason": "invalid", "location": "gs://acme-results/x row 40", "message": "score is no number" },
    ] } })
}

/// The job id that a call is about, whichever call it is.
fn job_of(asked: &Asked) -> String {
    match asked.uri.path().strip_prefix("/bigquery/v2/projects/acme/jobs/") {
        Some(id) => id.to_owned(),
        None => asked.json()["jobReference"]["jobId"].as_str().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn a_job_id_follows_from_what_is_loaded() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    let mut ids = Vec::new();
    for generation in [7, 7, 8] {
        stub.will(200, done());
        assert_eq!(warehouse.load_tracks(&tracks(generation)).await.unwrap(), LoadOutcome::Loaded);
        let asked = stub.asked();
        let job = asked.last().unwrap();
        ids.push(job_of(job));
        let load = &job.json()["configuration"]["load"];
        assert_eq!(job.json()["jobReference"]["location"], "EU", "a job runs where the dataset lies");
        assert_eq!((&load["sourceFormat"], &load["writeDisposition"]), (&"PARQUET".into(), &"WRITE_APPEND".into()));
        assert_eq!(load["sourceUris"], json!([format!("gs://acme-results/{}", file().name)]));
        assert_eq!(load["destinationTable"]["tableId"], "tracks");
    }
    assert_eq!((ids[0] == ids[1], ids.iter().collect::<BTreeSet<_>>().len()), (true, 2), "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("trackdrop_tracks_") && id.len() == 49), "{ids:?}");
}

#[tokio::test]
async fn nobody_is_asked_for_a_location_that_is_told_and_else_no_more_than_the_location() {
    let stub = Stub::start().await;
    let warehouse = || BigQuery::new(stub.api(), "acme".into(), ("data".into(), "tracking".into()), buckets());
    stub.will(200, done());
    warehouse().in_location("europe-west4").load_tracks(&tracks(7)).await.unwrap();
    let asked = stub.asked();
    assert_eq!(asked.len(), 1, "the job alone");
    assert_eq!(asked[0].json()["jobReference"]["location"], "europe-west4");

    stub.will(200, json!({ "location": "EU" })).will(200, done());
    warehouse().load_tracks(&tracks(7)).await.unwrap();
    let asked = stub.asked();
    // The default view takes the right to see who may do what.
    assert_eq!(asked[0].uri, "/bigquery/v2/projects/data/datasets/tracking?datasetView=METADATA");
    assert_eq!(asked[1].json()["jobReference"]["location"], "EU");
}

#[tokio::test]
async fn a_job_that_exists_is_not_made_again_but_asked_how_it_went() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    stub.will(409, r#"{"error":{"code":409,"message":"Already Exists: Job acme:EU.x"}}"#);
    // It runs, and then is done.
    stub.will(200, json!({ "status": { "state": "RUNNING" } })).will(200, done());
    assert_eq!(warehouse.load_tracks(&tracks(7)).await.unwrap(), LoadOutcome::AlreadyLoaded);
    let asked = stub.asked();
    let methods: Vec<_> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["GET", "POST", "GET", "GET"], "the dataset, the job, and twice its state");
    assert_eq!(asked[2].uri.query(), Some("location=EU"));
    let ids: BTreeSet<_> = asked[1..].iter().map(job_of).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_found_by_its_id() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    stub.will(503, "").will(409, "{}").will(200, done());
    assert_eq!(warehouse.load_tracks(&tracks(7)).await.unwrap(), LoadOutcome::AlreadyLoaded);
    let ids: BTreeSet<_> = stub.asked()[1..].iter().map(job_of).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn the_id_of_a_failed_job_stays_taken_and_the_next_one_has_a_suffix() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    // Two deliveries before this one failed.
    for _ in 0..2 {
        stub.will(409, "{}").will(200, failed("backendError"));
    }
    stub.will(200, done());
    assert_eq!(warehouse.load_tracks(&tracks(7)).await.unwrap(), LoadOutcome::Loaded);
    let ids: Vec<_> = stub.asked()[1..].iter().map(job_of).collect();
    let first = &ids[0];
    let with = |suffix: &str| format!("{first}{suffix}");
    assert_eq!(ids, [with(""), with(""), with("_r1"), with("_r1"), with("_r2")]);
}

#[tokio::test]
async fn jobs_that_failed_for_the_moment_never_make_a_load_refused_however_many_they_are() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    for _ in 0..=200 {
        stub.will(409, "{}").will(200, failed("backendError"));
    }
    let error = warehouse.load_tracks(&tracks(7)).await.unwrap_err();
    assert!(matches!(&error, WarehouseError::Unavailable { reason, .. } if reason.contains("201 jobs")), "{error}");
    stub.asked();

    // Where the last one was refused, so is the load.
    for suffix in 0..=200 {
        stub.will(409, "{}").will(200, failed(if suffix == 200 { "invalid" } else { "backendError" }));
    }
    let error = warehouse.load_tracks(&tracks(7)).await.unwrap_err();
    assert!(matches!(&error, WarehouseError::Refused { .. }), "{error}");
    stub.asked();

    // Of several files each has ids of its own left: they are to be loaded alone.
    for _ in 0..=200 {
        stub.will(409, "{}").will(200, failed("backendError"));
    }
    let several = [tracks(7), tracks(8)].concat();
    let error = warehouse.load_tracks(&several).await.unwrap_err();
    assert!(matches!(&error, WarehouseError::Refused { .. }), "{error}");
    stub.asked();
}

#[tokio::test]
async fn errors_are_told_row_by_row_and_what_may_pass_is_left_to_the_next_delivery() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    for (reason, may_pass) in [
        ("invalid", false),
        ("invalidQuery", false),
        ("backendError", true),
        ("quotaExceeded", true),
        // About the table, the bucket or the project: somebody can mend it.
        ("notFound", true),
        ("accessDenied", true),
        ("blocked", true),
        ("billingNotEnabled", true),
    ] {
        stub.will(200, failed(reason));
        let error = warehouse.load_tracks(&tracks(7)).await.unwrap_err();
        assert_eq!(matches!(error, WarehouseError::Unavailable { .. }), may_pass, "{error}");
        let text = error.to_string();
        assert!(text.contains("loading into data.tracking.tracks: job trackdrop_tracks_"), "{text}");
        assert!(text.contains("invalid at gs://acme-results/x row 17: no value for frame_index"), "{text}");
        assert!(text.contains("row 40: score is no number"), "{text}");
        stub.asked();
    }
    // A missing table or right can be repaired while deliveries continue; a request that is malformed can't.
    for (status, may_pass) in [(404, true), (403, true), (400, false)] {
        stub.will(status, r#"{"error":{"message":"Not found: Table data:tracking.tracks"}}"#);
        let error = warehouse.load_tracks(&tracks(7)).await.unwrap_err();
        assert_eq!(matches!(error, WarehouseError::Unavailable { .. }), may_pass, "{status}: {error}");
        assert!(error.to_string().contains("Not found: Table data:tracking.tracks"), "{error}");
    }
    // The word for what is wrong says more than the status.
    for (reason, may_pass) in [("backendError", true), ("tableUnavailable", true), ("invalid", false)] {
        stub.will(400, json!({ "error": { "message": "no", "errors": [{ "reason": reason, "message": "no" }] } }));
        let error = warehouse.load_tracks(&tracks(7)).await.unwrap_err();
        assert_eq!(matches!(error, WarehouseError::Unavailable { .. }), may_pass, "{reason}: {error}");
    }
    stub.asked();
}

#[tokio::test]
async fn a_file_that_is_gone_is_refused_and_a_table_that_is_not_there_yet_is_waited_for() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    let several = [tracks(7), tracks(8)].concat();
    for (message, may_pass) in [
        ("Not found: URI gs://acme-results/x/tracks.parquet", false),
        ("Not found: Files /bigstore/acme-results/x/tracks.parquet", false),
        ("Not found: Table data:tracking.tracks", true),
    ] {
        let error = json!({ "reason": "notFound", "message": message });
        for files in [&tracks(7)[..], &several[..]] {
            stub.will(200, json!({ "status": { "state": "DONE", "errorResult": error } }));
            let error = warehouse.load_tracks(files).await.unwrap_err();
            assert_eq!(matches!(error, WarehouseError::Unavailable { .. }), may_pass, "{error}");
            stub.asked();
        }
    }
}

#[tokio::test]
async fn the_row_of_a_request_is_one_line_sent_with_its_job_and_the_first_one_stays() {
    let stub = Stub::start().await;
    let warehouse = warehouse(&stub);
    stub.will(200, done());
    warehouse.record_requests(&[row()]).await.unwrap();
    let mut other = row();
    other.error = Some("another reason".into());
    stub.will(409, "{}").will(200, done());
    assert_eq!(warehouse.record_requests(std::slice::from_ref(&other)).await.unwrap(), LoadOutcome::AlreadyLoaded);
    let asked = stub.asked();
    assert_eq!(job_of(&asked[1]), job_of(&asked[2]), "the id follows from the request and when it ended");
    let body = String::from_utf8(asked[1].body.to_vec()).unwrap();
    let line = body.lines().find(|line| line.starts_with("{\"request_id\"")).unwrap();
    assert_eq!(serde_json::from_str::<RequestRow>(line).unwrap(), row());
    assert_eq!(asked[1].json()["configuration"]["load"]["sourceFormat"], "NEWLINE_DELIMITED_JSON");
}

/// The emulators of BigQuery and Cloud Storage, with the tables.
struct Emulated {
    http: reqwest::Client,
    bigquery: emulators::Emulator,
    storage: CloudStorage,
    warehouse: BigQuery,
    _storage: emulators::Emulator,
    _folder: tempfile::TempDir,
}

impl Emulated {
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let store = emulators::cloud_storage(None)?;
        let bigquery = emulators::bigquery("acme", &store.host(), folder.path())?;
        let http = reqwest::Client::new();
        let post = async |url: String, body: Value| {
            let answer = http.post(&url).json(&body).send().await.unwrap();
            assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap());
        };
        post(format!("http://{}/storage/v1/b?project=acme", store.host()), json!({ "name": "acme-results" })).await;
        let datasets = format!("http://{}/bigquery/v2/projects/acme/datasets", bigquery.host());
        let reference = json!({ "projectId": "acme", "datasetId": "tracking" });
        post(datasets.clone(), json!({ "datasetReference": reference, "location": "US" })).await;
        for table in [&TRACKS, &REQUESTS] {
            let fields = table.bigquery();
            let reference = json!({ "projectId": "acme", "datasetId": "tracking", "tableId": table.name });
            post(
                format!("{datasets}/tracking/tables"),
                json!({ "tableReference": reference, "schema": { "fields": fields } }),
            )
            .await;
        }
        let storage = CloudStorage::new(Api::new("", Some(&store.host())).unwrap(), buckets()).unwrap();
        let api = Api::new("", Some(&bigquery.host())).unwrap();
        let warehouse = BigQuery::new(api, "acme".into(), ("acme".into(), "tracking".into()), buckets());
        Some(Self { http, bigquery, storage, warehouse, _storage: store, _folder: folder })
    }

    async fn put(&self, content: impl Into<bytes::Bytes>) -> i64 {
        self.storage.put(&file(), Content::Bytes(content.into()), PutOptions::default()).await.unwrap().generation
    }

    async fn count(&self, table: &str) -> String {
        let url = format!("http://{}/bigquery/v2/projects/acme/queries", self.bigquery.host());
        let query = json!({ "query": format!("SELECT COUNT(*) FROM `acme.tracking.{table}`"), "useLegacySql": false });
        let answer: Value = self.http.post(url).json(&query).send().await.unwrap().json().await.unwrap();
        answer["rows"][0]["f"][0]["v"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

fn parquet(rows: i64) -> Vec<u8> {
    let of = TracksOf {
        request_id: request(),
        video: "gate.mp4".into(),
        uploaded_at: request().uploaded_at().unwrap(),
        time_base: Rational::new(1, 25).unwrap(),
        origin_pts: 0,
    };
    let mut writer = TracksWriter::new(Vec::new(), of).unwrap();
    for frame_index in 0..rows {
        writer
            .push(TrackRow {
                frame_index,
                pts: frame_index,
                track_id: 1,
                class_id: 0,
                class_name: "person".into(),
                score: 0.5,
                bbox: [1.0, 2.0, 3.0, 4.0],
                observed: true,
            })
            .unwrap();
    }
    writer.finish(None).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_of_others_holds_every_row_once_however_often_it_is_loaded() {
    let Some(emulated) = Emulated::start().await else { return };
    let generation = emulated.put(parquet(25)).await;
    let load = async || emulated.warehouse.load_tracks(&tracks(generation)).await;
    // One after the other: two at the same moment make this emulator answer 400 with its own key error, where BigQuery answers 409.
    for expected in [LoadOutcome::Loaded, LoadOutcome::AlreadyLoaded, LoadOutcome::AlreadyLoaded] {
        assert_eq!(load().await.unwrap(), expected);
    }
    assert_eq!(emulated.count("tracks").await, "25");
    for expected in [LoadOutcome::Loaded, LoadOutcome::AlreadyLoaded] {
        assert_eq!(emulated.warehouse.record_requests(&[row()]).await.unwrap(), expected);
    }
    assert_eq!(emulated.count("requests").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_taken_back_where_it_is_of_an_earlier_moment_and_does_not_come_again() {
    let Some(emulated) = Emulated::start().await else { return };
    let (warehouse, failed) = (&emulated.warehouse, row());
    let later = Timestamp::from_micros(failed.finished_at.micros() + 1);
    warehouse.record_requests(std::slice::from_ref(&failed)).await.unwrap();
    warehouse.forget_failure(&failed.request_id, failed.finished_at).await.unwrap();
    assert_eq!(emulated.count("requests").await, "1", "it is of this very moment");
    warehouse.forget_failure(&failed.request_id, later).await.unwrap();
    assert_eq!(emulated.count("requests").await, "0");
    assert_eq!(warehouse.record_requests(std::slice::from_ref(&failed)).await.unwrap(), LoadOutcome::AlreadyLoaded);
    assert_eq!(emulated.count("requests").await, "0");
    let done = RequestRow { state: RequestState::Done, error: None, error_stage: None, finished_at: later, ..failed };
    assert_eq!(warehouse.record_requests(std::slice::from_ref(&done)).await.unwrap(), LoadOutcome::Loaded);
    warehouse.forget_failure(&done.request_id, Timestamp::from_micros(later.micros() + 1)).await.unwrap();
    assert_eq!(emulated.count("requests").await, "1", "it is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_request_are_deleted_and_those_of_others_stay() {
    let Some(emulated) = Emulated::start().await else { return };
    let generation = emulated.put(parquet(25)).await;
    emulated.warehouse.load_tracks(&tracks(generation)).await.unwrap();
    emulated.warehouse.record_requests(&[row()]).await.unwrap();
    let another: RequestId = "req_0aZ9bY8d_20261123T182501".parse().unwrap();
    emulated.warehouse.record_requests(&[RequestRow { request_id: another.clone(), ..row() }]).await.unwrap();
    for _ in 0..2 {
        emulated.warehouse.forget_request(&request()).await.unwrap();
        assert_eq!((emulated.count("tracks").await.as_str(), emulated.count("requests").await.as_str()), ("0", "1"));
    }
    emulated.warehouse.forget_request(&another).await.unwrap();
    assert_eq!(emulated.count("requests").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_emulator_refuses_is_refused_with_its_reason_and_can_be_replaced() {
    let Some(emulated) = Emulated::start().await else { return };
    let broken = emulated.put("this is no Parquet").await;
    for _ in 0..2 {
        // The second time under the next id: the first one stays taken.
        let error = emulated.warehouse.load_tracks(&tracks(broken)).await.unwrap_err();
        assert!(matches!(error, WarehouseError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("arquet"), "{error}");
    }
    let good = emulated.put(parquet(3)).await;
    assert_eq!(emulated.warehouse.load_tracks(&tracks(good)).await.unwrap(), LoadOutcome::Loaded);
    assert_eq!(emulated.count("tracks").await, "3");
}

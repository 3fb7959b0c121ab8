//! `load` by window over the emulators: several requests become one load job, however often the clock calls.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::time::Duration;
use trackdrop_e2e::{
    deployment::{Deployment, Finished, Setup},
    local::{LocalRun, clip},
};
use trackdrop_pipeline::Bucket;
use trackdrop_tables::schema::TRACKS;

const REQUESTS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_one_load_job_and_a_second_call_finds_nothing_to_do() {
    let setup = Setup { is_loaded_by_window: true, ..Setup::default() };
    let Some(deployment) = Deployment::start_with(setup).await else { return };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let options = ["--segment-seconds", "2", "--no-video"];
    let local = LocalRun::of(&video, &deployment.folder.path().join("local"), &options);
    let manifest: Value = serde_json::from_slice(&local.result("manifest.json")).unwrap();
    let clip = std::fs::read(&video).unwrap();
    let mut requests = Vec::new();
    for number in 0..REQUESTS {
        let name = format!("people {number}.mp4");
        requests.push((deployment.upload(&name, &clip, Some(&manifest["settings"])).await, name));
    }
    deployment.until_listed(Bucket::Work, "loads/waiting/", REQUESTS).await;
    deployment.gateway.settled(0, Duration::from_secs(120)).await;
    assert!(deployment.load_jobs(&TRACKS).await.is_empty(), "loaded before the clock called");

    // One after the other: the emulator takes two jobs of one id that come at the same moment, which BigQuery does not. Callers at once are
    // tried in `functions/load/tests/window.rs`.
    assert_eq!(deployment.clock("load", "trackdrop.load.window").await, 204);
    let another = deployment.another("load").await;
    let event = r#"{"specversion":"1.0","id":"1","source":"//x","type":"trackdrop.load.window"}"#;
    let post = trackdrop_e2e::http_client().post(format!("http://127.0.0.1:{}/", another.port)).body(event);
    let answer = post.header("content-type", "application/cloudevents+json").send().await.unwrap();
    assert_eq!(answer.status(), 204, "a window with nothing in it");

    for (request, name) in &requests {
        assert_eq!(deployment.finished(request).await, Finished { state: "done".into(), error: None });
        let mut expected = local.rows();
        for row in &mut expected {
            row.entry("video".to_owned()).and_modify(|video| video.clone_from(name));
        }
        let rows = deployment.rows(&TRACKS, request).await;
        assert!(rows.len() > 50, "too little to compare: {} rows", rows.len());
        assert_eq!(rows.len(), expected.len());
        assert!(rows == expected, "{name}: other rows");
        assert_eq!(deployment.request_row(request).await["state"], "done");
    }
    assert_eq!(deployment.load_jobs(&TRACKS).await, [REQUESTS]);
    assert!(deployment.list(Bucket::Work, "loads/waiting/").await.is_empty());
    deployment.check_rights("load_window");
}

//! Nobody may do more than it has to, and everybody may do what it has to: rights as Terraform grants them, before emulators that have none.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use trackdrop_e2e::{
    deployment::{Deployment, Finished, checkout},
    gateway::Fault,
    local::clip,
    rights::{
        gate::{Behind, Rights, RightsGate, token_of},
        grants::Grants,
        report,
    },
};
use trackdrop_pipeline::{Bucket, RequestId};

const WITHIN: Duration = Duration::from_secs(120);
const EXAMPLES: [&str; 3] = ["smallest", "pull-workers", "console"];
/// Where the table is in `docs/deploy.md`.
const TABLE: (&str, &str) =
    ("<!-- rights: written by UPDATE_RIGHTS=1 scripts/e2e rights -->\n\n", "\n<!-- rights: end -->");

fn done() -> Finished {
    Finished { state: "done".into(), error: None }
}

/// A deployment and a video of four segments.
struct Scene {
    deployment: Deployment,
    clip: Vec<u8>,
}

impl Scene {
    async fn start() -> Option<Self> {
        let deployment = Deployment::start().await?;
        let video = deployment.folder.path().join("people.mp4");
        clip(&video);
        let clip = std::fs::read(&video).unwrap();
        Some(Self { deployment, clip })
    }

    async fn upload(&self, settings: Value) -> RequestId {
        self.deployment.upload("people.mp4", &self.clip, Some(&settings)).await
    }

    async fn settled(&self) {
        self.deployment.gateway.settled(0, WITHIN).await;
    }

    /// Uploads the clip while one function never sees its events, and waits until what `existing` holds is there.
    async fn stops_before(&self, function: &'static str, existing: &[(&str, usize)]) -> RequestId {
        self.deployment.gateway.begin(Fault::Lost { function });
        let request = self.upload(json!({ "segment_seconds": 1.0 })).await;
        for &(folder, count) in existing {
            self.deployment.until_listed(Bucket::Work, &format!("{folder}/{request}"), count).await;
        }
        self.settled().await;
        self.deployment.gateway.begin(Fault::None);
        request
    }

    /// Tells a function once more of what it never saw.
    async fn goes_on(&self, object: &str) {
        for (name, generation) in self.deployment.list(Bucket::Work, object).await {
            self.deployment.publish_again(Bucket::Work, &name, &generation).await;
        }
    }

    async fn fails_in(&self, request: &RequestId, stage: &str) {
        self.ends_in(request, stage, "failed").await;
    }

    async fn ends_in(&self, request: &RequestId, stage: &str, state: &str) {
        let finished = self.deployment.finished(request).await;
        assert_eq!(finished.state, state, "{finished:?}");
        self.settled().await;
        assert_eq!(self.deployment.request_row(request).await["error_stage"], stage);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_function_is_last_may_end_the_request() {
    let Some(scene) = Scene::start().await else { return };
    let deployment = &scene.deployment;

    // A class that the model does not know.
    deployment.gateway.begin(Fault::None);
    let request = scene.upload(json!({ "segment_seconds": 2.0, "classes": ["persn"] })).await;
    scene.fails_in(&request, "track").await;

    // What the next function reads is no such file.
    let request = scene.stops_before("merge", &[("tracked", 1)]).await;
    let detections = format!("detections/{request}/000000.parquet");
    deployment.put(Bucket::Work, &detections, b"no Parquet", json!({})).await;
    scene.goes_on(&format!("tracked/{request}")).await;
    scene.fails_in(&request, "merge").await;

    let request = scene.stops_before("load", &[("merged", 1), ("annotated", 1)]).await;
    deployment.put(Bucket::Results, &format!("{request}/tracks.parquet"), b"no Parquet", json!({})).await;
    scene.goes_on(&format!("merged/{request}")).await;
    scene.fails_in(&request, "load").await;

    let request = scene.stops_before("annotate", &[("loaded", 1)]).await;
    // `track` has done its part, and leaves what comes under the name of a chunk.
    let chunk = format!("split_chunks/{request}/000000.mkv");
    let metadata = deployment.metadata(Bucket::Work, &chunk).await;
    deployment.put(Bucket::Work, &chunk, b"no video", metadata).await;
    scene.settled().await;
    scene.goes_on(&format!("tracks/{request}/000000")).await;
    scene.ends_in(&request, "annotate", "done_without_video").await;

    // Either may be the last one.
    let request = scene.stops_before("join", &[("loaded", 1), ("annotated", 1)]).await;
    scene.goes_on(&format!("annotated/{request}")).await;
    assert_eq!(deployment.finished(&request).await, done());
    scene.settled().await;
    deployment.check_rights("rights");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_fails_exactly_the_scenario_that_needs_it() {
    let Some(scene) = Scene::start().await else { return };
    let (deployment, rights) = (&scene.deployment, &scene.deployment.rights);
    for words in [
        ["trackdrop-split", "storage.objects.create", "split_chunks/"],
        ["trackdrop-track", "storage.objects.get", "PROJECT-trackdrop-work"],
        ["trackdrop-merge", "storage.objects.list", "PROJECT-trackdrop-work"],
        ["trackdrop-load", "bigquery.tables.updateData", "tracks"],
        ["trackdrop-load", "storage.buckets.get", "PROJECT-trackdrop-results"],
        ["trackdrop-join", "storage.objects.create", "*/annotated.mp4"],
    ] {
        deployment.gateway.begin(Fault::None);
        assert_eq!(rights.withhold(&words), 1, "{words:?}");
        // This one comes to its end without.
        let other = deployment.upload("notes.mp4", b"this is no video", None).await;
        assert_eq!(deployment.finished(&other).await.state, "failed");
        scene.settled().await;
        let request = scene.upload(json!({ "segment_seconds": 2.0 })).await;
        let refused = async {
            while rights.refused().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(WITHIN, refused).await.unwrap_or_else(|_| panic!("nobody missed {words:?}"));
        let summary = format!("{request}/summary.json");
        assert!(deployment.object(Bucket::Results, &summary).await.is_none(), "{words:?}: it ended all the same");

        assert_eq!(rights.withhold(&[]), 0);
        for refused in rights.take_refused() {
            assert!(refused.starts_with(&format!("{} needs {} on ", words[0], words[1])), "{words:?}: {refused}");
        }
        assert_eq!(deployment.finished(&request).await, done(), "given back, it goes on: {words:?}");
        scene.settled().await;
    }
}

#[tokio::test]
async fn a_call_that_nobody_looked_up_and_a_caller_without_a_token_are_refused_and_told() {
    let rights = Arc::new(Rights::of(&Grants::of_example(&checkout(), "smallest"), "demo"));
    let nobody = || "127.0.0.1:9".to_owned();
    let behind = Behind {
        storage: nobody(),
        pubsub: nobody(),
        bigquery: nobody(),
        bigquery_writer: Default::default(),
        telemetry: nobody(),
        topics: [].into(),
    };
    let gate = RightsGate::start(rights.clone(), "trackdrop-split", behind).await;
    let (http, url) = (trackdrop_e2e::http_client(), format!("http://127.0.0.1:{}", gate.port));
    let call = async |method: &str, path: &str, token: Option<String>| {
        let call = http.request(method.parse().unwrap(), format!("{url}{path}"));
        let call = token.into_iter().fold(call, reqwest::RequestBuilder::bearer_auth);
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap(), rights.take_refused())
    };
    let token = || Some(token_of("trackdrop-split"));

    let (status, _, refused) = call("DELETE", "/v1/projects/demo/topics/trackdrop-requests", token()).await;
    assert_eq!((status, refused.len()), (501, 1), "{refused:?}");
    assert!(refused[0].contains("nobody has looked up what that takes"), "{refused:?}");

    let bucket = "/storage/v1/b/demo-trackdrop-work/o";
    for wrong in [None, Some(token_of("trackdrop-fail"))] {
        let (status, body, refused) = call("GET", bucket, wrong).await;
        assert_eq!((status, refused.len()), (401, 1), "{body} {refused:?}");
    }
    // As each API says it.
    let (status, body, refused) = call("GET", "/storage/v1/b/demo-trackdrop-work", token()).await;
    assert_eq!(
        (status, &*refused),
        (403, &["trackdrop-split needs storage.buckets.get on bucket PROJECT-trackdrop-work".to_owned()][..])
    );
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["error"]["errors"][0]["reason"], "forbidden", "{body}");
    let (status, body, refused) =
        call("GET", "/bigquery/v2/projects/demo/datasets/trackdrop?datasetView=METADATA", token()).await;
    assert_eq!((status, refused.len()), (403, 1), "{refused:?}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["error"]["errors"][0]["reason"], &body["error"]["status"]),
        (&json!("accessDenied"), &json!("PERMISSION_DENIED"))
    );
    let (status, body, _) = call("POST", "/v1/projects/demo/topics/trackdrop-dead-letters:publish", token()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
}

#[test]
fn every_right_of_a_function_is_used_by_a_test_or_justified() {
    for example in EXAMPLES {
        let unused = report::unused(&checkout(), &Grants::of_example(&checkout(), example));
        let lines: String = unused.iter().map(|right| format!("{right}\n")).collect();
        assert!(
            unused.is_empty(),
            "{example}: take these out of Terraform, or say in testing/e2e/rights/justified.txt why not:\n{lines}"
        );
    }
}

#[test]
fn no_function_may_publish_a_dead_letter() {
    for example in EXAMPLES {
        let grants = Grants::of_example(&checkout(), example);
        for right in grants.all_rights().iter().filter(|right| right.account.starts_with("trackdrop-")) {
            let is_letter =
                ["dead-letters", "undeliverable"].iter().any(|topic| right.on == format!("topic trackdrop-{topic}"));
            assert!(!is_letter, "{example}: {right}: who takes it over could fail anybody's request");
        }
    }
}

#[test]
fn the_table_of_rights_in_the_documentation_is_current() {
    let path = checkout().join("docs/deploy.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(TABLE.0).expect("docs/deploy.md has the table's beginning");
    let (existing, after) = rest.split_once(TABLE.1).expect("docs/deploy.md has the table's end");
    let table = report::table(&checkout(), &EXAMPLES);
    if std::env::var("UPDATE_RIGHTS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, format!("{before}{}{table}{}{after}", TABLE.0, TABLE.1)).unwrap();
        return;
    }
    assert!(existing == table, "UPDATE_RIGHTS=1 scripts/e2e rights writes it again:\n{table}");
}

//! Uploads as real tools make them, and as those make them who have nothing but the right to upload.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trackdrop_e2e::{
    deployment::{Deployment, Finished},
    gateway::Fault,
    local::clip,
    storage_gate::Oddity,
    uploads::{GCLOUD_PARTS, GSUTIL_PARTS},
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::TRACKS;

/// No delivery takes a tenth of it.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

struct Scene {
    deployment: Deployment,
    clip: Vec<u8>,
}

impl Scene {
    /// How often `split` said that an upload is ignored, and why.
    async fn ignored(&self) -> Vec<String> {
        let log = self.deployment.gateway.process("split").await.log_text();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ignored = lines.filter(|line| line["message"] == "upload ignored" && line["severity"] == "INFO");
        ignored.map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until `split` has ignored this many uploads, and finds that it ignored no more. An event of an earlier upload may come again at any time, so the
    /// number of events does not say that those of the last ones were among them.
    async fn has_ignored(&self, count: usize) {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let ignored = self.ignored().await;
            if ignored.len() >= count {
                assert_eq!(ignored.len(), count, "{ignored:?}");
                return;
            }
            assert!(Instant::now() < until, "{count} should be ignored: {ignored:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn requests(&self) -> usize {
        let manifests = self.deployment.list(Bucket::Results, "").await;
        manifests.iter().filter(|(name, _)| name.ends_with("/manifest.json")).count()
    }

    async fn done(&self, request: &RequestId) -> usize {
        assert_eq!(self.deployment.finished(request).await, Finished { state: "done".into(), error: None });
        self.deployment.gateway.settled(0, SETTLES_WITHIN).await;
        self.deployment.rows(&TRACKS, request).await.len()
    }

    /// The request fails, and says all of `reasons`.
    async fn fails(&self, request: &RequestId, reasons: &[&str]) -> String {
        let finished = self.deployment.finished(request).await;
        let error = finished.error.unwrap_or_default();
        if finished.state != "failed" || !reasons.iter().all(|reason| error.contains(reason)) {
            panic!("{error}\n{}", self.deployment.gateway.logs().await);
        }
        error
    }

    async fn parts_of_one_upload_start_nothing(&self) {
        let mut before = 0;
        let in_a_folder = format!("day 1/{GCLOUD_PARTS}");
        for (folder, dropped_by_the_service) in [(GCLOUD_PARTS, 0), (GSUTIL_PARTS, 3), (&*in_a_folder, 3)] {
            let (ignored, name) = (self.ignored().await.len(), format!("composed {before}.mp4"));
            self.deployment.gateway.begin(Fault::None);
            let request = self.deployment.upload_in_parts(&name, &self.clip, 3, folder).await;
            assert!(self.done(&request).await > 100, "{folder}");
            before += 1;
            assert_eq!(self.requests().await, before, "one request an upload");
            self.has_ignored(ignored + dropped_by_the_service).await;
        }
    }

    async fn the_same_again_makes_no_second_request(&self) {
        let (requests, ignored) = (self.requests().await, self.ignored().await.len());
        self.deployment.gateway.begin(Fault::None);
        // A script that is run again, with the same tool and with another one.
        let composed = self.deployment.upload_in_parts("composed 0.mp4", &self.clip, 2, GCLOUD_PARTS).await;
        self.has_ignored(ignored + 1).await;
        let uploaded = self.deployment.upload_as_it_is("composed 0.mp4", &self.clip, json!({})).await;
        self.has_ignored(ignored + 2).await;
        self.deployment.gateway.settled(0, SETTLES_WITHIN).await;
        assert_eq!(self.requests().await, requests);
        for request in [composed, uploaded] {
            assert_eq!(self.deployment.rows(&TRACKS, &request).await.len(), 0);
        }
    }

    async fn what_is_no_video_starts_nothing(&self) {
        let (requests, ignored) = (self.requests().await, self.ignored().await.len());
        let names = ["folder/", "clip.srt", "GX01.THM", ".DS_Store", "._clip.mp4", "clip.mp4.part"];
        for name in names {
            self.deployment.upload_as_it_is(name, b"no video", json!({})).await;
        }
        // gcsfuse begins with an empty generation.
        self.deployment.upload_as_it_is("mounted.mp4", b"", json!({})).await;
        let mounted = self.deployment.upload_as_it_is("mounted.mp4", &self.clip, json!({})).await;
        assert!(self.done(&mounted).await > 100);
        assert_eq!(self.requests().await, requests + 1);
        self.has_ignored(ignored + names.len() + 1).await;
        assert!(self.deployment.pull("trackdrop-dead-letters").await.is_empty());
    }

    async fn odd_objects_end_with_the_remedy_or_are_honoured(&self) {
        for (oddity, name, reasons) in [
            (Oddity::WithoutChecksum, "unsummed.mp4", &[][..]),
            (Oddity::CustomerKey, "locked.mp4", &["customer-supplied key", "upload it without one"]),
            (Oddity::Packed, "packed.mp4", &["Content-Encoding", "upload it as it is"]),
            (Oddity::PackedInSecret, "secret.mp4", &["Content-Encoding", "upload it as it is"]),
        ] {
            for function in ["split", "join", "fail"] {
                self.deployment.gateway.storage(function).plays(name, oddity);
            }
            let request = self.deployment.upload_as_it_is(name, &self.clip, json!({})).await;
            if reasons.is_empty() {
                assert!(self.done(&request).await > 100, "{oddity:?}");
            } else {
                self.fails(&request, reasons).await;
            }
        }
    }

    async fn one_odd_object_does_not_fail_the_sweep(&self) {
        let fail = self.deployment.gateway.storage("fail");
        fail.plays("odd.mp4", Oddity::WithoutGeneration);
        self.deployment.gateway.begin(Fault::Lost { function: "split" });
        let odd = self.deployment.upload_as_it_is("odd.mp4", &self.clip, json!({})).await;
        let lost = self.deployment.upload_as_it_is("z lost.mp4", &self.clip, json!({})).await;
        self.deployment.gateway.seen(2, SETTLES_WITHIN).await;
        self.deployment.gateway.begin(Fault::None);
        assert_eq!(self.deployment.clock("fail", "trackdrop.requests.sweep").await, 204);
        assert!(self.done(&lost).await > 100, "it was told again");
        assert_eq!(self.deployment.rows(&TRACKS, &odd).await.len(), 0);
    }

    async fn who_may_only_upload_gains_nothing(&self) {
        let mut told = Vec::new();
        for model in ["/etc/passwd", "/no/such/file", "gs://demo-trackdrop-uploads/composed 0.mp4", "../../etc/passwd"]
        {
            let settings = json!({ "model": model });
            let request = self.deployment.upload("attack.mp4", &self.clip, Some(&settings)).await;
            told.push(self.fails(&request, &["is not offered; offered: "]).await.replace(model, "IT"));
            let settings = json!({ "appearance": { "network": model } });
            let request = self.deployment.upload("attack.mp4", &self.clip, Some(&settings)).await;
            told.push(self.fails(&request, &["is not offered; offered: "]).await.replace(model, "IT"));
        }
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        let many = vec!["x".repeat(100); 60];
        for (settings, reason) in [
            (json!([]), "can't be read"),
            (json!({ "segment_seconds": 1e-9 }), "at least 0.1"),
            (json!({ "classes": many }), "as JSON"),
            (json!({ "tracker": [] }), "can't be read"),
        ] {
            let request = self.deployment.upload("attack.mp4", &self.clip, Some(&settings)).await;
            self.fails(&request, &[reason]).await;
        }
        let long = format!("{}.mp4", "ü\n".repeat(300));
        let request = self.deployment.upload(&long, b"no video", None).await;
        assert!(self.fails(&request, &["is not a video"]).await.len() < 900);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_real_tools_and_of_strangers_end_as_they_should() {
    let Some(deployment) = Deployment::start().await else { return };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let scene = Scene { clip: std::fs::read(&video).unwrap(), deployment };
    scene.parts_of_one_upload_start_nothing().await;
    scene.the_same_again_makes_no_second_request().await;
    scene.what_is_no_video_starts_nothing().await;
    scene.odd_objects_end_with_the_remedy_or_are_honoured().await;
    scene.one_odd_object_does_not_fail_the_sweep().await;
    scene.who_may_only_upload_gains_nothing().await;
}

//! Which events reach the handler, and as what.

use crate::world::{World, notification};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::{Arc, Mutex};
use trackdrop_cloud::{Content, PutOptions, Storage, google::Buckets, local::LocalCloud};
use trackdrop_framework::Service;
use trackdrop_pipeline::{
    Bucket, Event,
    names::ObjectName,
    trigger::files::{FAIL, LOAD, SPLIT, TRACK},
};

#[tokio::test]
async fn the_clock_starts_the_function_that_it_is_meant_for() {
    let window = [Event::LoadWindow {}];
    for (trigger, taken) in [(LOAD, &window[..]), (TRACK, &[]), (FAIL, &[])] {
        let world = World::of(trigger, |service| service).await;
        let post = world.http.post(&world.url).header("content-type", "application/json").body("{}");
        let post = post.header("ce-specversion", "1.0").header("ce-id", "load-window");
        let post = post.header("ce-source", "//cloudscheduler.googleapis.com/trackdrop-load-window");
        let answer = post.header("ce-type", "trackdrop.load.window").send().await.unwrap();
        assert_eq!((answer.status(), &world.events()[..]), (StatusCode::NO_CONTENT, taken));
    }
}

#[tokio::test]
async fn an_event_of_the_trigger_reaches_the_handler_with_its_bucket_by_role() {
    let world = World::of(SPLIT, |service| service).await;
    assert_eq!(world.push(notification("acme-up", "a b%.mp4", &[])).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!(finalized.object, ObjectName::new(Bucket::Uploads, "a b%.mp4"));
    assert_eq!((finalized.generation, finalized.created), (7, "2026-11-23T18:25:01.5Z".parse().unwrap()));
    // The name of the request depends on the role, not on what a bucket is called somewhere.
    let local = trackdrop_pipeline::RequestId::of_upload("uploads", "a b%.mp4", 7, finalized.created);
    assert_eq!(finalized.request(), Some(local));
}

#[tokio::test]
async fn an_event_that_starts_something_else_is_acknowledged_and_not_handled() {
    let world = World::of(TRACK, |service| service).await;
    for (bucket, name) in [("acme-work", "detections/x"), ("acme-up", "split_chunks/x"), ("other", "split_chunks/x")] {
        assert_eq!(world.push(notification(bucket, name, &[])).await.status(), StatusCode::NO_CONTENT, "{name}");
    }
    assert_eq!(
        world.push(notification("acme-work", "split_chunks/x", &[("eventType", "OBJECT_DELETE")])).await.status(),
        204
    );
    assert!(world.events().is_empty());
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the service logs of pushes, and the statuses of its answers.
async fn logged(trigger: &str, with: impl FnOnce(Service) -> Service, pushes: &[String]) -> (World, String) {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let here = tracing::subscriber::set_default(subscriber);
    let world = World::of(trigger, with).await;
    for push in pushes {
        assert_eq!(world.push(push.clone()).await.status(), StatusCode::NO_CONTENT, "{push}");
    }
    drop(here);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (world, log)
}

/// A notification of an object of this size.
fn notification_of(name: &str, size: &str) -> String {
    let payload = json!({ "kind": "storage#object", "bucket": "acme-up", "name": name, "generation": "7", "size": size,
        "timeCreated": "2026-11-23T18:25:01.5Z" });
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": name,
        "objectGeneration": "7", "payloadFormat": "JSON_API_V1" });
    let message = json!({ "attributes": attributes, "data": STANDARD.encode(payload.to_string()), "messageId": "1" });
    json!({ "message": message, "subscription": "projects/p/subscriptions/s" }).to_string()
}

#[tokio::test]
async fn an_upload_whose_name_is_not_a_videos_is_acknowledged_logged_once_without_a_call() {
    // Without a payload everybody else would have to look the object up.
    let bare = |name: &str| {
        let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": name,
            "objectGeneration": "7", "payloadFormat": "NONE" });
        json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" }).to_string()
    };
    let part = "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/6f1e_da39a3ee_0";
    let long = format!("{}.srt", "x".repeat(1_000));
    let names = [part, "folder/", ".DS_Store", "clip.mp4.part", "day/clip.SRT", &long];
    let pushes: Vec<_> = names.iter().flat_map(|name| [notification("acme-up", name, &[]), bare(name)]).collect();
    let (world, log) = logged(SPLIT, |service| service, &pushes).await;
    assert!(world.events().is_empty());
    let lines: Vec<_> = log.lines().filter(|line| line.contains("upload ignored")).collect();
    assert_eq!(lines.len(), pushes.len(), "{log}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("INFO") && line.contains("matches the ignored pattern") && line.len() < 600),
        "{log}"
    );
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn an_empty_upload_is_ignored_and_the_generation_that_follows_it_is_taken() {
    let pushes = [notification_of("clip.mp4", "0"), notification_of("clip.mp4", "8")];
    let (world, log) = logged(SPLIT, |service| service, &pushes).await;
    assert_eq!(world.events().len(), 1);
    assert!(log.contains("upload ignored") && log.contains("uploads/clip.mp4 is empty"), "{log}");
    // One whose size the event does not tell.
    let object = ObjectName::new(Bucket::Uploads, "v.mp4");
    let info = world.local.put(&object, Content::Bytes("".into()), PutOptions::default()).await.unwrap();
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": "v.mp4",
        "objectGeneration": info.generation.to_string(), "payloadFormat": "NONE" });
    let body = json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
    assert_eq!(world.push(body.to_string()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.events().len(), 1);
}

#[tokio::test]
async fn users_say_what_is_no_video_and_dead_letters_are_judged_by_the_same_list() {
    let of_users = |list| trackdrop_pipeline::trigger::of_uploads(Some(list)).unwrap();
    let world = World::of(SPLIT, |_| {
        let buckets = Buckets { uploads: "acme-up".into(), work: "acme-work".into(), results: "acme-out".into() };
        let folder = tempfile::tempdir().unwrap();
        Service::new(of_users("processed/*"), Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap()), buckets)
    })
    .await;
    for name in ["processed/clip.mp4", "clip.srt"] {
        assert_eq!(world.push(notification("acme-up", name, &[])).await.status(), StatusCode::NO_CONTENT, "{name}");
    }
    let [Event::ObjectFinalized(taken)] = &world.events()[..] else { panic!() };
    assert_eq!(taken.object.name, "clip.srt");
    let dead =
        [("CloudPubSubDeadLetterSourceDeliveryCount", "5"), ("CloudPubSubDeadLetterSourceSubscription", "x-split")];
    for (list, letters) in [(None, 0), (Some("processed/*"), 1)] {
        let world = World::of(FAIL, |service| match list {
            Some(list) => service.with_uploads(of_users(list)),
            None => service,
        })
        .await;
        assert_eq!(world.push(notification("acme-up", "clip.srt", &dead)).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(world.events().len(), letters, "{list:?}");
    }
}

#[tokio::test]
async fn an_object_of_a_foreign_bucket_is_acknowledged_with_a_warning_that_names_settings() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let world = World::of(SPLIT, |service| service).await;
    for bucket in ["acme-work", "acme-uploads"] {
        assert_eq!(world.push(notification(bucket, "v.mp4", &[])).await.status(), StatusCode::NO_CONTENT);
    }
    assert!(world.events().is_empty());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    // What starts another function is no news.
    let [warning] = warnings[..] else { panic!("{log}") };
    assert!(warning.contains("acme-uploads") && warning.contains("TRACKDROP_BUCKET_UPLOADS"), "{warning}");
}

#[tokio::test]
async fn a_creation_time_that_the_event_lacks_is_looked_up() {
    let world = World::of(SPLIT, |service| service).await;
    let object = ObjectName::new(Bucket::Uploads, "v.mp4");
    let info = world.local.put(&object, Content::Bytes("x".into()), PutOptions::default()).await.unwrap();
    let attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-up", "objectId": "v.mp4",
        "objectGeneration": info.generation.to_string(), "payloadFormat": "NONE" });
    let body = |attributes| json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" });
    assert_eq!(world.push(body(attributes.clone()).to_string()).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!(finalized.created, info.created);
    let mut overwritten = attributes;
    overwritten["objectGeneration"] = (info.generation - 1).to_string().into();
    assert_eq!(world.push(body(overwritten).to_string()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.events().len(), 1, "a generation that is gone makes no request");
}

#[tokio::test]
async fn a_dead_letter_reaches_the_handler_with_the_function_that_gave_up() {
    let world = World::of(FAIL, |service| service).await;
    let dead =
        [("CloudPubSubDeadLetterSourceDeliveryCount", "5"), ("CloudPubSubDeadLetterSourceSubscription", "x-track-1")];
    let name = "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv";
    assert_eq!(world.push(notification("acme-work", name, &dead)).await.status(), StatusCode::NO_CONTENT);
    let [Event::DeadLetter(letter)] = &world.events()[..] else { panic!() };
    assert_eq!((letter.function.as_str(), letter.attempts), ("track", 5));
    assert!(letter.reason.contains("x-track-1"), "{}", letter.reason);
}

#[tokio::test]
async fn an_event_that_was_told_again_reaches_the_handler_though_its_object_is_gone() {
    let world = World::of(TRACK, |service| service).await;
    let name = "split_chunks/req_0aZ9bY8c_20261123T182501/000000.mkv";
    let mut attributes = json!({ "eventType": "OBJECT_FINALIZE", "bucketId": "acme-work", "objectId": name,
        "objectGeneration": "7", "payloadFormat": "NONE" });
    let body = |attributes: &serde_json::Value| {
        json!({ "message": { "attributes": attributes, "messageId": "1" }, "subscription": "s" }).to_string()
    };
    assert_eq!(world.push(body(&attributes)).await.status(), StatusCode::NO_CONTENT);
    assert!(world.events().is_empty(), "nothing says when it was made");
    attributes["timeCreated"] = "2026-11-23T18:25:01.5Z".into();
    assert_eq!(world.push(body(&attributes)).await.status(), StatusCode::NO_CONTENT);
    let [Event::ObjectFinalized(finalized)] = &world.events()[..] else { panic!() };
    assert_eq!((finalized.object.name.as_str(), finalized.created), (name, "2026-11-23T18:25:01.5Z".parse().unwrap()));
}

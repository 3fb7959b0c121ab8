//! Dead letters that somebody made up.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use tempfile::TempDir;
use trackdrop_cloud::{Content, ObjectInfo, PutOptions, Storage, local::LocalCloud};
use trackdrop_fail::Fail;
use trackdrop_flow::{Cloud, manifest};
use trackdrop_pipeline::{
    Bucket, DeadLetter, Delivery, Event, Handler, ObjectFinalized, RequestId, RequestSettings, RequestState,
    SegmentNumber, Timestamp,
    names::{Marker, ObjectName, PerSegment},
};

struct World {
    local: Arc<LocalCloud>,
    cloud: Cloud,
    upload: ObjectFinalized,
    request: RequestId,
    _folder: TempDir,
}

impl World {
    /// With one request of two segments, which is tracking.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
        let upload = put(&local, ObjectName::new(Bucket::Uploads, "v.mp4")).await.finalized();
        let request = upload.request().unwrap();
        let mut planned = manifest::unplanned(&request, &upload, None, RequestSettings::default());
        planned.state = RequestState::Tracking;
        planned.segment_count = 2;
        manifest::create(&cloud, &planned).await.unwrap();
        Self { local, cloud, upload, request, _folder: folder }
    }

    fn chunk(&self, number: u64) -> ObjectFinalized {
        let object = PerSegment::Chunk.object(&self.request, SegmentNumber::new(number).unwrap());
        ObjectFinalized { object, generation: 1, created: Timestamp::now() }
    }

    async fn give(&self, function: &str, attempts: u32, about: &ObjectFinalized) {
        let event = Box::new(Event::ObjectFinalized(about.clone()));
        let (function, reason, published) = (function.to_owned(), "forged".to_owned(), Some(Timestamp::now()));
        let letter = Event::DeadLetter(DeadLetter { function, event, attempts, reason, published });
        Fail::new(self.cloud.clone()).handle(&letter, &Delivery::new()).await.unwrap();
    }

    /// All objects, with their generations.
    async fn all(&self) -> Vec<ObjectInfo> {
        let mut all = Vec::new();
        for bucket in Bucket::ALL {
            all.extend(self.local.list(&ObjectName::new(bucket, "")).await.unwrap());
        }
        all
    }

    async fn changes_nothing(&self, what: &str, function: &str, attempts: u32, about: &ObjectFinalized) {
        let before = self.all().await;
        self.give(function, attempts, about).await;
        assert_eq!(self.all().await, before, "{what}");
        assert!(self.local.request_rows().await.unwrap().is_empty(), "{what}");
    }
}

async fn put(local: &LocalCloud, object: ObjectName) -> ObjectInfo {
    local.put(&object, Content::Bytes("x".into()), PutOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_letter_that_can_t_be_changes_nothing() {
    let world = World::new().await;
    let (upload, chunk) = (&world.upload, &world.chunk(1));
    for (attempts, what) in [(0, "no attempt"), (101, "more than the trigger has"), (u32::MAX, "absurdly many")] {
        world.changes_nothing(what, "track", attempts, chunk).await;
    }
    world.changes_nothing("more than the trigger has", "split", 6, upload).await;
    for function in ["split", "merge", "load", "annotate", "join", "fail", "", "../track"] {
        world.changes_nothing("an object of another function", function, 5, chunk).await;
    }
    world.changes_nothing("an upload for another function", "track", 5, upload).await;
    world.changes_nothing("a segment that was never planned", "track", 5, &world.chunk(2)).await;

    let stranger: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
    let strangers = ObjectFinalized {
        object: PerSegment::Chunk.object(&stranger, SegmentNumber::new(0).unwrap()),
        ..chunk.clone()
    };
    world.changes_nothing("a chunk of a request that does not exist", "track", 5, &strangers).await;
    let marker = ObjectFinalized { object: Marker::Tracked.object(&stranger), ..chunk.clone() };
    world.changes_nothing("a marker of a request that does not exist", "merge", 5, &marker).await;
    let never = ObjectFinalized { object: ObjectName::new(Bucket::Uploads, "never.mp4"), ..upload.clone() };
    world.changes_nothing("an upload that does not exist", "split", 5, &never).await;
    let overwritten = ObjectFinalized { generation: upload.generation + 1, ..upload.clone() };
    world.changes_nothing("a generation that does not exist", "split", 5, &overwritten).await;
    let later = Timestamp::from_micros(upload.created.micros() + 10_000_000);
    let other_time = ObjectFinalized { created: later, ..upload.clone() };
    assert_ne!(other_time.request(), upload.request());
    world.changes_nothing("an upload of another time", "split", 5, &other_time).await;
}

#[tokio::test]
async fn a_letter_of_a_request_that_is_over_changes_nothing() {
    let world = World::new().await;
    put(&world.local, Marker::Ended.object(&world.request)).await;
    manifest::advance(&world.cloud, &world.request, RequestState::Done).await.unwrap();
    world.changes_nothing("done", "track", 5, &world.chunk(1)).await;
    world.changes_nothing("done", "split", 5, &world.upload).await;
    assert_eq!(manifest::state(&world.cloud, &world.request).await.unwrap(), Some(RequestState::Done));
}

#[tokio::test]
async fn a_valid_letter_fails_its_request_also_one_of_an_upload_that_was_never_planned() {
    let world = World::new().await;
    world.give("track", 100, &world.chunk(1)).await;
    assert_eq!(manifest::state(&world.cloud, &world.request).await.unwrap(), Some(RequestState::Failed));
    let upload = put(&world.local, ObjectName::new(Bucket::Uploads, "w.mp4")).await.finalized();
    world.give("split", 5, &upload).await;
    let request = upload.request().unwrap();
    assert_eq!(manifest::state(&world.cloud, &request).await.unwrap(), Some(RequestState::Failed));
}

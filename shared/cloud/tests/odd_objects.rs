//! Objects as other people's tools leave them in a bucket. An odd one is left out or reported, and never blocks the others.
#![cfg(feature = "google")]
#![allow(clippy::unwrap_used)]

#[path = "support/stub.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod stub;

use serde_json::{Value, json};
use stub::Stub;
use trackdrop_cloud::{
    Obstacle, OpenObject, Storage,
    google::{Buckets, CloudStorage},
};
use trackdrop_pipeline::{Bucket, Failure, FailureKind, names::ObjectName};

fn storage(stub: &Stub) -> CloudStorage {
    let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
    CloudStorage::new(stub.api(), buckets).unwrap()
}

fn upload() -> ObjectName {
    ObjectName::new(Bucket::Uploads, "clip.mp4")
}

/// An object of eight bytes, with other members.
fn resource(name: &str, more: Value) -> Value {
    let mut resource = json!({ "name": name, "generation": "7", "timeCreated": "2026-11-23T18:25:01Z", "size": "8",
        "crc32c": "AAAAAA==" });
    for (member, value) in more.as_object().unwrap() {
        resource[member] = value.clone();
    }
    resource
}

#[tokio::test]
async fn one_odd_object_of_a_listing_is_left_out_and_the_others_are_listed() {
    let stub = Stub::start().await;
    let without = |member: &str| {
        let mut resource = resource("odd", json!({}));
        resource.as_object_mut().unwrap().remove(member);
        resource
    };
    let odd = [
        without("name"),
        without("generation"),
        without("timeCreated"),
        without("size"),
        resource("odd", json!({ "size": "many" })),
        resource("odd", json!({ "generation": 7 })),
        resource("odd", json!({ "timeCreated": "yesterday" })),
        resource("odd", json!({ "crc32c": "?" })),
        resource("odd", json!({ "metadata": ["x"] })),
        json!("odd"),
        Value::Null,
    ];
    let no_crc = without("crc32c");
    let mut items = vec![resource("a", json!({}))];
    items.extend(odd);
    items.extend([no_crc, resource("z", json!({ "customerEncryption": { "keySha256": "x" } }))]);
    stub.will(200, json!({ "items": items, "nextPageToken": "more" }));
    stub.will(200, json!({ "items": [resource("zz", json!({}))] }));
    let listed = storage(&stub).list(&ObjectName::new(Bucket::Uploads, "")).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|info| (info.object.name.as_str(), info.crc32c, info.obstacle)).collect();
    assert_eq!(
        seen,
        [("a", Some(0), None), ("odd", None, None), ("z", Some(0), Some(Obstacle::CustomerKey)), ("zz", Some(0), None)]
    );
}

#[tokio::test]
async fn an_object_whose_checksum_is_not_told_is_read_without_it() {
    let stub = Stub::start().await;
    let mut description = resource("clip.mp4", json!({}));
    description.as_object_mut().unwrap().remove("crc32c");
    stub.will(200, &description).will(200, "8 bytes.");
    let (info, content) = storage(&stub).get(&upload()).await.unwrap();
    assert_eq!((info.crc32c, &content[..]), (None, &b"8 bytes."[..]));
}

#[tokio::test]
async fn what_nobody_here_can_read_is_refused_for_good_with_the_remedy() {
    let stub = Stub::start().await;
    for (more, remedy) in [
        (
            json!({ "customerEncryption": { "encryptionAlgorithm": "AES256", "keySha256": "x" } }),
            "upload it without one",
        ),
        (json!({ "contentEncoding": "gzip" }), "upload it as it is"),
        (json!({ "contentEncoding": "GZIP " }), "upload it as it is"),
        (json!({ "contentEncoding": "br" }), "upload it as it is"),
    ] {
        stub.will(200, resource("clip.mp4", more));
        let failure = Failure::from(storage(&stub).open(&upload(), Some(7)).await.unwrap_err());
        assert_eq!(failure.kind(), FailureKind::Permanent);
        assert!(failure.to_string().contains("clip.mp4") && failure.to_string().contains(remedy), "{failure}");
    }
    // An encoding that changes nothing, as some tools write.
    for encoding in ["", "identity", "aws-chunked"] {
        stub.will(200, resource("clip.mp4", json!({ "contentEncoding": encoding })));
        storage(&stub).open(&upload(), Some(7)).await.unwrap();
    }
    stub.asked();
}

#[tokio::test]
async fn a_range_that_is_answered_with_the_whole_unpacked_object_is_refused_for_good() {
    let stub = Stub::start().await;
    stub.will(200, resource("clip.mp4", json!({})));
    let (_, OpenObject::Ranges(ranges)) = storage(&stub).open(&upload(), Some(7)).await.unwrap() else { panic!() };
    stub.will_with(
        200,
        &[("x-goog-stored-content-encoding", "gzip"), ("x-goog-generation", "7")],
        "all of what was packed",
    );
    let failure = Failure::from(ranges.read(2..4).await.unwrap_err());
    assert_eq!(failure.kind(), FailureKind::Permanent);
    assert!(failure.to_string().contains("Content-Encoding"), "{failure}");
}

#[tokio::test]
async fn a_bucket_whose_requester_pays_is_told_with_the_remedy() {
    let stub = Stub::start().await;
    let message = "Bucket is a requester pays bucket but no user project provided.";
    let refused = json!({ "error": { "code": 400, "message": message, "errors": [{ "reason": "required" }] } });
    stub.will(400, &refused).will(400, &refused);
    let storage = storage(&stub);
    for error in [
        storage.open(&upload(), Some(7)).await.unwrap_err(),
        storage.list(&ObjectName::new(Bucket::Uploads, "")).await.unwrap_err(),
    ] {
        let failure = Failure::from(error);
        assert_eq!(failure.kind(), FailureKind::Permanent);
        assert!(failure.to_string().contains("--no-requester-pays"), "{failure}");
    }
}
